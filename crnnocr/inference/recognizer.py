"""A model that reads images: the recognizer, and the predictions it gives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from crnnocr import images
from crnnocr.config import DecodeConfig, EngineChoice, Orientation, ReadConfig
from crnnocr.decoding import Decoder, LogProbs
from crnnocr.decoding.forward import align
from crnnocr.decoding.posteriors import posteriors
from crnnocr.errors import ImageError
from crnnocr.files import cache_directory
from crnnocr.images import LineImage, Preprocessor, View
from crnnocr.inference.engines import Engine, load_engine
from crnnocr.inference.pipeline import Pipeline
from crnnocr.inference.spacing import DOUBTFUL, has_bare_gap
from crnnocr.inference.views import Candidate, best_candidates
from crnnocr.model import registry
from crnnocr.model.card import Card
from crnnocr.runtime import cores

_WINDOW = 256
"""Images that are sorted by width together, to batch those of like widths."""

_BYTES_A_COLUMN = 8000
"""Bytes that the network takes for a column of a line. For a line longer than the largest batch, threads take turns."""

_BYTES_A_PAIR = 12
"""The same for two frames, if there is attention between them."""

SEVERAL_LINES = "several-lines"
"""The warning of an image that seems to hold more than one line of text."""

_SURE = 0.5
"""Confidence above which a text is looked at for gaps; less of it need not be taken away."""

_UNREAD_INK = 0.1
"""By which the confidence of an empty text is multiplied if there is ink."""

_SEVERAL_LINES = 0.1
"""By which the confidence of such an image is multiplied."""

NO_TEXT_FITS = "no text that is permitted fits the image"
"""The error of an image in which no permitted text is possible."""


@dataclass(frozen=True)
class Character:
    """One character of a text, and where it is."""

    character: str
    """The character itself."""
    confidence: float
    """Probability that it is right if all others are, from 0 to 1, among the characters that are allowed."""
    start: float
    """Where it begins, in pixels of the image along the line: from the left, or from the top if the line runs down."""
    end: float
    """Where it ends."""


@dataclass(frozen=True)
class Alternative:
    """One of the most probable texts of an image."""

    text: str
    """The text."""
    probability: float
    """Its probability by the model, from 0 to 1, summed over all alignments."""


@dataclass(frozen=True)
class Prediction:
    """The text of one image."""

    text: str
    """The text; empty if there was an error."""
    confidence: float
    """Probability that the text is right, from 0 to 1: that of the model, calibrated as its card says; of several views that of
    the most confident one."""
    error: str | None = None
    """Why the image could not be read, or None."""
    warning: str | None = None
    """`several-lines` if the image seems to hold more than one line, or None. Its confidence is lowered."""
    is_impossible: bool = False
    """Whether the error is that no permitted text fits."""
    view: View = field(default_factory=View)
    """How the image was seen."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the image in pixels, as a person sees it; zeros if it could not be opened."""
    characters: tuple[Character, ...] = ()
    """Each character with its place, from left to right (or down), if that was asked for."""
    alternatives: tuple[Alternative, ...] = ()
    """The most probable texts, the best first, if several were asked for."""

    @property
    def orientation(self) -> Orientation:
        """Which way the line runs: the places of characters count from the left, the top, the bottom (upward), or the right."""
        return self.view.orientation

    @property
    def length(self) -> int:
        """Pixels of the image along its line."""
        return self.size[self.orientation in (Orientation.VERTICAL, Orientation.UPWARD)]


class Recognizer:
    """Reads images of one line or word with one model. Several threads may use it at once."""

    def __init__(self, card: Card, engine: Engine, trained_on: frozenset[int] = frozenset()) -> None:
        self.card = card
        """Everything about the model except its weights."""
        self.engine = engine
        """Runs the network."""
        self.trained_on = trained_on
        """Content ids of the images that the model was trained on."""

    @classmethod
    def load(
        cls, model: str | Path | None = None, device: str = "auto", engine: EngineChoice = EngineChoice.AUTO
    ) -> Recognizer:
        """Load a model.

        Args:
            model: name of a trained model, a model folder, a `.safetensors` or exported `.onnx` file; None for the
                current one, or if there is none the one that comes with crnnocr.
            device: `auto`, `cuda`, `mps` or `cpu`.
            engine: runs the network; `auto` takes onnxruntime on a CPU and torch on a GPU.

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
        """Read images, in their order, as they come.

        An image that cannot be read gives a prediction with an error; the others are read all the same.

        Args:
            sources: paths, bytes, open files, Pillow images or arrays, or one of these; a generator may go on for ever.
            decode: how texts are found. A config is compiled in every call: to read repeatedly with a lexicon, a pattern or a
                language model, make a decoder once, with `decoder`, and give that.
            read: how images are seen, and what a prediction holds.
        """
        decoder = self.decoder(decode) if isinstance(decode, DecodeConfig) else decode
        pipeline = Pipeline(
            prepare=partial(_open, self.preprocessor(read)),
            groups=partial(_groups, max_lines=self.engine.limits.lines),
            finish=partial(self._finish, decoder, read),
            window=_WINDOW,
            threads=read.threads or cores(),
            weigh_item=images.kept_bytes,
            weigh=_weigh,
        )
        several: Any = [sources] if images.is_source(sources) else sources
        return pipeline.run(map(images.snapshot, several))

    def preprocessor(self, read: ReadConfig = ReadConfig()) -> Preprocessor:  # noqa: B008 (frozen)
        """Makes this model's lines from images, in the model's own orientation unless `read` names one."""
        orientation, rows = read.orientation or self.card.orientation, read.rows or self.card.rows
        return Preprocessor.for_model(self.card.config, orientation, read.invert, rows)

    def decoder(self, decode: DecodeConfig) -> Decoder:
        """Compile a decoder for this model's characters; language models are kept in the cache directory.

        Raises `UsageError` if a file cannot be read, the pattern cannot be parsed, or no text is permitted.
        """
        return Decoder(decode, self.card.charset, cache_directory() / "lm")

    def log_probs(self, lines: Sequence[images.Line]) -> list[LogProbs]:
        """Run the network.

        Args:
            lines: (H, W) gray values of each line, H the model's height.

        Returns:
            For each line (T, C) natural-log probabilities of its frames, the blank in class 0.
        """
        found: dict[int, LogProbs] = {}
        for batch in _batches([line.shape[1] for line in lines], *self.engine.limits):
            width = max(lines[i].shape[1] for i in batch)
            columns, pairs = len(batch) * width, len(batch) * self.card.config.frames(width) ** 2 * self.card.config.attends
            is_large = columns > self.engine.limits.columns
            with images.MEMORY.reserved(is_large * (columns * _BYTES_A_COLUMN + pairs * _BYTES_A_PAIR)):
                log_probs, frames = self.engine.log_probs(*images.to_batch([lines[i] for i in batch]))
            found.update((i, log_probs[n, : frames[n]]) for n, i in enumerate(batch))
        return [found[i] for i in range(len(lines))]

    def _finish(self, decoder: Decoder, read: ReadConfig, group: list[list[LineImage] | ImageError]) -> list[Prediction]:
        """Predict a group: either the views of images alone, or one image that could not be opened."""
        views = [own for own in group if not isinstance(own, ImageError)]
        if not views:
            return [Prediction("", 0.0, str(error)) for error in group]
        found = best_candidates(views, partial(self._recognize, decoder), self.preprocessor(read), read.quick)
        characters = self._all_characters(decoder, found) if read.characters else [()] * len(found)
        return [self._prediction(one, decoder, own) for one, own in zip(found, characters, strict=True)]

    def _recognize(self, decoder: Decoder, views: Sequence[LineImage]) -> list[Candidate]:
        lines = self.log_probs([view.line for view in views])
        best = decoder.decode(lines)
        confidences = self.card.calibration.apply(list(map(decoder.certainty, best, lines))).tolist()
        return [
            Candidate(view, line, hypotheses, self.card.charset.decode(hypotheses[0].ids) if hypotheses else "", confidence)
            for view, line, hypotheses, confidence in zip(views, lines, best, confidences, strict=True)
        ]

    def _prediction(self, one: Candidate, decoder: Decoder, characters: tuple[Character, ...]) -> Prediction:
        """The prediction of a candidate, less confident if the image gives a reason to doubt it."""
        view, size, ink = one.image.view, one.image.size, one.image.ink
        warning = SEVERAL_LINES if ink and ink.has_several_lines else None
        if not one.hypotheses:
            return Prediction("", 0.0, NO_TEXT_FITS, warning, is_impossible=True, view=view, size=size)
        confidence = one.confidence
        if warning:
            confidence *= _SEVERAL_LINES
        elif ink and ink.box and not one.text:
            confidence *= _UNREAD_INK
        elif confidence > _SURE and self._may_lack_spaces(one, decoder):
            confidence *= DOUBTFUL
        several = one.hypotheses if decoder.config.top_k > 1 else ()
        alternatives = tuple(Alternative(self.card.charset.decode(each.ids), float(np.exp(each.log_prob))) for each in several)
        return Prediction(
            one.text, confidence, warning=warning, view=view, size=size, characters=characters, alternatives=alternatives
        )

    def _may_lack_spaces(self, one: Candidate, decoder: Decoder) -> bool:
        """Whether characters are so far apart that spaces between them may not have been read."""
        may_miss = self.card.is_general and decoder.may_miss_spaces and one.text
        return bool(may_miss) and has_bare_gap(one.log_probs, one.image, self.card.config, decoder.spaces, one.text)

    def _all_characters(self, decoder: Decoder, found: Sequence[Candidate]) -> list[tuple[Character, ...]]:
        """The characters of each text."""
        possible = [i for i, one in enumerate(found) if one.hypotheses and one.hypotheses[0].log_prob > -np.inf]
        own = [decoder.mask_blocked(found[i].log_probs) for i in possible], [found[i].hypotheses[0].ids for i in possible]
        placed = {
            i: self._characters(ids, frames, each, found[i].image)
            for i, ids, frames, each in zip(
                possible, own[1], align(*own, decoder.spaces), posteriors(*own, decoder.spaces), strict=True
            )
        }
        return [placed.get(i, ()) for i in range(len(found))]

    def _characters(
        self, ids: Sequence[int], frames: Sequence[int], confidences: Sequence[float], image: LineImage
    ) -> tuple[Character, ...]:
        """Place each character between the middles to its neighbors; those at the ends reach as far outwards as inwards."""
        if not ids:
            return ()
        shown = [self.card.charset.characters[character - 1] for character in ids]
        scale = image.length / image.width
        centers = np.array([self.card.config.center(frame) for frame in frames]) * scale
        middles = (centers[1:] + centers[:-1]) / 2
        whole = len(shown) == 1
        first = 0.0 if whole else 2 * centers[0] - middles[0]
        last = image.length if whole else 2 * centers[-1] - middles[-1]
        edges = (image.start + np.clip(np.concatenate(([first], middles, [last])), 0, image.length)).tolist()
        return tuple(map(Character, shown, confidences, edges[:-1], edges[1:]))


def _open(preprocessor: Preprocessor, source: images.Source) -> list[LineImage] | ImageError:
    try:
        return preprocessor.views(source)
    except ImageError as error:
        return error


def _weigh(views: list[LineImage] | ImageError) -> int:
    return 0 if isinstance(views, ImageError) else sum(view.nbytes for view in views)


def _groups(window: Sequence[list[LineImage] | ImageError], max_lines: int) -> Iterator[list[int]]:
    """Indices of what is predicted together: at most `max_lines` images of like widths, or one that could not be opened."""
    opened = [(i, views[0].line.shape[1]) for i, views in enumerate(window) if not isinstance(views, ImageError)]
    yield from ([opened[i][0] for i in batch] for batch in _batches([width for _, width in opened], max_lines))
    yield from ([i] for i, views in enumerate(window) if isinstance(views, ImageError))


def _batches(widths: Sequence[int], max_lines: int, max_columns: float = math.inf) -> Iterator[list[int]]:
    """Indices of lines in batches of like widths, the narrowest first."""
    batch: list[int] = []
    for i in np.argsort(widths, kind="stable").tolist():
        if batch and (len(batch) == max_lines or (len(batch) + 1) * widths[i] > max_columns):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
