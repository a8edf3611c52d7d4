"""Sizes and times as people say them."""

from __future__ import annotations


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
