"""Numbers, sizes, times, labels and file names as messages show them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Sequence
from typing import Any

_MAX_QUOTED = 60
_MAX_ENUMERATED = 8


def plural(number: int, one: str, several: str = "") -> str:
    """Return a number of things: `1 image`, `2 images`. `several` is the plural if it is not `one` with an s."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def size(bytes: float) -> str:
    """Return a number of bytes: `3.1 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if bytes < 1000:
            return f"{bytes:.3g} {unit}" if unit != "bytes" else f"{bytes:.0f} {unit}"
        bytes /= 1000
    return f"{bytes:.3g} TB"


def duration(seconds: float) -> str:
    """Return a time: `3.1 s`, `12 min`, `2 h 5 min`."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60:,} h {minutes % 60} min"


def clock(seconds: float) -> str:
    """Return a time as a clock shows it: `0:07`, `12:00`, `2:05:00`."""
    whole_minutes, whole_seconds = divmod(round(seconds), 60)
    hours, rest = divmod(whole_minutes, 60)
    return f"{hours}:{rest:02d}:{whole_seconds:02d}" if hours else f"{rest}:{whole_seconds:02d}"


def quoted(text: str) -> str:
    """Return a label in quotes, cut short if it is long, with unprintable characters as escapes."""
    return repr(text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…")


def enumerated(parts: Sequence[str]) -> str:
    """Join the first few parts with commas, and say how many more there are."""
    more = f" and {len(parts) - _MAX_ENUMERATED:,} more" if len(parts) > _MAX_ENUMERATED else ""
    return ", ".join(parts[:_MAX_ENUMERATED]) + more


def is_encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8: surrogates stand for other bytes of a file name, or come from broken JSON."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def printable_name(name: str) -> str:
    r"""Return a file name with escapes such as `\xff` for what of it is not UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


_DIRECTING = (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Ends of lines and paragraphs, and controls that would change the order of all that follows on a line."""
_ESCAPES = {
    **{code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))},
    **{code: f"\\u{code:04x}" for code in _DIRECTING},
    **str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"}),
}
_ESCAPED = re.compile(r"\\(\\|[tnr]|x[0-9a-f]{2}|u[0-9a-f]{4})")
_MEANINGS = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}
_JSON_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(127, 160), *_DIRECTING)}


def escape_controls(text: str) -> str:
    """Return `text` on one line and harmless to a terminal: tabs, line ends and all other controls are escapes."""
    return text.translate(_ESCAPES)


def tsv_cell(text: str) -> str:
    r"""Return a cell of our tables: backslash, tab, line ends and all other controls are escapes."""
    return escape_controls(text.replace("\\", "\\\\"))


def from_tsv_cell(cell: str) -> str:
    """Return the text of a `tsv_cell`."""
    return _ESCAPED.sub(lambda found: _MEANINGS.get(found[1]) or chr(int(found[1][1:], 16)), cell)


def csv_line(*cells: str) -> str:
    """Return a comma-separated line of cells, quoted if they need it."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def json_line(value: Any, *, ascii: bool = False) -> str:
    """Return `value` as JSON that is harmless to a terminal, and the same to programs; in ASCII if it could not be UTF-8."""
    return json.dumps(value, ensure_ascii=ascii).translate(_JSON_ESCAPES)
