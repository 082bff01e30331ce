# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Errors that the command line shows as plain lines, without a traceback."""

from types import TracebackType
from typing import Self


class UserError(ValueError):
    """An error in the configuration or the data, which the user can correct.

    Each argument is one line. A line names the place, the rule with the value it got, and the fix.
    """

    def __str__(self) -> str:
        return "\n".join(str(line) for line in self.args)


class ErrorCollector(list[str]):
    """Collects the lines of several errors, so that all of them are reported at once.

    As a context manager it adds the lines of a `UserError` raised inside the block, and the
    program continues after the block:

        errors = ErrorCollector()
        for path in paths:
            with errors:
                check(path)
        errors.raise_if_any()
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, UserError):
            return False
        self.extend(str(line) for line in error.args)
        return True

    def raise_if_any(self) -> None:
        """Raise one `UserError` with every line, each of them once, if there are any."""
        if self:
            raise UserError(*dict.fromkeys(self))


class Preempted(Exception):  # noqa: N818 - it is not an error: the run is saved
    """Training stopped because a signal asked for it, after the run was saved."""
