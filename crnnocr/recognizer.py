"""Reading pictures: a model, an engine that runs it, and a decoder.

Example::

    recognizer = Recognizer.load()
    for prediction in recognizer.predict(["a.png", "b.png"]):
        print(prediction.text, prediction.confidence)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from crnnocr import images
from crnnocr.config import DecodeConfig
from crnnocr.decoders import Hypothesis, LogProbs
from crnnocr.decoders.beam import beam_search
from crnnocr.decoders.greedy import greedy
from crnnocr.decoders.lattice import log_prob
from crnnocr.engines import Engine, load_engine
from crnnocr.errors import ImageError
from crnnocr.model import store
from crnnocr.model.checkpoint import Card

_WINDOW = 64
"""Pictures that are looked at together to find those of like widths."""
_MAX_LINES = 16
"""Lines in a batch."""
_MAX_COLUMNS = 8192
"""Columns in a batch, padding included, unless a single line has more."""


@dataclass(frozen=True)
class Prediction:
    """What was read in one picture."""

    text: str
    """The text; empty where there was an error."""
    confidence: float
    """How likely the text is right, from 0 to 1: its probability by the model, calibrated as the model's card says."""
    error: str | None = None
    """Why the picture could not be read, or None."""


class Recognizer:
    """Reads pictures of one line or word with one model."""

    def __init__(self, card: Card, engine: Engine, trained_on: frozenset[int] = frozenset()) -> None:
        self.card = card
        """What is known of the model."""
        self.engine = engine
        """What runs the network."""
        self.trained_on = trained_on
        """Content ids of the pictures that the model was trained on."""

    @classmethod
    def load(cls, model: str | None = None, device: str = "auto") -> Recognizer:
        """The recognizer of a model.

        Args:
            model: name of a trained model, a model folder, a `.safetensors` or exported `.onnx` file; None for the current.
            device: `auto`, `cuda`, `mps` or `cpu`.

        Raises:
            ModelError: there is no such model, or it cannot be read.
            UsageError: the device is not there.
        """
        return cls(*load_engine(store.find(model).path, device))

    def predict(
        self,
        sources: Iterable[images.Source] | images.Source,
        decode: DecodeConfig = DecodeConfig(),  # noqa: B008 (frozen)
    ) -> Iterator[Prediction]:
        """Read pictures, in their order, as they come.

        A picture that cannot be read gives a prediction with an error; the others are read all the same.

        Args:
            sources: paths, bytes, Pillow images or arrays, or one of these; a generator may go on for ever.
            decode: how texts are found.
        """
        stream = iter([sources] if isinstance(sources, images.SOURCE_TYPES) else sources)
        while window := [self._open(source) for source in islice(stream, _WINDOW)]:
            lines = [line for line in window if not isinstance(line, ImageError)]
            readings = iter(self.read(lines))
            for line in window:
                yield (Prediction("", 0.0, str(line)) if isinstance(line, ImageError) else self._decode(next(readings), decode))

    def read(self, lines: Sequence[images.Line]) -> list[LogProbs]:
        """The (T, C) log-probabilities of each line, which must be of the model's height."""
        readings: dict[int, LogProbs] = {}
        for batch in _batches([line.shape[1] for line in lines]):
            log_probs, frames = self.engine.log_probs(*images.to_batch([lines[i] for i in batch]))
            readings.update((i, log_probs[row, : frames[row]]) for row, i in enumerate(batch))
        return [readings[i] for i in range(len(lines))]

    def _open(self, source: images.Source) -> images.Line | ImageError:
        try:
            grey = images.turned(images.open_grey(source), self.card.orientation)
            return images.to_line(grey, self.card.config.height, self.card.config.min_width)
        except ImageError as error:
            return error

    def _decode(self, log_probs: LogProbs, decode: DecodeConfig) -> Prediction:
        best = best_hypothesis(log_probs, decode)
        confidence = self.card.calibration.apply(log_prob(log_probs, best.ids))
        return Prediction(self.card.charset.decode(best.ids), confidence)


def best_hypothesis(log_probs: LogProbs, decode: DecodeConfig) -> Hypothesis:
    """The best reading of (T, C) log-probabilities by the chosen decoder."""
    return beam_search(log_probs, decode.beam)[0] if decode.beam else greedy(log_probs)


def _batches(widths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of lines in batches of like widths, the narrowest first."""
    batch: list[int] = []
    for i in np.argsort(widths, kind="stable").tolist():
        if batch and (len(batch) == _MAX_LINES or (len(batch) + 1) * widths[i] > _MAX_COLUMNS):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
