"""A model that reads images: the recognizer, and the predictions it gives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from crnnocr import images
from crnnocr.config import DecodeConfig, EngineChoice, Orientation, ReadConfig
from crnnocr.decoding import Decoder, Hypothesis, LogProbs
from crnnocr.decoding.forward import align
from crnnocr.decoding.posteriors import posteriors
from crnnocr.errors import ImageError
from crnnocr.files import cache_directory
from crnnocr.images import LineImage, Preprocessor, View
from crnnocr.inference.engines import Engine, load_engine
from crnnocr.inference.pipeline import Pipeline
from crnnocr.inference.spacing import DOUBTFUL, has_bare_gap
from crnnocr.model import registry
from crnnocr.model.card import Card
from crnnocr.runtime import cores

_WINDOW = 256
"""Images that are sorted by width together, to batch those of like widths."""

_LEGIBLE = 0.5
"""Confidence of a text that is found in an unlikely view, at least: a faint one, or one that is upside down."""

_CONFIDENT = 0.99
"""Confidence per character, as a geometric mean, from which an image needs no further view."""

_SMALL = 10.0
"""Odds that a small text is right that is seen closer, relative to those that it is as it is seen with the paper around it."""

_UNSURE = 0.9
"""Confidence per character below which an image may be upside down."""

_TURNED = 3
"""Characters of a text that is found upside down, at least: `60` and `09` are read either way."""

_UPRIGHT = 10.0
"""Odds that such an image is upright all the same."""

_BYTES_A_COLUMN = 8000
"""Bytes that the network takes for a column of a line. For a line longer than the largest batch, threads take turns."""

_TTA = (View(width=1.5), View(width=0.9, height=0.7), View(width=0.7, height=0.7))
"""Scales of test-time augmentation, tried in turn: wide, for letters close to each other get more frames, and with space around
a tight crop."""

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
    may_lack_spaces: bool = False
    """Whether characters are so far apart that spaces between them may not have been read."""
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
            columns = len(batch) * max(lines[i].shape[1] for i in batch)
            with images.MEMORY.reserved((columns > self.engine.limits.columns) * columns * _BYTES_A_COLUMN):
                log_probs, frames = self.engine.log_probs(*images.to_batch([lines[i] for i in batch]))
            found.update((i, log_probs[n, : frames[n]]) for n, i in enumerate(batch))
        return [found[i] for i in range(len(lines))]

    def _finish(self, decoder: Decoder, read: ReadConfig, group: list[list[LineImage] | ImageError]) -> list[Prediction]:
        """Predict a group: either the views of images alone, or one image that could not be opened."""
        views = [own for own in group if not isinstance(own, ImageError)]
        if not views:
            return [Prediction("", 0.0, str(error)) for error in group]
        best = [own[0] for own in views]
        found = self._recognize(decoder, read, best)
        others = [(i, view) for i, own in enumerate(views) for view in own[1:]]
        for (i, view), other in zip(others, self._recognize(decoder, read, [view for _, view in others]), strict=True):
            if (bool(other.text), other.confidence) > (bool(found[i].text), found[i].confidence):
                found[i], best[i] = other, view
        if not read.quick:
            self._augment(decoder, read, best, found)
            if self.preprocessor(read).orientation is Orientation.AUTO and self.preprocessor(read).rows == 1:
                self._turn(decoder, read, best, found)
        return [_warned(prediction, image) for prediction, image in zip(found, best, strict=True)]

    def _turn(self, decoder: Decoder, read: ReadConfig, seen: list[LineImage], found: list[Prediction]) -> None:
        """See horizontal images that are read badly turned by half, and keep what is far more probable so."""
        turned = {
            i: self.preprocessor(read).upside_down(image)
            for i, (image, one) in enumerate(zip(seen, found, strict=True))
            if image.view.orientation is Orientation.HORIZONTAL and not (one.is_impossible or _is_confident(one, _UNSURE))
        }
        for (i, image), prediction in zip(turned.items(), self._recognize(decoder, read, list(turned.values())), strict=True):
            is_legible = len(prediction.text) >= _TURNED and prediction.confidence > _LEGIBLE
            if is_legible and _odds(prediction) > _UPRIGHT * _odds(found[i]):
                views, predictions = [image], [prediction]
                self._augment(decoder, read, views, predictions)
                (seen[i],), (found[i],) = views, predictions

    def _augment(self, decoder: Decoder, read: ReadConfig, seen: Sequence[LineImage], found: list[Prediction]) -> None:
        """See images in further views until a prediction is confident, and keep the most confident one of each.

        First without the paper around the text, then at other scales, and at last at these without the paper if that gave the
        best prediction so far. An empty text takes the place of another only if it is confident itself.
        """
        preprocessor = self.preprocessor(read)

        def view(i: int, scale: View, of_closer: bool) -> LineImage | None:
            image = seen[i].closer if of_closer else seen[i]
            return preprocessor.rescaled(image, scale) if image and scale.is_scaled else image

        for scale, of_closer in ((View(), True), *((scale, False) for scale in _TTA), *((scale, True) for scale in _TTA)):
            others: dict[int, LineImage] = {}
            for i, (one, image) in enumerate(zip(found, seen, strict=True)):
                is_useless = of_closer and scale.is_scaled and not one.view.is_closer
                if not (is_useless or one.is_impossible or _is_settled(one, image)) and (other := view(i, scale, of_closer)):
                    others[i] = other
            for i, prediction in zip(others, self._recognize(decoder, read, list(others.values())), strict=True):
                if _is_better(prediction, found[i], seen[i]):
                    found[i] = prediction

    def _recognize(self, decoder: Decoder, read: ReadConfig, seen: Sequence[LineImage]) -> list[Prediction]:
        lines = self.log_probs([image.line for image in seen])
        best = decoder.decode(lines)
        confidences = self.card.calibration.apply(list(map(decoder.certainty, best, lines))).tolist()
        found = [
            self._prediction(hypotheses, confidence, decoder, image)
            for hypotheses, confidence, image in zip(best, confidences, seen, strict=True)
        ]
        if self.card.is_synthetic and decoder.may_miss_spaces:
            for i, one in enumerate(found):
                if one.text and one.confidence > _SURE and has_bare_gap(lines[i], seen[i], self.card.config, decoder.spaces):
                    found[i] = replace(one, may_lack_spaces=True)
        if read.characters:
            possible = [i for i, hypotheses in enumerate(best) if hypotheses and hypotheses[0].log_prob > -np.inf]
            own = [decoder.mask_blocked(lines[i]) for i in possible], [best[i][0].ids for i in possible]
            for i, frames, each in zip(possible, align(*own, decoder.spaces), posteriors(*own, decoder.spaces), strict=True):
                shown = [self.card.charset.characters[character - 1] for character in best[i][0].ids]
                found[i] = replace(found[i], characters=self._characters(shown, frames, each, seen[i]))
        return found

    def _prediction(
        self, hypotheses: Sequence[Hypothesis], confidence: float, decoder: Decoder, image: LineImage
    ) -> Prediction:
        if not hypotheses:
            return Prediction("", 0.0, NO_TEXT_FITS, is_impossible=True, view=image.view, size=image.size)
        text = self.card.charset.decode(hypotheses[0].ids)
        several = hypotheses if decoder.config.top_k > 1 else ()
        alternatives = tuple(Alternative(self.card.charset.decode(one.ids), float(np.exp(one.log_prob))) for one in several)
        return Prediction(text, confidence, alternatives=alternatives, view=image.view, size=image.size)

    def _characters(
        self, shown: Sequence[str], frames: Sequence[int], confidences: Sequence[float], image: LineImage
    ) -> tuple[Character, ...]:
        """Place each character between the middles to its neighbors; those at the ends reach as far outwards as inwards."""
        if not shown:
            return ()
        scale = image.length / image.width
        centers = np.array([self.card.config.center(frame) for frame in frames]) * scale
        middles = (centers[1:] + centers[:-1]) / 2
        whole = len(shown) == 1
        first = 0.0 if whole else 2 * centers[0] - middles[0]
        last = image.length if whole else 2 * centers[-1] - middles[-1]
        edges = (image.start + np.clip(np.concatenate(([first], middles, [last])), 0, image.length)).tolist()
        return tuple(map(Character, shown, confidences, edges[:-1], edges[1:]))


def _warned(prediction: Prediction, image: LineImage) -> Prediction:
    """The prediction with the warning and the lower confidence that its image calls for."""
    if image.ink and image.ink.has_several_lines:
        return replace(prediction, warning=SEVERAL_LINES, confidence=_SEVERAL_LINES * prediction.confidence)
    if image.ink and image.ink.box and not prediction.text:
        return replace(prediction, confidence=_UNREAD_INK * prediction.confidence)
    if prediction.may_lack_spaces:
        return replace(prediction, confidence=DOUBTFUL * prediction.confidence)
    return prediction


def _open(preprocessor: Preprocessor, source: images.Source) -> list[LineImage] | ImageError:
    try:
        return preprocessor.views(source)
    except ImageError as error:
        return error


def _weigh(views: list[LineImage] | ImageError) -> int:
    return 0 if isinstance(views, ImageError) else sum(view.nbytes for view in views)


def _is_settled(prediction: Prediction, image: LineImage) -> bool:
    """Whether an image needs no further view: where there is ink, there may be a text."""
    return _is_confident(prediction) and bool(prediction.text or not image.closer)


def _is_better(other: Prediction, prediction: Prediction, image: LineImage) -> bool:
    """Whether another view's prediction takes the place of one."""
    if other.text and not prediction.text and image.closer and (other.confidence > _LEGIBLE or not image.is_faint):
        return True
    if other.text and prediction.text and image.is_small and other.view.is_closer != prediction.view.is_closer:
        weight = _SMALL if other.view.is_closer else 1 / _SMALL
        return weight * _odds(other) > _odds(prediction)
    may_replace = bool(other.text) or not prediction.text or _is_confident(other)
    return may_replace and other.confidence > prediction.confidence


def _is_confident(prediction: Prediction, per_character: float = _CONFIDENT) -> bool:
    """Whether another view would hardly find another text."""
    return prediction.confidence >= per_character ** max(1, len(prediction.text))


def _odds(prediction: Prediction) -> float:
    """How much more probable it is that the text is right than that it is wrong."""
    return prediction.confidence / max(1 - prediction.confidence, 1e-9)


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
