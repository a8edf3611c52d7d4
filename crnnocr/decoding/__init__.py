"""From log-probabilities to texts, in numpy. One search a module; `decoder` picks the one that a config asks for.

Everywhere here `log_probs` is a (T, C) array of natural-log probabilities of one line's true frames, blank in class 0.
"""

from __future__ import annotations

from crnnocr.decoding.decoder import Decoder
from crnnocr.decoding.hypothesis import Hypothesis, Ids, LogProbs

__all__ = ["Decoder", "Hypothesis", "Ids", "LogProbs"]
