"""A callback for tests with several ranks, which prints what each of them holds and computes."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.distributed.tensor import DTensor
from torch.nn.modules.module import register_module_forward_pre_hook


class RankProbe(Callback):
    """Prints the rank, and counts unsharded parameters, FSDP units, and calls in backward."""

    calls_in_backward = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        print_probe(f"rank {trainer.global_rank} of {trainer.world_size}")
        parameters = list(pl_module.parameters())
        unsharded = [parameter for parameter in parameters if not isinstance(parameter, DTensor)]
        print_probe(f"unsharded parameters: {len(unsharded)}")
        names = [type(module).__name__ for module in pl_module.modules()]
        units = [name for name in names if name.startswith("FSDP")]
        print_probe(f"FSDP units: {len(units)}")

    def on_before_backward(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        loss: torch.Tensor,
    ) -> None:
        self.calls_in_backward = 0
        self.hook = register_module_forward_pre_hook(self.count_call)

    def count_call(self, module: nn.Module, inputs: Any) -> None:
        self.calls_in_backward += 1

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.hook.remove()
        print_probe(f"modules called in backward: {self.calls_in_backward}")


def print_probe(text: str) -> None:
    print(f"PROBE {text}", flush=True)
