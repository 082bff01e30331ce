# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""What every experiment shares and none edits: command line, data loading, optimizer."""


class UserError(ValueError):
    """A mistake in the configuration or the data; the command line shows it without a traceback.

    The message is one line that says the rule, the value it got, and the fix.
    """


class Preempted(Exception):  # noqa: N818
    """Training was asked to stop, and has saved all; exit code 75, "try again later" of sysexits.h."""
