"""From log-probabilities to texts. One decoder a file; numpy in, hypotheses out.

Everywhere here `log_probs` is a (T, C) array of natural-log probabilities of one line's true frames, blank in class 0.
"""

from __future__ import annotations

from crnnocr.decoding.decoder import Decoder
from crnnocr.decoding.hypothesis import Hypothesis, Ids, LogProbs

__all__ = ["Decoder", "Hypothesis", "Ids", "LogProbs"]
