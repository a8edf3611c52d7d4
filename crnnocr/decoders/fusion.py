"""What a language model adds to a search (shallow fusion: Graves and Jaitly 2014; Hannun et al. 2014, arXiv 1408.2873).

The score of a text is log P_ctc(text) + weight · (log P_lm(text) + bonus · length). A language model makes every text less
probable with every character, so that without a bonus short texts would win. The bonus is what the model loses a character on
lines that it has not seen, its cross-entropy: on average it then neither shortens nor lengthens texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from crnnocr.charset import BLANK
from crnnocr.decoders.automaton import MOST_STATES
from crnnocr.decoders.language_model import LanguageModel


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
