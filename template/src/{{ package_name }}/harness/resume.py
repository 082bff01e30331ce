# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Whether a run may be resumed, and with which options."""

import shlex
from dataclasses import replace

from .arguments import Arguments
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


def check_keeps_checkpoints(cli: DeferredCLI, folder: RunFolder) -> None:
    """Refuse to train without checkpoints into the folder of a run that has some.

    Raises:
        UserError: since its metrics would be lost, and it would count as finished.
    """
    is_dry_run = cli.config.trainer.fast_dev_run
    if folder.config_file.exists() and not cli.keeps_checkpoints() and not is_dry_run:
        raise UserError(
            f"{folder.path} has checkpoints, and this would train without; choose another --run"
        )


def without_recorded(arguments: Arguments, recorded: str) -> Arguments:
    """The arguments without those that the recorded configuration has been made with.

    A cluster restarts a job with the same command, and a person adds an option to it: `callbacks+=`
    must not add a callback twice.

    Args:
        arguments: of the command that resumes a run.
        recorded: the text of its config.yaml, whose first line is the command that started it.
    """
    if recorded.startswith(arguments.describe() + "\n"):
        return replace(arguments, configs=[], overrides=[])
    command_line = recorded.partition("\n")[0].removeprefix("# ")
    try:
        before = shlex.split(command_line)
    except ValueError:  # not written by `fit`
        return arguments
    configs = [name for name in arguments.configs if f"-c={name}" not in before]
    overrides = []
    for word in arguments.overrides:
        appends_again = "+=" in word and word in before
        if not appends_again:
            overrides.append(word)
    return replace(arguments, configs=configs, overrides=overrides)
