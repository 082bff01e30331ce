"""Train every task on its own data for three seeds, and write docs/scoreboard.md.

`python -m tools.scoreboard FOLDER` trains all tasks, in projects below FOLDER. With names of tasks
after the folder it trains these, and keeps the rows of the others.
"""

import operator
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import copier
import yaml

from tests.support.projects import Project
from tests.support.tasks import baseline, task_settings
from tests.support.template import ROOT, TASKS, copy_template

SCOREBOARD = ROOT / "docs" / "scoreboard.md"
SEEDS = (42, 43, 44)
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
HEADER = f"""\
# Scoreboard

Written by `make scoreboard`. Each task is trained as its README says, on the data it comes with,
for {len(SEEDS)} seeds. *Result* is the range of the metric on the test split, which must keep to
the *bound*. *Baseline* is a simple method on the same split, which the task's README names. *Time*
is that of `fit` with the first seed, including its start, on a shared machine: it only tells tasks
apart.

| task | metric | result | baseline | bound | time |
|---|---|---|---|---|---|
"""
ROW = re.compile(
    r"\| `(?P<task>\w+)`(?: `(?P<options>[^`]+)`)? \| (?P<metric>\w+)"
    r" \| (?P<low>-?[\d.]+)(?: to (?P<high>-?[\d.]+))? \| (?P<baseline>-?[\d.]+)"
    r" \| (?P<sign>[<>]=?) (?P<bound>-?[\d.]+) \| (?P<seconds>\d+) s \|"
)


@dataclass(frozen=True)
class Score:
    """A metric of a task, over the seeds."""

    task: str
    options: str  # of `fit`
    metric: str
    low: float
    high: float
    baseline: float
    sign: str
    bound: float
    seconds: float

    @property
    def higher_is_better(self) -> bool:
        return ">" in self.sign

    def is_within_bound(self) -> bool:
        """Whether the worst of the seeds keeps to the bound."""
        worst = self.low if self.higher_is_better else self.high
        return COMPARE[self.sign](worst, self.bound)

    def row(self) -> str:
        name = f"`{self.task}` `{self.options}`" if self.options else f"`{self.task}`"
        result = f"{self.low:.4f}"
        if self.high > self.low:
            result += f" to {self.high:.4f}"
        bound = f"{self.sign} {self.bound:g}"
        columns = [name, self.metric, result, f"{self.baseline:.4f}", bound]
        return f"| {' | '.join(columns)} | {self.seconds:.0f} s |"


def read_scores(text: str) -> list[Score]:
    """The rows of a scoreboard.

    Raises:
        ValueError: for a row of another form.
    """
    scores = []
    for line in text.splitlines():
        if not line.startswith("| `"):
            continue
        found = ROW.fullmatch(line)
        if not found:
            raise ValueError(f"not a row of the scoreboard: {line}")
        scores.append(
            Score(
                task=found["task"],
                options=found["options"] or "",
                metric=found["metric"],
                low=float(found["low"]),
                high=float(found["high"] or found["low"]),
                baseline=float(found["baseline"]),
                sign=found["sign"],
                bound=float(found["bound"]),
                seconds=float(found["seconds"]),
            )
        )
    return scores


def format_scoreboard(scores: Iterable[Score]) -> str:
    """The page, in the order of the tasks."""
    ordered = sorted(scores, key=lambda score: TASKS.index(score.task))
    return HEADER + "".join(f"{score.row()}\n" for score in ordered)


# ---- Training ------------------------------------------------------------------------------------


def render_project(task: str, folder: Path) -> Project:
    answers = {"task": task, "project_name": f"Score {task}"}
    copier.run_copy(str(copy_template()), folder, answers, defaults=True, quiet=True)
    return Project(folder)


def train(project: Project, run: str, options: str, seed: int) -> float:
    """Train and test a run; return the seconds of `fit`, including its start."""
    start = time.perf_counter()
    seeded = f"--seed_everything={seed}"
    ended = project.process("fit", "--run", run, *shlex.split(options), seeded, timeout=1800)
    seconds = time.perf_counter() - start
    assert ended.returncode == 0, ended.stderr[-3000:]
    ended = project.fork("test", "--run", run)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return seconds


def baseline_of_run(project: Project, run: str) -> dict[str, float]:
    """What the task's baseline reaches on the data of a run."""
    config = yaml.safe_load((project.run_folder(run) / "config.yaml").read_text())
    datamodule = project.load("data").DataModule(**config["data"])
    return baseline(project.answers["task"], datamodule)


def score_task(
    task: str,
    folder: Path,
    bounds: dict[str, dict[str, str]],
    seeds: Iterable[int] = SEEDS,
) -> list[Score]:
    """Train a task for each seed, in a new project.

    Args:
        task: its name.
        folder: of the project.
        bounds: the bound of each metric, by the options of `fit`.
        seeds: the seeds.
    """
    project = render_project(task, folder)
    scores = []
    for number, (options, metrics) in enumerate(bounds.items()):
        runs = {seed: f"score-{number}-{seed}" for seed in seeds}
        seconds = [train(project, run, options, seed) for seed, run in runs.items()]
        results = [project.result(run) for run in runs.values()]
        baselines = baseline_of_run(project, next(iter(runs.values())))
        for metric, text in metrics.items():
            sign, bound = text.split()
            values = [result[metric] for result in results]
            scores.append(
                Score(
                    task=task,
                    options=options,
                    metric=metric.removeprefix("test/"),
                    low=min(values),
                    high=max(values),
                    baseline=baselines[metric],
                    sign=sign,
                    bound=float(bound),
                    seconds=seconds[0],
                )
            )
    return scores


def main(folder: Path, tasks: list[str]) -> None:
    kept = read_scores(SCOREBOARD.read_text()) if SCOREBOARD.exists() else []
    scores = {task: [score for score in kept if score.task == task] for task in TASKS}
    for task in tasks or TASKS:
        scores[task] = score_task(task, folder / task, task_settings(task).scores)
        for score in scores[task]:
            print(score.row(), flush=True)
            if not score.is_within_bound():
                print(f"  not within its bound: {score.sign} {score.bound:g}")
        # Written after each task, so that an interruption loses no more than one.
        SCOREBOARD.write_text(format_scoreboard(chain.from_iterable(scores.values())))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
