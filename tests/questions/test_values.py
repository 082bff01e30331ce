"""The values that can be given with `-d`, and what is said of those that cannot."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.support.in_memory_copier import InMemoryCopier
from tests.support.template import ANSWERABLE, QUESTIONS, choices

# What is given, and a pattern of the message: it names the question, the rule, the value and the
# fix.
BAD_VALUES: dict[str, tuple[list[str], str]] = {
    "name": (
        ["project_name=torch"],
        "'project_name': try 'torch Lab': a package 'torch' would hide",
    ),
    "no name": (["project_name="], "'project_name': try 'My Project'"),
    "two lines": (
        ["project_name=demo\n"],
        r"'project_name': try 'My Project': .*, not \"demo\\n\"",
    ),
    "package": (
        ["package_name=My-Net"],
        "'package_name': try 'my_project': .*, not \"My-Net\"",
    ),
    "task": (["task=vision"], r"'task': 'vision' is not in \['image_classification', "),
    "accelerator": (
        ["accelerator=cuda"],
        r"'accelerator': 'cuda' is not in \['auto', 'cpu', 'gpu'",
    ),
    "strategy": (["strategy=dp"], r"'strategy': 'dp' is not in \['auto', 'ddp'"),
    "precision": (["precision=16"], r"'precision': '16' is not in \['32-true'"),
    "one logger": (
        ["logger=csv"],
        r"logger must be a list, not \"csv\"; use logger=\[csv,tensorboard\]",
    ),
    "unknown logger": (["logger=[csv,example]"], r"'logger': 'example' is not in \['csv', "),
    "no logger": (["logger=[]"], r"'logger': pick at least one; use logger=\[csv\]"),
    "broken list": (["logger=[csv"], r"logger must be a list, not \"\[csv\"; use logger="),
    "no nodes": (
        ["num_nodes=0"],
        "'num_nodes': num_nodes must be a positive number, not 0; use num_nodes=1",
    ),
    "nodes in words": (
        ["num_nodes=two"],
        'num_nodes must be a positive number, not "two"; use num_nodes=1',
    ),
    "devices": (
        ["devices=-1"],
        "'devices': devices must be 'auto' or a positive number, not \"-1\"; use devices=auto",
    ),
    "ci": (["ci=jenkins"], r"'ci': 'jenkins' is not in \['github', 'gitlab', 'none'\]"),
    "release": (["release=conda"], r"'release': 'conda' is not in \['none', 'pypi'\]"),
    "release from gitlab": (
        ["ci=gitlab", "release=pypi"],
        "'release': pypi requires github, not gitlab; use ci=github",
    ),
    "license": (["license=GPL"], r"'license': 'GPL' is not in \['none', 'MIT'"),
    "description": (
        ["description=a\nb"],
        r"'description': description must be one line, not \"a\\nb\"; remove the line",
    ),
    "author": (["author_name=a\tb"], "'author_name': author_name must be one line, .*; remove"),
    "email": (
        ["author_email=nobody"],
        "'author_email': author_email must look like name@host, not \"nobody\"; correct it",
    ),
    "unknown question": (
        ["tsak=tabular"],
        "there is no question tsak; use one of project_name, .*task, ",
    ),
    "two unknown": (["a=1", "b=2"], "there is no question a, b; use one of project_name"),
    "overlay": (["overlay={}"], "there is no question overlay; use one of project_name"),
    "slug": (["project_slug=other"], "there is no question project_slug; use one of project_name"),
    "line length": (["line_length=80"], "there is no question line_length; use one of"),
    "the check itself": (
        ["checked_answers=valid"],
        "there is no question checked_answers; use one of project_name",
    ),
    "ddp on mps": (
        ["accelerator=mps", "strategy=ddp"],
        "'strategy': ddp is not supported on mps; use strategy=auto",
    ),
    "fsdp on cpu": (
        ["accelerator=cpu", "strategy=fsdp"],
        "'strategy': fsdp requires gpu, not cpu; use accelerator=gpu",
    ),
    "deepspeed": (
        ["strategy=deepspeed_stage_3"],
        "'strategy': deepspeed_stage_3 requires gpu, not auto; use accelerator=gpu",
    ),
    "mixed on tpu": (
        ["accelerator=tpu", "precision=16-mixed"],
        "'precision': 16-mixed is not supported on tpu; use precision=bf16-true",
    ),
    "float64 on mps": (
        ["accelerator=mps", "precision=64-true"],
        "'precision': 64-true is not supported on mps; use precision=32-true",
    ),
    "fp8 and fsdp2": (
        ["accelerator=gpu", "strategy=fsdp2", "precision=transformer-engine"],
        "'precision': transformer-engine is not supported by fsdp2; use precision=bf16-mixed",
    ),
    "tpu's devices": (
        ["accelerator=tpu", "devices=2"],
        "'devices': a TPU host has 1, 4 or 8 devices, not 2; use devices=auto",
    ),
    "mps's nodes": (
        ["accelerator=mps", "num_nodes=2"],
        "'num_nodes': mps trains on one machine, not 2; use num_nodes=1",
    ),
}
# One of each kind, for the real command line, which takes a second or two.
ON_THE_COMMAND_LINE = (
    "name",
    "two lines",
    "task",
    "one logger",
    "unknown logger",
    "no logger",
    "no nodes",
    "nodes in words",
    "devices",
    "description",
    "unknown question",
    "overlay",
    "ddp on mps",
    "fp8 and fsdp2",
)


def refusal(questionnaire: InMemoryCopier, case: str) -> str:
    """What the questionnaire says to the values of a case."""
    given = dict(text.split("=", 1) for text in BAD_VALUES[case][0])
    return questionnaire.refusal(**given)


@pytest.mark.parametrize("case", BAD_VALUES)
def test_bad_value_is_refused(questionnaire: InMemoryCopier, case: str) -> None:
    """A bad value is refused in one line with the rule, the value and the fix."""
    message = refusal(questionnaire, case)
    assert re.search(BAD_VALUES[case][1], message), message
    assert "\n" not in message


@pytest.mark.slow
def test_bad_values_on_the_command_line(
    questionnaire: InMemoryCopier, template: Path, tmp_path: Path
) -> None:
    """`copier copy -d` fails, ends with the refusal, and writes nothing."""

    def copy(case: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "copier", "copy", "--defaults"]
        for given in BAD_VALUES[case][0]:
            command += ["-d", given]
        command += [str(template), case]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(copy, ON_THE_COMMAND_LINE))
    for case, result in zip(ON_THE_COMMAND_LINE, results, strict=True):
        assert result.returncode != 0, case
        last_line = result.stderr.splitlines()[-1]
        assert last_line == f"ValueError: {refusal(questionnaire, case)}", case
    assert list(tmp_path.iterdir()) == []


# ---- Defaults ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question",
    ["accelerator", "strategy", "precision", "task", "logger", "ci", "license"],
)
def test_one_answer_and_defaults(questionnaire: InMemoryCopier, question: str) -> None:
    """Any single answer with `--defaults` is accepted, or refused by a rule of the template.

    So no default is a disabled choice, which would crash Copier.
    """
    for value in choices(question):
        answer = [value] if question == "logger" else value
        message = questionnaire.refusal(**{question: answer})
        if message:
            assert question in ("strategy", "precision"), message
            assert re.search(rf"'{question}': {value} .+; use \w+=", message), message
        else:
            assert questionnaire.answer(**{question: answer})[question] == answer


@pytest.mark.parametrize(
    ("accelerator", "precision"),
    [
        ("auto", "32-true"),
        ("cpu", "32-true"),
        ("gpu", "bf16-mixed"),
        ("mps", "32-true"),
        ("tpu", "bf16-true"),
    ],
)
def test_precision_follows_the_accelerator(
    questionnaire: InMemoryCopier, accelerator: str, precision: str
) -> None:
    """The default precision of an accelerator is one that it takes with each of its strategies."""
    assert questionnaire.answer(accelerator=accelerator)["precision"] == precision
    for strategy in choices("strategy"):
        answers = {"accelerator": accelerator, "strategy": strategy}
        if "'strategy'" not in questionnaire.refusal(**answers):
            assert questionnaire.answer(**answers)["precision"] == precision


# ---- Which questions there are -------------------------------------------------------------------


def test_known_questions_are_the_questions(questionnaire: InMemoryCopier) -> None:
    """`-d` accepts exactly the questions of copier.yml, and refuses computed answers."""
    message = re.search("use one of (.+)", questionnaire.refusal(nonsense=1))
    assert message
    assert message[1].split(", ") == ANSWERABLE
    for name in set(QUESTIONS) - set(ANSWERABLE):
        assert f"there is no question {name};" in questionnaire.refusal(**{name: "."})


def test_numbers_may_be_numbers(questionnaire: InMemoryCopier) -> None:
    """A data file and the API give numbers and lists as such, and in any order."""
    answers = questionnaire.answer(
        num_nodes=2, devices=4, python_version=3.12, logger=["wandb", "csv"]
    )
    assert answers["num_nodes"] == 2
    assert answers["devices"] == "4"
    assert answers["python_version"] == "3.12"
    assert answers["logger"] == ["csv", "wandb"]
    assert questionnaire.answer(logger="[wandb, 'csv']")["logger"] == ["csv", "wandb"]


def test_answers_file_holds_the_answers(questionnaire: InMemoryCopier) -> None:
    """Every answer is recorded, and nothing that is computed from answers."""
    recorded = yaml.safe_load(questionnaire.render()[".copier-answers.yml"])
    expected = {name for name, details in QUESTIONS.items() if details.get("when", True)}
    assert {name for name in recorded if not name.startswith("_")} == expected
