"""Random choices at one uniform number each, a tenth of what `numpy.random.Generator.integers` costs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

import numpy as np

Item = TypeVar("Item")


class Random:
    """The methods of `random.Random` that texts need, over a numpy generator."""

    __slots__ = ("random",)

    def __init__(self, rng: np.random.Generator) -> None:
        self.random = rng.random
        """A float in [0, 1)."""

    def randrange(self, stop: int) -> int:
        """An integer in [0, `stop`)."""
        return int(self.random() * stop)

    def randint(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return low + int(self.random() * (high - low + 1))

    def choice(self, items: Sequence[Item]) -> Item:
        """One of `items`, each with the same probability."""
        return items[int(self.random() * len(items))]


class Weighted(Generic[Item]):
    """Items that are chosen in proportion to their weights; items of weight 0 are dropped."""

    def __init__(self, weights: Mapping[Item, float]) -> None:
        self.items = [item for item, weight in weights.items() if weight > 0]
        self.weights = [weight for weight in weights.values() if weight > 0]
        self._ends = list(accumulate(self.weights))

    def __bool__(self) -> bool:
        return bool(self.items)

    def choose(self, rng: Random) -> Item:
        """One of the items."""
        # Rounding may reach the last end itself.
        return self.items[min(bisect_right(self._ends, rng.random() * self._ends[-1]), len(self.items) - 1)]
