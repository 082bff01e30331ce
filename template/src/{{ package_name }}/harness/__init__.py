# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""What every experiment shares and none edits: command line, data loading, optimizer."""


class UserError(ValueError):
    """A mistake in the configuration or the data; the command line shows it without a traceback.

    The message is one line that says the rule, the value it got, and the fix.
    """
