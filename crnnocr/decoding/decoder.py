"""The decoder that a `DecodeConfig` describes: compiled once, used for all lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crnnocr.config import DecodeConfig
from crnnocr.decoding.automaton import IMPOSSIBLE, Automaton
from crnnocr.decoding.beam import beam_searches, section_searches
from crnnocr.decoding.constrained_beam import Fusion, guided_search
from crnnocr.decoding.forward import score
from crnnocr.decoding.hypothesis import Hypothesis, LogProbs, greedy_ids
from crnnocr.decoding.language_model import LanguageModel
from crnnocr.decoding.lexicon import Lexicon
from crnnocr.decoding.pattern import Pattern
from crnnocr.errors import UsageError
from crnnocr.files import lines_of
from crnnocr.text.charset import BLANK, Charset, describe, normalise

_PROVEN = np.log(0.5)
"""A text of a greater log-probability is the most probable one: all others share the rest."""

_NARROW = 20
"""Prefixes up to which a line is searched in sections: as good, and faster. More are asked for to be exact."""

_CLOSE = 1.0
"""What sections find less probable than their best text by more than e to this is not looked at again."""


class Decoder:
    """Finds texts in log-probabilities. Safe to use from several threads."""

    def __init__(self, config: DecodeConfig, charset: Charset, lm_cache: Path | None = None) -> None:
        """Compile what the config permits.

        Args:
            config: how texts are found.
            charset: the characters of the model.
            lm_cache: a folder to keep language models in.

        Raises:
            UsageError: a file cannot be read, the pattern is none, or no text at all is permitted.
        """
        self.config = config
        """How texts are found."""
        self._allowed = _allowed(config, charset)
        self._blocked = np.array(sorted(set(range(BLANK + 1, charset.classes)) - self._allowed), dtype=np.int64)
        pattern = Pattern(config.pattern, charset, self._allowed) if config.pattern else None
        words = lines_of(config.lexicon, "--lexicon") if config.lexicon else None
        self.lexicon = None if words is None else Lexicon(words, charset, self._allowed, pattern)
        """The words that are permitted, or None."""
        self._automaton: Automaton | None = self.lexicon or pattern
        if self._automaton and self._automaton.frames_needed(self._automaton.start, BLANK) == IMPOSSIBLE:
            raise UsageError("no text is permitted: what --pattern, --lexicon, --allow and --block ask for excludes all")
        self.language_model = LanguageModel.load(config.lm, charset, lm_cache) if config.lm else None
        """What tells likely texts, or None."""
        self._fusion = Fusion(self.language_model, config.lm_weight) if self.language_model else None

    def decode(self, lines: Sequence[LogProbs]) -> list[list[Hypothesis]]:
        """For each line its best texts, best first, with their exact probabilities.

        There are `top_k` of them, or fewer where fewer are possible. No hypotheses mean that no permitted text fits the line's
        frames. With a language model the best are those of the best score, not of the greatest probability.

        Args:
            lines: (T, C) log-probabilities of each.
        """
        lines = [self.mask_blocked(line) for line in lines]
        greedy_texts = [greedy_ids(line) for line in lines]
        firsts = [Hypothesis(*pair) for pair in zip(greedy_texts, score(lines, greedy_texts).tolist(), strict=True)]
        if not self.config.width:
            return [[first] for first in firsts]
        found = [[first] if self._permits(first) else [] for first in firsts]
        open_lines = [n for n, first in enumerate(firsts) if not (found[n] and self._is_proven(first))]
        for n, hypotheses in zip(open_lines, self._searched([lines[n] for n in open_lines]), strict=True):
            # The greedy text is known already, so what is found is never less probable.
            candidates = {hypothesis.ids: hypothesis for hypothesis in found[n] + hypotheses}
            found[n] = self._best(list(candidates.values()))
        return found

    def mask_blocked(self, line: LogProbs) -> LogProbs:
        """A line with no probability for the characters that are not allowed; the others keep theirs."""
        if not len(self._blocked):
            return line
        line = line.copy()
        line[:, self._blocked] = -np.inf
        return line

    def _permits(self, hypothesis: Hypothesis) -> bool:
        return self._automaton is None or self._automaton.permits(hypothesis.ids)

    def _is_proven(self, hypothesis: Hypothesis) -> bool:
        """Whether nothing that a search could find is better."""
        return self.config.top_k == 1 and self._fusion is None and hypothesis.log_prob > _PROVEN

    def _searched(self, lines: list[LogProbs]) -> list[list[Hypothesis]]:
        """For each line what the beam ends with, with exact probabilities."""
        width = self.config.width
        if self._automaton or self._fusion:
            beams = [guided_search(line, width, self._automaton, self._fusion) for line in lines]
        elif self.config.top_k > 1 or width > _NARROW:
            beams = beam_searches(lines, width)
        else:
            beams = section_searches(lines, width)
            beams = [[each for each in beam if each.log_prob > beam[0].log_prob - _CLOSE] for beam in beams]
        flat = [(line, found.ids) for line, beam in zip(lines, beams, strict=True) for found in beam]
        exact = iter(score([line for line, _ in flat], [ids for _, ids in flat]).tolist())
        return [[Hypothesis(found.ids, next(exact)) for found in beam] for beam in beams]

    def _best(self, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        """The best of a line; those without probability only where there is no other."""
        possible = [each for each in hypotheses if each.log_prob > -np.inf] or hypotheses[:1]
        return sorted(possible, key=self._score, reverse=True)[: self.config.top_k]

    def _score(self, hypothesis: Hypothesis) -> float:
        return hypothesis.log_prob + (self._fusion.log_score(hypothesis.ids) if self._fusion else 0.0)


def _allowed(config: DecodeConfig, charset: Charset) -> frozenset[int]:
    """The class ids of the characters that texts may hold."""
    # One by one: beside each other, in an order that means nothing, they might be taken for a text.
    asked, blocked = (normalise(characters or "") for characters in (config.allow, config.block))
    unknown = dict.fromkeys(c for c in asked if charset.id_of(c) is None)
    if unknown:
        raise UsageError(f"--allow: the model does not know {', '.join(map(describe, unknown))}")
    allowed = frozenset(filter(None, map(charset.id_of, asked))) or frozenset(range(BLANK + 1, charset.classes))
    allowed -= frozenset(filter(None, map(charset.id_of, blocked)))
    if not allowed:
        raise UsageError("--allow and --block leave no character")
    return allowed
