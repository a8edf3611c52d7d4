"""From log-probabilities to texts. One decoder a file; numpy in, hypotheses out.

Everywhere here `log_probs` is a (T, C) array of natural-log probabilities of one line's true frames, blank in class 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

LogProbs: TypeAlias = NDArray[np.floating]
"""(T, C) natural-log probabilities of T frames for C classes, the blank first."""


@dataclass(frozen=True)
class Hypothesis:
    """One reading of a line, in class ids."""

    ids: tuple[int, ...]
    """The class of each character."""
    log_prob: float
    """Natural log of the probability, as far as the decoder summed it over alignments."""
    frames: tuple[int, ...]
    """For each character, the frame in which it is most probable along the best alignment."""
