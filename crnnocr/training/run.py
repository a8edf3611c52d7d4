"""One training from a data set to a stored model."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crnnocr import __version__, devices
from crnnocr.charset import Charset
from crnnocr.config import DEFAULT_PRESET, PRESETS, SCRATCH, TrainConfig
from crnnocr.datasets import Dataset, Fault
from crnnocr.datasets.characters import unknown_characters
from crnnocr.datasets.split import held_out
from crnnocr.errors import DataError, ModelError, UsageError
from crnnocr.metrics import Scores
from crnnocr.model import checkpoint, store
from crnnocr.model.checkpoint import Card
from crnnocr.model.crnn import CRNN
from crnnocr.training.batching import repeated
from crnnocr.training.examples import Example, read_examples
from crnnocr.training.loop import Progress, Trained, train
from crnnocr.training.schedule import Budget, epochs_for
from crnnocr.training.validation import Validation


@dataclass(frozen=True)
class Prepared:
    """A training that is ready to begin: everything that can be wrong with the data has been looked for."""

    card: Card
    """Charset and shape of the model to be."""
    model: CRNN
    """The network with its first weights."""
    examples: tuple[Example, ...]
    """What it will learn from."""
    held_out: tuple[Example, ...]
    """What it will be validated on."""
    seen_before: frozenset[int]
    """Content ids of the pictures that the start model was trained on; they are never held out."""
    faults: tuple[Fault, ...]
    """Pictures that were set aside, beside those that the data set itself left out."""
    epochs: int
    """Epochs that the budget comes to; 0 with a budget of minutes."""


@dataclass(frozen=True)
class Finished:
    """A training that ended well."""

    name: str
    """The name it is stored under."""
    path: Path
    """The stored model."""
    scores: Scores | None
    """Scores of the kept weights on the held-out pictures, if there are any."""
    seconds: float
    """Wall time of the training."""


def prepare(dataset: Dataset, config: TrainConfig, name: str) -> Prepared:
    """Read the data and build the network.

    Raises:
        DataError: no picture is left to learn from, or the start model lacks characters of the labels.
        ModelError: there is no such start model.
    """
    torch.manual_seed(config.seed)
    start_file = None if config.start == SCRATCH else _start_file(config.start)
    start = checkpoint.load(start_file) if start_file else None
    seen = checkpoint.trained_on(start_file) if start_file else frozenset()
    if start is None:
        charset = Charset.from_texts(sample.text for sample in dataset.samples)
        shape = PRESETS[config.preset or DEFAULT_PRESET]
    else:
        charset, shape = start[0].charset, start[0].config
        if config.preset not in (None, shape.preset):
            raise UsageError(f"--from {config.start} is of the preset {shape.preset}: leave --preset {config.preset} out")
    if unknown := unknown_characters(dataset.samples, charset):
        raise DataError(f"{config.start} does not know all characters of {dataset.source}: {'; '.join(unknown)}")
    examples, faults = read_examples(dataset.samples, charset, shape)
    flags = held_out([example.content_id for example in examples], config.held_out)
    aside = [flag and e.content_id not in seen for e, flag in zip(examples, flags, strict=True)]
    learned = tuple(e for e, is_held_out in zip(examples, aside, strict=True) if not is_held_out)
    if not learned:
        raise DataError(f"{dataset.source}: no picture is left to learn from; {faults[0].kind} (first: {faults[0].where})")
    return Prepared(
        card=Card(name, charset, shape),
        model=start[1] if start else CRNN(shape, charset.classes),
        examples=learned,
        held_out=tuple(e for e, is_held_out in zip(examples, aside, strict=True) if is_held_out),
        seen_before=seen,
        faults=tuple(faults),
        epochs=0 if config.minutes else epochs_for(config, len(learned)),
    )


def run(
    prepared: Prepared, dataset: Dataset, config: TrainConfig, force: bool = False, device: str = "auto"
) -> Iterator[Progress | Validation | Finished]:
    """Train and, if it ends well, store the model under the card's name and make it the current one.

    A name that is taken by then becomes `name-2`, or with `force` the model of this name is replaced.
    Yields what the loop yields, and at last what has become of it. Closed or interrupted before that, it leaves nothing.
    """
    started = time.monotonic()
    chosen = devices.select(device)
    store.check_writable()
    batches = repeated(prepared.examples, config.batch_size, config.seed)
    budget = Budget(config, len(prepared.examples))
    for event in train(prepared.model, prepared.card, batches, prepared.held_out, config, budget, chosen):
        if isinstance(event, Trained):
            trained = event
        else:
            yield event
    seconds = time.monotonic() - started
    training = _record(prepared, dataset, config, str(chosen), trained, seconds)
    name = prepared.card.name if force else store.free_name(prepared.card.name)
    card = replace(prepared.card, name=name, training=training, scores=asdict(trained.scores) if trained.scores else {})
    path = store.path_of(name)
    learned = {example.content_id for example in prepared.examples}
    checkpoint.save(path, card, prepared.model, prepared.seen_before | learned)
    store.make_current(name)
    yield Finished(name, path, trained.scores, seconds)


def _start_file(start: str) -> Path:
    found = store.find(start)
    if found.path.suffix != ".safetensors":
        raise ModelError(f"--from {start}: training goes on from a .safetensors model, not from an exported one")
    return found.path


def _record(
    prepared: Prepared, dataset: Dataset, config: TrainConfig, device: str, trained: Trained, seconds: float
) -> dict[str, Any]:
    """How the model was trained, for its card."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "name": dataset.source.resolve().name,
            "format": dataset.format,
            "learned": len(prepared.examples),
            "held_out": len(prepared.held_out),
            "set_aside": len(prepared.faults) + len(dataset.faults),
            "digest": _digest(prepared.examples),
        },
        "config": asdict(config),
        "steps": trained.step,
        "pictures_shown": trained.pictures,
        "seconds": round(seconds, 1),
        "device": device,
        "threads": torch.get_num_threads(),
        "versions": {
            "crnnocr": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _digest(examples: Sequence[Example]) -> str:
    """One number for the set of pictures that were learned from."""
    import hashlib

    ids = np.array(sorted(example.content_id for example in examples), dtype="<i8")
    return hashlib.blake2b(ids.tobytes(), digest_size=16).hexdigest()
