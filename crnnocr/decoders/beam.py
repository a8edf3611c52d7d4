"""CTC prefix beam search: the most probable text, not path, for it sums over the alignments of each prefix it keeps.

Graves 2012, "Supervised Sequence Labelling with Recurrent Neural Networks", section 7.5; Hannun et al. 2014
(arXiv 1408.2873), algorithm 1, without a language model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from crnnocr.charset import BLANK
from crnnocr.decoders.hypothesis import Hypothesis, LogProbs

Prefix: TypeAlias = tuple[int, ...]

Mass: TypeAlias = tuple[float, float]
"""Probability of all alignments of a prefix so far that end in a blank, and of those that end in its last character."""


def beam_search(log_probs: LogProbs, beam: int, top: int = 1) -> list[Hypothesis]:
    """The `top` most probable texts among those that a beam of `beam` prefixes finds, best first.

    Exactly the most probable ones when `beam` is at least the number of prefixes there are. What is left unexplored in a
    frame is only what cannot enter the beam, so that the result is that of the plain algorithm (but among exact ties).
    """
    beams: dict[Prefix, Mass] = {(): (1.0, 0.0)}
    log_scale = 0.0
    probs = np.exp(np.asarray(log_probs, dtype=np.float64))
    for frame, likely in zip(probs.tolist(), _likely_characters(probs, beam), strict=True):
        beams = _advance(beams, frame, likely, beam)
        # Kept near 1, so that no product underflows on a long line.
        scale = max(map(sum, beams.values()))
        if scale <= 0.0:
            break
        beams = {prefix: (blank / scale, last / scale) for prefix, (blank, last) in beams.items()}
        log_scale += math.log(scale)
    best = sorted(beams.items(), key=lambda item: (-sum(item[1]), item[0]))[:top]
    return [Hypothesis(prefix, log_scale + math.log(sum(mass))) for prefix, mass in best if sum(mass) > 0.0]


def _likely_characters(probs: np.ndarray, beam: int) -> Iterable[list[int]]:
    """For each frame the characters that can bring a new prefix into the beam, most probable first.

    Of a prefix's extensions at most `beam` are in the beam already and at most `beam` can enter it: 2 · `beam` suffice.
    """
    count = min(2 * beam, probs.shape[1] - 1)
    characters = probs[:, BLANK + 1 :]
    if count < characters.shape[1]:
        chosen = np.argpartition(-characters, count - 1, axis=1)[:, :count]
    else:
        chosen = np.broadcast_to(np.arange(count), characters.shape)
    order = np.argsort(-np.take_along_axis(characters, chosen, axis=1), axis=1, kind="stable")
    ids: list[list[int]] = (np.take_along_axis(chosen, order, axis=1) + BLANK + 1).tolist()
    return ids


def _advance(beams: dict[Prefix, Mass], frame: list[float], likely: list[int], beam: int) -> dict[Prefix, Mass]:
    """The beam after one more frame of class probabilities."""
    kept: dict[Prefix, Mass] = {}
    for prefix, (blank, last) in beams.items():
        repeated = last * frame[prefix[-1]] if prefix else 0.0
        parent = beams.get(prefix[:-1]) if prefix else None
        if parent is not None:
            repeated += _extended(prefix[:-1], parent, prefix[-1], frame)
        kept[prefix] = ((blank + last) * frame[BLANK], repeated)

    scores = sorted(map(sum, kept.values()), reverse=True)
    threshold = scores[beam - 1] if len(scores) >= beam else 0.0
    for prefix, mass in beams.items():
        total = sum(mass)
        for character in likely:
            if total * frame[character] <= threshold:
                break
            extended = (*prefix, character)
            if extended not in beams:
                kept[extended] = (0.0, _extended(prefix, mass, character, frame))
    if len(kept) <= beam:
        return kept
    return dict(sorted(kept.items(), key=lambda item: (-sum(item[1]), item[0]))[:beam])


def _extended(prefix: Prefix, mass: Mass, character: int, frame: list[float]) -> float:
    """Probability that `prefix` is extended by `character` in this frame: a repeat needs a blank in between."""
    blank, last = mass
    return (blank if prefix and prefix[-1] == character else blank + last) * frame[character]
