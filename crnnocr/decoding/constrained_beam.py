"""CTC prefix beam search with constraints: an automaton says what is permitted, a language model what is likely.

Hannun et al. 2014 (arXiv 1408.2873), algorithm 1. A prefix is kept only while some permitted completion of it fits the frames
that are left, so the search never ends without a text if there is one. A space may follow every permitted text, as paper
may, and both are one text.

A language model multiplies the probability of each character when it is appended (shallow fusion: Graves and Jaitly 2014;
Hannun et al. 2014). The score of a text is log P_ctc(text) + weight · (log P_lm(text) + bonus · length). A language model makes
every text less probable with every character, so that without a bonus short texts would win. The bonus is the model's
cross-entropy per character on lines that it has not seen: on average it then neither shortens nor lengthens texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from heapq import heappush, heappushpop, nlargest
from typing import TypeAlias, cast

import numpy as np

from crnnocr.decoding.automaton import MAX_CACHED_STATES, Automaton, State
from crnnocr.decoding.hypothesis import Hypothesis, Ids, LogProbs, gap_log_probs
from crnnocr.decoding.language_model import LanguageModel
from crnnocr.text.charset import BLANK

Mass: TypeAlias = tuple[float, float]
"""Probability of all alignments of a prefix so far that end in a blank, and of those that end in its last character."""

_FEW = 16
"""Up to so many permitted characters are sorted by themselves; more are taken in the order of all."""
_FLOOR = 1e-200
"""Least probability of a class if there is an automaton: with it no permitted text is impossible."""
_GAP = -1
"""Index of the probability of the blank or a space in a frame, behind those of the classes."""
_SMALL, _LARGE = 1e-30, 1e30
"""Masses are scaled when the greatest one is beyond these."""


class Fusion:
    """A language model with its weight."""

    def __init__(self, model: LanguageModel, weight: float) -> None:
        self._model = model
        self._weight = weight
        self.start = model.start
        """The context at the beginning of a line."""
        self.next = model.next
        """The context after a character."""
        self.factors = lru_cache(min(MAX_CACHED_STATES, 1 + (1 << 20) // model.classes))(self._factors)
        """By context: the factor of a text's probability for each class, the blank standing for the end of the line; and the
        greatest factor of a character."""

    def log_score(self, ids: Sequence[int]) -> float:
        """The summand to the log-probability of the text of class `ids`."""
        return self._weight * (self._model.log_prob(ids) + self._model.bonus * len(ids))

    def _factors(self, context: int) -> tuple[list[float], float]:
        log_probs = np.log(self._model.probs(context))
        log_probs[BLANK + 1 :] += self._model.bonus
        factors = np.exp(self._weight * log_probs)
        return factors.tolist(), float(factors[BLANK + 1 :].max())


def constrained_beam_search(
    log_probs: LogProbs, beam: int, automaton: Automaton | None, fusion: Fusion | None, spaces: Ids = ()
) -> list[Hypothesis]:
    """The texts that a beam of `beam` prefixes ends with, best first.

    These are exactly the best ones if `beam` is at least the number of prefixes there are.

    Args:
        log_probs: (T, C) natural-log probabilities.
        beam: prefixes that are kept.
        automaton: the permitted texts; None permits all. There are no hypotheses if none of the texts fits T frames.
        fusion: a language model, whose score is added to the hypotheses' log-probabilities, or None.
        spaces: class ids of the spaces.
    """
    root = _Prefix(None, BLANK, automaton, fusion, spaces)
    if root.after_blank > len(log_probs):
        return []
    beams: Beams = {root: (1.0, 0.0)}
    log_scale = 0.0
    probs = np.exp(np.column_stack([log_probs, gap_log_probs(log_probs, spaces)]), dtype=np.float64)
    if automaton:
        probs = np.maximum(probs, _FLOOR)
    orders = np.argsort(-probs[:, BLANK + 1 : _GAP], axis=1) + BLANK + 1
    for t, (frame, likely) in enumerate(zip(probs.tolist(), orders.tolist(), strict=True)):
        beams = _advance(beams, frame, likely, beam, left=len(probs) - t - 1)
        scale = max(map(sum, beams.values()))
        if not _SMALL < scale < _LARGE and scale > 0.0:
            beams = {prefix: (blank / scale, last / scale) for prefix, (blank, last) in beams.items()}
            log_scale += math.log(scale)
    ended: dict[_Prefix, float] = {}
    for prefix, mass in beams.items():
        text = prefix.parent if prefix.is_gap and prefix.parent else prefix
        if text.is_end:
            appended = 1.0 if text is prefix else text.factor(prefix.character)
            ended[text] = ended.get(text, 0.0) + sum(mass) / appended * text.end_factor
    best = sorted(ended, key=ended.__getitem__, reverse=True)
    return [Hypothesis(prefix.ids, log_scale + math.log(ended[prefix])) for prefix in best if ended[prefix] > 0.0]


class _Prefix:
    """The beginning of a text: a node in the tree of all prefixes that a search meets."""

    __slots__ = (
        "after_blank",
        "after_last",
        "automaton",
        "character",
        "children",
        "context",
        "few",
        "fusion",
        "is_end",
        "is_gap",
        "parent",
        "spaces",
        "transitions",
    )

    def __init__(
        self, parent: _Prefix | None, character: int, automaton: Automaton | None, fusion: Fusion | None, spaces: Ids
    ) -> None:
        self.parent = parent
        self.character = character
        self.children: dict[int, _Prefix | None] = {}
        self.spaces = spaces
        self.is_gap = character in (spaces if parent else (character,))
        """Whether no space may come next: after a space, and at the beginning."""

        # Frames needed from here on after a frame of the blank and after one of the character; what may come next.
        self.automaton = automaton
        self.after_blank = self.after_last = 0.0
        self.transitions: Mapping[int, State] | None = None
        self.few: list[int] | None = None
        if automaton and (parent is None or character in cast("Mapping[int, State]", parent.transitions)):
            state = cast("Mapping[int, State]", parent.transitions)[character] if parent else automaton.start
            self.after_blank = automaton.frames_needed(state, BLANK)
            self.after_last = automaton.frames_needed(state, character)
            self.transitions = automaton.transitions(state)
        elif automaton:  # the edge of the line
            self.transitions = {}
        self.is_end = not self.after_blank
        """Whether this is a permitted text."""
        if self.transitions is not None and len(self.transitions) <= _FEW:
            self.few = [*{*self.transitions, *spaces}] if self.is_end else [*self.transitions]
        if parent and self.is_gap and parent.is_end:
            self.after_blank = self.after_last = 0.0

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
    def end_factor(self) -> float:
        """The language model's factor if the line ends here."""
        return self.fusion.factors(self.context)[0][BLANK] if self.fusion else 1.0

    def max_factor(self) -> float:
        """The language model's greatest factor of a next character."""
        return self.fusion.factors(self.context)[1] if self.fusion else 1.0

    def extended(self, character: int, mass: Mass, frame: list[float]) -> float:
        """Probability that `character` is appended in this frame to this prefix of the given mass."""
        blank, last = mass
        # A repeat needs a blank in between.
        start = blank if character == self.character else blank + last
        return start * frame[character] * self.factor(character)

    def factor(self, character: int) -> float:
        """The language model's factor of a next character."""
        return self.fusion.factors(self.context)[0][character] if self.fusion else 1.0

    def child(self, character: int) -> _Prefix | None:
        """The prefix that is longer by `character`; None if that is not permitted."""
        if character not in self.children:
            is_space = character in self.spaces
            is_permitted = self.transitions is None or character in self.transitions or (is_space and self.is_end)
            grows = is_permitted and not (is_space and self.is_gap)
            self.children[character] = _Prefix(self, character, self.automaton, self.fusion, self.spaces) if grows else None
        return self.children[character]

    def choices(self, frame: list[float], likely: list[int]) -> list[int]:
        """The characters that may come next, most probable first; if they are many, all characters as they are `likely`."""
        return likely if self.few is None else sorted(self.few, key=frame.__getitem__, reverse=True)


Beams: TypeAlias = dict[_Prefix, Mass]
"""The prefixes that are kept."""


def _advance(beams: Beams, frame: list[float], likely: list[int], beam: int, left: int) -> Beams:
    """The beam after one more frame of class probabilities, when `left` frames are left."""
    kept = _stay(beams, frame, left)
    best = nlargest(beam, map(sum, kept.values()))[::-1]  # ascending, so a heap
    for prefix, mass in beams.items():
        bound = sum(mass) * prefix.max_factor()
        for character in prefix.choices(frame, likely):
            threshold = best[0] if len(best) == beam else 0.0
            if bound * frame[character] <= threshold:
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


def _stay(beams: Beams, frame: list[float], left: int) -> Beams:
    """The prefixes of the beam after one more frame, with what their parents add to them."""
    kept = {}
    for prefix, (blank, last) in beams.items():
        repeated = 0.0 if prefix.is_gap else last * frame[prefix.character]
        if prefix.parent in beams:
            repeated += prefix.parent.extended(prefix.character, beams[prefix.parent], frame)
        kept[prefix] = (
            (blank + last) * frame[_GAP if prefix.is_gap else BLANK] if prefix.after_blank <= left else 0.0,
            repeated if prefix.after_last <= left else 0.0,
        )
    return kept
