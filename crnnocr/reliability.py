"""What confidences are worth: whether they are true, and what is gained by refusing what is least sure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crnnocr.config import CONFIDENCE_BINS

REFUSED = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of the pictures that are refused, the least sure first."""
_STEPS = 200
"""Points of a curve."""
_Z = 1.959963984540054
"""Standard deviations of a normal distribution that hold 95 % of it on both sides."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    """Readings of about the same confidence."""

    n: int
    """How many."""
    confidence: float
    """Their mean confidence."""
    right: float
    """The share of them that is right."""
    low: float
    """Where the 95 % interval of that share begins (Wilson 1927)."""
    high: float
    """Where it ends."""


@dataclass(frozen=True)
class Refusal:
    """What is left when the least sure pictures are refused."""

    refused: float
    """Share of the pictures that are refused, 0 to 1."""
    confidence: float
    """The least confidence among those that are kept."""
    cer: float
    """Character error rate of those that are kept."""
    exact: float
    """Share of them that was read exactly."""


def bins(confidences: ArrayLike, right: ArrayLike, count: int = CONFIDENCE_BINS) -> list[Bin]:
    """The reliability curve: bins of equal width, each closed above, without the empty ones (Guo et al. 2017, figure 1)."""
    values, verdicts = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    places = np.searchsorted(np.arange(1, count) / count, values)
    found = []
    for place in range(count):
        inside = places == place
        if n := int(inside.sum()):
            share = float(verdicts[inside].mean())
            found.append(Bin(n, float(values[inside].mean()), share, *wilson(share, n)))
    return found


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share that was seen in `n` cases (Wilson 1927), which holds for all or none, too."""
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    reach = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + (_Z / (2 * n)) ** 2)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def brier(confidences: ArrayLike, right: ArrayLike) -> float:
    """The mean squared difference of confidence and truth, 1 or 0 (Brier 1950): 0 at best."""
    return float(((np.asarray(confidences, dtype=np.float64) - np.asarray(right, dtype=np.float64)) ** 2).mean())


class RiskCoverage:
    """How errors fall as the least sure pictures are refused (El-Yaniv and Wiener 2010).

    Pictures of equal confidence cannot be told apart: where some of them are refused, they are a mean of all of them.
    """

    def __init__(self, confidences: ArrayLike, edits: ArrayLike, characters: ArrayLike, right: ArrayLike) -> None:
        """Take pictures: (N,) confidences, edits, true characters, and whether each was read exactly."""
        values = np.asarray(confidences, dtype=np.float64)
        self._values, place, counts = np.unique(-values, return_inverse=True, return_counts=True)
        self._kept = np.concatenate(([0.0], np.cumsum(counts)))
        self._edits, self._characters, self._right = (
            np.concatenate(([0.0], np.cumsum(np.bincount(place, np.asarray(column, dtype=np.float64)))))
            for column in (edits, characters, right)
        )

    @property
    def pictures(self) -> int:
        """How many there are."""
        return int(self._kept[-1])

    def at(self, refused: float) -> Refusal:
        """What is left when a share below 1 of the pictures is refused, the least sure."""
        kept = max(self.pictures * (1 - refused), 1.0)
        edits, characters, right = (
            float(np.interp(kept, self._kept, column)) for column in (self._edits, self._characters, self._right)
        )
        last = min(int(np.searchsorted(self._kept[1:], kept)), len(self._values) - 1)
        return Refusal(refused, -float(self._values[last]), edits / max(characters, 1), right / kept)

    def curve(self) -> list[Refusal]:
        """What is left, from none refused to nearly all."""
        return [self.at(i / _STEPS) for i in range(_STEPS)]

    def table(self, shares: Sequence[float] = REFUSED) -> list[Refusal]:
        """What is left at round shares."""
        return [self.at(share) for share in shares]

    def area(self) -> float:
        """The mean share of wrong readings over all coverages (AURC, Geifman et al. 2019): the smaller, the better ordered."""
        kept = np.arange(1, self.pictures + 1)
        return float((1 - np.interp(kept, self._kept, self._right) / kept).mean())
