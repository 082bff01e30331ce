# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Fully sharded data parallelism over the model's own blocks (`torch.distributed.fsdp.fully_shard`)."""

from fnmatch import fnmatch
from functools import partial

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.utils.checkpoint import checkpoint

from . import UserError


class FSDP2Strategy(ModelParallelStrategy):
    """Shards each block, then what is left, over all devices; only one block is whole at a time.

    Args:
        blocks: patterns of module names, such as `net.layers.*`, whose star stops at a dot. None: what
            every outermost `nn.ModuleList` and `nn.Sequential` of the model holds, as far as it has parameters.
        activation_checkpointing: recompute a block's activations in the backward pass, for about
            a third more time and far less memory (arXiv 1604.06174).
        save_distributed_checkpoint: False writes one file that loads anywhere; True a folder of
            shards, for models that no host can hold.

    Raises:
        UserError: when no module matches `blocks`.
    """

    def __init__(
        self,
        blocks: list[str] | None = None,
        activation_checkpointing: bool = False,
        save_distributed_checkpoint: bool = False,
    ) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=save_distributed_checkpoint)
        self.blocks, self.activation_checkpointing = blocks, activation_checkpointing

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def setup(self, trainer: Trainer) -> None:
        module = trainer.lightning_module
        if not isinstance(module, FSDPModule):  # a module that is fit and then tested comes twice
            blocks = find_blocks(module, self.blocks)
            if self.blocks and not blocks:
                raise UserError(f"blocks: no module is named like {self.blocks}; see `model.named_modules()`")
            shard = partial(fully_shard, mesh=self.device_mesh["data_parallel"])
            for block in blocks:
                if self.activation_checkpointing:  # in place: a wrapper would rename the checkpoint's keys
                    block.forward = partial(checkpoint, block.forward, use_reentrant=False)
                shard(block)
            shard(module)
        super().setup(trainer)


def find_blocks(module: nn.Module, patterns: list[str] | None) -> list[nn.Module]:
    """The units to shard, inner ones before those that hold them, and those without parameters left out."""
    if patterns is not None:
        named = [(name, name.count("."), child) for name, child in module.named_modules()]
        wanted = [(pattern, pattern.count(".")) for pattern in patterns]
        return [c for name, dots, c in reversed(named) if any(dots == n and fnmatch(name, p) for p, n in wanted)]
    blocks = []
    for child in module.children():
        if isinstance(child, nn.ModuleList | nn.Sequential):
            blocks += [block for block in child if any(True for _ in block.parameters())]
        else:
            blocks += find_blocks(child, None)
    return blocks
