"""From labeled images to a training that can begin: find issues, split the data, build the network."""

from __future__ import annotations

import hashlib
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
from crnnocr.errors import ConfigError, DataError, ModelError
from crnnocr.images import Preprocessor
from crnnocr.model import checkpoint, registry
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN, resize_head
from crnnocr.model.registry import FoundModel
from crnnocr.text.charset import Charset, frames_needed
from crnnocr.training.distributed import DistributedContext
from crnnocr.training.synthetic import SYNTHETIC, Sampler, synthetic_dataset


@dataclass(frozen=True)
class Start:
    """Where a training starts."""

    model_config: ModelConfig
    """The layers of the network."""
    orientation: Orientation
    """Which way its lines run."""
    rows: int = 1
    """Rows of text in its images."""
    found: FoundModel | None = None
    """The model that gives the first weights; None for random ones."""
    charset: Charset | None = None
    """That model's charset."""
    trained_on: frozenset[int] = frozenset()
    """Content ids of the images that it was trained on."""


@dataclass(frozen=True)
class Inspected:
    """Labeled images that were read, and their issues."""

    start: Start
    """Where the training starts."""
    train: LineDataset
    """Lines to train on and, if no data for validation was given, to hold some out of."""
    validation: LineDataset | None
    """The data for validation, if it was given."""
    issues: tuple[Issue, ...]
    """The most severe first."""
    unlabeled: LineDataset | None = None
    """Lines without labels, if any were given."""

    @property
    def is_fatal(self) -> bool:
        """Whether a training cannot begin with them."""
        return any(issue.severity is Severity.FATAL for issue in self.issues)


@dataclass(frozen=True)
class Prepared:
    """A training that is ready to begin."""

    card: Card
    """Name, charset and configuration of the new model."""
    model: CRNN
    """The network with its first weights."""
    start: Start
    """Where these come from."""
    new_characters: str
    """Characters that the start model does not know."""
    train: LineDataset
    """The training split."""
    validation: LineDataset
    """The validation split."""
    already_seen: int
    """Images that are not measured on because the start model was trained on them."""
    unlabeled: LineDataset | None
    """Lines that pseudo-labels are looked for in; None if none were given."""
    fold_of: NDArray[np.int64]
    """(n,) the fold of each line of `train`, from 0; -1 for those in none. Empty without cross-validation."""

    @property
    def folds(self) -> int:
        """Parts of the cross-validation; 0 without one."""
        return int(self.fold_of.max(initial=-1)) + 1

    @property
    def measured(self) -> LineDataset:
        """The lines that a model is measured on which has not seen them: those of all folds, or the validation split."""
        return self.train.subset(self.fold_of >= 0) if self.folds else self.validation

    def held_out(self, fold: int) -> LineDataset:
        """The lines that the stage of a fold is measured on, and of the last stage, after all folds, the validation split."""
        return self.train.subset(self.fold_of == fold) if fold < self.folds else self.validation

    @property
    def has_held_out_images(self) -> bool:
        """Whether there are images, no synthetic lines, to compare the new model with its start model on."""
        return bool((self.measured.content_ids != SYNTHETIC).any())

    @property
    def digest(self) -> str:
        """A hash of the images and labels of both splits, the folds and the unlabeled images (BLAKE2b)."""
        digest = hashlib.blake2b(digest_size=16)
        if self.folds:
            digest.update(self.fold_of.astype("<i8").tobytes())
        for lines in (self.train, self.validation):
            digest.update(lines.content_ids.astype("<i8").tobytes())
            digest.update("\n".join(lines.texts).encode())
            weights = np.array([sample.weight for sample in lines.samples])
            if (weights != 1).any():
                digest.update(weights.astype("<f8").tobytes())
        if self.unlabeled:
            digest.update(self.unlabeled.content_ids.astype("<i8").tobytes())
        return digest.hexdigest()


def start_from(config: TrainConfig) -> Start:
    """Find where a training with these options starts.

    Raises `ModelError` if there is no such model, and `ConfigError` if it is of another preset.
    """
    found = None
    if config.start == AUTO:
        found = registry.pretrained(config.preset)
    elif config.start != SCRATCH:
        found = registry.find(config.start)
    if found is None:
        if config.freeze:
            raise ConfigError("freeze", "keeps the layers of a start model before its LSTM: name one with `start`")
        return Start(PRESETS[config.preset or DEFAULT_PRESET], config.orientation or Orientation.HORIZONTAL, config.rows or 1)
    if found.path.suffix != ".safetensors":
        raise ModelError(f"`start={config.start}`: training starts from a .safetensors model of crnnocr, not from a graph")
    card = checkpoint.load_card(found.path)
    if config.preset not in (None, card.config.preset):
        raise ConfigError("preset", f"{config.preset}: {config.start} is of the preset {card.config.preset}, so leave it out")
    # A pretrained model reads lines in all directions, of all kinds of images; in one's own, a tall crop is a narrow letter.
    orientation = config.orientation or (Orientation.HORIZONTAL if found.is_pretrained else card.orientation)
    return Start(card.config, orientation, config.rows or card.rows, found, card.charset, checkpoint.trained_on(found.path))


def inspect(
    train: Sequence[Dataset],
    validation: Sequence[Dataset],
    config: TrainConfig,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    unlabeled: Sequence[Sample] = (),
) -> Inspected:
    """Read the images and look for issues.

    Args:
        train: data to train on.
        validation: data to validate on; if it is empty, some of `train` is held out.
        config: the options.
        progress: is called with the number of images read so far, and of all images.
        unlabeled: images without labels.

    Raises:
        ModelError: there is no such start model.
        CrnnocrError: the lines do not fit into memory, and the cache directory cannot be written.
    """
    start = start_from(config)
    train_samples, validation_samples = _samples(train), _samples(validation)
    before, total = len(train_samples), len(train_samples) + len(validation_samples) + len(unlabeled)
    preprocessor = Preprocessor.for_model(start.model_config, start.orientation, rows=start.rows)
    train_lines, unreadable = load_lines(train_samples, preprocessor, progress=lambda done: progress(done, total))
    validation_lines = None
    if validation:
        validation_lines, more = load_lines(
            validation_samples, preprocessor, progress=lambda done: progress(before + done, total)
        )
        unreadable += more
    unlabeled_lines = None
    if unlabeled:
        before += len(validation_samples)
        unlabeled_lines, more = load_lines(unlabeled, preprocessor, progress=lambda done: progress(before + done, total))
        unreadable += more
    loading = [issue for dataset in (*train, *validation) for issue in dataset.issues]
    issues = lint(
        train=lint_samples(train_lines),
        validation=None if validation_lines is None else lint_samples(validation_lines),
        issues=[*loading, *unreadable],
        model_config=start.model_config,
        orientation=start.orientation,
        start=start.charset,
        held_out=held_out(train_lines.split_ids.tolist(), config.held_out),
    )
    if not train and config.synthetic:  # there will be synthetic images to train on
        issues = [issue for issue in issues if issue.code != "nothing-to-learn"]
    return Inspected(start, train_lines, validation_lines, tuple(issues), unlabeled_lines)


def prepare(
    inspected: Inspected,
    config: TrainConfig,
    name: str,
    synthetic: Sampler | None = None,
    synthetic_validation: Sampler | None = None,
    synthetic_validation_size: int = 400,
) -> Prepared:
    """Split the data and build the network.

    Args:
        inspected: the data.
        config: the options.
        name: of the new model.
        synthetic: makes images to train on.
        synthetic_validation: makes images to validate on; used if there are no real images at all.
        synthetic_validation_size: how many of these.

    Raises:
        DataError: no image is left to train on, or the start model was trained on all of the validation images.
    """
    start = inspected.start
    charset = _charset(inspected, config, synthetic)
    fold_of = np.zeros(0, np.int64)
    lines = fitting(inspected.train, charset, start.model_config)
    trained_on = np.array(sorted(start.trained_on), dtype=np.int64)
    if inspected.validation is not None:
        validation = fitting(inspected.validation, charset, start.model_config)
        already_seen = _already_seen(validation, trained_on)
        in_both = np.isin(validation.content_ids, lines.content_ids) | np.isin(validation.split_ids, lines.split_ids)
        validation = validation.subset(~already_seen & ~in_both)
        train = lines
        if not len(validation) and already_seen.any():
            model_name = start.found.name if start.found else "the start model"
            raise DataError(f"{model_name} was trained on all of the validation images: give others")
    elif folds := _folds(config, inspected):
        already_seen = _already_seen(lines, trained_on)
        fold_of = _assign_folds(lines.split_ids, already_seen, folds)
        train, validation = lines, lines.subset(np.zeros(len(lines), bool))
    else:
        chosen, already_seen = _hold_out(lines.split_ids, _already_seen(lines, trained_on), config.held_out)
        train = lines.subset(~chosen)
        validation = lines.subset(chosen & ~np.isin(lines.content_ids, train.content_ids))  # of other groups, but equal
    if not len(train) and synthetic is None:
        raise DataError("no image is left to train on: " + "; ".join(map(str, inspected.issues[:1])))
    if not len(train) and synthetic_validation is not None and not len(validation):
        validation = synthetic_dataset(
            synthetic_validation, charset, start.model_config, start.orientation, synthetic_validation_size
        )
    with torch.random.fork_rng(devices=()):  # the caller's random numbers stay as they are
        torch.manual_seed(config.seed)
        model, new_characters = _network(start, charset)
    return Prepared(
        card=Card(name, charset, start.model_config, start.orientation, start.rows),
        model=model,
        start=start,
        new_characters=new_characters,
        train=train,
        validation=validation,
        already_seen=int(already_seen.sum()),
        unlabeled=_without_labels(inspected, config),
        fold_of=fold_of,
    )


def _without_labels(inspected: Inspected, config: TrainConfig) -> LineDataset | None:
    """The unlabeled lines, each once, without those that have a label; of too many, the lowest ids. None if none is left."""
    lines = inspected.unlabeled
    if lines is None:
        return None
    known = np.concatenate([part.content_ids for part in (inspected.train, inspected.validation) if part])
    ids, first = np.unique(lines.content_ids, return_index=True)
    chosen = np.zeros(len(lines), bool)
    chosen[first[~np.isin(ids, known)][: config.unlabeled_limit]] = True
    return lines.subset(chosen) if chosen.any() else None


def _folds(config: TrainConfig, inspected: Inspected) -> int:
    """Parts of a cross-validation; 0 for none. Several processes make none, since all wait while one measures a fold."""
    if DistributedContext.from_environment().world_size > 1:
        return 0
    if config.folds is None:
        return config.few_folds if inspected.start.found and 0 < len(inspected.train) <= config.few else 0
    return config.folds


def _assign_folds(ids: NDArray[np.int64], already_seen: NDArray[np.bool_], folds: int) -> NDArray[np.int64]:
    """(N,) the fold of each line, by its (N,) `ids` alone: lines of one id are in one fold, the folds about equally large.

    Those that the start model was trained on are in none. No line is in a fold if all have the same id.
    """
    fold_of = np.full(len(ids), -1)
    distinct, which, counts = np.unique(ids[~already_seen], return_inverse=True, return_counts=True)
    if len(distinct) > 1:
        sizes, fold_of_id = np.zeros(min(folds, len(distinct)), np.int64), np.zeros(len(distinct), np.int64)
        for i in np.argsort(-counts, kind="stable"):
            fold_of_id[i] = sizes.argmin()
            sizes[fold_of_id[i]] += counts[i]
        fold_of[~already_seen] = fold_of_id[which]
    return fold_of


def fitting(lines: LineDataset, charset: Charset, model_config: ModelConfig) -> LineDataset:
    """The lines that give at least as many frames as their labels need.

    Raises `DataError` if a label holds a character that the charset lacks.
    """
    needed = np.array([frames_needed(charset.encode(text)) for text in lines.texts], dtype=np.int64)
    return lines.subset(needed <= model_config.frames(lines.widths))


def _samples(datasets: Sequence[Dataset]) -> list[Sample]:
    return [sample for dataset in datasets for sample in dataset.samples]


def _already_seen(lines: LineDataset, trained_on: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) which lines the start model was trained on, by their content, or another line of their group."""
    return np.isin(lines.content_ids, trained_on) | np.isin(lines.split_ids, trained_on)


def _hold_out(
    ids: NDArray[np.int64], already_seen: NDArray[np.bool_], share: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Choose lines for the validation split by their (N,) `ids`, except those that the start model was trained on.

    Returns two (N,) masks: the lines to hold out, and the lines that are left out because they are `already_seen`. If that
    leaves none to hold out, others are chosen.
    """
    flags = np.array(held_out(ids.tolist(), share), dtype=bool)
    chosen = flags & ~already_seen
    if flags.any() and not chosen.any():
        chosen[~already_seen] = held_out(ids[~already_seen].tolist(), share)
    return chosen, flags & already_seen


def _charset(inspected: Inspected, config: TrainConfig, synthetic: Sampler | None) -> Charset:
    """The start model's characters in their order, then the others of the texts."""
    texts = [text for lines in (inspected.train, inspected.validation) if lines for text in lines.texts]
    wanted = set(Charset.from_texts(texts).characters if any(texts) else "") | set(synthetic.charset if synthetic else "")
    known = inspected.start.charset.characters if inspected.start.charset else ""
    if config.charset is CharsetChoice.DATA:
        known = "".join(character for character in known if character in wanted)
    return Charset(known + "".join(sorted(wanted - set(known))))


def _network(start: Start, charset: Charset) -> tuple[CRNN, str]:
    """The network with its first weights, and the characters that are new to it."""
    if start.found is None or start.charset is None:
        return CRNN(start.model_config, charset.classes), ""
    _, model = checkpoint.load(start.found.path)
    new = "".join(c for c in charset.characters if c not in start.charset.characters)
    return (model if charset == start.charset else resize_head(model, start.charset, charset)), new
