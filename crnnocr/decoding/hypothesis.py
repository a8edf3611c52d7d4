"""The input and output of every decoder, and the simplest decoder: the best path.

Best path (greedy) decoding takes the most probable class of each frame, merges repeats and drops blanks (Graves et al. 2006,
"Connectionist Temporal Classification", section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crnnocr.text.charset import BLANK

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]

LogProbs: TypeAlias = NDArray[np.floating]
"""(T, C) natural-log probabilities of T frames for C classes, the blank first."""

Ids: TypeAlias = Sequence[int]
"""The class of each character of a text, none of them the blank."""


@dataclass(frozen=True)
class Hypothesis:
    """One text that a line may hold, in class ids."""

    ids: tuple[int, ...]
    """The class of each character."""
    log_prob: float
    """Natural log of its probability: exact from a `Decoder`, else as far as the search summed it over alignments."""


def greedy(log_probs: LogProbs, spaces: Ids = ()) -> Hypothesis:
    """The text of the best path of (T, C) log-probabilities.

    Its log-probability is that of this one path: a lower bound of the text's.
    """
    peaks = log_probs.max(axis=1, initial=-np.inf)
    return Hypothesis(greedy_ids(log_probs, spaces), float(peaks.sum(dtype=np.float64)))


def greedy_ids(log_probs: LogProbs, spaces: Ids = ()) -> tuple[int, ...]:
    """The class ids of the text of the best path of (T, C) log-probabilities."""
    path, begins = best_path(log_probs)
    return normalized(path[begins].tolist(), spaces)


def single_spaced(ids: Ids, spaces: Ids) -> tuple[int, ...]:
    """A text without spaces that follow a space."""
    if spaces and len(ids) > 1:
        ids = [c for before, c in zip((BLANK, *ids), ids, strict=False) if not (c in spaces and before in spaces)]
    return tuple(ids)


def stripped(ids: tuple[int, ...], spaces: Ids) -> tuple[int, ...]:
    """A single-spaced text without spaces at its edges."""
    ids = ids[1:] if ids and ids[0] in spaces else ids
    return ids[:-1] if ids and ids[-1] in spaces else ids


def normalized(ids: Ids, spaces: Ids) -> tuple[int, ...]:
    """A text without spaces that follow a space, or that stand at its edges."""
    return stripped(single_spaced(ids, spaces), spaces)


def gap_log_probs(log_probs: LogProbs, spaces: Ids) -> Floats:
    """(T,) natural-log probabilities of the blank or a space."""
    gap: Floats = log_probs[:, BLANK].astype(np.float64)
    for space in spaces:
        np.logaddexp(gap, log_probs[:, space], out=gap)
    return gap


def certainty(hypothesis: Hypothesis, log_probs: LogProbs, spaces: Ids) -> float:
    """Natural log of the probability that a confidence is made of: of a text its own.

    That there is no text is as certain as in the frame where something most likely is. The empty text's own probability is a
    product over all frames, each of which leaves a little to characters: the wider the paper, the less it is.
    """
    return hypothesis.log_prob if hypothesis.ids else float(gap_log_probs(log_probs, spaces).min(initial=0.0))


def best_path(log_probs: LogProbs) -> tuple[Indices, NDArray[np.bool_]]:
    """The best path of (T, C) log-probabilities.

    Returns:
        (T,) the most probable class of each frame, and (T,) whether a character begins there.
    """
    path = log_probs.argmax(axis=1)
    begins = path != BLANK
    begins[1:] &= path[1:] != path[:-1]
    return path, begins
