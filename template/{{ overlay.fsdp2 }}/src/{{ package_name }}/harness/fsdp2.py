# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Fully sharded data parallelism over the model's blocks (`torch.distributed.fsdp.fully_shard`)."""

from fnmatch import fnmatchcase
from functools import partial

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.utils.checkpoint import checkpoint

from .errors import UserError
from .lightning_internals import set_data_parallel_size


class FSDP2Strategy(ModelParallelStrategy):
    """Shards each block, then what is left, over all devices; one block at a time is gathered.

    Args:
        blocks: patterns of module names, such as `net.layers.*`, where a star does not match a dot.
            By default the members of every outermost `nn.ModuleList` and `nn.Sequential` of the
            model that have parameters.
        activation_checkpointing: recompute a block's activations in the backward pass, which takes
            about a third more time and far less memory (arXiv 1604.06174).
        save_distributed_checkpoint: write a folder of shards, for models that no host can hold. By
            default a checkpoint is one file that loads anywhere.

    Raises:
        UserError: if no module matches `blocks`.
    """

    def __init__(
        self,
        blocks: list[str] | None = None,
        activation_checkpointing: bool = False,
        save_distributed_checkpoint: bool = False,
    ) -> None:
        super().__init__(
            tensor_parallel_size=1, save_distributed_checkpoint=save_distributed_checkpoint
        )
        self.blocks = blocks
        self.activation_checkpointing = activation_checkpointing

    def setup_environment(self) -> None:
        set_data_parallel_size(self, self.num_nodes * self.num_processes)
        super().setup_environment()

    def setup(self, trainer: Trainer) -> None:
        model = trainer.lightning_module
        is_sharded = isinstance(model, FSDPModule)  # if it was fitted before
        if not is_sharded:
            self.shard(model)
        super().setup(trainer)

    def shard(self, model: nn.Module) -> None:
        """Shard the blocks, inner ones first, then the rest of the model."""
        if self.blocks is None:
            blocks = default_blocks(model)
        else:
            blocks = matching_blocks(model, self.blocks)
            if not blocks:
                raise UserError(
                    f"trainer.strategy.init_args.blocks={self.blocks} matches no module;"
                    " see `model.named_modules()`"
                )
        mesh = self.device_mesh["data_parallel"]
        for block in blocks:
            if self.activation_checkpointing:
                # In place: a wrapper module would rename the keys of the checkpoint.
                block.forward = partial(checkpoint, block.forward, use_reentrant=False)
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)


def default_blocks(module: nn.Module) -> list[nn.Module]:
    """The members of the outermost lists of modules, without those that have no parameters."""
    blocks = []
    for child in module.children():
        if isinstance(child, nn.ModuleList | nn.Sequential):
            blocks += [block for block in child if has_parameters(block)]
        else:
            blocks += default_blocks(child)
    return blocks


def has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def matching_blocks(model: nn.Module, patterns: list[str]) -> list[nn.Module]:
    """The modules whose names match a pattern, inner ones before those that hold them."""
    blocks = []
    for name, module in model.named_modules():
        if any(matches(name, pattern) for pattern in patterns):
            blocks.append(module)
    blocks.reverse()
    return blocks


def matches(name: str, pattern: str) -> bool:
    """Whether a dotted name matches; a star stays between two dots."""
    same_depth = name.count(".") == pattern.count(".")
    return same_depth and fnmatchcase(name, pattern)
