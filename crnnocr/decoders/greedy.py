"""Best path decoding: the most probable class of each frame, repeats merged, blanks dropped (Graves 2006, section 3.2)."""

from __future__ import annotations

import numpy as np

from crnnocr.charset import BLANK
from crnnocr.decoders import Hypothesis, LogProbs


def greedy(log_probs: LogProbs) -> Hypothesis:
    """The text of the best path; its log-probability is that of this one path, a lower bound of the text's."""
    path = log_probs.argmax(axis=1)
    peaks = log_probs.max(axis=1, initial=-np.inf)
    starts = np.flatnonzero(np.diff(path, prepend=-1))
    ids: list[int] = []
    frames: list[int] = []
    for start, end in zip(starts, np.append(starts, len(path))[1:], strict=True):
        if path[start] != BLANK:
            ids.append(int(path[start]))
            frames.append(int(start + peaks[start:end].argmax()))
    return Hypothesis(tuple(ids), float(peaks.sum(dtype=np.float64)), tuple(frames))
