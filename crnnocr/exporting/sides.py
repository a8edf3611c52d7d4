"""The two sides of a proof: a network that is given lines, and a graph that is given pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crnnocr import images
from crnnocr.decoders.greedy import best_path, greedy_ids
from crnnocr.decoders.hypothesis import LogProbs
from crnnocr.decoders.lattice import score
from crnnocr.engines import Engine, OnnxEngine
from crnnocr.exporting import self_contained
from crnnocr.model.checkpoint import Card

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Reading:
    """What one side reads in a picture."""

    text: str
    """The text of its best path."""
    log_probs: LogProbs
    """(T, C) natural-log probabilities."""
    off: float = 0.0
    """How far the confidences that it gives are from those that its log-probabilities have."""


class Side(Protocol):
    """One side of a comparison."""

    def read(self, pictures: Sequence[Grey]) -> list[Reading]:
        """Read grey pictures in one batch."""
        ...


class Lines:
    """A network that is given lines, as its card says."""

    def __init__(self, card: Card, engine: Engine) -> None:
        self._card, self._engine = card, engine

    def line(self, grey: Grey) -> images.Line:
        """The line that a picture shows."""
        picture = images.turned(Image.fromarray(grey), self._card.orientation)
        return images.to_line(picture, self._card.config.height, self._card.config.min_width)

    def read(self, pictures: Sequence[Grey]) -> list[Reading]:
        """See `Side`."""
        log_probs, frames = self._engine.log_probs(*images.to_batch([self.line(picture) for picture in pictures]))
        own = [log_probs[row, :count] for row, count in enumerate(frames.tolist())]
        return [Reading(self._card.charset.decode(greedy_ids(line)), line) for line in own]


class Pictures:
    """A self-contained graph, which decodes by itself; `card` says how it should."""

    def __init__(self, card: Card, engine: OnnxEngine) -> None:
        self._card, self._engine = card, engine

    def read(self, pictures: Sequence[Grey]) -> list[Reading]:
        """See `Side`."""
        found = self_contained.readings(self._engine, pictures)
        exact = score([one.log_probs for one in found], [greedy_ids(one.log_probs) for one in found])
        return [
            Reading(self._text(one), one.log_probs, self._off(one, float(log_prob)))
            for one, log_prob in zip(found, exact, strict=True)
        ]

    def _text(self, found: self_contained.Reading) -> str:
        charset = self._card.charset
        return charset.decode(found.ids) if all(0 < i < charset.classes for i in found.ids) else str(found.ids)

    def _off(self, found: self_contained.Reading, log_prob: float) -> float:
        """How far its confidences are off, the text's log-probability over all alignments given; infinite where its text is."""
        if found.ids != greedy_ids(found.log_probs):
            return np.inf
        given = np.array([found.confidence, *found.character_confidences])
        own = np.array([self._card.calibration.apply(log_prob), *_character_confidences(found.log_probs)])
        return float(np.abs(given - own).max())


def _character_confidences(log_probs: LogProbs) -> list[float]:
    """The highest probability of each character of the best path among its frames."""
    path, begins = best_path(log_probs)
    starts = np.flatnonzero(begins)
    classes, peaks = np.split(path, starts)[1:], np.split(np.exp(log_probs.max(axis=1)), starts)[1:]
    return [float(own[frames == frames[0]].max()) for frames, own in zip(classes, peaks, strict=True)]
