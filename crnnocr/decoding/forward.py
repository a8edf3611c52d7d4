"""All alignments of a text with the frames: their summed probability, and the best of them.

Many lines are taken at once, each with a text: the states of all of them stand side by side, and one pass over the frames
serves all. Graves et al. 2006, "Connectionist Temporal Classification", sections 4.1 (forward variables) and 3.

Where the characters of a text are: the best of its alignments with the frames.

Viterbi's algorithm over the states of `crnnocr.decoding.forward`, for many lines at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from crnnocr.decoding.hypothesis import Floats, Ids, Indices, LogProbs
from crnnocr.text.charset import BLANK, frames_needed

_MOST_LINES = 32
"""Lines in a pass: more gain nothing."""
_MOST_CELLS = 1 << 20
"""Frames times states times lines in a pass, unless a single line has more: 8 MB."""
_SURE = -650.0
"""Above it a log-probability summed in the linear domain is exact. What a state loses when it underflows is at most 5e-324 of
the frame's scale, which is at most 1: of e**-650 = 5e-283 that is nothing, however many frames and states lose it."""
_UNSCALED = 8
"""Frames after which variables that are not kept are scaled again."""
LEAST = 1e-300
"""By less nothing is divided."""


def score(lines: Sequence[LogProbs], texts: Sequence[Ids]) -> Floats:
    """Natural log of each text's probability, summed over all its alignments with its line (equations 6 to 8).

    Args:
        lines: for each text the (T, C) log-probabilities of its line; a line may come as often as it has texts.
        texts: their class ids.

    Returns:
        (N,) natural-log probabilities; -inf where a text needs more frames than there are.
    """
    result = np.empty(len(lines))
    for group in groups(lines, texts):
        own_lines, own_texts = [lines[n] for n in group], [texts[n] for n in group]
        own = forward(_probabilities(own_lines, own_texts), skips(own_texts), store=False)[1][-1]
        unsure = np.flatnonzero(~(own > _SURE)).tolist()
        if unsure:
            own[unsure] = _summed_in_logs([own_lines[n] for n in unsure], [own_texts[n] for n in unsure])[-1].max(axis=0)
        result[group] = own
    return result


def groups(lines: Sequence[LogProbs], texts: Sequence[Ids]) -> Iterator[list[int]]:
    """The lines' indices in groups of like size, to be worked on together."""
    group: list[int] = []
    longest = 0
    for n in sorted(range(len(lines)), key=lambda n: len(lines[n])):
        reaches = max(longest, len(texts[n]))
        cells = (len(group) + 1) * (len(lines[n]) + 1) * (2 * reaches + 1)
        if group and (len(group) == _MOST_LINES or cells > _MOST_CELLS):
            yield group
            group, reaches = [], len(texts[n])
        group.append(n)
        longest = reaches
    if group:
        yield group


def emissions(lines: Sequence[LogProbs], texts: Sequence[Ids]) -> Floats:
    """The (T + 1, S, N) log-probabilities of each state in each frame: blank, character, blank, …, blank.

    After a line's frames its last blank is certain and all else impossible, which closes its text.
    """
    return _of_states(lines, texts, impossible=-np.inf, certain=0.0)


def _probabilities(lines: Sequence[LogProbs], texts: Sequence[Ids]) -> Floats:
    """The same as probabilities."""
    # A line that has several texts is one array, exponentiated once.
    probs = {key: np.exp(line, dtype=np.float64) for key, line in {id(line): line for line in lines}.items()}
    return _of_states([probs[id(line)] for line in lines], texts, impossible=0.0, certain=1.0)


def _of_states(lines: Sequence[NDArray[np.floating]], texts: Sequence[Ids], impossible: float, certain: float) -> Floats:
    result = np.full((max(map(len, lines)) + 1, 2 * max(map(len, texts)) + 1, len(lines)), impossible)
    for n, (line, ids) in enumerate(zip(lines, texts, strict=True)):
        frames, states = len(line), 2 * len(ids) + 1
        result[:frames, 0:states:2, n] = line[:, BLANK, None]
        result[:frames, 1:states:2, n] = line[:, list(ids)]
        result[frames:, states - 1, n] = certain
    return result


def skips(texts: Sequence[Ids]) -> Floats:
    """(S, N): 1 where the blank before a state may be left out, between different characters; else 0."""
    result = np.zeros((2 * max(map(len, texts)) + 1, len(texts)))
    for n, ids in enumerate(texts):
        result[3 : 2 * len(ids) : 2, n] = [a != b for a, b in pairwise(ids)]
    return result


def forward(emitted: Floats, skipped: Floats, store: bool) -> tuple[Floats, Floats]:
    """The forward variables, scaled to a maximum of 1 (Graves 2006, section 4.1; Rabiner 1989, section V.A).

    Args:
        emitted: (T, S, N) probabilities of the states.
        skipped: (S, N) 1 where a state can be reached from two before, else 0.
        store: keep the variables of all frames, and scale those of each, else only of the last two, scaled now and then.

    Returns:
        (T + 1, S + 2, N) variables after 0 to T frames, below two rows of zeros, and (T + 1, N) the logs of their scales.
    """
    frames, states, lines = emitted.shape
    variables = np.zeros((frames + 1 if store else 2, states + 2, lines))
    variables[0, 2] = 1.0
    scales = np.ones((frames + 1, lines))
    for t in range(frames):
        before, after = variables[t % len(variables)], variables[(t + 1) % len(variables)][2:]
        np.multiply(before[:-2], skipped, out=after)
        after += before[1:-1]
        after += before[2:]
        after *= emitted[t]
        if store or t % _UNSCALED == 0 or t == frames - 1:
            np.maximum(after.max(axis=0), LEAST, out=scales[t + 1])
            after /= scales[t + 1]
    return variables, np.log(scales).cumsum(axis=0)


def log_forward(lines: Sequence[LogProbs], texts: Sequence[Ids]) -> Floats:
    """The natural logs of the forward variables, exact however small they are.

    Returns:
        (T + 2, S + 2, N) variables after 0 to T frames and after the closing one, below two rows of -inf.
    """
    variables, scales = forward(_probabilities(lines, texts), skips(texts), store=True)
    with np.errstate(divide="ignore"):
        logs = np.log(variables, out=variables)
    logs += scales[:, None]
    return logs if (scales[-1] > _SURE).all() else _summed_in_logs(lines, texts)


def _summed_in_logs(lines: Sequence[LogProbs], texts: Sequence[Ids]) -> Floats:
    """The logs of the forward variables, in the log domain throughout: slow, but nothing underflows."""
    emitted, may_skip = emissions(lines, texts), np.where(skips(texts), 0.0, -np.inf)
    logs = np.full((len(emitted) + 1, emitted.shape[1] + 2, emitted.shape[2]), -np.inf)
    logs[0, 2] = 0.0
    for before, after, emission in zip(logs[:-1], logs[1:], emitted, strict=True):
        reached = np.logaddexp(before[2:], before[1:-1])
        after[2:] = np.logaddexp(reached, before[:-2] + may_skip) + emission
    return logs


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
