"""The rules between the answers about the machine are Lightning's own.

The questionnaire's verdict is compared with `Trainer(...)`, built from the rendered trainer.yaml on
mocked hardware. The rules are stricter where training would fail or differ later: STRICTER has each
such case, and test_stricter_rules.py its reason. They are never laxer.
"""

import re
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import copier
import pytest
from lightning.pytorch import Trainer

from tests.questions.verdicts import (
    CHOICES,
    MACHINES,
    STRICTER,
    combinations,
    lightning_refusal,
    reasons_to_be_stricter,
)
from tests.support.hardware_mocks import machine
from tests.support.in_memory_copier import InMemoryCopier, RefusedError

MakeTrainer = Callable[[dict[str, Any]], Trainer]
# Devices and nodes of the quick test; each other pair takes a quarter of a minute.
QUICK = ("auto", 1)
DEVICES_AND_NODES = [QUICK]
for pair in product(CHOICES["devices"], CHOICES["num_nodes"]):
    if pair != QUICK:
        DEVICES_AND_NODES.append(pytest.param(*pair, marks=pytest.mark.slow))


def buildable_on_a_row(
    make_trainer: MakeTrainer, accelerator: str, everything: list[dict[str, Any]]
) -> set[int]:
    """The numbers of the combinations for which some row of MACHINES builds a Trainer.

    A row builds it if all of its machines do.
    """
    found: set[int] = set()
    for row in MACHINES[accelerator]:
        on_each = [buildable_on(make_trainer, hardware, everything) for hardware in row]
        found |= set.intersection(*on_each)
    return found


def buildable_on(
    make_trainer: MakeTrainer, hardware: dict[str, Any], everything: list[dict[str, Any]]
) -> set[int]:
    """The numbers of the combinations for which a Trainer can be built on this hardware."""
    found = set()
    with machine(**hardware):
        for number, answers in enumerate(everything):
            if not lightning_refusal(make_trainer, answers):
                found.add(number)
    return found


@pytest.mark.parametrize("accelerator", CHOICES["accelerator"])
@pytest.mark.parametrize(("devices", "num_nodes"), DEVICES_AND_NODES)
def test_verdict_is_lightnings(
    machine_questions: InMemoryCopier,
    make_trainer: MakeTrainer,
    accelerator: str,
    devices: str,
    num_nodes: int,
) -> None:
    """A combination is refused exactly if no Trainer can be built, or STRICTER has a reason."""
    everything = combinations(accelerator, devices, num_nodes)
    buildable = buildable_on_a_row(make_trainer, accelerator, everything)
    for number, answers in enumerate(everything):
        refusal = machine_questions.refusal(**answers)
        reasons = reasons_to_be_stricter(answers)
        expected = number not in buildable or bool(reasons)
        assert bool(refusal) == expected, (answers, refusal, number in buildable, reasons)


@pytest.mark.parametrize("reason", STRICTER)
def test_every_stricter_rule_is_needed(
    machine_questions: InMemoryCopier, make_trainer: MakeTrainer, reason: str
) -> None:
    """Each case of STRICTER is the only reason to refuse something that Lightning builds."""
    for values in product(*CHOICES.values()):
        answers = dict(zip(CHOICES, values, strict=True))
        if reasons_to_be_stricter(answers) != [reason]:
            continue
        with machine(**MACHINES[answers["accelerator"]][-1][0]):
            if not lightning_refusal(make_trainer, answers):
                assert machine_questions.refusal(**answers)
                return
    pytest.fail(f"Lightning refuses all of this by now: {reason}")


@pytest.mark.parametrize("accelerator", ["gpu", "mps", "tpu"])
def test_missing_hardware_is_refused(
    machine_questions: InMemoryCopier, make_trainer: MakeTrainer, accelerator: str
) -> None:
    """What the questionnaire accepts for an accelerator, Lightning refuses if that is missing."""
    everything = combinations(accelerator, *QUICK)
    accepted = [answers for answers in everything if not machine_questions.refusal(**answers)]
    assert accepted
    with machine():
        for answers in accepted:
            assert lightning_refusal(make_trainer, answers), answers


def test_auto_on_a_mac(machine_questions: InMemoryCopier, make_trainer: MakeTrainer) -> None:
    """`auto` trains on a Mac with strategy=auto; Lightning refuses the other strategies there.

    `auto` does not promise Macs, since that would take ddp from everyone else.
    """
    with machine(mps=True):
        for answers in combinations("auto", *QUICK):
            if machine_questions.refusal(**answers):
                continue
            refusal = lightning_refusal(make_trainer, answers)
            if answers["strategy"] == "auto":
                assert not refusal, answers
            else:
                assert "not supported on the MPS accelerator" in refusal, answers


# ---- What a refusal says -------------------------------------------------------------------------


def read_refusal(refusal: str) -> tuple[str, str, str, str]:
    """The question that refuses, its reason, and the question and value of the fix."""
    found = re.fullmatch(r".*?'(\w+)': (.+); use (\w+)=(.+)", refusal)
    assert found, refusal
    question, reason, fixed, value = found.groups()
    return question, reason, fixed, value


def test_fix_works(machine_questions: InMemoryCopier) -> None:
    """Every refusal names the value, and a fix with which the question accepts.

    Whoever follows the fixes arrives at a valid combination without changing an answer twice.
    """

    @cache
    def refusal_of(items: tuple[tuple[str, Any], ...]) -> str:
        return machine_questions.refusal(**dict(items))

    order = list(CHOICES)
    for values in product(*CHOICES.values()):
        answers = dict(zip(CHOICES, values, strict=True))
        changed = set()
        while refusal := refusal_of(tuple(answers.items())):
            question, reason, fixed, value = read_refusal(refusal)
            assert str(answers[question]) in reason, refusal
            answered = order[: order.index(question) + 1]
            so_far = {name: answers[name] for name in answered} | {fixed: value}
            assert not refusal_of(tuple(so_far.items())), (answers, refusal)
            assert fixed not in changed, (values, refusal)
            changed.add(fixed)
            answers[fixed] = value


def test_reasons_fit_the_terminal(machine_questions: InMemoryCopier) -> None:
    """A list cuts its lines at 80 columns: every choice is shown whole with its reason."""
    tasks = ("tabular", "adversarial")
    for task, accelerator in product(tasks, CHOICES["accelerator"]):
        answers = {"task": task, "accelerator": accelerator}
        shown = machine_questions.choices("strategy", **answers)
        for strategy in CHOICES["strategy"]:
            if not machine_questions.refusal(**answers, strategy=strategy):
                shown += machine_questions.choices("precision", **answers, strategy=strategy)
        for title, reason in shown:
            line = f"   - {title} ({reason})" if reason else f" » {title}"
            assert len(line) <= 80, line


# ---- The shortcut --------------------------------------------------------------------------------

# Every 83rd combination, a prime number, so that the sample has every choice of every question.
FIRST_OF_SAMPLE = 7
STEP_OF_SAMPLE = 83
SAMPLE = list(product(*CHOICES.values()))[FIRST_OF_SAMPLE::STEP_OF_SAMPLE]
QUICK_SAMPLES = 3  # the others are not part of `make check`
SLOW_SAMPLES = [pytest.param(values, marks=pytest.mark.slow) for values in SAMPLE[QUICK_SAMPLES:]]


@pytest.mark.parametrize("values", [*SAMPLE[:QUICK_SAMPLES], *SLOW_SAMPLES])
def test_shortcut_agrees_with_copier(
    machine_questions: InMemoryCopier, template: Path, tmp_path: Path, values: tuple[Any, ...]
) -> None:
    """`copier.run_copy` gives the answers, or the refusal, of the questionnaire in memory."""
    answers = dict(zip(CHOICES, values, strict=True))
    options = {"data": answers, "defaults": True, "quiet": True, "pretend": True}
    try:
        expected = machine_questions.answer(**answers)
    except RefusedError as refused:
        with pytest.raises(ValueError, match=f"^{re.escape(str(refused))}$"):
            copier.run_copy(str(template), tmp_path, **options)
    else:
        worker = copier.run_copy(str(template), tmp_path, **options)
        assert expected.items() <= worker.answers.user.items()
