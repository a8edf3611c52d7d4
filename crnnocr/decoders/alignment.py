"""Where the characters of a text are: the best of its alignments with the frames.

Viterbi's algorithm over the states of `crnnocr.decoders.lattice`, for many lines at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crnnocr.charset import frames_needed
from crnnocr.decoders.hypothesis import Floats, Ids, Indices, LogProbs
from crnnocr.decoders.lattice import emissions, groups, skips


def align(lines: Sequence[LogProbs], texts: Sequence[Ids]) -> list[tuple[int, ...]]:
    """For each character of each text, its most probable frame along the text's best alignment.

    Args:
        lines: for each text the (T, C) log-probabilities of its line.
        texts: their class ids.

    Raises `ValueError` where a text needs more frames than there are, or has no probability.
    """
    for line, ids in zip(lines, texts, strict=True):
        if frames_needed(ids) > len(line):
            raise ValueError(f"{len(ids)} characters do not fit {len(line)} frames")
    found: dict[int, tuple[int, ...]] = {}
    for group in groups(lines, texts):
        own_lines, own_texts = [lines[n] for n in group], [texts[n] for n in group]
        emitted, skipped = emissions(own_lines, own_texts), np.where(skips(own_texts), 0.0, -np.inf)
        ends = np.array([2 * len(ids) for ids in own_texts])
        paths = _walk_back(_arrivals(emitted, skipped, ends), ends)
        found.update((n, _peaks(paths[:, i], emitted[:, :, i])) for i, n in enumerate(group))
    return [found[n] for n in range(len(lines))]


def _arrivals(emitted: Floats, skipped: Floats, ends: Indices) -> NDArray[np.int8]:
    """(T, S, N): how many states back the best path to a state was a frame ago.

    Args:
        emitted: (T, S, N) log-probabilities of the states.
        skipped: (S, N) 0 where a state can be reached from two before, else -inf.
        ends: (N,) the states that paths must end in.
    """
    arrivals = np.empty(emitted.shape, dtype=np.int8)
    best = np.full((emitted.shape[1] + 2, emitted.shape[2]), -np.inf)
    best[2] = 0.0
    for arrival, emission in zip(arrivals, emitted, strict=True):
        stay, step, skip = best[2:], best[1:-1], best[:-2] + skipped
        either = np.maximum(stay, step)
        np.copyto(arrival, step > stay)
        arrival[skip > either] = 2
        best[2:] = np.maximum(either, skip) + emission
    if np.isneginf(best[2:][ends, np.arange(len(ends))]).any():
        raise ValueError("the text has no probability")
    return arrivals


def _walk_back(arrivals: NDArray[np.int8], states: Indices) -> Indices:
    """(T, N): the state of each best path in each frame, from the (N,) last ones back."""
    paths = np.empty((len(arrivals), len(states)), dtype=np.int64)
    lines = np.arange(len(states))
    for t in range(len(arrivals) - 1, -1, -1):
        paths[t] = states
        states = states - arrivals[t, states, lines]
    return paths


def _peaks(path: Indices, emitted: Floats) -> tuple[int, ...]:
    """For each character the first of the frames of a (T,) path in which it is most probable."""
    frames = np.flatnonzero(path % 2)
    states = path[frames]
    order = np.lexsort((-emitted[frames, states], states))
    first = np.diff(states[order], prepend=-1) > 0
    return tuple(frames[order[first]].tolist())
