"""What decoders take and what they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]

LogProbs: TypeAlias = NDArray[np.floating]
"""(T, C) natural-log probabilities of T frames for C classes, the blank first."""

Ids: TypeAlias = Sequence[int]
"""The class of each character of a text, none of them the blank."""


@dataclass(frozen=True)
class Hypothesis:
    """One reading of a line, in class ids."""

    ids: tuple[int, ...]
    """The class of each character."""
    log_prob: float
    """Natural log of its probability: exact from a `Decoder`, else as far as the decoder summed it over alignments."""
