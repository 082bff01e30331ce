# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Starts a new run from the weights of a checkpoint."""

from lightning.pytorch import LightningModule

from .checkpoints import read_checkpoint
from .errors import UserError
from .messages import is_rank_zero


def load_weights(model: LightningModule, path: str, new_head: bool) -> None:
    """Load the weights that fit.

    Args:
        model: receives the weights.
        path: a checkpoint of this model, whose last layers may have another size.
        new_head: keep weights that the checkpoint lacks, or has in another shape, as they are.

    Raises:
        UserError: if no weight fits, or some do not and `new_head` is not set.
    """
    found = read_checkpoint(path).get("state_dict", {})
    own = model.state_dict()
    fitting = {}
    for name, weight in own.items():
        if name in found and found[name].shape == weight.shape:
            fitting[name] = found[name]
    if not fitting:
        raise UserError(f"{path} is of another model: none of its weights fits this one")

    not_loaded = sorted(own.keys() - fitting.keys())
    if not_loaded and not new_head:
        raise UserError(
            f"{path} lacks {not_loaded[0]}, or its shape differs;"
            " add --new_head true to initialize it anew"
        )
    if not_loaded and is_rank_zero():
        print(f"new   {', '.join(not_loaded)}")
    model.load_state_dict(fitting, strict=False)
