"""Which of the faces a set is drawn with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crnnocr.synth.fonts import FontFace

SAMPLED = 200
"""Texts of a set that faces are tried on."""


def drawing(faces: Iterable[FontFace], texts: Sequence[str]) -> tuple[FontFace, ...]:
    """The faces that draw at least one of `texts`, in their order."""
    return tuple(face for face in faces if any(map(face.draws, texts)))


def spread(count: int) -> range:
    """The numbers of `SAMPLED` texts, or a few more, spread evenly over a set of `count`."""
    return range(0, count, max(1, count // SAMPLED))
