"""Train each task on the data it comes with, and hold it against its baseline: `scoreboard.py FOLDER` prints it."""

import operator
import shlex
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import copier
import yaml
from conftest import TASKS, copy_template
from projects import Project, asked_by, part_of

MINUTES = 3
BETTER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class Score(NamedTuple):
    """A metric of a run: what it is, what it should be, and what the baseline has."""

    task: str
    options: str
    metric: str
    value: float
    stated: str
    baseline: float
    seconds: float

    def reached(self) -> bool:
        """Whether it is as good as stated, and as the baseline but for rounding."""
        sign, bound = self.stated.split()
        as_stated = BETTER[sign](self.value, float(bound))
        margin = 1e-6 if ">" in sign else -1e-6
        return as_stated and BETTER[sign](self.value + margin, self.baseline) and self.seconds < 60 * MINUTES

    def row(self) -> str:
        name = f"`{self.task}`" + f" `{self.options}`" * bool(self.options)
        metric = self.metric.removeprefix("test/")
        return f"| {name} | {metric} | {self.value:.4f} | {self.baseline:.4f} | {self.seconds:.0f} s |"


def scores(task: str, folder: Path) -> list[Score]:
    """Train and test the task's runs in a new project; the seconds are those of `fit`, start-up included.

    The task's `_task.jinja` has its `scores`, by the options of a run, `_baseline.py` the `baseline` of a DataModule.
    """
    answers = {"task": task, "project_name": f"Score {task}"}
    copier.run_copy(str(copy_template()), folder, answers, defaults=True, quiet=True)
    project, found = Project(folder), []
    for number, (options, metrics) in enumerate(asked_by(task).scores.items()):
        run = f"score{number}"
        start = time.perf_counter()
        ended = project.process("fit", "--run", run, *shlex.split(options))
        seconds = time.perf_counter() - start
        assert ended.returncode == 0, ended.stderr[-3000:]
        assert project.fork("test", "--run", run).returncode == 0
        config = yaml.safe_load((folder / "runs" / run / "config.yaml").read_text())
        data: Any = project.imported("data")
        naive = part_of(task, "_baseline").baseline(data.DataModule(**config["data"]))
        results = project.result(run)
        found += [Score(task, options, m, results[m], bound, naive[m], seconds) for m, bound in metrics.items()]
    return found


if __name__ == "__main__":
    print("| task | metric | here | baseline | `fit` |\n|---|---|---|---|---|")
    for task in sys.argv[2:] or TASKS:
        for score in scores(task, Path(sys.argv[1]).resolve() / task):
            print(score.row(), flush=True)
