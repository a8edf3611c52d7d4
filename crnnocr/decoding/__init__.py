"""From log-probabilities to texts, in numpy. One search a module; `decoder` picks the one that a config asks for.

Everywhere here `log_probs` is a (T, C) array of natural-log probabilities of one line's true frames, blank in class 0.

Texts are single-spaced, as labels are: no space stands at an edge or after a space. What a path spells is brought into this
form once its repeats are merged and its blanks dropped. So the probability of a text is that of all paths that spell it, with
any number of spaces where it has one and at its edges. `spaces` are the class ids of these characters; if there are none, this
is plain CTC. A run of blanks and spaces between two characters is a gap. It reads as a space if it holds one, and as the first
of several kinds.
"""

from __future__ import annotations

from crnnocr.decoding.decoder import Decoder
from crnnocr.decoding.hypothesis import Hypothesis, Ids, LogProbs

__all__ = ["Decoder", "Hypothesis", "Ids", "LogProbs"]
