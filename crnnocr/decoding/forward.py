"""The CTC forward algorithm: the summed probability of all alignments of a text with the frames, and the best alignment.

The trellis has a state for each character of a text and for the blanks around and between them. Many lines, each with a text,
are taken at once: their trellises stand side by side, and one pass over the frames serves all. Graves et al. 2006,
"Connectionist Temporal Classification", sections 3 and 4.1 (forward variables).

A space of a text stands for a gap of at least one space: its own state is the first of them, in which no path stays, and the
blank after it stands for the rest of the gap, spaces and blanks. So do the blanks at both edges of a line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
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
_MAX_EMITTED = 1 << 20
"""Cells whose emissions are held at a time if no variables are stored, for however long a line."""
_GAP = -1
"""The last column of what is emitted: the blank or a space."""
_UNSCALED = 8
"""Frames after which variables that are not stored are scaled again."""
TINY = 1e-300
"""Smallest divisor."""


def text_log_probs(lines: Sequence[LogProbs], texts: Sequence[Ids], spaces: Ids = (), *, edges: bool = True) -> Floats:
    """Natural log of each text's probability, summed over all its alignments with its line (equations 6 to 8).

    Args:
        lines: for each text the (T, C) natural-log probabilities of its line; a line may come as often as it has texts.
        texts: their class ids, single-spaced.
        spaces: class ids of the spaces.
        edges: whether the lines are whole; if they are parts of lines, their texts may begin and end with a space.

    Returns:
        (N,) natural-log probabilities; -inf for a text that needs more frames than its line has.
    """
    result = np.empty(len(lines))
    for group in groups(lines, texts):
        own_lines, own_texts = [lines[n] for n in group], [texts[n] for n in group]
        topology = Topology(own_texts, spaces, edges=edges)
        own = forward(own_lines, topology, store=False)[1][-1]
        tiny = np.flatnonzero(~(own > _EXACT_ABOVE)).tolist()
        if tiny:
            rest = Topology([own_texts[n] for n in tiny], spaces, edges=edges)
            own[tiny] = _last_in_logs([own_lines[n] for n in tiny], rest).max(axis=0)
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


class Topology:
    """The states blank, character, blank, …, blank of some texts, S of the longest one, and how paths move between them."""

    def __init__(self, texts: Sequence[Ids], spaces: Ids, *, edges: bool = True) -> None:
        """See `text_log_probs`."""
        self.texts, self.spaces = texts, spaces
        shape = 2 * max(map(len, texts)) + 1, len(texts)
        self.columns: list[list[int]] = []
        """By text what each of its states stands for: the place of a character, their number for the blank, or `_GAP`."""
        self.skips: Floats = np.zeros(shape)
        """(S, N): 1 if the blank before a state may be skipped, which is between different characters; else 0."""
        self.stays: Floats | None = None
        """(S, N): 1 if a path may stay in a state, which it may not in a space; else 0. None if there is no space."""
        for n, ids in enumerate(texts):
            self.skips[3 : 2 * len(ids) : 2, n] = [a != b for a, b in pairwise(ids)]
            columns = [len(ids)] * (2 * len(ids) + 1)
            columns[1::2] = range(len(ids))
            if edges:
                columns[0] = columns[-1] = _GAP
            inner = [2 * place + 1 for place, character in enumerate(ids) if character in spaces]
            for state in inner:
                columns[state + 1] = _GAP
            self.columns.append(columns)
            if inner:
                self.stays = np.ones(shape) if self.stays is None else self.stays
                self.stays[inner, n] = 0.0


def emissions(lines: Sequence[LogProbs], topology: Topology) -> Floats:
    """(T + 1, S, N) log-probabilities of the states in each frame.

    After a line's frames its last blank is certain and all else impossible, which closes its text.
    """
    return np.array(list(_emissions(lines, topology)))


def _emissions(lines: Sequence[LogProbs], topology: Topology) -> Iterator[Floats]:
    """The same, frame by frame."""
    return _of_states(lines, topology, lambda own: own.astype(np.float64), np.logaddexp, impossible=-np.inf, certain=0.0)


def _probabilities(lines: Sequence[LogProbs], topology: Topology) -> Iterator[Floats]:
    """The emissions as probabilities, frame by frame."""
    return _of_states(lines, topology, partial(np.exp, dtype=np.float64), np.add, impossible=0.0, certain=1.0)


def _of_states(
    lines: Sequence[LogProbs],
    topology: Topology,
    turn: Callable[[LogProbs], Floats],
    add: np.ufunc,
    impossible: float,
    certain: float,
) -> Iterator[Floats]:
    """The emissions; `turn` makes them of log-probabilities, and `add` adds them up. Few frames of them are held at a time."""
    frames = max(map(len, lines)) + 1
    held = max(1, _MAX_EMITTED // topology.skips.size)
    for start in range(0, frames, held):
        result = np.full((min(held, frames - start), *topology.skips.shape), impossible)
        for n, (line, ids, columns) in enumerate(zip(lines, topology.texts, topology.columns, strict=True)):
            own = turn(line[start : start + held].take([*ids, BLANK, *topology.spaces], axis=1))
            if topology.spaces:
                own[:, _GAP] = add.reduce(own[:, len(ids) :], axis=1)
            result[: len(own), : len(columns), n] = own.take(columns, axis=1)
            result[len(own) :, len(columns) - 1, n] = certain
        yield from result


def forward(lines: Sequence[LogProbs], topology: Topology, store: bool) -> tuple[Floats, Floats]:
    """The forward variables, scaled to a maximum of 1 (Graves 2006, section 4.1; Rabiner 1989, section V.A).

    Args:
        lines: for each text the (T, C) natural-log probabilities of its line.
        topology: how paths move between the states.
        store: keep the variables of all frames, each scaled; otherwise only those of the last two, scaled now and then.

    Returns:
        (T + 2, S + 2, N) variables after 0 to T frames and after the closing one, below two rows of zeros, and (T + 2, N)
        natural logs of their scales.
    """
    frames = max(map(len, lines)) + 1
    states, count = topology.skips.shape
    variables = np.zeros((frames + 1 if store else 2, states + 2, count))
    variables[0, 2] = 1.0
    scales = np.ones((frames + 1, count))
    stayed = np.empty((states, count))
    slots = [(each[:-2], each[1:-1], each[2:]) for each in variables]
    for t, emission in enumerate(_probabilities(lines, topology)):
        skip, step, stay = slots[t % len(slots)]
        after = slots[(t + 1) % len(slots)][2]
        np.multiply(skip, topology.skips, out=after)
        after += step
        after += stay if topology.stays is None else np.multiply(stay, topology.stays, out=stayed)
        after *= emission
        if store or t % _UNSCALED == 0 or t == frames - 1:
            np.maximum(after.max(axis=0), TINY, out=scales[t + 1])
            after /= scales[t + 1]
    return variables, np.log(scales).cumsum(axis=0)


def log_forward(lines: Sequence[LogProbs], topology: Topology) -> Floats:
    """Natural logs of the forward variables, exact however small they are.

    Returns:
        (T + 2, S + 2, N) variables after 0 to T frames and after the closing one, below two rows of -inf.
    """
    variables, scales = forward(lines, topology, store=True)
    with np.errstate(divide="ignore"):
        logs = np.log(variables, out=variables)
    logs += scales[:, None]
    return logs if (scales[-1] > _EXACT_ABOVE).all() else _forward_in_logs(lines, topology)


def _forward_in_logs(lines: Sequence[LogProbs], topology: Topology) -> Floats:
    """Compute `log_forward` in the log domain throughout: slow, but nothing underflows."""
    return np.stack(list(_steps_in_logs(lines, topology)))


def _last_in_logs(lines: Sequence[LogProbs], topology: Topology) -> Floats:
    """(S + 2, N): the last of these variables."""
    return deque(_steps_in_logs(lines, topology), maxlen=1)[0]


def _steps_in_logs(lines: Sequence[LogProbs], topology: Topology) -> Iterator[Floats]:
    may_skip, may_stay = _in_logs(topology)
    states, count = topology.skips.shape
    before = np.full((states + 2, count), -np.inf)
    before[2] = 0.0
    yield before
    for emission in _emissions(lines, topology):
        after = np.full_like(before, -np.inf)
        reached = np.logaddexp(before[2:] + may_stay, before[1:-1])
        after[2:] = np.logaddexp(reached, before[:-2] + may_skip) + emission
        yield after
        before = after


def _in_logs(topology: Topology) -> tuple[Floats, Floats | float]:
    """(S, N) each: 0 if the blank before a state may be skipped, if a path may stay in it; else -inf."""
    with np.errstate(divide="ignore"):
        return np.log(topology.skips), 0.0 if topology.stays is None else np.log(topology.stays)


def align(lines: Sequence[LogProbs], texts: Sequence[Ids], spaces: Ids = ()) -> list[tuple[int, ...]]:
    """Find the most probable frame of each character along the best alignment of its text (Viterbi's algorithm).

    Args:
        lines: for each text the (T, C) natural-log probabilities of its line.
        texts: their class ids.
        spaces: class ids of the spaces.

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
        topology = Topology(own_texts, spaces)
        emitted = emissions(own_lines, topology)
        ends = np.array([2 * len(ids) for ids in own_texts])
        paths = _walk_back(_backpointers(emitted, topology, ends), ends)
        for i, n in enumerate(group):
            # The space of a gap may be in any of its frames.
            rests = [state for state, column in enumerate(topology.columns[i]) if column == _GAP and 0 < state < ends[i]]
            found[n] = _peaks(paths[:, i] - np.isin(paths[:, i], rests), emitted[:, :, i])
    return [found[n] for n in range(len(lines))]


def _backpointers(emitted: Floats, topology: Topology, ends: Indices) -> NDArray[np.int8]:
    """(T, S, N): how many states back the best path to a state was a frame ago.

    Args:
        emitted: (T, S, N) log-probabilities of the states.
        topology: how paths move between the states.
        ends: (N,) the states that paths must end in.
    """
    may_skip, may_stay = _in_logs(topology)
    steps_back = np.empty(emitted.shape, dtype=np.int8)
    best = np.full((emitted.shape[1] + 2, emitted.shape[2]), -np.inf)
    best[2] = 0.0
    for steps, emission in zip(steps_back, emitted, strict=True):
        stay, step, skip = best[2:] + may_stay, best[1:-1], best[:-2] + may_skip
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
