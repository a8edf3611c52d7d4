"""Reading pictures: a model, an engine that runs it, and a decoder.

Example::

    recognizer = Recognizer.load()
    for prediction in recognizer.predict(["a.png", "b.png"]):
        print(prediction.text, prediction.confidence)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from crnnocr import images
from crnnocr.config import DecodeConfig, EngineChoice, Orientation, ReadConfig
from crnnocr.decoding import Hypothesis, LogProbs
from crnnocr.decoding.decoder import Decoder
from crnnocr.decoding.forward import align
from crnnocr.decoding.posteriors import posteriors
from crnnocr.errors import ImageError
from crnnocr.files import cache_directory
from crnnocr.images import Opened
from crnnocr.inference.engines import Engine, load_engine
from crnnocr.inference.pipeline import Pipeline
from crnnocr.model import registry
from crnnocr.model.checkpoint import Card
from crnnocr.runtime import cores

_WINDOW = 256
"""Pictures that are looked at together to find those of like widths."""

_SURE = 0.99
"""Confidence a character, as a geometric mean, from which a picture is not looked at again."""

_LOOKS = (images.Look(1.5, 1.0), images.Look(0.9, 0.7), images.Look(0.7, 0.7))
"""How such a picture is looked at: wide, for letters close to each other get more frames, and with room around a tight crop."""

NO_TEXT_FITS = "no text that is permitted fits the picture"
"""The error of a picture in which nothing is possible."""


@dataclass(frozen=True)
class Character:
    """One character of a text, and where it is."""

    character: str
    """The character itself."""
    confidence: float
    """How likely it is right if all others are, from 0 to 1, among the characters that are allowed."""
    start: float
    """Where it begins, in pixels of the picture along the line: from the left, or from the top where the line runs down."""
    end: float
    """Where it ends."""


@dataclass(frozen=True)
class Alternative:
    """One of the most probable texts of a picture."""

    text: str
    """The text."""
    probability: float
    """Its probability by the model, from 0 to 1, summed over all alignments."""


@dataclass(frozen=True)
class Prediction:
    """What was read in one picture."""

    text: str
    """The text; empty where there was an error."""
    confidence: float
    """How likely the text is right, from 0 to 1: its probability by the model, calibrated as the model's card says; of several
    looks at the picture that of the surest."""
    error: str | None = None
    """Why the picture could not be read, or None."""
    is_impossible: bool = False
    """Whether the error is that no permitted text fits."""
    orientation: Orientation = Orientation.HORIZONTAL
    """Which way the line was read: the places of characters are counted from the left, the top, or (upward) the bottom."""
    look: images.Look | None = None
    """The scale in which it was read, if that was not the first one."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the picture in pixels, as a person sees it; zeros where it could not be opened."""
    characters: tuple[Character, ...] = ()
    """Each character with its place, from left to right (or down), if that was asked for."""
    alternatives: tuple[Alternative, ...] = ()
    """The most probable texts, the best first, if several were asked for."""

    @property
    def length(self) -> int:
        """Pixels of the picture along its line."""
        return self.size[self.orientation is not Orientation.HORIZONTAL]


class Recognizer:
    """Reads pictures of one line or word with one model. Several threads may use it at once."""

    def __init__(self, card: Card, engine: Engine, trained_on: frozenset[int] = frozenset()) -> None:
        self.card = card
        """What is known of the model."""
        self.engine = engine
        """What runs the network."""
        self.trained_on = trained_on
        """Content ids of the pictures that the model was trained on."""

    @classmethod
    def load(
        cls, model: str | Path | None = None, device: str = "auto", engine: EngineChoice = EngineChoice.AUTO
    ) -> Recognizer:
        """The recognizer of a model.

        Args:
            model: name of a trained model, a model folder, a `.safetensors` or exported `.onnx` file; None for the
                current one, or where there is none the shipped one.
            device: `auto`, `cuda`, `mps` or `cpu`.
            engine: what runs the network: `auto` takes onnxruntime on a CPU and torch on a GPU.

        Raises:
            ModelError: there is no such model, or it cannot be read.
            UsageError: the device is not there.
        """
        wanted = str(model.absolute()) if isinstance(model, Path) else model  # a path is no name
        return cls(*load_engine(registry.find(wanted).path, device, EngineChoice(engine)))

    def predict(
        self,
        sources: Iterable[images.Source] | images.Source,
        decode: DecodeConfig | Decoder = DecodeConfig(),  # noqa: B008 (frozen)
        read: ReadConfig = ReadConfig(),  # noqa: B008 (frozen)
    ) -> Iterator[Prediction]:
        """Read pictures, in their order, as they come.

        A picture that cannot be read gives a prediction with an error; the others are read all the same.

        Args:
            sources: paths, bytes, open files, Pillow images or arrays, or one of these; a generator may go on for ever.
            decode: how texts are found. To read repeatedly with a lexicon, a pattern or a language model, make a decoder of it
                once, with `decoder`, and give that: a config is compiled in every call.
            read: what is done with the pictures, and what is said of them.
        """
        decoder = self.decoder(decode) if isinstance(decode, DecodeConfig) else decode
        pipeline = Pipeline(
            prepare=partial(self._open, read),
            groups=partial(_groups, most=self.engine.limits.lines),
            finish=partial(self._finish, decoder, read),
            window=_WINDOW,
            threads=read.threads or cores(),
        )
        several: Any = [sources] if images.is_source(sources) else sources
        return pipeline.run(map(images.held, several))

    def decoder(self, decode: DecodeConfig) -> Decoder:
        """What finds texts as `decode` says, for this model's characters; language models are kept in the cache directory.

        Raises `UsageError` where that cannot be.
        """
        return Decoder(decode, self.card.charset, cache_directory() / "lm")

    def read(self, lines: Sequence[images.Line]) -> list[LogProbs]:
        """The (T, C) log-probabilities of each line, which must be of the model's height."""
        readings: dict[int, LogProbs] = {}
        for batch in _batches([line.shape[1] for line in lines], *self.engine.limits):
            log_probs, frames = self.engine.log_probs(*images.to_batch([lines[i] for i in batch]))
            readings.update((i, log_probs[row, : frames[row]]) for row, i in enumerate(batch))
        return [readings[i] for i in range(len(lines))]

    def _open(self, read: ReadConfig, source: images.Source) -> Opened | ImageError:
        shape, orientation = self.card.config, read.orientation or self.card.orientation
        try:
            return images.open_line(source, shape.height, shape.min_width, orientation, read.invert)
        except ImageError as error:
            return error

    def _finish(self, decoder: Decoder, read: ReadConfig, group: list[Opened | ImageError]) -> list[Prediction]:
        """What is read in a group: either pictures alone, or one that could not be opened."""
        pictures = [picture for picture in group if not isinstance(picture, ImageError)]
        if not pictures:
            return [Prediction("", 0.0, str(error)) for error in group]
        found = self._read(decoder, read, pictures)
        more = [(i, other) for i, picture in enumerate(pictures) for other in picture.others]
        others = self._read(decoder, read, [other for _, other in more])
        for (i, picture), other in zip(more, others, strict=True):
            if (bool(other.text), other.confidence) > (bool(found[i].text), found[i].confidence):
                found[i], pictures[i] = other, picture
        if not read.quick:
            self._look_again(decoder, read, pictures, found)
        return found

    def _look_again(self, decoder: Decoder, read: ReadConfig, pictures: Sequence[Opened], found: list[Prediction]) -> None:
        """Put the surest of several looks at each picture in place of what was found, unless that is sure already.

        That nothing is there must be sure itself to be taken in place of a text.
        """
        for look in _LOOKS:
            unsure = [i for i, one in enumerate(found) if not (_is_sure(one) or one.is_impossible)]
            again = [images.looked_at(pictures[i], look, self.card.config.min_width) for i in unsure]
            for i, other in zip(unsure, self._read(decoder, read, again), strict=True):
                is_worth_more = bool(other.text) or not found[i].text or _is_sure(other)
                if other.confidence > found[i].confidence and is_worth_more:
                    found[i] = replace(other, look=look)

    def _read(self, decoder: Decoder, read: ReadConfig, pictures: Sequence[Opened]) -> list[Prediction]:
        lines = self.read([picture.line for picture in pictures])
        best = decoder.decode(lines)
        sure = self.card.calibration.apply([each[0].log_prob if each else -np.inf for each in best]).tolist()
        found = [
            self._prediction(hypotheses, confidence, decoder, picture)
            for hypotheses, confidence, picture in zip(best, sure, pictures, strict=True)
        ]
        if read.characters:
            possible = [i for i, hypotheses in enumerate(best) if hypotheses and hypotheses[0].log_prob > -np.inf]
            own = [decoder.possible(lines[i]) for i in possible], [best[i][0].ids for i in possible]
            for i, frames, sure in zip(possible, align(*own), posteriors(*own), strict=True):
                shown = [self.card.charset.characters[character - 1] for character in best[i][0].ids]
                found[i] = replace(found[i], characters=self._characters(shown, frames, sure, pictures[i]))
        return found

    def _prediction(self, hypotheses: Sequence[Hypothesis], confidence: float, decoder: Decoder, picture: Opened) -> Prediction:
        if not hypotheses:
            return Prediction("", 0.0, NO_TEXT_FITS, is_impossible=True, orientation=picture.orientation, size=picture.size)
        text = self.card.charset.decode(hypotheses[0].ids)
        several = hypotheses if decoder.config.top_k > 1 else ()
        alternatives = tuple(Alternative(self.card.charset.decode(one.ids), float(np.exp(one.log_prob))) for one in several)
        return Prediction(text, confidence, alternatives=alternatives, orientation=picture.orientation, size=picture.size)

    def _characters(
        self, shown: Sequence[str], frames: Sequence[int], confidences: Sequence[float], picture: Opened
    ) -> tuple[Character, ...]:
        """Each character between the middles to its neighbours; those at the ends reach as far outwards as inwards."""
        if not shown:
            return ()
        scale = picture.length / picture.width
        centres = np.array([self.card.config.centre(frame) for frame in frames]) * scale
        middles = (centres[1:] + centres[:-1]) / 2
        whole = len(shown) == 1
        first = 0.0 if whole else 2 * centres[0] - middles[0]
        last = picture.length if whole else 2 * centres[-1] - middles[-1]
        edges = np.clip(np.concatenate(([first], middles, [last])), 0, picture.length).tolist()
        return tuple(map(Character, shown, confidences, edges[:-1], edges[1:]))


def _is_sure(prediction: Prediction) -> bool:
    """Whether another look would hardly find anything else."""
    return prediction.confidence >= _SURE ** max(1, len(prediction.text))


def _groups(window: Sequence[Opened | ImageError], most: int) -> Iterator[list[int]]:
    """What is decoded together: at most so many pictures of like widths, and each that could not be opened alone."""
    pictures = [i for i, picture in enumerate(window) if not isinstance(picture, ImageError)]
    widths = [picture.line.shape[1] for picture in window if not isinstance(picture, ImageError)]
    yield from ([pictures[i] for i in batch] for batch in _batches(widths, most))
    yield from ([i] for i, picture in enumerate(window) if isinstance(picture, ImageError))


def _batches(widths: Sequence[int], most: int, columns: float = math.inf) -> Iterator[list[int]]:
    """Indices of lines in batches of like widths, the narrowest first: at most so many, with so many columns."""
    batch: list[int] = []
    for i in np.argsort(widths, kind="stable").tolist():
        if batch and (len(batch) == most or (len(batch) + 1) * widths[i] > columns):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
