"""Which views of an image are tried, and whose text is taken.

An image is seen as it is, then, until a text is confident, without the paper around it and at other scales (test-time
augmentation), and at last upside down. The most confident text is taken, with some odds for what is likelier to begin with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from crnnocr.config import Orientation
from crnnocr.decoding import Hypothesis, LogProbs
from crnnocr.images import LineImage, Preprocessor, View

_CONFIDENT = 0.99
"""Confidence per character, as a geometric mean, from which an image needs no further view."""

_SHORT = 8
"""Characters of the shortest text that is measured so: a shorter one is as confident as one of so many."""

_LEGIBLE = 0.5
"""Confidence of a text that is found in a faint image, at least."""

_UPRIGHT = 0.9
"""Confidence per character of a text that is found upside down, at least."""

_ODDS_UPSIDE_DOWN = 10.0
"""Odds against a text that is upside down."""

_ODDS_SMALL = 20.0
"""Odds against what was read in a view with the paper around it, if the text is small there."""

_TURNED = 3
"""Characters of a text that is found upside down, at least: `60` and `09` are read either way."""

_SCALES = (View(width=1.5), View(width=0.9, height=0.7), View(width=0.7, height=0.7))
"""Tried in turn: wide, for letters close to each other get more frames, and with space around a tight crop."""

_VIEWS = ((View(), True), *((scale, False) for scale in _SCALES), *((scale, True) for scale in _SCALES))
"""Scales of the further views, and whether they are of the closer view of an image."""


@dataclass(frozen=True)
class Candidate:
    """The texts that were recognized in one view of an image."""

    image: LineImage
    """The view."""
    log_probs: LogProbs
    """(T, C) natural-log probabilities of its frames."""
    hypotheses: Sequence[Hypothesis]
    """Its most probable texts, the best first; none if no permitted text fits it."""
    text: str
    """The best text."""
    confidence: float
    """Probability that it is right."""

    @property
    def odds(self) -> float:
        """How much more probable it is that the text is right than that it is wrong."""
        return self.confidence / max(1 - self.confidence, 1e-9)

    @property
    def is_confident(self) -> bool:
        """Whether another view would hardly find another text."""
        return self.confidence >= _CONFIDENT ** (max(_SHORT, len(self.text)) if self.text else 1)

    def has(self, confidence: float) -> bool:
        """Whether it is as confident as a text of which each character has so much confidence."""
        return self.confidence >= confidence ** max(1, len(self.text))


Recognize: TypeAlias = Callable[[Sequence[LineImage]], list[Candidate]]
"""Recognizes views together."""


def best_candidates(
    images: Sequence[Sequence[LineImage]], recognize: Recognize, preprocessor: Preprocessor, quick: bool
) -> list[Candidate]:
    """The best candidate of each of several images.

    Args:
        images: the orientations that each may have, seen at its own scale.
        recognize: recognizes views.
        preprocessor: makes further views.
        quick: make none.
    """
    found = recognize([orientations[0] for orientations in images])
    others = [(i, view) for i, orientations in enumerate(images) for view in orientations[1:]]
    for (i, _), other in zip(others, recognize([view for _, view in others]), strict=True):
        if (bool(other.text), other.confidence) > (bool(found[i].text), found[i].confidence):
            found[i] = other
    if quick:
        return found
    best = _augmented(found, recognize, preprocessor)
    if preprocessor.orientation is Orientation.AUTO and preprocessor.rows == 1:
        _turn(best, [one.image for one in found], recognize, preprocessor)
    return best


def _augmented(firsts: Sequence[Candidate], recognize: Recognize, preprocessor: Preprocessor) -> list[Candidate]:
    """See images in further views until a text is confident; the best candidate of each.

    First without the paper around the text, then at other scales, and at last at these without the paper if that gave the
    best candidate so far.
    """
    best = list(firsts)
    for scale, is_closer in _VIEWS:
        views: dict[int, LineImage] = {}
        for i, (first, one) in enumerate(zip(firsts, best, strict=True)):
            image = first.image.closer if is_closer else first.image
            is_useless = is_closer and scale.is_scaled and not one.image.view.is_closer
            if image and not is_useless and _is_open(one, first.image):
                views[i] = preprocessor.rescaled(image, scale) if scale.is_scaled else image
        for (i, _), other in zip(views.items(), recognize(list(views.values())), strict=True):
            if _is_better(other, best[i], firsts[i].image):
                best[i] = other
    return best


def _turn(best: list[Candidate], images: Sequence[LineImage], recognize: Recognize, preprocessor: Preprocessor) -> None:
    """See horizontal images without a confident text turned by half, and take a text that is far more probable so."""
    turned = {
        i: preprocessor.upside_down(image)
        for i, (image, one) in enumerate(zip(images, best, strict=True))
        if image.view.orientation is Orientation.HORIZONTAL and one.hypotheses and not one.is_confident
    }
    better = {
        i: one
        for i, one in zip(turned, recognize(list(turned.values())), strict=True)
        if len(one.text) >= _TURNED and one.has(_UPRIGHT) and one.odds > _ODDS_UPSIDE_DOWN * best[i].odds
    }
    for i, one in zip(better, _augmented(list(better.values()), recognize, preprocessor), strict=True):
        best[i] = one


def _is_open(one: Candidate, image: LineImage) -> bool:
    """Whether an image needs further views: where there is ink, there may be a text."""
    return bool(one.hypotheses) and not (one.is_confident and (one.text or not image.closer))


def _is_better(other: Candidate, best: Candidate, image: LineImage) -> bool:
    """Whether the candidate of another view takes the place of the best one so far.

    An empty text takes the place of another only if it is confident.
    """
    if other.text and not best.text and image.closer and (other.confidence > _LEGIBLE or not image.is_faint):
        return True
    if other.text and best.text and image.is_small and other.image.view.is_closer != best.image.view.is_closer:
        weight = _ODDS_SMALL if other.image.view.is_closer else 1 / _ODDS_SMALL
        return weight * other.odds > best.odds
    return other.confidence > best.confidence and (bool(other.text) or not best.text or other.is_confident)
