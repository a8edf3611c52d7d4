"""Numbers of things in words."""

from __future__ import annotations


def counted(number: int, one: str, several: str = "") -> str:
    """How many of what: `1 picture`, `2 pictures`; what is not named with an s has its plural given."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
