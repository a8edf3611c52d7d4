"""What every picture and its line have in common: limits, and which way lines run."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

MAX_PIXELS = 50_000_000
"""Pictures of more pixels are refused, unread."""

MAX_WIDTH = 32_768
"""Lines that would be wider than this at the model's height are squeezed to it, in pixels."""

Pair: TypeAlias = tuple[int, int]


class Orientation(StrEnum):
    """Which way a line of text runs. Where it begins, is turned to the left."""

    HORIZONTAL = "horizontal"
    """Along the picture, in the direction of its script."""
    VERTICAL = "vertical"
    """From the picture's top to its bottom."""
    UPWARD = "upward"
    """From its bottom to its top, as on the spines of some books."""
    AUTO = "auto"
    """Of pictures to learn from or to read: those that are much taller than wide are learnt as vertical, and read all ways."""
