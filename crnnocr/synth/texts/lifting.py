"""Rare characters are lifted: a bounded share of the texts is made of words and strings that hold them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from math import sqrt

import numpy as np

from crnnocr.synth.texts.chance import Chance, Weighted

MIN_RATE = 0.01
"""Each character comes at least so many times a text in every style, as far as `MAX_SHARE` goes; beyond that, the rare ones
come as evenly as it allows."""

MAX_SHARE = 0.15
"""Most texts that are made for their rare characters."""

_PLAIN_SAMPLES = 600
_LIFTED_SAMPLES = 100

Holding = Callable[[Callable[[], str], Chance], str]
"""Makes a text that holds the characters it asks for, one a call."""


class Lift:
    """How many texts are lifted, and by which of `characters`, given how texts are made without."""

    def __init__(self, characters: str, plain: Callable[[Chance], str], holding: Holding) -> None:
        self._holding = holding
        chance = Chance(np.random.default_rng(0))
        seen = Counter("".join(plain(chance) for _ in range(_PLAIN_SAMPLES)))
        # The lower end of what the rate may be, so that a lucky sample leaves no character short.
        rates = {c: (1 - MAX_SHARE) * max(0.0, seen[c] - sqrt(seen[c])) / _PLAIN_SAMPLES for c in characters}
        self.rare = Weighted({c: MIN_RATE - rate for c, rate in rates.items()})
        """The rare characters by what they lack."""
        self.share = 0.0
        """Share of the texts that are lifted."""
        if self.rare:
            held = self._held(chance)
            level = _level(rates, MAX_SHARE * held)
            self.rare = Weighted({c: level - rate for c, rate in rates.items()})
            self.share = sum(max(0.0, level - rate) for rate in rates.values()) / held

    def text(self, chance: Chance) -> str:
        """A text that holds rare characters."""
        return self._holding(lambda: self.rare.draw(chance), chance)

    def _held(self, chance: Chance) -> float:
        """How many of the characters asked for a lifted text holds."""
        held = 0

        def asked() -> str:
            wanted.append(self.rare.draw(chance))
            return wanted[-1]

        for _ in range(_LIFTED_SAMPLES):
            wanted: list[str] = []
            text = Counter(self._holding(asked, chance))
            held += sum(min(count, text[c]) for c, count in Counter(wanted).items())
        return max(held, 1) / _LIFTED_SAMPLES


def _level(rates: Mapping[str, float], mass: float) -> float:
    """The highest rate, up to `MIN_RATE`, that all lower ones can be brought to with `mass` in all."""
    total = 0.0
    ordered = sorted(rates.values())
    for count, (rate, following) in enumerate(pairwise([*ordered, MIN_RATE]), 1):
        total += rate
        if (mass + total) / count <= following:
            return min(MIN_RATE, (mass + total) / count)
    return MIN_RATE
