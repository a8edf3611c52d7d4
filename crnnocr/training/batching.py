"""Which pictures make up which batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_BATCHES_A_POOL = 12
"""Batches whose pictures are drawn together and then sorted by width: more waste less padding, and mix less."""


def epoch_batches(widths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Every picture once, in batches of like widths, in an order that depends on `seed` and `epoch` only.

    `widths` are those of the pictures' lines in pixels, and the batches hold indices into them; some may be smaller.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(widths))
    batches: list[list[int]] = []
    for start in range(0, len(order), batch_size * _BATCHES_A_POOL):
        pool = sorted(order[start : start + batch_size * _BATCHES_A_POOL].tolist(), key=lambda i: widths[i])
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]
