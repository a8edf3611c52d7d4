"""Axes of drawings: values on pixels, and round steps for their ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` on pixels from `start` to `end`."""

    low: float
    """The least value."""
    high: float
    """The greatest."""
    start: float
    """The pixel of the least."""
    end: float
    """The pixel of the greatest."""
    ticks: tuple[float, ...]
    """The values that are marked."""
    is_log: bool = False
    """Whether equal distances are equal factors."""

    def at(self, value: float) -> float:
        """The pixel of a value; what lies outside is put on the border."""
        value = min(self.high, max(self.low, value))
        if self.is_log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten from below `low` to above `high`."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [float(f"{mantissa}e{exponent}") for exponent in exponents for mantissa in (1, 2, 5)]


def round_steps(high: float, most: int, past: bool = False) -> tuple[float, ...]:
    """From 0 in about `most` steps of 1, 2 or 5 times a power of ten: up to `high`, or to the first that is not below it."""
    step = next(value for value in decades(high / most, high) if value >= high / most)
    count = math.ceil(high / step - 1e-9) if past else math.floor(high / step + 1e-9)
    return tuple(float(f"{i * step:.12g}") for i in range(count + 1))


def short(value: float) -> str:
    """A count in as few figures as show it: 500, 20k, 1.5M."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
