"""What is shown in which step: a function of the seed and the step, and of nothing that has happened before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_BATCHES_A_POOL = 24
"""Batches whose pictures are drawn together and then sorted by width: more waste less padding, and mix less."""

_MOST = 4
"""A batch of narrow lines holds at most so many times the average number."""


@dataclass(frozen=True)
class Pool:
    """Pictures that are cut into batches together."""

    epoch: int
    """The epoch they belong to, from 1."""
    first_step: int
    """The step of their first batch, from 0."""
    batches: int
    """How many batches they are cut into."""
    examples: tuple[int, ...]
    """Indices of data to learn from."""
    drawn: range
    """Indices of drawn pictures."""


@dataclass(frozen=True)
class Plan:
    """Which pictures each step shows: every one of a data set once an epoch, mixed with drawn ones that never come again."""

    examples: int
    """Number of pictures in the data set; 0 to show drawn ones only."""
    batch_size: int
    """Pictures a step, on average."""
    seed: int
    """Start of all chance."""
    mix: float = 0.0
    """Share of drawn pictures."""

    @property
    def steps_an_epoch(self) -> int:
        """Steps in which every picture of the data set is shown once; of drawn pictures alone, those of a pool."""
        return sum(_batches(real + drawn, self.batch_size) for real, drawn in self._sizes())

    @property
    def pictures_an_epoch(self) -> int:
        """Pictures that are shown in an epoch, drawn ones included."""
        return sum(real + drawn for real, drawn in self._sizes())

    def pools(self, step: int) -> Iterator[Pool]:
        """The pools from that on which holds `step`, without end."""
        sizes = self._sizes()
        drawn_an_epoch = sum(drawn for _, drawn in sizes)
        epoch = step // self.steps_an_epoch
        while True:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.examples).tolist()
            first, shown, drawn = epoch * self.steps_an_epoch, 0, epoch * drawn_an_epoch
            for real, more in sizes:
                batches = _batches(real + more, self.batch_size)
                if first + batches > step:
                    examples = tuple(order[shown : shown + real])
                    yield Pool(epoch + 1, first, batches, examples, range(drawn, drawn + more))
                first, shown, drawn = first + batches, shown + real, drawn + more
            epoch += 1

    def _sizes(self) -> list[tuple[int, int]]:
        """For each pool of an epoch, how many examples and how many drawn pictures it has."""
        size = self.batch_size * _BATCHES_A_POOL
        if not self.examples:
            return [(0, size)]
        whole = max(1, round(size * (1 - self.mix)))
        parts = [min(whole, self.examples - start) for start in range(0, self.examples, whole)]
        return [(part, round(part * self.mix / (1 - self.mix))) for part in parts]


def _batches(pictures: int, batch_size: int) -> int:
    return -(-pictures // batch_size)


def seed_of(*numbers: int) -> int:
    """A seed that depends on all `numbers`."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def cut(widths: Sequence[int], batches: int, least: int = 1) -> list[list[int]]:
    """Cut pictures into that many batches of like widths, each with about as many columns, padding included.

    Args:
        widths: of the pictures' lines, in pixels.
        batches: how many.
        least: pictures that each batch holds at least, if there are as many in all.

    Returns:
        Indices into `widths`, the narrowest first.
    """
    order = sorted(range(len(widths)), key=lambda i: widths[i])
    most = _MOST * -(-len(order) // batches)
    cuts: list[list[int]] = []
    start, left = 0, float(sum(widths))
    for after in range(batches - 1, -1, -1):
        room = len(order) - start - after * least
        share, size = left / (after + 1), 0
        while size < room and (size < least or (size < most and (size + 0.5) * widths[order[start + size]] <= share)):
            size += 1
        size = room if not after else size
        batch = order[start : start + size]
        cuts.append(batch)
        start += size
        left -= sum(widths[i] for i in batch)
    return cuts
