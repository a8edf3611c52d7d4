"""The errors a user can cause, each with the exit code that the command line ends with.

A message is one clear sentence that names the place (file, line, option) and the mend. It is shown once, at the edge.
"""

from __future__ import annotations

from collections.abc import Sequence


class CrnnocrError(Exception):
    """Something went wrong that the user can mend: the work could not be done."""

    exit_code = 1


class UsageError(CrnnocrError):
    """The command was called in a way that cannot work."""

    exit_code = 2


class ImageError(CrnnocrError):
    """One picture cannot be read: missing, corrupt, empty or too large."""


class DataError(CrnnocrError):
    """A data set cannot be used: no format fits, a label file is wrong, nothing is left."""


class ModelError(CrnnocrError):
    """A model cannot be found, read or written."""


class PartialError(CrnnocrError):
    """Some of the work was done, and some could not be."""

    exit_code = 3


class GateError(CrnnocrError):
    """The work was done, and what was demanded of its result does not hold."""

    exit_code = 4

    def __init__(self, message: str, more: Sequence[str] = ()) -> None:
        """Say what does not hold; `more` is for those who want to know all."""
        super().__init__(message)
        self.more = tuple(more)
