"""The rules between the answers about the machine are Lightning's own.

The questionnaire's verdict (Copier's machinery, in memory) is held against `Trainer(...)` with the
rendered trainer.yaml, on mocked hardware. Where the rules are stricter, because training would fail or
differ later, STRICTER says so; nowhere are they laxer.
"""

import inspect
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import copier
import pytest
import torch
import yaml
from conftest import choices
from jsonargparse import ArgumentParser
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from machines import instantiate, machine
from questionnaire import MACHINE, Questionnaire, RefusedError

CHOICES: dict[str, tuple[Any, ...]] = {
    **{name: tuple(choices(name)) for name in ("accelerator", "strategy", "precision")},
    "devices": ("auto", "1", "2", "4", "8"),
    "num_nodes": (1, 2),
}
# A combination is valid where a Trainer can be built on *every* machine of one of these rows.
# `auto` promises to run where there is a GPU and where there is none; a TPU host has 1, 4 or 8 devices.
MACHINES: dict[str, tuple[tuple[dict[str, Any], ...], ...]] = {
    "auto": (({}, {"cuda": 8}),),
    "cpu": (({}, {"cuda": 8}),),
    "gpu": (({"cuda": 8},),),
    "mps": (({"mps": True},),),
    "tpu": (({"tpu": 1},), ({"tpu": 4},), ({"tpu": 8},)),
}
# What a Trainer can be built for and the rules still refuse, with the name of the test of each reason.
STRICTER: dict[str, Callable[[dict[str, Any]], bool]] = {
    "deepspeed trains on CUDA alone": lambda a: (
        a["strategy"].startswith("deepspeed") and a["accelerator"] in ("auto", "cpu")
    ),
    "float16 becomes bfloat16 on a CPU": lambda a: a["precision"] == "16-mixed" and a["accelerator"] in ("auto", "cpu"),
    "transformer-engine computes on CUDA alone": lambda a: (
        a["precision"] == "transformer-engine" and a["accelerator"] in ("auto", "cpu", "mps")
    ),
    "mps has no float64": lambda a: a["precision"] == "64-true" and a["accelerator"] == "mps",
    "several nodes of mps would be ddp": lambda a: a["num_nodes"] > 1 and a["accelerator"] == "mps",
    "XLA is not told of num_nodes": lambda a: a["num_nodes"] > 1 and a["accelerator"] == "tpu",
}
QUICK = ("auto", 1)  # devices and num_nodes; the others take a quarter of a minute


@pytest.fixture(scope="module")
def questionnaire(template: Path) -> Questionnaire:
    return Questionnaire(template, only=("data", "task", *MACHINE))


@pytest.fixture(scope="module")
def trainer(
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    render: Callable[..., Path],
) -> Iterator[Callable[[dict[str, Any]], Trainer]]:
    """`trainer(answers)` builds the Trainer that trainer.yaml describes, without loggers and bars."""
    package = "rules_lab"
    project = render(tmp_path_factory.mktemp("rules"), project_name=package, strategy="fsdp2")
    jinja = Questionnaire(template).jinja_env.get_template("template/configs/trainer.yaml.jinja")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--strategy", type=Strategy)
    parse = cache(lambda text: parser.parse_object({"strategy": yaml.safe_load(text)}))
    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)

    def build(answers: dict[str, Any]) -> Trainer:
        text = jinja.render(answers, logger=[], package_name=package, project_slug=package)
        options = yaml.load(text, yaml.CSafeLoader)["trainer"]
        if isinstance(options["strategy"], dict):
            options["strategy"] = instantiate(parser, parse(yaml.safe_dump(options["strategy"]))).strategy
        return Trainer(**options | off)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(project / "src")
        monkeypatch.setattr(logging.getLogger("lightning.pytorch"), "disabled", True)
        monkeypatch.setattr(logging.getLogger("lightning.pytorch.utilities.rank_zero"), "disabled", True)
        yield build


def refusal_of_lightning(build: Callable[[dict[str, Any]], Trainer], answers: dict[str, Any]) -> str:
    """Why no Trainer can be built here; any other exception than a refusal is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            build(answers)
        except (MisconfigurationException, ValueError) as error:
            return str(error)
    return ""


def combinations(accelerator: str, devices: str, num_nodes: int) -> list[dict[str, Any]]:
    fixed = {"accelerator": accelerator, "devices": devices, "num_nodes": num_nodes}
    return [
        fixed | {"strategy": strategy, "precision": precision}
        for strategy, precision in product(CHOICES["strategy"], CHOICES["precision"])
    ]


@pytest.mark.parametrize("accelerator", CHOICES["accelerator"])
@pytest.mark.parametrize(
    ("devices", "num_nodes"),
    [
        pytest.param(*pair, marks=() if pair == QUICK else pytest.mark.slow)
        for pair in product(CHOICES["devices"], CHOICES["num_nodes"])
    ],
)
def test_verdict_is_lightnings(
    questionnaire: Questionnaire,
    trainer: Callable[[dict[str, Any]], Trainer],
    accelerator: str,
    devices: str,
    num_nodes: int,
) -> None:
    """Every combination is refused just where no Trainer can be built, or where STRICTER gives one reason."""
    asked = combinations(accelerator, devices, num_nodes)
    buildable = [False] * len(asked)
    for row in MACHINES[accelerator]:
        refused = set()
        for hardware in row:
            with machine(**hardware):
                refused |= {i for i, answers in enumerate(asked) if refusal_of_lightning(trainer, answers)}
        buildable = [known or i not in refused for i, known in enumerate(buildable)]
    for answers, built in zip(asked, buildable, strict=True):
        refusal = questionnaire.refusal(**answers)
        reasons = [reason for reason, holds in STRICTER.items() if holds(answers)]
        assert bool(refusal) == (not built or bool(reasons)), (answers, refusal, built, reasons)


@pytest.mark.parametrize("reason", STRICTER)
def test_stricter_is_needed(
    questionnaire: Questionnaire, trainer: Callable[[dict[str, Any]], Trainer], reason: str
) -> None:
    """Each row of STRICTER refuses something that Lightning builds, so no row is dead."""
    for values in product(*CHOICES.values()):
        answers = dict(zip(CHOICES, values, strict=True))
        if STRICTER[reason](answers) and sum(holds(answers) for holds in STRICTER.values()) == 1:
            with machine(**MACHINES[answers["accelerator"]][-1][0]):
                if not refusal_of_lightning(trainer, answers):
                    assert questionnaire.refusal(**answers)
                    return
    pytest.fail(f"Lightning refuses all of this itself by now: {reason}")


@pytest.mark.parametrize("accelerator", ["gpu", "mps", "tpu"])
def test_absent_hardware(
    questionnaire: Questionnaire, trainer: Callable[[dict[str, Any]], Trainer], accelerator: str
) -> None:
    """What the questionnaire accepts for an accelerator, Lightning refuses where that is missing."""
    accepted = [a for a in combinations(accelerator, *QUICK) if not questionnaire.refusal(**a)]
    assert accepted
    with machine():
        for answers in accepted:
            assert refusal_of_lightning(trainer, answers), answers


def test_auto_on_a_mac(questionnaire: Questionnaire, trainer: Callable[[dict[str, Any]], Trainer]) -> None:
    """`auto` trains on a Mac with strategy=auto; a strategy for several devices ends in Lightning's reason.

    `auto` does not promise Macs: that would take ddp from everyone else.
    """
    with machine(mps=True):
        for answers in combinations("auto", *QUICK):
            if not questionnaire.refusal(**answers):
                refusal = refusal_of_lightning(trainer, answers)
                assert bool(refusal) == (answers["strategy"] != "auto"), answers
                assert not refusal or "not supported on the MPS accelerator" in refusal


# ---- The facts behind STRICTER ------------------------------------------------------------------


def answers_for(**answers: Any) -> dict[str, Any]:
    defaults = {"accelerator": "cpu", "strategy": "auto", "precision": "32-true"}
    return defaults | {"devices": "auto", "num_nodes": 1} | answers


@pytest.mark.parametrize("strategy", [name for name in CHOICES["strategy"] if name.startswith("deepspeed")])
def test_deepspeed_trains_on_cuda_alone(trainer: Callable[[dict[str, Any]], Trainer], strategy: str) -> None:
    """A Trainer can be built for deepspeed on a CPU, and refuses to start."""
    with machine():
        built = trainer(answers_for(strategy=strategy))
        with pytest.raises(RuntimeError, match="only supported on CUDA GPUs"):
            built.strategy.setup_environment()


@pytest.mark.parametrize("accelerator", ["auto", "cpu"])
def test_float16_becomes_bfloat16_on_a_cpu(trainer: Callable[[dict[str, Any]], Trainer], accelerator: str) -> None:
    """16-mixed on a CPU is turned into bf16-mixed with a warning: not what was answered."""
    with machine(), pytest.warns(match="AMP with fp16 is not supported on CPU"):
        built = trainer(answers_for(accelerator=accelerator, precision="16-mixed"))
    assert built.precision == "bf16-mixed"


@pytest.mark.parametrize("accelerator", ["cpu", "mps"])
def test_transformer_engine_computes_on_cuda_alone(
    trainer: Callable[[dict[str, Any]], Trainer], accelerator: str
) -> None:
    """transformer-engine's forward pass runs under CUDA's autocast, whatever the accelerator."""
    with machine(mps=accelerator == "mps"):
        built = trainer(answers_for(accelerator=accelerator, precision="transformer-engine"))
        with patch("torch.autocast", return_value=nullcontext()) as autocast, built.precision_plugin.forward_context():
            pass  # which on leaving gives back the numbers that torch makes by default
    assert autocast.call_args.kwargs["device_type"] == "cuda"


def test_mps_has_no_float64() -> None:
    """On a Mac, torch refuses float64; elsewhere, its loss scaling still goes round it."""
    if torch.backends.mps.is_available():
        with pytest.raises(TypeError, match="float64"):
            torch.zeros(1, dtype=torch.float64, device="mps")
    source = inspect.getsource(torch.amp.GradScaler.unscale_)
    assert re.search(r"\.double\(\).*\s+if .*!= torch\.device\(\"mps", source), source


def test_several_nodes_of_mps_would_be_ddp(trainer: Callable[[dict[str, Any]], Trainer]) -> None:
    """With num_nodes=2 Lightning itself picks ddp on mps, which it refuses when it is named."""
    with machine(mps=True):
        assert isinstance(trainer(answers_for(accelerator="mps", num_nodes=2)).strategy, DDPStrategy)
        assert refusal_of_lightning(trainer, answers_for(accelerator="mps", strategy="ddp"))


@pytest.mark.parametrize("devices", [1, 8])
def test_xla_is_not_told_of_num_nodes(trainer: Callable[[dict[str, Any]], Trainer], devices: int) -> None:
    """num_nodes changes nothing on TPUs: XLA learns of the hosts from the TPU's own runtime."""
    with machine(tpu=8):
        built = trainer(answers_for(accelerator="tpu", devices=devices, num_nodes=2))
        if devices > 1:
            with patch.object(built.strategy.cluster_environment, "set_world_size") as told:
                built.strategy.set_world_ranks()
            assert not told.called
        else:
            assert not hasattr(built.strategy, "num_nodes")


@pytest.mark.parametrize("strategy", CHOICES["strategy"])
def test_two_optimizers_are_for_some_strategies(
    questionnaire: Questionnaire, trainer: Callable[[dict[str, Any]], Trainer], strategy: str
) -> None:
    """A GAN has an optimizer for each network: deepspeed takes one, and fsdp cannot clip by norm by hand.

    It is refused there, and nowhere else, and no other task is.
    """
    answers = answers_for(accelerator="gpu", strategy=strategy)
    refused = strategy.startswith(("fsdp", "deepspeed")) and strategy != "fsdp2"
    said = questionnaire.refusal(task="adversarial", **answers)
    assert bool(said) == refused
    assert not any(questionnaire.refusal(task=task, **answers) for task in choices("task") if task != "adversarial")
    if not refused:
        return
    assert "is not for adversarial: answer strategy=fsdp2" in said
    with machine(cuda=8):
        built = trainer(answers)
    if strategy == "fsdp":
        with pytest.raises(MisconfigurationException, match=r"gradient_clip_algorithm='norm'.*not supported"):
            built.precision_plugin.clip_grad_by_norm()
    else:
        one, other = (torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))]) for _ in range(2))
        with pytest.raises(ValueError, match="only one optimizer is supported with DeepSpeed"):
            built.strategy._setup_model_and_optimizers(torch.nn.Linear(1, 1), [one, other])


# ---- What a refusal says ------------------------------------------------------------------------


def read(refusal: str) -> tuple[str, dict[str, str]]:
    """The question that refuses, and the answers it advises."""
    question, advice = re.fullmatch(r".*?'(\w+)': .+: answer (.+)", refusal).groups()
    return question, dict(fix.split("=") for fix in advice.split(", or "))


def test_advice_is_good(questionnaire: Questionnaire) -> None:
    """Every refusal names question and value, and advises an answer with which this question accepts.

    Whoever follows the first advice of each refusal has a valid combination in the end, and has
    changed no answer twice.
    """
    order = list(CHOICES)
    refusal_of = cache(lambda items: questionnaire.refusal(**dict(items)))
    for values in product(*CHOICES.values()):
        answers = dict(zip(CHOICES, values, strict=True))
        changed = set()
        while refusal := refusal_of(tuple(answers.items())):
            question, advice = read(refusal)
            assert str(answers[question]) in refusal.partition(": ")[2].partition(": answer")[0], refusal
            so_far = {name: answers[name] for name in order[: order.index(question) + 1]}
            for name, value in advice.items():
                assert not refusal_of(tuple((so_far | {name: value}).items())), (answers, refusal)
            name = next(iter(advice))
            assert name not in changed, (values, refusal)
            changed.add(name)
            answers[name] = advice[name]


def test_reasons_fit_the_terminal(questionnaire: Questionnaire) -> None:
    """A list cuts its lines at 80 columns: every choice and its reason are shown whole."""
    for task, accelerator, strategy in product(("tabular", "adversarial"), CHOICES["accelerator"], CHOICES["strategy"]):
        first = {"task": task, "accelerator": accelerator}
        if questionnaire.refusal(**first, strategy=strategy):
            continue
        for answers in (first, {**first, "strategy": strategy}):
            question = "precision" if "strategy" in answers else "strategy"
            for title, reason in questionnaire.choices(question, **answers):
                line = f"   - {title} ({reason})" if reason else f" » {title}"
                assert len(line) <= 80, line


# ---- The shortcut -------------------------------------------------------------------------------

SAMPLE = list(product(*CHOICES.values()))[7::83]
SAMPLE[3:] = [pytest.param(values, marks=pytest.mark.slow) for values in SAMPLE[3:]]


@pytest.mark.parametrize("values", SAMPLE)
def test_shortcut_is_copier(
    questionnaire: Questionnaire, template: Path, tmp_path: Path, values: tuple[Any, ...]
) -> None:
    """`copier.run_copy` refuses what the shortcut refuses, in the same words."""
    answers = dict(zip(CHOICES, values, strict=True))
    try:
        expected = questionnaire.answer(**answers)
    except RefusedError as refused:
        with pytest.raises(ValueError, match=f"^{re.escape(str(refused))}$"):
            copier.run_copy(str(template), tmp_path, data=answers, defaults=True, quiet=True, pretend=True)
    else:
        worker = copier.run_copy(str(template), tmp_path, data=answers, defaults=True, quiet=True, pretend=True)
        assert expected.items() <= worker.answers.user.items()
