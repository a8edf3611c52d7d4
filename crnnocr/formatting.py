"""Numbers of things in words.

Sizes and times as people say them.

Names of files as they can be written in Unicode.
"""

from __future__ import annotations

import os
from collections.abc import Sequence


def counted(number: int, one: str, several: str = "") -> str:
    """How many of what: `1 picture`, `2 pictures`; what is not named with an s has its plural given."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def size(bytes: float) -> str:
    """A number of bytes: `3.1 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if bytes < 1000:
            return f"{bytes:.3g} {unit}" if unit != "bytes" else f"{bytes:.0f} {unit}"
        bytes /= 1000
    return f"{bytes:.3g} TB"


def duration(seconds: float) -> str:
    """A time: `3.1 s`, `12 min`, `2 h 5 min`."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60:,} h {minutes % 60} min"


def shown(name: str) -> str:
    r"""A name as it can be shown: what of it is not UTF-8 as escapes, such as `\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


_MAX_QUOTED = 60
_MAX_ENUMERATED = 8


def quoted(text: str) -> str:
    """Return a label in quotes, cut short if it is long, with unprintable characters as escapes."""
    return repr(text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…")


def enumerated(parts: Sequence[str], max: int = _MAX_ENUMERATED) -> str:
    """Join the first `max` parts with commas, and say how many more there are."""
    more = f" and {len(parts) - max:,} more" if len(parts) > max else ""
    return ", ".join(parts[:max]) + more
