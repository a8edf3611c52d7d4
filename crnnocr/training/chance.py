"""What chance decides for each line of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

_NUMBERS = 80
"""Most numbers a line. One draw in place of many is quicker, and a GPU waits for the CPU only once."""


class Chance:
    """Random numbers, one a line, on the CPU wherever the generator is; a share of the lines is left alone by all of them."""

    def __init__(self, lines: int, changed: float, generator: torch.Generator) -> None:
        numbers = torch.rand((_NUMBERS, lines), generator=generator, device=generator.device).cpu()
        self.changed = numbers[0] < changed
        """(N,) bool, which lines may be changed."""
        self._up_to_one = numbers * self.changed
        self._around_zero = (numbers * 2 - 1) * self.changed
        self._thresholds = numbers + ~self.changed
        self._used = 1

    def _next(self, count: int) -> slice | int:
        self._used += count
        assert self._used <= _NUMBERS
        return slice(self._used - count, self._used) if count > 1 else self._used - 1

    def around(self, reach: float, count: int = 1) -> Tensor:
        """(N,) float32 uniform from `-reach` to `reach`, 0 for lines left alone; (count, N) if several are asked for."""
        return self._around_zero[self._next(count)] * reach

    def up_to(self, reach: float, count: int = 1) -> Tensor:
        """(N,) float32 uniform from 0 to `reach`, 0 for lines left alone; (count, N) if several are asked for."""
        return self._up_to_one[self._next(count)] * reach

    def happens(self, probability: float) -> Tensor:
        """(N,) bool, true with `probability`; false for lines left alone."""
        return self._thresholds[self._next(1)] < probability

    def lines(self, probability: float) -> Tensor:
        """(K,) int64 the lines that something of `probability` happens to."""
        return self.happens(probability).nonzero()[:, 0]
