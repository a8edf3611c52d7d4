"""Best path decoding: the most probable class of each frame, repeats merged, blanks dropped (Graves 2006, section 3.2)."""

from __future__ import annotations

import numpy as np

from crnnocr.charset import BLANK
from crnnocr.decoders.hypothesis import Hypothesis, LogProbs


def greedy(log_probs: LogProbs) -> Hypothesis:
    """The text of the best path; its log-probability is that of this one path, a lower bound of the text's."""
    peaks = log_probs.max(axis=1, initial=-np.inf)
    return Hypothesis(greedy_ids(log_probs), float(peaks.sum(dtype=np.float64)))


def greedy_ids(log_probs: LogProbs) -> tuple[int, ...]:
    """The class ids of that text."""
    path = log_probs.argmax(axis=1)
    kept = path != BLANK
    kept[1:] &= path[1:] != path[:-1]
    return tuple(path[kept].tolist())
