"""CTC prefix beam search: the most probable text, not path, for it sums over the alignments of each prefix it keeps.

Graves 2012, "Supervised Sequence Labelling with Recurrent Neural Networks", section 7.5; Hannun et al. 2014
(arXiv 1408.2873), algorithm 1, without a language model. The beams of many lines go forward together, frame by frame.

`beam_search` goes through whole lines. `segmented_beam_search` cuts lines where the blank is all but certain, and searches only
the uncertain segments, each of which is short. Frames are independent in CTC: with the blank taken for certain in a
frame, what comes before it and what comes after it are independent too. So the probability of a text is the sum, over all ways
to divide it among the segments, of the product of their probabilities; two spaces that meet are one. That leaves out a little,
at each cut and in the certain segments, as a narrow beam does; a search that is to be exact goes through the whole line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from crnnocr.decoding.forward import TINY, text_log_probs
from crnnocr.decoding.hypothesis import (
    Floats,
    Hypothesis,
    Ids,
    Indices,
    LogProbs,
    best_path,
    single_spaced,
    stripped,
)
from crnnocr.text.charset import BLANK

_MAX_LINES = 32
_MAX_CELLS = 1 << 20
"""Lines times prefixes times extensions that are searched together, unless a single line has more."""

_MULTIPLIER, _INCREMENT = np.uint64(6364136223846793005), np.uint64(1442695040888963407)
"""Knuth's linear congruential generator, which makes a prefix's key of its parent's and its last character."""

_NO_PARENT = np.uint64(2)
"""The parent's key of prefixes that have no parent."""


def beam_search(lines: Sequence[LogProbs], beam: int, spaces: Ids = (), *, edges: bool = True) -> list[list[Hypothesis]]:
    """For each line the texts that a beam of `beam` prefixes ends with, the most probable first.

    These are exactly the most probable ones if `beam` is at least the number of prefixes there are. A frame leaves unexplored
    only what cannot enter the beam, so the result is that of the plain algorithm (except among exact ties).

    Args:
        lines: (T, C) natural-log probabilities of each, all of the same classes.
        beam: K, the number of prefixes that are kept.
        spaces: class ids of the spaces.
        edges: whether the lines are whole; if they are parts of lines, their texts may begin and end with a space.
    """
    found: dict[int, list[Hypothesis]] = {}
    for group in _groups(lines, beam):
        found.update(zip(group, _Beams([lines[n] for n in group], beam, spaces, edges=edges).run(), strict=True))
    return [found[n] for n in range(len(lines))]


def _groups(lines: Sequence[LogProbs], beam: int) -> Iterator[list[int]]:
    """Indices of the lines in groups of like length, the longest first."""
    order = sorted(range(len(lines)), key=lambda n: -len(lines[n]))
    size = max(1, min(_MAX_LINES, _MAX_CELLS // (beam * 3 * beam))) if lines else 1
    for begin in range(0, len(order), size):
        yield order[begin : begin + size]


class _Beams:
    """The beams of N lines, the longest first: K prefixes each."""

    def __init__(self, lines: list[LogProbs], beam: int, spaces: Ids, *, edges: bool) -> None:
        self._spaces = spaces if edges else ()
        self._lengths = np.array([len(line) for line in lines])
        self._probs = np.zeros((self._lengths[0], len(lines), lines[0].shape[1]))  # (T, N, C)
        for n, line in enumerate(lines):
            np.exp(line, out=self._probs[: len(line), n], dtype=np.float64)
        self._likely = _likely_characters(self._probs, 2 * beam)  # (T, N, M)
        self._likely_probs = np.take_along_axis(self._probs, self._likely, axis=2)
        # Of prefixes that end in a space, all probability counts as ending in it, and anything in a gap goes on with it.
        self._own = self._probs
        self._blanks = np.ones(lines[0].shape[1])
        self._kinds = np.arange(lines[0].shape[1])
        if spaces:
            self._own = self._probs.copy()
            self._own[:, :, list(spaces)] = self._probs[:, :, [BLANK, *spaces]].sum(axis=2, keepdims=True)
            self._blanks[list(spaces)] = 0.0
            self._kinds[list(spaces)] = spaces[0]

        shape = len(lines), beam
        # Probability of all alignments of a prefix so far that end in a blank, and of those that end in its last character.
        self._blank, self._last = np.zeros((2, *shape))
        self._log_scales = np.zeros(len(lines))
        # A line begins as if after a space, so that none is at its edge.
        self._characters = np.full(shape, BLANK)
        self._characters[:, 0] = spaces[0] if self._spaces else BLANK
        (self._last if self._spaces else self._blank)[:, 0] = 1.0
        # Prefixes are the same if their keys are; two others share a key with a probability of 2**-64. Free slots have key 0.
        self._keys = np.zeros(shape, dtype=np.uint64)
        self._keys[:, 0] = 1
        self._parents = np.full(shape, _NO_PARENT)
        # By frame, the prefix that each one came from, and the character that it grew by; the blank if it stayed as it was.
        self._came_from = np.broadcast_to(np.arange(beam), (len(self._probs), *shape)).copy()
        self._appended = np.full((len(self._probs), *shape), BLANK)

    def run(self) -> list[list[Hypothesis]]:
        """Go through all frames."""
        for t in range(len(self._probs)):
            self._advance(t, int(np.count_nonzero(self._lengths > t)))
        totals = self._blank + self._last
        texts = self._texts()
        found = []
        for n, scale in enumerate(self._log_scales.tolist()):
            sums: dict[tuple[int, ...], float] = {}
            for k in np.argsort(-totals[n], kind="stable")[: np.count_nonzero(totals[n])]:
                text = stripped(tuple(texts[texts[:, n, k] != BLANK, n, k].tolist()), self._spaces)
                sums[text] = sums.get(text, 0.0) + totals[n, k]
            ranked = sorted(sums.items(), key=lambda item: item[1], reverse=True)
            found.append([Hypothesis(text, scale + math.log(total)) for text, total in ranked])
        return found

    def _advance(self, t: int, count: int) -> None:
        """Advance the first `count` lines, those that are long enough, by frame `t`."""
        blank, last, characters = self._blank[:count], self._last[:count], self._characters[:count]
        probs, likely = self._probs[t, :count], self._likely[t, :count]
        rows = np.arange(count)[:, None]
        total = blank + last

        # Extensions: a repeat needs a blank in between.
        repeated = self._kind(likely)[:, None] == self._kind(characters)[:, :, None]
        starts = np.where(repeated, blank[:, :, None], total[:, :, None])
        extended = starts * self._likely_probs[t, :count, None]  # (N, K, M)

        # Prefixes stay. If the parent is in the beam too, its extension is no new prefix: the child gets its probability.
        stay_blank, stay_last = total * probs[:, BLANK, None], last * self._own[t, rows, characters]
        if self._own is not self._probs:
            stay_blank *= self._blanks[characters]
        n, child, parent = np.nonzero(self._parents[:count, :, None] == self._keys[:count, None])
        repeats = characters[n, child] == characters[n, parent]
        stay_last[n, child] += np.where(repeats, blank[n, parent], total[n, parent]) * probs[n, characters[n, child]]
        which, choice = np.nonzero(likely[n] == characters[n, child, None])
        extended[n[which], parent[which], choice] = 0.0

        self._keep(t, stay_blank, stay_last, extended, likely)

    def _kind(self, characters: Indices) -> Indices:
        """The characters, all spaces as one."""
        return self._kinds[characters] if np.count_nonzero(self._blanks) < len(self._blanks) - 1 else characters

    def _keep(self, t: int, stay_blank: Floats, stay_last: Floats, extended: Floats, likely: Indices) -> None:
        """Keep the most probable of the prefixes that stayed and those that were extended."""
        count, beam, choices = extended.shape
        rows = np.arange(count)[:, None]
        scores = np.concatenate([stay_blank + stay_last, extended.reshape(count, -1)], axis=1)
        best = np.argpartition(scores, -beam, axis=1)[:, -beam:]
        best_scores = scores.take(best + rows * scores.shape[1])
        is_new = best >= beam
        came_from, choice = np.divmod(best - beam, choices)
        came_from = np.where(is_new, came_from, best)
        appended = np.where(is_new, likely.take(choice + rows * choices), BLANK)
        scale = np.maximum(best_scores.max(axis=1, keepdims=True), TINY)

        old = came_from + rows * beam
        keys, is_used = self._keys.take(old), best_scores > 0.0
        new_keys = keys * _MULTIPLIER + appended.astype(np.uint64) + _INCREMENT
        self._parents[:count] = np.where(is_used, np.where(is_new, keys, self._parents.take(old)), _NO_PARENT)
        self._keys[:count] = np.where(is_new, new_keys, keys) * is_used
        self._characters[:count] = np.where(is_new, appended, self._characters.take(old))
        self._blank[:count] = np.where(is_new, 0.0, stay_blank.take(old)) / scale
        self._last[:count] = np.where(is_new, best_scores, stay_last.take(old)) / scale
        self._log_scales[:count] += np.log(scale[:, 0])
        self._came_from[t, :count], self._appended[t, :count] = came_from, appended

    def _texts(self) -> Indices:
        """(T, N, K): by frame, the character that was appended to each final prefix; the blank if none was."""
        texts = np.empty_like(self._appended)
        rows = np.arange(len(self._lengths))[:, None]
        slots = np.broadcast_to(np.arange(texts.shape[2]), texts.shape[1:])
        for t in range(len(texts) - 1, -1, -1):
            texts[t] = self._appended[t][rows, slots]
            slots = self._came_from[t][rows, slots]
        return texts


def _likely_characters(probs: Floats, count: int) -> Indices:
    """(T, N, M): for each frame the `count` most probable characters, or all.

    Of a prefix's extensions at most `beam` are in the beam already and at most `beam` can enter it: 2 · `beam` suffice.
    """
    characters = probs[:, :, BLANK + 1 :]
    if count < characters.shape[2]:
        return np.argpartition(characters, -count, axis=2)[:, :, -count:] + BLANK + 1
    return np.broadcast_to(np.arange(BLANK + 1, probs.shape[2]), characters.shape)


_CERTAIN = np.log1p(-1e-3)
"""Log-probability of the blank above which a line is cut."""

_SETTLED = np.log1p(-0.02)
"""Log-probability of its greedy text above which a segment is certain."""

_FAR = 5.0
"""A segment's texts are left out if they are less probable than its best one by more than this log-ratio."""


def segmented_beam_search(lines: Sequence[LogProbs], beam: int, spaces: Ids = ()) -> list[list[Hypothesis]]:
    """For each line at most `beam` texts, the most probable first.

    Their log-probabilities are those with the blank certain at each cut, up to a summand that the texts of a line share.

    Args:
        lines: (T, C) natural-log probabilities of each, all of the same classes.
        beam: prefixes that are kept in the search of a segment, and texts of a line.
        spaces: class ids of the spaces.
    """
    segments = [_segments(line, spaces) for line in lines]
    parts = [line[frames] for line, own in zip(lines, segments, strict=True) for frames, _, _ in own]
    found = [[Hypothesis(text, log_prob)] for own in segments for _, text, log_prob in own]
    # A text has at least the probability of one of its paths; if that does not settle it, the exact one may.
    unsettled = [n for n, (first,) in enumerate(found) if not first.log_prob > _SETTLED]
    texts = [found[n][0].ids for n in unsettled]
    exact = text_log_probs([parts[n] for n in unsettled], texts, spaces, edges=False).tolist()
    uncertain = [n for n, log_prob in zip(unsettled, exact, strict=True) if not log_prob > _SETTLED]
    beams = beam_search([parts[n] for n in uncertain], beam, spaces, edges=False)
    for n, hypotheses in zip(uncertain, beams, strict=True):
        found[n] = [each for each in hypotheses if each.log_prob > hypotheses[0].log_prob - _FAR]
    in_order = iter(found)
    return [_join([next(in_order) for _ in own], beam, spaces) for own in segments]


def _segments(line: LogProbs, spaces: Ids) -> list[tuple[slice, tuple[int, ...], float]]:
    """The runs of frames in which the blank is not certain, each with the text and the log-probability of its best path."""
    path, begins = best_path(line)
    is_open = np.concatenate(([False], line[:, BLANK] <= _CERTAIN, [False]))
    edges = np.flatnonzero(is_open[1:] != is_open[:-1])
    log_probs = np.add.reduceat(np.append(line.max(axis=1), 0.0), edges)[::2].tolist()
    ids, places = path[begins].tolist(), np.searchsorted(np.flatnonzero(begins), edges).tolist()
    segments = zip(edges[::2].tolist(), edges[1::2].tolist(), places[::2], places[1::2], log_probs, strict=True)
    return [
        (slice(begin, end), single_spaced(ids[first:last], spaces), log_prob) for begin, end, first, last, log_prob in segments
    ]


def _join(segments: list[list[Hypothesis]], max_texts: int, spaces: Ids) -> list[Hypothesis]:
    """The most probable texts made of one of each segment's, the best first; ways to the same text are summed."""
    joined: dict[tuple[int, ...], float] = {(): 0.0}
    for choices in segments:
        begins = [len(one.ids) > 0 and one.ids[0] in spaces for one in choices]
        if len(choices) == 1 and not begins[0]:
            joined = {ids + choices[0].ids: log_prob for ids, log_prob in joined.items()}
            continue
        longer: dict[tuple[int, ...], float] = {}
        for ids, log_prob in joined.items():
            ends = len(ids) > 0 and ids[-1] in spaces
            for choice, begun in zip(choices, begins, strict=True):
                _add(longer, ids + choice.ids[ends and begun :], log_prob + choice.log_prob)
        joined = dict(sorted(longer.items(), key=lambda item: item[1], reverse=True)[:max_texts])
    summed: dict[tuple[int, ...], float] = {}
    for ids, log_prob in joined.items():
        _add(summed, stripped(ids, spaces), log_prob)
    return sorted((Hypothesis(*item) for item in summed.items()), key=lambda each: each.log_prob, reverse=True)


def _add(log_probs: dict[tuple[int, ...], float], text: tuple[int, ...], way: float) -> None:
    """Add the log-probability of one way to a text to that of the others."""
    log_probs[text] = float(np.logaddexp(log_probs[text], way)) if text in log_probs else way
