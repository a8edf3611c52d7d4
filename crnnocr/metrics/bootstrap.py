"""Confidence intervals of metrics by the bootstrap: samples are drawn again, with replacement, many times.

Bisani and Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance evaluation": an error rate is a ratio of
sums over samples. Whole samples are drawn, because their characters are not independent, and two systems are compared on the
same draws. Intervals are percentile intervals (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13).

Samples with equal counts are drawn together: how often each kind is drawn follows a multinomial distribution. This gives the
same distribution as drawing samples one by one, but 50,000 samples are only some hundred kinds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000
LEVEL = 0.95
"""Confidence level of all intervals."""

_SEED = 987
_MAX_CELLS = 1 << 21
"""Drawn counts in memory at a time: 16 MB."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """The value of a metric over all samples, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Estimate):
    """A metric of the first system minus that of the second on the same samples, with its 95 % interval."""

    above: float
    """Share of the resamples in which the difference is above 0; a difference of exactly 0 counts half."""

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def ratio(numerators: ArrayLike, denominators: ArrayLike) -> Estimate:
    """Estimate a ratio of sums over samples.

    Resamples whose denominator is 0 say nothing about the ratio and are dropped, unless the denominator of all samples is 0.

    Args:
        numerators: (N,) one for each sample.
        denominators: (N,) one for each sample.
    """
    table = np.stack([np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)], axis=1)
    resampled = _resampled_sums(table)
    if table[:, 1].any():
        resampled = resampled[resampled[:, 1] > 0]
    return Estimate(float(_ratio(table.sum(axis=0), 0)), *_interval(_ratio(resampled, 0)))


def difference(
    numerators: ArrayLike, denominators: ArrayLike, other_numerators: ArrayLike, other_denominators: ArrayLike
) -> Difference:
    """Estimate the ratio of the first system minus that of the second; each resample takes the same samples of both.

    Args:
        numerators: (N,) of the first system, one for each sample.
        denominators: (N,) of the first system.
        other_numerators: (N,) of the second system, samples in the same order.
        other_denominators: (N,) of the second system.
    """
    columns = (numerators, denominators, other_numerators, other_denominators)
    table = np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)
    sums, resampled = table.sum(axis=0), _resampled_sums(table)
    differences = _ratio(resampled, 0) - _ratio(resampled, 2)
    above = float(((differences > 0) + (differences == 0) / 2).mean())
    return Difference(float(_ratio(sums, 0) - _ratio(sums, 2)), *_interval(differences), above)


def rule_of_three(n: int) -> float:
    """Bound the error rate at 95 % confidence after `n` samples without an error (Hanley and Lippman-Hand 1983)."""
    return float(1 - (1 - LEVEL) ** (1 / n))


def _resampled_sums(table: Floats) -> Floats:
    """Sum the columns of an (N, K) table over N rows drawn with replacement: (RESAMPLES, K), the same each time."""
    kinds, counts = np.unique(table, axis=0, return_counts=True)
    shares, rng = counts / counts.sum(), np.random.default_rng(_SEED)
    at_a_time = max(1, _MAX_CELLS // len(kinds))
    sizes = [min(at_a_time, RESAMPLES - start) for start in range(0, RESAMPLES, at_a_time)]
    return np.concatenate([rng.multinomial(len(table), shares, size) @ kinds for size in sizes])


def _ratio(sums: Floats, column: int) -> Floats:
    """Divide a column by the next one; a denominator of 0 counts as 1."""
    numerators, denominators = sums[..., column], sums[..., column + 1]
    divided: Floats = numerators / np.where(denominators > 0, denominators, 1.0)
    return divided


def _interval(values: Floats) -> tuple[float, float]:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
