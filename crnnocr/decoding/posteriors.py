"""Confidence of each character of a text, given all the others.

The confidence of a character is the probability of the text, divided by that of all texts which differ from it in this
character alone: P(text) / (sum over c of P(text with c in its place) + P(text without it)). It is the posterior of what stands
in this place while the rest of the text stands: high if every rival is improbable, one half if two characters are alike,
whatever else in the line is in doubt. (It is the factor of Besag's pseudo-likelihood, 1975, "Statistical Analysis of
Non-Lattice Data".) The greatest probability of a frame says less: a character may be spread over frames of one half each and be
certain nevertheless. If some characters have no probability, since they are not allowed, it is the posterior given that they
are not there: they are in no text, so the others need no rescaling.

Beside a space or at an edge, the text with a space in the character's place is the text without it.

All these texts share what comes before the place and what comes after it. The forward variables of the text give the one and
the backward variables the other (Graves et al. 2006, "Connectionist Temporal Classification", section 4.1); only the frames in
between are summed anew, for all classes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from crnnocr.decoding.forward import TINY, Topology, groups, log_forward, text_log_probs
from crnnocr.decoding.hypothesis import Floats, Ids, Indices, LogProbs, normalized
from crnnocr.text.charset import BLANK

_NEGLIGIBLE = -25.0
"""Log-ratio to a text's probability below which a begin or an end of a place is left out."""
_NEVER = -20.0
"""Classes that have no greater log-probability in any frame are left out, except those of the texts."""
_MAX_EXPONENT = 700.0
"""Greatest x for which e to the x is finite, about."""
_MIN_LOG = -1e300
"""Stands for -inf where a difference is taken."""


@dataclass(frozen=True)
class _Side:
    """All that lies on one side of M places, by the frame (0 to T) it is cut at: natural logs of its probability."""

    blank: Floats
    """(M, T + 1): of ending at the cut in a blank, or in nothing if the line ends."""
    character: Floats
    """(M, T + 1): of ending at the cut in the character next to the place."""
    neighbors: Indices
    """(M,): that character, or the blank if the line ends."""
    is_open: NDArray[np.bool_]
    """(M,): whether that is a space or the end of the line, beside which no space may stand."""

    @cached_property
    def either(self) -> Floats:
        """(M, T + 1): of ending at the cut."""
        return np.logaddexp(self.blank, self.character)


def posteriors(lines: Sequence[LogProbs], texts: Sequence[Ids], spaces: Ids = ()) -> list[tuple[float, ...]]:
    """The confidence of each character of each text, from 0 to 1, exact to about 1e-6 unless there are several kinds of spaces.

    Args:
        lines: for each text the (T, C) natural-log probabilities of its line.
        texts: their class ids.
        spaces: class ids of the spaces.

    Returns:
        For each text the confidence of each of its characters: 0 for all of a text without probability.
    """
    found: dict[int, tuple[float, ...]] = {}
    for group in groups(lines, texts):
        if not len(lines[group[-1]]):  # the longest
            found.update((n, (0.0,) * len(texts[n])) for n in group)
            continue
        confidences = _confidences([lines[n] for n in group], [texts[n] for n in group], spaces)
        ends = np.cumsum([len(texts[n]) for n in group])
        found.update((n, tuple(own.tolist())) for n, own in zip(group, np.split(confidences, ends[:-1]), strict=True))
    return [found[n] for n in range(len(lines))]


def _confidences(lines: list[LogProbs], texts: list[Ids], spaces: Ids) -> Floats:
    """(M,): confidences of all characters, text after text."""
    owners = np.repeat(np.arange(len(texts)), [len(ids) for ids in texts])
    if not len(owners):
        return np.zeros(0)
    places = np.concatenate([np.arange(len(ids)) for ids in texts])
    reversed_places = np.concatenate([np.arange(len(ids))[::-1] for ids in texts])
    lengths = np.array([len(line) for line in lines])[owners]
    before = _side(lines, Topology(texts, spaces), owners, places)
    backward = Topology([ids[::-1] for ids in texts], spaces)
    after = _reversed(_side([line[::-1] for line in lines], backward, owners, reversed_places), lengths)
    without = _without(before, after, lengths)
    joined = np.flatnonzero(before.is_open & after.is_open).tolist()
    if spaces and joined:
        rests = [normalized(_remove(texts[owners[m]], places[m]), spaces) for m in joined]
        without[joined] = text_log_probs([lines[owners[m]] for m in joined], rests, spaces)

    probs, gaps, columns = _probs(lines, texts, spaces)
    before, after = (replace(side, neighbors=columns[side.neighbors]) for side in (before, after))
    summed, scale = _with_each_class(probs, gaps, columns[list(spaces)], owners, before, after)
    own: Floats = summed[np.arange(len(owners)), columns[[c for ids in texts for c in ids]]]
    rivals = summed[:, BLANK + 1 :].sum(axis=1) + np.exp(np.minimum(without - scale, _MAX_EXPONENT))
    own /= np.maximum(rivals, TINY)
    return own


def _side(lines: list[LogProbs], topology: Topology, owners: Indices, places: Indices) -> _Side:
    """All that lies before each place, which is one of the characters of the `owners`' texts."""
    variables = log_forward(lines, topology)[:-1]
    neighbors = [(BLANK, *topology.texts[n])[place] for n, place in zip(owners.tolist(), places.tolist(), strict=True)]
    # Of the states blank, character, blank, …, below two rows of nothing.
    return _Side(
        blank=variables[:, 2 * places + 2, owners].T,
        character=variables[:, 2 * places + 1, owners].T,
        neighbors=np.array(neighbors),
        is_open=np.isin(neighbors, [BLANK, *topology.spaces] if topology.spaces else []),
    )


def _reversed(side: _Side, lengths: Indices) -> _Side:
    """A side of reversed lines of `lengths` frames, with its cuts counted from the other end."""
    cuts = lengths[:, None] - np.arange(side.blank.shape[1])
    blank, character = (np.take_along_axis(part, np.maximum(cuts, 0), axis=1) for part in (side.blank, side.character))
    outside = cuts < 0
    blank[outside] = character[outside] = -np.inf
    return replace(side, blank=blank, character=character)


def _without(before: _Side, after: _Side, lengths: Indices) -> Floats:
    """(M,): the log-probability of each text without the character of the place, unless both sides are open."""
    # Cut where the next character begins, or at the end of the line; before what is open, where the character before ends.
    entered = after.character.copy()
    at_end = np.flatnonzero(after.neighbors == BLANK)
    entered[at_end, lengths[at_end]] = 0.0
    alike = (before.neighbors == after.neighbors)[:, None]
    left: Floats = np.where(alike, before.blank, before.either)
    cuts = np.where(after.is_open[:, None], before.character + after.either, left + entered)
    result: Floats = np.logaddexp.reduce(cuts, axis=1)
    return result


def _remove(ids: Ids, place: int) -> tuple[int, ...]:
    return (*ids[:place], *ids[place + 1 :])


def _probs(lines: list[LogProbs], texts: list[Ids], spaces: Ids) -> tuple[Floats, Floats, Indices]:
    """The probabilities of the D classes that matter.

    Returns:
        (N, T, D) probabilities, the blank first, (N, T) those of the blank or a space, and (C,) the column of each class.
    """
    matters = np.zeros(lines[0].shape[1], dtype=bool)
    matters[[BLANK, *spaces, *(c for ids in texts for c in ids)]] = True
    for line in lines:
        matters |= line.max(axis=0, initial=-np.inf) > _NEVER
    probs = np.zeros((len(lines), max(map(len, lines)), matters.sum()))
    for n, line in enumerate(lines):
        np.exp(line[:, matters], out=probs[n, : len(line)], dtype=np.float64)
    columns = matters.cumsum() - 1
    return probs, probs[:, :, [BLANK, *columns[list(spaces)]]].sum(axis=2), columns


def _with_each_class(
    probs: Floats, gaps: Floats, spaces: Indices, owners: Indices, before: _Side, after: _Side
) -> tuple[Floats, Floats]:
    """The probability of each text with each class in the place: (M, D), in units of e to the (M,) scale.

    A run of the class begins at a cut at which what comes before is complete, and ends at one at which what comes after begins.
    Next to the same character there must be a blank. A run of a space goes on with anything that is in a gap.
    """
    first, widths = _windows(before.either, after.either)
    order = np.argsort(-widths, kind="stable")
    begins_blank, begins, begin_scale = _near(before, first, widths, order)
    ends_blank, ends, end_scale = _near(after, first + 1, widths, order)
    previous, following = before.neighbors[order], after.neighbors[order]
    may_be_space = ~(before.is_open | after.is_open)[order, None]
    runs, summed = np.zeros((2, len(order), probs.shape[2]))
    for k in range(widths.max()):
        rows = np.arange(np.count_nonzero(widths > k))
        run, total, last, then = runs[: len(rows)], summed[: len(rows)], previous[: len(rows)], following[: len(rows)]
        line, frame = owners[order[rows]], first[order[rows]] + k
        gap, gap_total = run[:, spaces], total[:, spaces]
        after_same = run[rows, last] + begins_blank[rows, k]
        run += begins[rows, k, None]
        run[rows, last] = after_same
        run *= probs[line, frame]
        before_same = total[rows, then] + run[rows, then] * ends_blank[rows, k]
        total += run * ends[rows, k, None]
        total[rows, then] = before_same
        if len(spaces):
            begun = begins[rows, k, None] * probs[line[:, None], frame[:, None], spaces]
            run[:, spaces] = gap * gaps[line, frame, None] + begun * may_be_space[rows]
            total[:, spaces] = gap_total + run[:, spaces] * np.maximum(ends - ends_blank, 0.0)[rows, k, None]
    result, scale = np.empty_like(summed), np.empty(len(order))
    result[order], scale[order] = summed, begin_scale + end_scale
    return result, scale


def _windows(before: Floats, after: Floats) -> tuple[Indices, Indices]:
    """(M,) first cut at which a run that matters may begin, and (M,) number of frames that it may cover."""
    best_before = np.maximum.accumulate(before, axis=1)[:, :-1]
    best_after = np.maximum.accumulate(after[:, ::-1], axis=1)[:, -2::-1]
    begins, ends = before[:, :-1] + best_after, best_before + after[:, 1:]
    threshold = np.maximum(begins.max(axis=1, keepdims=True) + _NEGLIGIBLE, _MIN_LOG)
    begins_here, ends_here = begins > threshold, ends > threshold
    first = begins_here.argmax(axis=1)
    last = ends_here.shape[1] - ends_here[:, ::-1].argmax(axis=1)
    return first, np.where(begins_here.any(axis=1), last - first, 0)


def _near(side: _Side, first: Indices, widths: Indices, order: Indices) -> tuple[Floats, Floats, Floats]:
    """A side near its places, in the given order: from the `first` cut on, in units that make the greatest 1.

    Returns:
        (M, W) probabilities of ending at a cut in a blank, (M, W) of ending there at all, and (M,) natural logs of the units.
    """
    offsets = np.arange(widths.max())
    cuts = np.minimum(first[order, None] + offsets, side.blank.shape[1] - 1)
    outside = offsets >= widths[order, None]
    blank, either = (
        np.where(outside, -np.inf, np.take_along_axis(part[order], cuts, axis=1)) for part in (side.blank, side.either)
    )
    scale = np.maximum(either.max(axis=1, initial=-np.inf), _MIN_LOG)[:, None]
    return np.exp(blank - scale), np.exp(either - scale), scale[:, 0]
