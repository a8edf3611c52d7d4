"""Cheap draws from a random generator: one uniform number each, which is a tenth of what `Generator.integers` costs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

import numpy as np

Item = TypeVar("Item")


class Chance:
    """Draws from `rng`, and from nothing else."""

    __slots__ = ("random",)

    def __init__(self, rng: np.random.Generator) -> None:
        self.random = rng.random
        """A number from 0 up to, not including, 1."""

    def below(self, end: int) -> int:
        """One of the `end` whole numbers from 0 on."""
        return int(self.random() * end)

    def between(self, least: int, most: int) -> int:
        """One of the whole numbers from `least` to `most`, both included."""
        return least + int(self.random() * (most - least + 1))

    def pick(self, items: Sequence[Item]) -> Item:
        """One of `items`, each as likely."""
        return items[int(self.random() * len(items))]


class Weighted(Generic[Item]):
    """Items to draw in proportion to their weights; those of no weight are left out."""

    def __init__(self, weights: Mapping[Item, float]) -> None:
        self.items = [item for item, weight in weights.items() if weight > 0]
        self.weights = [weight for weight in weights.values() if weight > 0]
        self._ends = list(accumulate(self.weights))

    def __bool__(self) -> bool:
        return bool(self.items)

    def draw(self, chance: Chance) -> Item:
        """One of the items."""
        # Rounding may bring the draw up to the last end itself.
        return self.items[min(bisect_right(self._ends, chance.random() * self._ends[-1]), len(self.items) - 1)]
