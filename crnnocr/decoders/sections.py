"""Searching a line in sections, cut where the blank is all but certain: only those that are in doubt, and each is short.

Frames are independent in CTC. With the blank taken for certain in a frame, what stands before it and what stands behind it are
independent too, so that the probability of a text is the sum, over all ways to share it out among the sections, of the product
of theirs. What is left out, at a cut or in a section that is not in doubt, has little probability beside what is kept, as has
what a narrow beam leaves out; but it is not nothing, so that a search that is to be exact goes through the whole line.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crnnocr.charset import BLANK
from crnnocr.decoders.beam import beam_searches
from crnnocr.decoders.greedy import best_path
from crnnocr.decoders.hypothesis import Hypothesis, LogProbs
from crnnocr.decoders.lattice import score

_CERTAIN = np.log1p(-1e-3)
"""Log-probability of the blank above which a line is cut."""

_SETTLED = np.log1p(-0.02)
"""Log-probability of its first guess above which a section is not in doubt."""

_FAR = 5.0
"""Texts of a section that are less probable than its best one by more than e to this are left out."""


def section_searches(lines: Sequence[LogProbs], beam: int) -> list[list[Hypothesis]]:
    """For each line at most `beam` texts, the most probable first.

    Their log-probabilities are those under which the blank is certain wherever a line is cut, but for a summand that the texts
    of a line have in common.

    Args:
        lines: (T, C) log-probabilities of each, all of the same classes.
        beam: prefixes that are kept in the search of a section, and texts of a line.
    """
    cut = [_sections(line) for line in lines]
    parts = [line[own] for line, sections in zip(lines, cut, strict=True) for own, _, _ in sections]
    found = [[Hypothesis(text, log_prob)] for sections in cut for _, text, log_prob in sections]
    # A text has at least the probability of one of its paths; where that does not settle it, the exact one may.
    unsure = [n for n, (first,) in enumerate(found) if not first.log_prob > _SETTLED]
    exact = score([parts[n] for n in unsure], [found[n][0].ids for n in unsure]).tolist()
    in_doubt = [n for n, log_prob in zip(unsure, exact, strict=True) if not log_prob > _SETTLED]
    for n, hypotheses in zip(in_doubt, beam_searches([parts[n] for n in in_doubt], beam), strict=True):
        found[n] = [each for each in hypotheses if each.log_prob > hypotheses[0].log_prob - _FAR]
    in_order = iter(found)
    return [_joined([next(in_order) for _ in sections], beam) for sections in cut]


def _sections(line: LogProbs) -> list[tuple[slice, tuple[int, ...], float]]:
    """The runs of frames in which the blank is not certain, each with the text of its best path and that path's
    log-probability.
    """
    path, begins = best_path(line)
    is_open = np.concatenate(([False], line[:, BLANK] <= _CERTAIN, [False]))
    edges = np.flatnonzero(is_open[1:] != is_open[:-1])
    log_probs = np.add.reduceat(np.append(line.max(axis=1), 0.0), edges)[::2].tolist()
    ids, places = path[begins].tolist(), np.searchsorted(np.flatnonzero(begins), edges).tolist()
    sections = zip(edges[::2].tolist(), edges[1::2].tolist(), places[::2], places[1::2], log_probs, strict=True)
    return [(slice(begin, end), tuple(ids[first:last]), log_prob) for begin, end, first, last, log_prob in sections]


def _joined(sections: list[list[Hypothesis]], most: int) -> list[Hypothesis]:
    """The most probable texts that are made of one of each section, the best first; ways to the same text are summed."""
    joined: dict[tuple[int, ...], float] = {(): 0.0}
    for choices in sections:
        if len(choices) == 1:
            joined = {ids + choices[0].ids: log_prob for ids, log_prob in joined.items()}
            continue
        grown: dict[tuple[int, ...], float] = {}
        for ids, log_prob in joined.items():
            for choice in choices:
                text, way = ids + choice.ids, log_prob + choice.log_prob
                grown[text] = float(np.logaddexp(grown[text], way)) if text in grown else way
        joined = dict(sorted(grown.items(), key=lambda item: item[1], reverse=True)[:most])
    return sorted((Hypothesis(*item) for item in joined.items()), key=lambda each: each.log_prob, reverse=True)
