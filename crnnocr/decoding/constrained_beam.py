"""What a language model adds to a search (shallow fusion: Graves and Jaitly 2014; Hannun et al. 2014, arXiv 1408.2873).

The score of a text is log P_ctc(text) + weight · (log P_lm(text) + bonus · length). A language model makes every text less
probable with every character, so that without a bonus short texts would win. The bonus is what the model loses a character on
lines that it has not seen, its cross-entropy: on average it then neither shortens nor lengthens texts.

CTC prefix beam search that is told what is possible, and what is likely.

Hannun et al. 2014 (arXiv 1408.2873), algorithm 1. An automaton says which texts are permitted: a prefix is kept only while some
completion of it fits the frames that are left, so that the search never ends without a text where there is one. A language
model multiplies the probability of each character when it is appended.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from heapq import heappush, heappushpop, nlargest
from typing import TypeAlias

import numpy as np

from crnnocr.decoding.automaton import MOST_STATES, Automaton, State
from crnnocr.decoding.hypothesis import Hypothesis, LogProbs
from crnnocr.decoding.language_model import LanguageModel
from crnnocr.text.charset import BLANK


class Fusion:
    """A language model with its weight."""

    def __init__(self, model: LanguageModel, weight: float) -> None:
        self._model = model
        self._weight = weight
        self.start = model.start
        """The context at the beginning of a line."""
        self.next = model.next
        """The context after a character."""
        self.factors = lru_cache(min(MOST_STATES, 1 + (1 << 20) // model.classes))(self._factors)
        """By context: what each class multiplies a text's probability by, the blank standing for the end of the line; and the
        greatest factor of a character."""

    def log_score(self, ids: Sequence[int]) -> float:
        """What is added to the log-probability of the text of class `ids`."""
        return self._weight * (self._model.log_prob(ids) + self._model.bonus * len(ids))

    def _factors(self, context: int) -> tuple[list[float], float]:
        gains = np.log(self._model.probs(context))
        gains[BLANK + 1 :] += self._model.bonus
        factors = np.exp(self._weight * gains)
        return factors.tolist(), float(factors[BLANK + 1 :].max())


Mass: TypeAlias = tuple[float, float]
"""Probability of all alignments of a prefix so far that end in a blank, and of those that end in its last character."""

_FEW = 16
"""Characters among which the likely ones are looked for by themselves, not in the order of all."""
_FLOOR = 1e-200
"""The least probability of a class where an automaton says what is permitted: with it no permitted text is impossible."""
_SMALL, _LARGE = 1e-30, 1e30
"""Masses are scaled when the greatest one is beyond these."""


def guided_search(log_probs: LogProbs, beam: int, automaton: Automaton | None, fusion: Fusion | None) -> list[Hypothesis]:
    """The texts that a beam of `beam` prefixes ends with, best first.

    Exactly the best ones when `beam` is at least the number of prefixes there are.

    Args:
        log_probs: (T, C) natural-log probabilities.
        beam: prefixes that are kept.
        automaton: the permitted texts; None permits all. Where none of them fits T frames there are no hypotheses.
        fusion: what a language model adds to the hypotheses' log-probabilities, or None.
    """
    root = _Prefix(None, BLANK, automaton, fusion)
    if root.after_blank > len(log_probs):
        return []
    beams: Beams = {root: (1.0, 0.0)}
    log_scale = 0.0
    probs = np.exp(log_probs, dtype=np.float64)
    if automaton:
        probs = np.maximum(probs, _FLOOR)
    orders = np.argsort(-probs[:, BLANK + 1 :], axis=1) + BLANK + 1
    for t, (frame, likely) in enumerate(zip(probs.tolist(), orders.tolist(), strict=True)):
        beams = _advance(beams, frame, likely, beam, left=len(probs) - t - 1)
        scale = max(map(sum, beams.values()))
        if not _SMALL < scale < _LARGE and scale > 0.0:
            beams = {prefix: (blank / scale, last / scale) for prefix, (blank, last) in beams.items()}
            log_scale += math.log(scale)
    ended = {prefix: sum(mass) * prefix.end for prefix, mass in beams.items()}
    best = sorted(ended, key=ended.__getitem__, reverse=True)
    return [Hypothesis(prefix.ids, log_scale + math.log(ended[prefix])) for prefix in best if ended[prefix] > 0.0]


class _Prefix:
    """The beginning of a text, in the tree of all that a search looks at."""

    __slots__ = (
        "after_blank",
        "after_last",
        "arcs",
        "automaton",
        "character",
        "children",
        "context",
        "few",
        "fusion",
        "parent",
    )

    def __init__(self, parent: _Prefix | None, character: int, automaton: Automaton | None, fusion: Fusion | None) -> None:
        self.parent = parent
        self.character = character
        self.children: dict[int, _Prefix | None] = {}

        # Frames needed from here on after a frame of the blank and after one of the character; what may come next.
        self.automaton = automaton
        self.after_blank = self.after_last = 0.0
        self.arcs: Mapping[int, State] | None = None
        self.few: list[int] | None = None
        if automaton:
            state = parent.arcs[character] if parent and parent.arcs else automaton.start
            self.after_blank = automaton.frames_needed(state, BLANK)
            self.after_last = automaton.frames_needed(state, character)
            self.arcs = automaton.arcs(state)
            self.few = [*self.arcs] if len(self.arcs) <= _FEW else None

        self.fusion = fusion
        self.context = 0
        if fusion:
            self.context = fusion.next(parent.context, character) if parent else fusion.start

    @property
    def ids(self) -> tuple[int, ...]:
        """The class of each character."""
        ids, prefix = [], self
        while prefix.parent:
            ids.append(prefix.character)
            prefix = prefix.parent
        return tuple(reversed(ids))

    @property
    def end(self) -> float:
        """What the language model makes of the line's ending here."""
        return self.fusion.factors(self.context)[0][BLANK] if self.fusion else 1.0

    def reach(self) -> float:
        """What the language model makes of the character that it finds likeliest to come next."""
        return self.fusion.factors(self.context)[1] if self.fusion else 1.0

    def extended(self, character: int, mass: Mass, frame: list[float]) -> float:
        """Probability that `character` is appended in this frame to this prefix of the given mass."""
        blank, last = mass
        # A repeat needs a blank in between.
        start = blank if character == self.character else blank + last
        factor = self.fusion.factors(self.context)[0][character] if self.fusion else 1.0
        return start * frame[character] * factor

    def child(self, character: int) -> _Prefix | None:
        """The prefix that is longer by `character`; None if that is not permitted."""
        if character not in self.children:
            is_permitted = self.arcs is None or character in self.arcs
            self.children[character] = _Prefix(self, character, self.automaton, self.fusion) if is_permitted else None
        return self.children[character]

    def choices(self, frame: list[float], likely: list[int]) -> list[int]:
        """The characters that may come next, most probable first; where they are many, all as they are `likely`."""
        return likely if self.few is None else sorted(self.few, key=frame.__getitem__, reverse=True)


Beams: TypeAlias = dict[_Prefix, Mass]
"""The prefixes that are kept."""


def _advance(beams: Beams, frame: list[float], likely: list[int], beam: int, left: int) -> Beams:
    """The beam after one more frame of class probabilities, when `left` frames are left."""
    kept = _stayed(beams, frame, left)
    best = nlargest(beam, map(sum, kept.values()))[::-1]  # ascending, so a heap
    for prefix, mass in beams.items():
        most = sum(mass) * prefix.reach()
        for character in prefix.choices(frame, likely):
            threshold = best[0] if len(best) == beam else 0.0
            if most * frame[character] <= threshold:
                break
            probability = prefix.extended(character, mass, frame)
            if probability <= threshold:
                continue
            child = prefix.child(character)
            if child and child not in beams and child.after_last <= left:
                kept[child] = (0.0, probability)
                (heappushpop if len(best) == beam else heappush)(best, probability)
    if len(kept) <= beam:
        return kept
    return dict(sorted(kept.items(), key=lambda item: sum(item[1]), reverse=True)[:beam])


def _stayed(beams: Beams, frame: list[float], left: int) -> Beams:
    """The prefixes of the beam after one more frame, with what their parents add to them."""
    kept = {}
    for prefix, (blank, last) in beams.items():
        repeated = last * frame[prefix.character]
        if prefix.parent in beams:
            repeated += prefix.parent.extended(prefix.character, beams[prefix.parent], frame)
        kept[prefix] = (
            (blank + last) * frame[BLANK] if prefix.after_blank <= left else 0.0,
            repeated if prefix.after_last <= left else 0.0,
        )
    return kept
