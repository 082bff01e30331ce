"""Copier's own questionnaire and renderer, in memory.

`copier.run_copy` costs half a second. Here one `Worker` of Copier's answers the questions again and
again (a millisecond or two), and renders into a dictionary (some ten more): the code is Copier's, only
compiled Jinja is kept. `test_rules.py` and `test_every_combination.py` hold both against `copier.run_copy`.
"""

from functools import cache
from pathlib import Path
from typing import Any

from copier._main import Worker
from copier._types import Phase
from copier._user_data import Question
from jinja2 import meta, nodes

MACHINE = ("accelerator", "strategy", "precision", "devices", "num_nodes")


class RefusedError(ValueError):
    """The questionnaire's refusal: what the last line of `copier copy` says."""


class Questionnaire(Worker):
    """Copier's worker: `answer` runs its questions, `render` and `write` its renderer."""

    files: dict[str, bytes]
    context: dict[str, Any]
    twice: list[str]

    def __init__(self, template: Path, only: tuple[str, ...] = ()) -> None:
        """Load the template; `only` keeps these of its questions, for speed."""
        super().__init__(str(template), Path("nowhere"), defaults=True, quiet=True, pretend=True)
        self.jinja_env.from_string = cache(self.jinja_env.from_string)
        self.jinja_env.auto_reload = False
        for name in set(self.template.questions_data) - set(only) if only else ():
            del self.template.questions_data[name]

    def answer(self, **data: Any) -> dict[str, Any]:
        """All answers, those worked out included, where `data` is given with `-d` and the rest by default.

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
        """Why Copier refuses these answers; empty where it does not."""
        try:
            self.answer(**data)
        except RefusedError as error:
            return str(error)
        return ""

    def choices(self, name: str, **data: Any) -> list[tuple[str, str]]:
        """The title of each choice of a question, and why it is disabled, where `data` was answered."""
        self.answer(**data)
        details = self.template.questions_data[name]
        context, jinja = self._render_context(), self.jinja_env
        question = Question(var_name=name, answers=self.answers, context=context, jinja_env=jinja, **details)
        return [(choice.title, choice.disabled) for choice in question._formatted_choices]

    def render(self, **data: Any) -> dict[str, bytes]:
        """The project's files by path, each with what Copier would write; two for one path are an error."""
        self.data, self.files, self.context, self.twice = data, {}, {}, []
        self.run_copy()
        assert not self.twice, f"two sources render to {self.twice}"
        return self.files

    def write(self, folder: Path, **data: Any) -> Path:
        """Render the project into a folder, over nothing that is there, and return it."""
        for name, content in self.render(**data).items():
            assert not (folder / name).exists(), f"{folder / name} is there"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    def sources(self) -> list[Path]:
        """The template's files, below its `template` folder."""
        files = (path.relative_to(self.template_copy_root) for path in self.template_copy_root.rglob("*"))
        return sorted(path for path in files if (self.template_copy_root / path).is_file())

    def place(self, source: Path, context: dict[str, Any]) -> str:
        """Where one source lands in the project; empty where it does not."""
        self.context = context
        with Phase.use(Phase.RENDER):
            paths = [path for path, _ in self._render_path(source) if not self.match_exclude(path)]
        return paths[0].as_posix() if paths else ""

    def fill(self, source: Path, context: dict[str, Any]) -> bytes:
        """What one source renders to."""
        self.files, self.context, self.twice = {}, context, []
        with Phase.use(Phase.RENDER):
            self._render_file(self.template_copy_root.relative_to(self.template.local_abspath) / source, source)
        return self.files[source.as_posix()]

    def variables(self, text: str) -> set[str]:
        """The names that a Jinja text reads, as Jinja finds them: its output depends on nothing else.

        An include reads what any file reads whose path ends like the expression that it is given.
        """
        tree = self.jinja_env.parse(text)
        found = meta.find_undeclared_variables(tree)
        for node in tree.find_all((nodes.Import, nodes.FromImport)):
            assert not node.with_context, f"line {node.lineno} imports names that it does not show"
        for node in tree.find_all(nodes.Include):
            end = [part.value for part in node.find_all(nodes.Const)][-1]
            texts = [path.read_text() for path in self.template_copy_root.rglob("*") if str(path).endswith(end)]
            assert texts, f"line {node.lineno} includes nothing that ends in {end!r}"
            found |= set().union(*map(self.variables, texts))
        return found

    @property
    def answers_relpath(self) -> Path:  # Copier's own renders this name, for each part of each path
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
            self.twice += [path] if path in self.files else []
            self.files[path] = options["expected_contents"]
        return False
