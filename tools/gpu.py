"""Run every choice that needs an NVIDIA GPU for a short real run, and write a report: `make gpu`.

It needs no network: projects are rendered here and run with the packages of this environment.
"""

import importlib.util
import platform
import sys
import tempfile
import time
from pathlib import Path

import copier
import torch

sys.path.insert(0, str(Path(__file__).parent))
from conftest import TASKS, copy_template
from projects import Project

SHORT = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=20", "--trainer.limit_val_batches=5"]
SHORT += ["--trainer.val_check_interval=null", "--trainer.enable_progress_bar=false"]
CHOICES = [
    *({"strategy": s} for s in ("ddp", "fsdp", "fsdp2")),
    *({"strategy": f"deepspeed_{s}"} for s in ("stage_2", "stage_3", "stage_3_offload")),
    *({"precision": p} for p in ("32-true", "16-mixed", "bf16-mixed", "bf16-true", "transformer-engine")),
    {"compile": "true"},
]


def needed(choice: dict[str, str]) -> str | None:
    """The package that a choice takes beyond the common ones, if it is not here."""
    name = "deepspeed" if choice.get("strategy", "").startswith("deepspeed") else None
    name = "transformer_engine" if choice.get("precision") == "transformer-engine" else name
    return name if name and importlib.util.find_spec(name) is None else None


def main(report: Path) -> None:
    if not torch.cuda.is_available():
        sys.exit("make gpu: no NVIDIA GPU here, so nothing was run and the report stays as it is")
    lines = [
        "# GPU report",
        "",
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, Python {platform.python_version()}.",
        "Twenty training steps, validation, and a test of the best checkpoint, for each choice and task.",
        "",
        "| task | choice | result | seconds |",
        "|---|---|---|---|",
    ]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, (task, choice) in enumerate((t, c) for t in TASKS for c in CHOICES):
            answers = {"task": task, "accelerator": "gpu", "project_name": f"Gpu {number}"}
            answers |= {name: value for name, value in choice.items() if name != "compile"}
            start, missing = time.perf_counter(), needed(choice)
            result = f"not run: no {missing} here" if missing else ""
            if not missing:
                copier.run_copy(str(copy_template()), Path(folder, str(number)), answers, defaults=True, quiet=True)
                project = Project(Path(folder, str(number)))
                options = [f"--model.compile={choice.get('compile', 'false')}"]
                for command in (["fit", "--run", "gpu", *SHORT, *options], ["test", "--run", "gpu"]):
                    ended = project.process(*command, timeout=600)
                    if ended.returncode:
                        print(ended.stderr[-3000:], file=sys.stderr)
                        result, failed = f"**{command[0]} failed**: {ended.stderr.splitlines()[-1][:200]}", failed + 1
                        break
                else:
                    result = ", ".join(f"{k.removeprefix('test/')} {v:.3f}" for k, v in project.result("gpu").items())
            ((name, value),) = choice.items()
            lines.append(f"| {task} | {name}={value} | {result} | {time.perf_counter() - start:.0f} |")
            print(lines[-1], flush=True)
    report.parent.mkdir(exist_ok=True)
    report.write_text("\n".join(lines) + "\n")
    sys.exit(f"{failed} failed" if failed else 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
