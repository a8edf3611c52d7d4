"""Writing files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from crnnocr.errors import CrnnocrError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to in place of `path`, which it becomes when the block ends well; else it is removed.

    Raises `CrnnocrError` where the disk is full or the folder cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        if error.filename not in (None, str(part), str(path), str(path.parent)):
            raise  # another file's trouble
        raise CrnnocrError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
