"""The decoder that a `DecodeConfig` describes: compiled once, used for all lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crnnocr.config import DecodeConfig
from crnnocr.decoding.automaton import IMPOSSIBLE, Automaton
from crnnocr.decoding.beam import beam_search, segmented_beam_search
from crnnocr.decoding.constrained_beam import Fusion, constrained_beam_search
from crnnocr.decoding.forward import text_log_probs
from crnnocr.decoding.hypothesis import Hypothesis, LogProbs, certainty, gap_log_probs, greedy_ids
from crnnocr.decoding.language_model import LanguageModel
from crnnocr.decoding.lexicon import Lexicon
from crnnocr.decoding.pattern import Pattern
from crnnocr.errors import ConfigError
from crnnocr.files import read_phrases
from crnnocr.text.charset import BLANK, Charset, describe, nfc

_PROVEN = np.log(0.5)
"""A text of a greater log-probability is the most probable one: all others share the rest."""

_BLANK = np.log(0.9)
"""Paper is blank if in each of its frames the blank or a space is more probable than that. Then no text is found in it, though
the little that each frame leaves to some character may be more, summed over a thousand frames, than what is left to none."""

_MAX_SEGMENTED_BEAM = 20
"""Widest beam that searches a line in segments: as good, and faster. Who asks for more prefixes wants an exact search."""

_CLOSE = 1.0
"""Only texts within this log-ratio of the best one that segments give are scored exactly."""


class Decoder:
    """Finds texts in log-probabilities. Safe to use from several threads."""

    def __init__(self, config: DecodeConfig, charset: Charset, lm_cache: Path | None = None) -> None:
        """Compile what the config permits.

        Args:
            config: how texts are found.
            charset: the characters of the model.
            lm_cache: a folder to keep language models in.

        Raises:
            UsageError: a file cannot be read, the pattern cannot be parsed, or no text at all is permitted.
        """
        self.config = config
        """How texts are found."""
        self._allowed = _allowed(config, charset)
        pattern = Pattern(config.pattern, charset, self._allowed) if config.pattern else None
        if pattern:
            self._allowed -= frozenset(charset.spaces) - pattern.spaces
        self._blocked = np.array(sorted(set(range(BLANK + 1, charset.classes)) - self._allowed), dtype=np.int64)
        self.spaces = tuple(space for space in charset.spaces if space in self._allowed)
        """Class ids of the spaces that texts may hold, single and within."""
        self._blocked_spaces = tuple(space for space in charset.spaces if space not in self._allowed)
        words = read_phrases(config.lexicon, "lexicon") if config.lexicon else None
        self.lexicon = None if words is None else Lexicon(words, charset, self._allowed, pattern)
        """The words that are permitted, or None."""
        self._automaton: Automaton | None = self.lexicon or pattern
        if self._automaton and self._automaton.frames_needed(self._automaton.start, BLANK) == IMPOSSIBLE:
            raise _permits_nothing(config)
        self.language_model = LanguageModel.load(config.lm, charset, lm_cache) if config.lm else None
        """The probabilities of texts, or None."""
        self._fusion = Fusion(self.language_model, config.lm_weight) if self.language_model else None

    def decode(self, lines: Sequence[LogProbs]) -> list[list[Hypothesis]]:
        """Find the best texts of each line, best first, with their exact probabilities.

        A line gets `top_k` of them, or fewer if fewer are possible, and none if no permitted text fits its frames. With a
        language model the best are those of the best score, not of the greatest probability.

        Args:
            lines: (T, C) natural-log probabilities of each line.
        """
        lines = [self.mask_blocked(line) for line in lines]
        greedy_texts = [greedy_ids(line, self.spaces) for line in lines]
        exact = text_log_probs(lines, greedy_texts, self.spaces).tolist()
        firsts = [Hypothesis(*pair) for pair in zip(greedy_texts, exact, strict=True)]
        if not self.config.width:
            return [[first] for first in firsts]
        found = [[first] if self._accepts(first) else [] for first in firsts]
        are_blank = [
            not first.ids and certainty(first, line, self.spaces) > _BLANK for first, line in zip(firsts, lines, strict=True)
        ]
        open_lines = [n for n, first in enumerate(firsts) if not (found[n] and self._is_proven(first, are_blank[n]))]
        for n, hypotheses in zip(open_lines, self._search([lines[n] for n in open_lines]), strict=True):
            # The greedy text is known already, so the result is never less probable.
            candidates = {hypothesis.ids: hypothesis for hypothesis in found[n] + hypotheses}
            found[n] = self._best(list(candidates.values()), found[n] if are_blank[n] else [])
        return found

    @property
    def may_miss_spaces(self) -> bool:
        """Whether texts may hold spaces wherever there are some, for all that was said of them."""
        return bool(self.spaces) and self._automaton is None

    def certainty(self, hypotheses: Sequence[Hypothesis], line: LogProbs) -> float:
        """Natural log of the probability that the confidence in a line's best text is made of; -inf if there is no text."""
        return certainty(hypotheses[0], self.mask_blocked(line), self.spaces) if hypotheses else -np.inf

    def mask_blocked(self, line: LogProbs) -> LogProbs:
        """(T, C) log-probabilities with -inf for the characters that are not allowed; the others keep theirs.

        Spaces that are not allowed, or that no text of the pattern holds, are blanks: what differs in them alone is one text.
        """
        if not len(self._blocked):
            return line
        line = line.copy()
        if self._blocked_spaces:
            line[:, BLANK] = gap_log_probs(line, self._blocked_spaces)
        line[:, self._blocked] = -np.inf
        return line

    def _accepts(self, hypothesis: Hypothesis) -> bool:
        return self._automaton is None or self._automaton.accepts(hypothesis.ids)

    def _is_proven(self, hypothesis: Hypothesis, is_blank: bool) -> bool:
        """Whether no search could find a better text."""
        return self.config.top_k == 1 and (is_blank or (self._fusion is None and hypothesis.log_prob > _PROVEN))

    def _search(self, lines: list[LogProbs]) -> list[list[Hypothesis]]:
        """The texts that the beam of each line ends with, with exact probabilities."""
        width = self.config.width
        if self._automaton or self._fusion:
            beams = [constrained_beam_search(line, width, self._automaton, self._fusion, self.spaces) for line in lines]
        elif self.config.top_k > 1 or width > _MAX_SEGMENTED_BEAM:
            beams = beam_search(lines, width, self.spaces)
        else:
            beams = segmented_beam_search(lines, width, self.spaces)
            beams = [[each for each in beam if each.log_prob > beam[0].log_prob - _CLOSE] for beam in beams]
        flat = [(line, found.ids) for line, beam in zip(lines, beams, strict=True) for found in beam]
        exact = iter(text_log_probs([line for line, _ in flat], [ids for _, ids in flat], self.spaces).tolist())
        return [[Hypothesis(found.ids, next(exact)) for found in beam] for beam in beams]

    def _best(self, hypotheses: list[Hypothesis], known: Sequence[Hypothesis]) -> list[Hypothesis]:
        """The best of a line, first of all what is known; one without probability only if there is no other."""
        possible = [each for each in hypotheses if each.log_prob > -np.inf] or hypotheses[:1]
        return sorted(possible, key=lambda each: (each in known, self._score(each)), reverse=True)[: self.config.top_k]

    def _score(self, hypothesis: Hypothesis) -> float:
        return hypothesis.log_prob + (self._fusion.log_score(hypothesis.ids) if self._fusion else 0.0)


def _allowed(config: DecodeConfig, charset: Charset) -> frozenset[int]:
    """The class ids of the characters that texts may hold."""
    # One by one: in an order that means nothing they must not be taken for a text, whose characters might be composed.
    asked, blocked = (nfc(characters or "") for characters in (config.allow, config.block))
    unknown = dict.fromkeys(c for c in asked if charset.id_of(c) is None)
    if unknown:
        raise ConfigError("allow", f"holds what the model does not know: {', '.join(map(describe, unknown))}")
    allowed = frozenset(filter(None, map(charset.id_of, asked))) or frozenset(range(BLANK + 1, charset.classes))
    allowed -= frozenset(filter(None, map(charset.id_of, blocked)))
    if not allowed:
        raise ConfigError("block", "leaves no character that is allowed")
    return allowed


def _permits_nothing(config: DecodeConfig) -> ConfigError:
    """The error of a config whose restrictions exclude every text."""
    first, *others = (name for name in ("pattern", "lexicon", "allow", "block") if getattr(config, name))
    together = f" together with {', '.join(f'`{name}`' for name in others)}" if others else ""
    return ConfigError(first, f"permits no text at all{together}: loosen it")
