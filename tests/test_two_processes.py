"""ddp and fsdp2 with two real processes, on the CPU with gloo."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TASKS
from projects import Project

pytestmark = pytest.mark.slow

PROBE = '''
from lightning.pytorch import Callback
from torch.distributed.tensor import DTensor
from torch.nn.modules.module import register_module_forward_hook

class Probe(Callback):
    """Prints how many processes take part, which parameters each holds whole, and if backward recomputes."""
    def on_train_start(self, trainer, module):
        whole = [name for name, p in module.named_parameters() if not isinstance(p, DTensor)]
        shares = {p.to_local().numel() / p.numel() for p in module.parameters() if isinstance(p, DTensor)}
        print(f"PROBE rank {trainer.global_rank} of {trainer.world_size}: {len(whole)} whole, "
              f"shares {min(shares, default=1):.2f} to {max(shares, default=1):.2f}", flush=True)
        blocks = [m for m in module.modules() if type(m).__name__.startswith("FSDP")]
        print(f"PROBE units {len(blocks)}", flush=True)

    def on_before_backward(self, trainer, module, loss):
        self.calls = 0
        self.hook = register_module_forward_hook(lambda *_: setattr(self, "calls", self.calls + 1))

    def on_after_backward(self, trainer, module):
        self.hook.remove()
        print(f"PROBE modules called in backward: {self.calls}", flush=True)
'''
SHORT = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=3", "--trainer.limit_val_batches=2"]
SHORT += [
    "--trainer.num_sanity_val_steps=0",  # which leaves the outermost unit whole until the first step
    "--trainer.val_check_interval=null",
    "--trainer.enable_progress_bar=false",
    "--trainer.callbacks+=probe.Probe",
]


@pytest.mark.parametrize(("strategy", "task"), [("ddp", "image_classification"), *(("fsdp2", task) for task in TASKS)])
def test_two_processes_train(strategy: str, task: str, render: Any, tmp_path: Path) -> None:
    """Both ranks train and predict; the checkpoint is one file that loads anywhere, with the plain keys."""
    answers = {"accelerator": "cpu", "strategy": strategy, "devices": "2", "task": task}
    project = Project(render(tmp_path / "project", project_name=f"Two {strategy} {task}", **answers))
    (project.folder / "src" / "probe.py").write_text(PROBE)
    recompute = ["--trainer.strategy.init_args.activation_checkpointing=true"] if strategy == "fsdp2" else []
    ended = project.process("fit", "--run", "two", *SHORT, *recompute, OMP_NUM_THREADS="1")
    assert ended.returncode == 0, ended.stderr[-3000:]
    for rank in (0, 1):
        assert f"PROBE rank {rank} of 2" in ended.stdout
    if strategy == "fsdp2":
        assert ended.stdout.count(": 0 whole") == 2
        units = re.findall(r"PROBE units (\d+)", ended.stdout)
        assert min(map(int, units)) > 2  # the blocks, and what is left of the model
    calls = re.findall(r"PROBE modules called in backward: (\d+)", ended.stdout)
    assert len(calls) >= 2
    assert all((int(count) > 0) == (strategy == "fsdp2") for count in calls)
    ended = project.process("predict", OMP_NUM_THREADS="1")
    assert ended.returncode == 0, ended.stderr[-3000:]
    run = project.folder / "runs" / "two"
    assert len(list(run.parent.glob("*/config.yaml"))) == 1
    assert {path.name for path in run.glob("predictions*.csv")} == {"predictions-0.csv", "predictions-1.csv"}
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    model = project.imported("model").Model.load_from_checkpoint(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
