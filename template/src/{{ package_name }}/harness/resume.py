# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Whether a run may be resumed, and with which options."""

from .callbacks.time_limit import TimeLimit
from .checkpoints import ENDED_BY_TIME, SEED, Checkpoint, read_checkpoint
from .config import CHANGEABLE_ON_RESUME, DeferredCLI
from .errors import UserError
from .run_folder import RunFolder
from .seeding import run_seed


def ended_at_time_limit(folder: RunFolder) -> bool:
    """Whether the run ended before it was complete, because of `trainer.max_time`."""
    try:
        checkpoint = read_checkpoint(folder.last_checkpoint)
    except UserError:
        return False
    return checkpoint.get(ENDED_BY_TIME, False)


def has_time_left(cli: DeferredCLI, checkpoint: Checkpoint) -> bool:
    """Whether `trainer.max_time` is larger than the time for which the run was trained."""
    limit = cli.config.trainer.max_time
    if limit is None:
        return True
    time_limit = TimeLimit(limit)
    time_limit.load_state_dict(checkpoint["callbacks"][time_limit.state_key])
    return not time_limit.is_over()


def check_same_options(cli: DeferredCLI, checkpoint: Checkpoint, folder: RunFolder) -> None:
    """Refuse to resume with options or a seed that the run was not started with.

    Raises:
        UserError: naming the first of them.
    """
    sections = {"model": "hyper_parameters", "data": "datamodule_hyper_parameters"}
    for section, key in sections.items():
        for name, value in checkpoint.get(key, {}).items():
            asked = cli.config[section].get(name, value)
            if asked != value and name not in CHANGEABLE_ON_RESUME:
                raise UserError(
                    f"{folder.path} has {section}.{name}={value}, not {asked}; choose another --run"
                )
    seed = checkpoint.get(SEED, run_seed())
    if seed != run_seed():
        raise UserError(
            f"{folder.path} has seed_everything={seed}, not {run_seed()}; choose another --run"
        )
