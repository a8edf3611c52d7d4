"""From labelled pictures to a training that can begin: everything that can be wrong with them is looked for here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from crnnocr.config import AUTO, DEFAULT_PRESET, PRESETS, SCRATCH, CharsetChoice, ModelConfig, Orientation, TrainConfig
from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.issues import Issue, Severity
from crnnocr.datasets.lines import LineDataset, held_out, load_lines
from crnnocr.datasets.lint import lint
from crnnocr.datasets.lint.sample import lint_samples
from crnnocr.errors import DataError, ModelError, UsageError
from crnnocr.images import Preprocessor
from crnnocr.model import checkpoint, registry
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN, resize_head
from crnnocr.model.registry import FoundModel
from crnnocr.text.charset import Charset, frames_needed
from crnnocr.training.synthetic import Sampler, drawn_lines

_DRAWN_HELD_OUT = 400
"""Pictures that are drawn to validate with, where there are no others."""


@dataclass(frozen=True)
class Start:
    """What a training begins from."""

    shape: ModelConfig
    """The shape of the model."""
    orientation: Orientation
    """Which way its lines run."""
    found: FoundModel | None = None
    """The model whose weights it begins with; None from scratch."""
    charset: Charset | None = None
    """That model's characters."""
    trained_on: frozenset[int] = frozenset()
    """Content ids of the pictures that it was trained on."""


@dataclass(frozen=True)
class Inspected:
    """Labelled pictures that were read and looked at."""

    start: Start
    """What the training begins from."""
    train: LineDataset
    """Lines to train on and, if no data for validation was given, to hold some out of."""
    validation: LineDataset | None
    """The data for validation, if it was given."""
    issues: tuple[Issue, ...]
    """What is wrong with them, the gravest first."""

    @property
    def is_fatal(self) -> bool:
        """Whether a training cannot begin with them."""
        return any(issue.severity is Severity.FATAL for issue in self.issues)


@dataclass(frozen=True)
class Prepared:
    """A training that is ready to begin."""

    card: Card
    """Charset and shape of the model to be."""
    model: CRNN
    """The network with its first weights."""
    start: Start
    """Where these come from."""
    new_characters: str
    """The characters that the start model did not know."""
    train: LineDataset
    """The lines that it will be trained on."""
    validation: LineDataset
    """The lines that it will be validated on."""
    known: int
    """Pictures that were not taken for validation since the start model was trained on them."""


def start_from(config: TrainConfig) -> Start:
    """What a training with these options begins from.

    Raises `ModelError` where there is no such model, and `UsageError` where it is of another preset.
    """
    preset = config.preset or DEFAULT_PRESET
    found = None
    if config.start == AUTO:
        found = registry.pretrained(preset)
    elif config.start != SCRATCH:
        found = registry.find(config.start)
    if found is None:
        if config.freeze:
            raise UsageError("--freeze keeps the convolutions of a start model: name one with --from")
        return Start(PRESETS[preset], config.orientation or Orientation.HORIZONTAL)
    if found.path.suffix != ".safetensors":
        raise ModelError(f"--from {config.start}: training goes on from a .safetensors model, not from an exported one")
    card = checkpoint.load_card(found.path)
    if config.preset not in (None, card.config.preset):
        raise UsageError(f"--from {config.start} is of the preset {card.config.preset}: leave --preset {config.preset} out")
    # What a shipped model reads in all ways is other people's pictures: of one's own, a tall one mostly shows a narrow letter.
    orientation = config.orientation or (Orientation.HORIZONTAL if found.is_pretrained else card.orientation)
    return Start(card.config, orientation, found, card.charset, checkpoint.trained_on(found.path))


def inspect(
    learn: Sequence[Dataset],
    validate: Sequence[Dataset],
    config: TrainConfig,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Inspected:
    """Read the images and look for issues.

    Args:
        learn: data to learn from.
        validate: data to validate on; where there is none, a part of the other is held out.
        config: the options.
        progress: is told how many pictures of how many have been read.

    Raises:
        ModelError: there is no such start model.
        CrnnocrError: the lines do not fit into memory, and the cache directory cannot be written.
    """
    start = start_from(config)
    samples, more = _samples(learn), _samples(validate)
    count = len(samples) + len(more)
    preprocessor = Preprocessor.for_model(start.shape, start.orientation)
    train, unreadable = load_lines(samples, preprocessor, progress=lambda done: progress(done, count))
    validation = None
    if validate:
        validation, unreadable_too = load_lines(more, preprocessor, progress=lambda done: progress(len(samples) + done, count))
        unreadable += unreadable_too
    loading = [issue for dataset in (*learn, *validate) for issue in dataset.issues]
    issues = lint(
        lint_samples(train),
        lint_samples(validation) if validation is not None else None,
        [*loading, *unreadable],
        start.shape,
        start.orientation,
        start.charset,
        held_out(train.content_ids.tolist(), config.held_out),
    )
    if not learn and config.synth:  # what is drawn is learnt from
        issues = [issue for issue in issues if issue.code != "nothing-to-learn"]
    return Inspected(start, train, validation, tuple(issues))


def prepare(inspected: Inspected, config: TrainConfig, name: str, draw: Sampler | None, check: Sampler | None) -> Prepared:
    """Split the pictures and build the network.

    Args:
        inspected: the pictures.
        config: the options.
        name: what the model is to be called.
        draw: draws pictures to learn from, if any are to be drawn.
        check: draws others to validate on; used where there are no real ones.

    Raises:
        DataError: no picture is left to learn from.
    """
    torch.manual_seed(config.seed)
    start = inspected.start
    charset = _charset(inspected, config, draw)
    lines = fitting(inspected.train, charset, start.shape)
    seen = np.array(sorted(start.trained_on), dtype=np.int64)
    if inspected.validation is not None:
        validation = fitting(inspected.validation, charset, start.shape)
        seen_before = np.isin(validation.content_ids, seen)
        validation = validation.subset(~seen_before & ~np.isin(validation.content_ids, lines.content_ids))
        aside = np.zeros(len(lines), dtype=bool)
    else:
        aside, seen_before = _held_out(lines.content_ids, seen, config.held_out)
        validation = lines.subset(aside)
    if inspected.validation is not None and not len(validation) and seen_before.any():
        name = start.found.name if start.found else "the start model"
        raise DataError(f"{name} has learnt from all of the validation pictures: give others")
    train = lines.subset(~aside)
    if not len(train) and draw is None:
        raise DataError("no picture is left to learn from: " + "; ".join(map(str, inspected.issues[:1])))
    if not len(train) and check is not None and not len(validation):
        validation = drawn_lines(check, charset, start.shape, start.orientation, _DRAWN_HELD_OUT)
    model, new = _network(start, charset)
    return Prepared(
        card=Card(name, charset, start.shape, start.orientation),
        model=model,
        start=start,
        new_characters=new,
        train=train,
        validation=validation,
        known=int(seen_before.sum()),
    )


def fitting(lines: LineDataset, charset: Charset, model_config: ModelConfig) -> LineDataset:
    """The lines that give at least as many frames as their labels need.

    Raises `DataError` if a label holds a character that the charset lacks.
    """
    needed = np.array([frames_needed(charset.encode(text)) for text in lines.texts], dtype=np.int64)
    return lines.subset(needed <= model_config.frames(lines.widths))


def _samples(datasets: Sequence[Dataset]) -> list[Sample]:
    return [sample for dataset in datasets for sample in dataset.samples]


def _held_out(ids: NDArray[np.int64], seen: NDArray[np.int64], share: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For each of the (N,) content `ids` whether it is held out, and whether it is not since it is in `seen`.

    Where all that would be held out are in `seen`, others are.
    """
    flags = np.array(held_out(ids.tolist(), share), dtype=bool)
    before = np.isin(ids, seen)
    aside = flags & ~before
    if flags.any() and not aside.any():
        aside[~before] = held_out(ids[~before].tolist(), share)
    return aside, flags & before


def _charset(inspected: Inspected, config: TrainConfig, draw: Sampler | None) -> Charset:
    """The start model's characters in their order, then those of the texts that it lacks."""
    texts = [text for lines in (inspected.train, inspected.validation) if lines for text in lines.texts]
    wanted = set(Charset.from_texts(texts).characters if texts else "") | set(draw.charset if draw else "")
    known = inspected.start.charset.characters if inspected.start.charset else ""
    if config.charset is CharsetChoice.DATA:
        known = "".join(character for character in known if character in wanted)
    return Charset(known + "".join(sorted(wanted - set(known))))


def _network(start: Start, charset: Charset) -> tuple[CRNN, str]:
    """The network with its first weights, and the characters that are new to it."""
    if start.found is None or start.charset is None:
        return CRNN(start.shape, charset.classes), ""
    _, model = checkpoint.load(start.found.path)
    new = "".join(c for c in charset.characters if c not in start.charset.characters)
    return (model if charset == start.charset else resize_head(model, start.charset, charset)), new
