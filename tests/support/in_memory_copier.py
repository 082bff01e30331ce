"""Copier's own questionnaire and renderer, in memory.

`copier.run_copy` takes half a second. Here one `Worker` of Copier answers the questions again and
again, in a millisecond or two, and renders into a dictionary in some ten more. The code is
Copier's; only compiled Jinja is kept. `test_rules.py` and `test_combinations.py` compare both with
`copier.run_copy`.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from copier._main import Worker
from copier._types import Phase
from copier._user_data import Question
from jinja2 import meta, nodes

# Enough to apply the rules about the machine, in a millisecond.
MACHINE_QUESTIONS = (
    "checked_answers",
    "tasks",
    "task",
    "accelerator",
    "strategy",
    "precision",
    "devices",
    "num_nodes",
)


class RefusedError(ValueError):
    """A refusal by the questionnaire: the message in the last line of `copier copy`."""


class InMemoryCopier(Worker):
    """Copier's worker: `answer` runs its questions, `render` and `write` its renderer."""

    files: dict[str, bytes]
    context: dict[str, Any]
    duplicates: list[str]

    def __init__(self, template: Path, only: Iterable[str] = ()) -> None:
        """Load the template; `only` keeps just these questions, for speed."""
        options = {"defaults": True, "quiet": True, "pretend": True}
        super().__init__(str(template), Path("nowhere"), **options)
        self.jinja_env.from_string = cache(self.jinja_env.from_string)
        self.jinja_env.auto_reload = False
        questions = self.template.questions_data
        if only:
            for name in set(questions) - set(only):
                del questions[name]

    # ---- The questionnaire ----------------------------------------------------------------------

    def answer(self, **data: Any) -> dict[str, Any]:
        """All answers, including computed ones, where `data` is given with `-d`.

        Raises:
            RefusedError: with Copier's message.
        """
        self.data = data
        try:
            with Phase.use(Phase.PROMPT):
                self._ask()
        except (ValueError, TypeError) as error:
            raise RefusedError(str(error)) from error
        return dict(self.answers.user)

    def refusal(self, **data: Any) -> str:
        """Why Copier refuses these answers; empty if it accepts them."""
        try:
            self.answer(**data)
        except RefusedError as error:
            return str(error)
        return ""

    def choices(self, name: str, **data: Any) -> list[tuple[str, str]]:
        """The title of each choice, and why it is disabled, after `data` was answered."""
        self.answer(**data)
        question = Question(
            var_name=name,
            answers=self.answers,
            context=self._render_context(),
            jinja_env=self.jinja_env,
            **self.template.questions_data[name],
        )
        return [(choice.title, choice.disabled) for choice in question._formatted_choices]

    # ---- The renderer ---------------------------------------------------------------------------

    def render(self, **data: Any) -> dict[str, bytes]:
        """The project's files by path, with the content that Copier would write."""
        self.data = data
        self.files = {}
        self.context = {}
        self.duplicates = []
        self.run_copy()
        assert not self.duplicates, f"two sources render to {self.duplicates}"
        return self.files

    def write(self, folder: Path, **data: Any) -> Path:
        """Render the project into a folder that has none of its files, and return the folder."""
        for name, content in self.render(**data).items():
            path = folder / name
            assert not path.exists(), f"{path} exists"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder

    def sources(self) -> list[Path]:
        """The template's files, relative to its `template` folder."""
        root = self.template_copy_root
        return sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())

    def destination(self, source: Path, context: dict[str, Any]) -> str:
        """The path of a source in the project; empty if it is not rendered."""
        self.context = context
        with Phase.use(Phase.RENDER):
            rendered = [path for path, _ in self._render_path(source)]
        included = [path for path in rendered if not self.match_exclude(path)]
        return included[0].as_posix() if included else ""

    def content(self, source: Path, context: dict[str, Any]) -> bytes:
        """The content that a source renders to."""
        self.files = {}
        self.context = context
        self.duplicates = []
        folder = self.template_copy_root.relative_to(self.template.local_abspath)
        with Phase.use(Phase.RENDER):
            self._render_file(folder / source, source)
        return self.files[source.as_posix()]

    def variables(self, text: str) -> set[str]:
        """The names that a Jinja text reads: its output depends on nothing else.

        The path of an include is an expression. The include reads what any file reads whose path
        ends with the last string of that expression.
        """
        tree = self.jinja_env.parse(text)
        found = meta.find_undeclared_variables(tree)
        for node in tree.find_all((nodes.Import, nodes.FromImport)):
            assert not node.with_context, f"line {node.lineno} imports names that it does not show"
        for node in tree.find_all(nodes.Include):
            last_string = [constant.value for constant in node.find_all(nodes.Const)][-1]
            found |= self.variables_of_files(last_string)
        return found

    def variables_of_files(self, end_of_path: str) -> set[str]:
        """The names read by the files whose path ends like this."""
        found: set[str] = set()
        paths = [
            path for path in self.template_copy_root.rglob("*") if str(path).endswith(end_of_path)
        ]
        assert paths, f"no file ends with {end_of_path!r}"
        for path in paths:
            found |= self.variables(path.read_text())
        return found

    # ---- What Copier calls ----------------------------------------------------------------------

    @property
    def answers_relpath(self) -> Path:
        # Copier renders this name for every part of every path.
        return self.template.answers_relpath

    def _render_context(self) -> dict[str, Any]:
        if Phase.current() != Phase.RENDER:
            return super()._render_context()
        if not self.context:  # it is the same for every file
            self.context = super()._render_context()
        return dict(self.context)

    def _render_allowed(self, dst_relpath: Path, is_dir: bool = False, **options: Any) -> bool:
        if not is_dir:
            path = dst_relpath.as_posix()
            if path in self.files:
                self.duplicates.append(path)
            self.files[path] = options["expected_contents"]
        return False  # so that Copier writes nothing
