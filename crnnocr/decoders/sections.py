"""Searching a line in sections, cut where the blank is certain: what is open is then short, and the rest stands.

Frames are independent in CTC, and a blank between two characters parts them for good. With the blank taken for certain in a
frame, the probability of a text is therefore the product of those of its sections, and the best text is made of the best
sections. What is left out is little: let the blank have all but a share e of a frame. A path with another class there has at
most e / (1 - e) of the probability of the same path with the blank, which is a path of the same text, or of one that has a
character less or the same character twice. Of the most probable text at most three such shares are lost at a cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crnnocr.charset import BLANK
from crnnocr.decoders.beam import beam_searches
from crnnocr.decoders.greedy import best_path
from crnnocr.decoders.hypothesis import Hypothesis, LogProbs

_CERTAIN = np.log1p(-1e-3)
"""Log-probability of the blank above which a line is cut."""

PROVEN = np.log(0.5)
"""A text of a greater log-probability is the most probable one: all others share the rest."""


def section_searches(lines: Sequence[LogProbs], beam: int) -> list[list[Hypothesis]]:
    """For each line at most `beam` texts among which is the most probable one, the best first.

    Sections whose first guess is proven are not searched, and what has little probability beside the best is left out. The
    log-probabilities are those under which the blank is certain wherever a line is cut, but for what is the same in all
    texts of a line.

    Args:
        lines: (T, C) log-probabilities of each, all of the same classes.
        beam: prefixes that are kept in the search of a section.
    """
    cut = [_cut(line) for line in lines]
    found = iter(beam_searches([part for parts in cut for part in parts if not isinstance(part, tuple)], beam))
    return [
        _joined([[Hypothesis(part, 0.0)] if isinstance(part, tuple) else next(found) for part in parts], beam) for parts in cut
    ]


def _cut(line: LogProbs) -> list[LogProbs | tuple[int, ...]]:
    """The sections that are to be searched, and the texts between them that are proven."""
    path, begins = best_path(line)
    is_open = np.concatenate(([False], line[:, BLANK] <= _CERTAIN, [False]))
    edges = np.flatnonzero(is_open[1:] != is_open[:-1])
    # A text has at least the probability of one of its paths.
    proven = np.add.reduceat(np.append(line.max(axis=1), 0.0), edges)[::2] > PROVEN
    parts: list[LogProbs | tuple[int, ...]] = []
    done = 0
    for begin, end in edges.reshape(-1, 2)[~proven].tolist():
        parts += [tuple(path[done:begin][begins[done:begin]].tolist()), line[begin:end]]
        done = end
    return [*parts, tuple(path[done:][begins[done:]].tolist())]


def _joined(sections: list[list[Hypothesis]], most: int) -> list[Hypothesis]:
    """The most probable texts that are made of one of each section, the best first."""
    joined = [Hypothesis((), 0.0)]
    for choices in sections:
        joined = [Hypothesis(a.ids + b.ids, a.log_prob + b.log_prob) for a in joined for b in choices]
        if len(choices) > 1:
            joined = sorted(joined, key=lambda each: each.log_prob, reverse=True)[:most]
    return joined
