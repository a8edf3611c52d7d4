"""The proof that two engines read the same: over real pictures, in batches and padded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np

from crnnocr import images
from crnnocr.decoders.greedy import greedy
from crnnocr.engines import Engine
from crnnocr.errors import GateError
from crnnocr.model.checkpoint import Card

TOLERANCE = 1e-4
"""Largest difference of two log-probabilities that is no mismatch."""

BATCH_SIZES = (1, 3, 8)


@dataclass(frozen=True)
class Proof:
    """What was compared, and how near it came."""

    pictures: int
    """Number of pictures."""
    widths: int
    """Number of different widths among them, at the model's height."""
    batch_sizes: tuple[int, ...]
    """Numbers of pictures that were read together."""
    difference: float
    """Largest difference of two log-probabilities."""


def built_in_pictures(card: Card) -> dict[str, images.Line]:
    """The real pictures that come with crnnocr, as lines for a model, by their file names."""
    folder = resources.files("crnnocr.exporting") / "pictures"
    files = sorted((f for f in folder.iterdir() if f.name.endswith((".png", ".jpg"))), key=lambda f: f.name)
    return {f.name: images.to_line(images.open_grey(f.read_bytes()), card.config.height, card.config.min_width) for f in files}


def prove(reference: Engine, other: Engine, lines: dict[str, images.Line]) -> Proof:
    """Compare two engines over lines of several widths, alone and in padded batches.

    Raises:
        GateError: a text differs, or a log-probability by more than `TOLERANCE`; it names the pictures.
    """
    if not lines:
        raise GateError("the export was not kept: there is no picture to prove it with")
    wrong: dict[str, str] = {}
    largest = 0.0
    for size in BATCH_SIZES:
        names = list(lines)
        for batch in (names[i : i + size] for i in range(0, len(names), size)):
            for name, difference in zip(batch, _differences(reference, other, [lines[n] for n in batch]), strict=True):
                largest = max(largest, difference)
                if not difference <= TOLERANCE:
                    wrong[name] = f"{name} in a batch of {len(batch)} by {difference:.1e}"
    if wrong:
        raise GateError(f"the export reads otherwise than the model, so it was not kept: {'; '.join(wrong.values())}")
    return Proof(len(lines), len({line.shape[1] for line in lines.values()}), BATCH_SIZES, largest)


def _differences(reference: Engine, other: Engine, lines: Sequence[images.Line]) -> list[float]:
    """For each line the largest difference of two log-probabilities; infinite where frames or texts differ."""
    batch = images.to_batch(lines)
    (wanted, wanted_frames), (given, given_frames) = reference.log_probs(*batch), other.log_probs(*batch)
    differences = []
    for row, (frames, others) in enumerate(zip(wanted_frames.tolist(), given_frames.tolist(), strict=True)):
        a, b = wanted[row, :frames], given[row, :others]
        same = a.shape == b.shape and greedy(a).ids == greedy(b).ids
        differences.append(float(np.abs(a - b).max()) if same else np.inf)
    return differences
