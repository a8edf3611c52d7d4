"""The CTC forward algorithm: the summed probability of all alignments of a text with the frames, and the best alignment.

The trellis has a state for each character of a text and for the blanks around and between them. Many lines, each with a text,
are taken at once: their trellises stand side by side, and one pass over the frames serves all. Graves et al. 2006,
"Connectionist Temporal Classification", sections 3 and 4.1 (forward variables).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from crnnocr.decoding.hypothesis import Floats, Ids, Indices, LogProbs
from crnnocr.text.charset import BLANK, frames_needed

_MAX_LINES = 32
"""Lines in a pass: more are not faster."""
_MAX_CELLS = 1 << 20
"""Frames times states times lines in a pass, unless a single line has more: 8 MB."""
_EXACT_ABOVE = -650.0
"""Above it a log-probability summed in the linear domain is exact. A state that underflows loses at most 5e-324 of the frame's
scale, which is at most 1: beside e**-650 = 5e-283 that is nothing, however many frames and states lose it."""
_UNSCALED = 8
"""Frames after which variables that are not stored are scaled again."""
TINY = 1e-300
"""Smallest divisor."""


def text_log_probs(lines: Sequence[LogProbs], texts: Sequence[Ids]) -> Floats:
    """Natural log of each text's probability, summed over all its alignments with its line (equations 6 to 8).

    Args:
        lines: for each text the (T, C) natural-log probabilities of its line; a line may come as often as it has texts.
        texts: their class ids.

    Returns:
        (N,) natural-log probabilities; -inf for a text that needs more frames than its line has.
    """
    result = np.empty(len(lines))
    for group in groups(lines, texts):
        own_lines, own_texts = [lines[n] for n in group], [texts[n] for n in group]
        own = forward(_probabilities(own_lines, own_texts), skips(own_texts), store=False)[1][-1]
        tiny = np.flatnonzero(~(own > _EXACT_ABOVE)).tolist()
        if tiny:
            own[tiny] = _forward_in_logs([own_lines[n] for n in tiny], [own_texts[n] for n in tiny])[-1].max(axis=0)
        result[group] = own
    return result


def groups(lines: Sequence[LogProbs], texts: Sequence[Ids]) -> Iterator[list[int]]:
    """Indices of the lines in groups of like length, each of which fits one pass."""
    group: list[int] = []
    longest = 0
    for n in sorted(range(len(lines)), key=lambda n: len(lines[n])):
        reaches = max(longest, len(texts[n]))
        cells = (len(group) + 1) * (len(lines[n]) + 1) * (2 * reaches + 1)
        if group and (len(group) == _MAX_LINES or cells > _MAX_CELLS):
            yield group
            group, reaches = [], len(texts[n])
        group.append(n)
        longest = reaches
    if group:
        yield group


def emissions(lines: Sequence[LogProbs], texts: Sequence[Ids]) -> Floats:
    """(T + 1, S, N) log-probabilities of the states blank, character, blank, …, blank in each frame.

    After a line's frames its last blank is certain and all else impossible, which closes its text.
    """
    return _of_states(lines, texts, impossible=-np.inf, certain=0.0)


def _probabilities(lines: Sequence[LogProbs], texts: Sequence[Ids]) -> Floats:
    """The emissions as probabilities."""
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
    """(S, N): 1 if the blank before a state may be skipped, which is between different characters; else 0."""
    result = np.zeros((2 * max(map(len, texts)) + 1, len(texts)))
    for n, ids in enumerate(texts):
        result[3 : 2 * len(ids) : 2, n] = [a != b for a, b in pairwise(ids)]
    return result


def forward(emitted: Floats, skipped: Floats, store: bool) -> tuple[Floats, Floats]:
    """The forward variables, scaled to a maximum of 1 (Graves 2006, section 4.1; Rabiner 1989, section V.A).

    Args:
        emitted: (T, S, N) probabilities of the states.
        skipped: (S, N) 1 if a state can be reached from two before, else 0.
        store: keep the variables of all frames, each scaled; otherwise only those of the last two, scaled now and then.

    Returns:
        (T + 1, S + 2, N) variables after 0 to T frames, below two rows of zeros, and (T + 1, N) natural logs of their scales.
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
            np.maximum(after.max(axis=0), TINY, out=scales[t + 1])
            after /= scales[t + 1]
    return variables, np.log(scales).cumsum(axis=0)


def log_forward(lines: Sequence[LogProbs], texts: Sequence[Ids]) -> Floats:
    """Natural logs of the forward variables, exact however small they are.

    Returns:
        (T + 2, S + 2, N) variables after 0 to T frames and after the closing one, below two rows of -inf.
    """
    variables, scales = forward(_probabilities(lines, texts), skips(texts), store=True)
    with np.errstate(divide="ignore"):
        logs = np.log(variables, out=variables)
    logs += scales[:, None]
    return logs if (scales[-1] > _EXACT_ABOVE).all() else _forward_in_logs(lines, texts)


def _forward_in_logs(lines: Sequence[LogProbs], texts: Sequence[Ids]) -> Floats:
    """Compute `log_forward` in the log domain throughout: slow, but nothing underflows."""
    emitted, may_skip = emissions(lines, texts), np.where(skips(texts), 0.0, -np.inf)
    logs = np.full((len(emitted) + 1, emitted.shape[1] + 2, emitted.shape[2]), -np.inf)
    logs[0, 2] = 0.0
    for before, after, emission in zip(logs[:-1], logs[1:], emitted, strict=True):
        reached = np.logaddexp(before[2:], before[1:-1])
        after[2:] = np.logaddexp(reached, before[:-2] + may_skip) + emission
    return logs


def align(lines: Sequence[LogProbs], texts: Sequence[Ids]) -> list[tuple[int, ...]]:
    """Find the most probable frame of each character along the best alignment of its text (Viterbi's algorithm).

    Args:
        lines: for each text the (T, C) natural-log probabilities of its line.
        texts: their class ids.

    Returns:
        For each text the frame of each of its characters.

    Raises:
        ValueError: a text needs more frames than its line has, or has no probability.
    """
    for line, ids in zip(lines, texts, strict=True):
        if frames_needed(ids) > len(line):
            raise ValueError(f"{len(ids)} characters do not fit {len(line)} frames")
    found: dict[int, tuple[int, ...]] = {}
    for group in groups(lines, texts):
        own_lines, own_texts = [lines[n] for n in group], [texts[n] for n in group]
        emitted, skipped = emissions(own_lines, own_texts), np.where(skips(own_texts), 0.0, -np.inf)
        ends = np.array([2 * len(ids) for ids in own_texts])
        paths = _walk_back(_backpointers(emitted, skipped, ends), ends)
        found.update((n, _peaks(paths[:, i], emitted[:, :, i])) for i, n in enumerate(group))
    return [found[n] for n in range(len(lines))]


def _backpointers(emitted: Floats, skipped: Floats, ends: Indices) -> NDArray[np.int8]:
    """(T, S, N): how many states back the best path to a state was a frame ago.

    Args:
        emitted: (T, S, N) log-probabilities of the states.
        skipped: (S, N) 0 if a state can be reached from two before, else -inf.
        ends: (N,) the states that paths must end in.
    """
    steps_back = np.empty(emitted.shape, dtype=np.int8)
    best = np.full((emitted.shape[1] + 2, emitted.shape[2]), -np.inf)
    best[2] = 0.0
    for steps, emission in zip(steps_back, emitted, strict=True):
        stay, step, skip = best[2:], best[1:-1], best[:-2] + skipped
        either = np.maximum(stay, step)
        np.copyto(steps, step > stay)
        steps[skip > either] = 2
        best[2:] = np.maximum(either, skip) + emission
    if np.isneginf(best[2:][ends, np.arange(len(ends))]).any():
        raise ValueError("the text has no probability")
    return steps_back


def _walk_back(steps_back: NDArray[np.int8], states: Indices) -> Indices:
    """(T, N): the state of each best path in each frame, from the (N,) last ones back."""
    paths = np.empty((len(steps_back), len(states)), dtype=np.int64)
    lines = np.arange(len(states))
    for t in range(len(steps_back) - 1, -1, -1):
        paths[t] = states
        states = states - steps_back[t, states, lines]
    return paths


def _peaks(path: Indices, emitted: Floats) -> tuple[int, ...]:
    """For each character the first of the frames of a (T,) path in which it is most probable."""
    frames = np.flatnonzero(path % 2)
    states = path[frames]
    order = np.lexsort((-emitted[frames, states], states))
    first = np.diff(states[order], prepend=-1) > 0
    return tuple(frames[order[first]].tolist())
