"""All alignments of one text with the frames: their summed probability, and the best of them.

Graves et al. 2006, "Connectionist Temporal Classification", sections 4.1 (forward variables) and 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crnnocr.charset import BLANK, frames_needed
from crnnocr.decoders import LogProbs


def log_prob(log_probs: LogProbs, ids: Sequence[int]) -> float:
    """Natural log of the probability of the text of class `ids`, summed over all its alignments (equations 6 to 8).

    -inf where the text needs more frames than there are.
    """
    if not len(log_probs):
        return 0.0 if not ids else -np.inf
    states, skips = _states(ids)
    emissions = np.asarray(log_probs, dtype=np.float64)[:, states]  # (T, S)
    forward = np.full(len(states), -np.inf)
    forward[:2] = emissions[0, :2]
    for emission in emissions[1:]:
        reached = forward.copy()
        reached[1:] = np.logaddexp(reached[1:], forward[:-1])
        reached[2:] = np.where(skips[2:], np.logaddexp(reached[2:], forward[:-2]), reached[2:])
        forward = reached + emission
    return float(np.logaddexp.reduce(forward[-2:]))


def align(log_probs: LogProbs, ids: Sequence[int]) -> tuple[int, ...]:
    """For each character of the text of class `ids`, its most probable frame along the best (Viterbi) alignment.

    Raises `ValueError` where the text needs more frames than there are, or has no probability.
    """
    if not ids:
        return ()
    if frames_needed(ids) > len(log_probs):
        raise ValueError(f"{len(ids)} characters do not fit {len(log_probs)} frames")
    states, skips = _states(ids)
    emissions = np.asarray(log_probs, dtype=np.float64)[:, states]  # (T, S)
    came_from = np.zeros(emissions.shape, dtype=np.int64)  # how many states back the best path was a frame ago
    best = np.full(len(states), -np.inf)
    best[:2] = emissions[0, :2]
    for t in range(1, len(emissions)):
        steps = np.full((3, len(states)), -np.inf)
        steps[0] = best
        steps[1, 1:] = best[:-1]
        steps[2, 2:] = np.where(skips[2:], best[:-2], -np.inf)
        came_from[t] = steps.argmax(axis=0)
        best = steps.max(axis=0) + emissions[t]
    if not np.isfinite(best[-2:].max()):
        raise ValueError("the text has no probability")
    path = _walk_back(came_from, len(states) - 2 + int(best[-2:].argmax()))
    return tuple(_peak(emissions[:, state], path == state) for state in range(1, len(states), 2))


def _states(ids: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The (S,) classes of blank, character, blank, …, blank, and for each whether the blank before it may be skipped."""
    states = np.full(2 * len(ids) + 1, BLANK, dtype=np.int64)
    states[1::2] = ids
    skips = np.zeros(len(states), dtype=bool)
    skips[3::2] = states[3::2] != states[1:-2:2]
    return states, skips


def _walk_back(came_from: NDArray[np.int64], state: int) -> NDArray[np.int64]:
    """The state of the best path in each frame."""
    path = np.empty(len(came_from), dtype=np.int64)
    for t in range(len(came_from) - 1, -1, -1):
        path[t] = state
        state -= int(came_from[t, state])
    return path


def _peak(emissions: NDArray[np.float64], inside: NDArray[np.bool_]) -> int:
    return int(np.where(inside, emissions, -np.inf).argmax())
