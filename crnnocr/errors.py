"""The errors a user can cause, each with the exit code that the command line ends with.

```
CrnnocrError          1  the work could not be done
├── UsageError        2  called in a way that cannot work
│   └── ConfigError   2  … and one field or parameter is to blame
├── ImageError        1  an image cannot be read
├── DataError         1  a data set cannot be used
├── ModelError        1  a model cannot be found, read or written
├── PartialError      3  some of the work was done
└── GateError         4  the work was done, and its result is not as demanded
```

A message is one clear sentence that names the place (file, line, field) and the fix. It is shown once, at the edge.

The core knows fields and parameters, not options. A message refers to one in backquotes, alone or with a value: `` `output` ``,
`` `orientation=vertical` ``. The command line spells those of the running command `--output` and `--orientation vertical`.
"""

from __future__ import annotations

from collections.abc import Sequence


class CrnnocrError(Exception):
    """The work could not be done, for a reason that the user can fix."""

    exit_code = 1


class UsageError(CrnnocrError):
    """The call cannot work."""

    exit_code = 2


class ConfigError(UsageError):
    """A field of a config or a parameter has a value that cannot work.

    `ConfigError("beam", "takes 0 to 10000")` reads "beam takes 0 to 10000", and at the edge "--beam takes 0 to 10000".
    """

    def __init__(self, field: str, message: str) -> None:
        """`field` is the field's or parameter's name; `message` goes on after it."""
        super().__init__(field, message)
        self.field = field
        self.message = message

    def __str__(self) -> str:
        return f"{self.field} {self.message}"


class ImageError(CrnnocrError):
    """An image cannot be read: missing, corrupt, empty or too large."""


class DataError(CrnnocrError):
    """A data set cannot be used: no format fits, a label file is wrong, nothing is left."""


class ModelError(CrnnocrError):
    """A model cannot be found, read or written."""


class PartialError(CrnnocrError):
    """Some of the work was done, and some could not be."""

    exit_code = 3


class GateError(CrnnocrError):
    """The work was done, and its result is not as demanded."""

    exit_code = 4

    def __init__(self, message: str, more: Sequence[str] = ()) -> None:
        """`more` has details for those who ask for them."""
        super().__init__(message)
        self.more = tuple(more)
