"""Best path decoding: the most probable class of each frame, repeats merged, blanks dropped (Graves 2006, section 3.2)."""

from __future__ import annotations

import numpy as np

from crnnocr.charset import BLANK
from crnnocr.decoders.hypothesis import Hypothesis, LogProbs


def greedy(log_probs: LogProbs) -> Hypothesis:
    """The text of the best path; its log-probability is that of this one path, a lower bound of the text's."""
    path = log_probs.argmax(axis=1)
    starts = path[np.diff(path, prepend=-1) != 0]
    peaks = log_probs.max(axis=1, initial=-np.inf)
    return Hypothesis(tuple(starts[starts != BLANK].tolist()), float(peaks.sum(dtype=np.float64)))
