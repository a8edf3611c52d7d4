"""Plain text files that tell a decoder what to expect."""

from __future__ import annotations

from pathlib import Path

from crnnocr.charset import normalise
from crnnocr.errors import UsageError


def lines_of(path: str, option: str) -> list[str]:
    """The lines of a UTF-8 text file that are not empty, in NFC, with single spaces and none around them.

    Raises `UsageError`, naming the option, where it cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {option} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{option} {path} is not UTF-8: byte {error.start + 1} cannot be read") from error
    return [line for raw in normalise(text).splitlines() if (line := " ".join(raw.split()))]
