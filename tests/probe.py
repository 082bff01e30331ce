"""A callback for the tests of several ranks: what each of them holds, and whether backward recomputes."""

from typing import Any

import torch
from lightning.pytorch import Callback
from torch.distributed.tensor import DTensor
from torch.nn.modules.module import register_module_forward_pre_hook


class Probe(Callback):
    """Prints how many processes take part, which parameters each holds whole, and if backward recomputes."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        whole = [name for name, p in pl_module.named_parameters() if not isinstance(p, DTensor)]
        print(f"PROBE rank {trainer.global_rank} of {trainer.world_size}: {len(whole)} whole", flush=True)
        blocks = [m for m in pl_module.modules() if type(m).__name__.startswith("FSDP")]
        print(f"PROBE units {len(blocks)}", flush=True)

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: torch.Tensor) -> None:
        self.calls = 0
        self.hook = register_module_forward_pre_hook(lambda *_: setattr(self, "calls", self.calls + 1))

    def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
        self.hook.remove()
        print(f"PROBE modules called in backward: {self.calls}", flush=True)
