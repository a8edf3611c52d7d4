"""How far chance may have moved a score: the pictures are drawn again, with replacement, many times.

Bisani and Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance evaluation": error rates are ratios of
sums over pictures, the pictures are what is drawn (their characters are not independent), and two systems are compared on the
same draws. Intervals are between percentiles of the drawn values (Efron and Tibshirani 1993, "An Introduction to the
Bootstrap", chapter 13).

Pictures that count alike are drawn together: how often each kind of them is drawn follows a multinomial distribution. That is
the same as drawing pictures one by one, but of 50,000 pictures there are some hundred kinds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000
"""How often all pictures are drawn again."""
LEVEL = 0.95
"""The share of the drawn values that lie in an interval."""

_SEED = 987
_MOST_CELLS = 1 << 21
"""Drawn numbers that are held at a time: 16 MB."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A score with its 95 % interval."""

    value: float
    """Over all pictures."""
    low: float
    """Where the interval begins."""
    high: float
    """Where it ends."""


@dataclass(frozen=True)
class Difference(Estimate):
    """A score of one reader minus that of another, on the same pictures, with its 95 % interval."""

    above: float
    """Share of the draws in which it was above 0; those of exactly 0 count half."""

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def ratio(parts: ArrayLike, wholes: ArrayLike) -> Estimate:
    """The sum of `parts` divided by that of `wholes`, which are (N,) each, of N pictures.

    Draws without anything to divide by say nothing of a ratio, and are left out where there is something in all.
    """
    table = np.stack([np.asarray(parts, dtype=np.float64), np.asarray(wholes, dtype=np.float64)], axis=1)
    drawn = _resampled(table)
    if table[:, 1].any():
        drawn = drawn[drawn[:, 1] > 0]
    return Estimate(float(_divided(table.sum(axis=0), 0)), *_interval(_divided(drawn, 0)))


def difference(parts: ArrayLike, wholes: ArrayLike, other_parts: ArrayLike, other_wholes: ArrayLike) -> Difference:
    """The ratio of the first pair of sums minus that of the second, each picture drawn for both at once."""
    columns = (parts, wholes, other_parts, other_wholes)
    table = np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)
    sums, drawn = table.sum(axis=0), _resampled(table)
    differences = _divided(drawn, 0) - _divided(drawn, 2)
    above = float(((differences > 0) + (differences == 0) / 2).mean())
    return Difference(float(_divided(sums, 0) - _divided(sums, 2)), *_interval(differences), above)


def rule_of_three(n: int) -> float:
    """The share of pictures with errors that would, one time in twenty, show none in `n` (Hanley and Lippman-Hand 1983)."""
    return float(1 - (1 - LEVEL) ** (1 / n))


def _resampled(table: Floats) -> Floats:
    """(RESAMPLES, K) sums of the columns of an (N, K) table over N rows drawn with replacement. The same each time."""
    kinds, counts = np.unique(table, axis=0, return_counts=True)
    shares, rng = counts / counts.sum(), np.random.default_rng(_SEED)
    at_a_time = max(1, _MOST_CELLS // len(kinds))
    sizes = [min(at_a_time, RESAMPLES - start) for start in range(0, RESAMPLES, at_a_time)]
    return np.concatenate([rng.multinomial(len(table), shares, size) @ kinds for size in sizes])


def _divided(sums: Floats, column: int) -> Floats:
    """One column by the next; where there is nothing to divide by, as it is."""
    parts, wholes = sums[..., column], sums[..., column + 1]
    divided: Floats = parts / np.where(wholes > 0, wholes, 1.0)
    return divided


def _interval(values: Floats) -> tuple[float, float]:
    outside = (1 - LEVEL) / 2
    low, high = np.quantile(values, [outside, 1 - outside])
    return float(low), float(high)
