"""One training from prepared data to a stored model."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from crnnocr import runtime
from crnnocr.config import ExportConfig, Precision, TrainConfig
from crnnocr.datasets import Dataset
from crnnocr.datasets.lines import LabeledLine
from crnnocr.errors import CrnnocrError
from crnnocr.export import quantization
from crnnocr.export.folder import derive_onnx, serialize_onnx
from crnnocr.inference.engines import DERIVED, OnnxEngine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics import calibration
from crnnocr.metrics.calibration import Calibration
from crnnocr.metrics.scores import Scores
from crnnocr.model import checkpoint, registry
from crnnocr.model.card import Card
from crnnocr.runtime import cores
from crnnocr.training import resume as runs
from crnnocr.training.batching import Plan, batch_size_for
from crnnocr.training.distributed import Ranks, joined
from crnnocr.training.history import History, curves
from crnnocr.training.history import read as history_rows
from crnnocr.training.loader import Loader
from crnnocr.training.prepare import Prepared
from crnnocr.training.record import as_json, digest, record
from crnnocr.training.resume import Run
from crnnocr.training.schedule import Budget
from crnnocr.training.synthetic import Sampler, drawn
from crnnocr.training.trainer import Progress, Trained, Trainer
from crnnocr.training.validation import Validation, read_lines

_SAVE_SECONDS = 20.0
"""Between two states that are kept."""

_MAKERS = 8
"""Most threads that make batches for a GPU."""

_WORSE = 0.001
"""How much higher the character error rate of the quantised network may be for it to be used."""

CURVES = "curves.svg"
"""The picture of loss and error rate."""


@dataclass(frozen=True)
class Begun:
    """The first event: what the training will do."""

    run: str
    """The name that it goes on under if it is interrupted."""
    batch_size: int
    """Pictures a step."""
    budget: str
    """How long it goes on, in words."""
    resumed_at: int
    """Steps made before it was interrupted."""
    device: str
    """Where it runs, and in how many processes, in words."""
    interrupted: str
    """The name of an interrupted run of the same data and options that it does not go on with; empty where there is none."""


@dataclass(frozen=True)
class Finished:
    """A training that ended well."""

    name: str
    """The name it is stored under."""
    wanted: str
    """The name it was to have, if that was free."""
    path: Path
    """The stored model."""
    scores: Scores | None
    """Scores of the kept weights on the held-out pictures, if there are any."""
    calibration: Calibration
    """What brings confidences to the share of right readings."""
    precision: Precision | None
    """The numbers that it is read with on a CPU, without torch; None where it is read by torch."""
    seconds: float
    """Wall time of the training, that before an interruption included."""


Event = Begun | Progress | Validation | Finished


@dataclass(frozen=True)
class Order:
    """What is to be trained."""

    prepared: Prepared
    """The network and what it learns from."""
    config: TrainConfig
    """The recipe."""
    learn: tuple[Dataset, ...]
    """Where the pictures come from."""
    draw: Sampler | None = None
    """Draws more of them, if any are to be drawn."""
    force: bool = False
    """Replace a model of the same name."""
    device: str = "auto"
    """Where it runs."""
    resume: bool = False
    """Go on with an interrupted run of the same data and options: that called as the model, if `named`, else the newest."""
    named: bool = False
    """Whether the user has said what the model is to be called."""


def run(order: Order) -> Generator[Event]:
    """Train and, if it ends well, store the model under the card's name and make it the current one.

    A name that is taken by then becomes `name-2`, or with `force` the model of this name is replaced. Closed, interrupted or
    killed before that, it can go on from where it stood less than half a minute earlier.

    Raises:
        UsageError: there is no such device, or no run to go on with.
        CrnnocrError: the loss is no longer a number, or the data directory cannot be written.
    """
    config = order.config
    device = runtime.select_device(order.device)
    with joined(device) as ranks:
        registry.check_writable()
        card = order.prepared.card
        about = {
            "data": digest(order.prepared),
            "characters": card.charset.characters,
            "shape": json.dumps(card.config.to_json()),
            "options": as_json(asdict(config)),
        }
        resumed = runs.resumable(card.name if order.named else None, about) if order.resume else None
        left = "" if order.resume else runs.left_alone(about)
        kept = resumed or (runs.begin(card.name, about) if ranks.is_first else None)
        with runs.held(kept) if kept and ranks.is_first else nullcontext():
            try:
                yield from _train(order, kept, resumed is not None, left, device, ranks)
            except torch.OutOfMemoryError as error:
                raise CrnnocrError("the GPU has no memory left: train with a smaller --batch-size") from error


def _train(order: Order, run: Run | None, resume: bool, left: str, device: torch.device, ranks: Ranks) -> Iterator[Event]:
    prepared, config = order.prepared, order.config
    state = run.load() if run and resume else None
    batch_size = state[1]["batch_size"] if state else batch_size_for(config, prepared, device, ranks)
    plan = Plan(len(prepared.train), batch_size, config.seed, config.mix if order.draw else 0.0)
    budget = Budget(config, plan.pictures_an_epoch, plan.steps_an_epoch)
    trainer = Trainer(prepared.model, prepared.card, prepared.validation, config, budget, device, batch_size, ranks)
    if state:
        try:
            trainer.go_on_from(*state)
        except (KeyError, RuntimeError, TypeError) as error:
            raise CrnnocrError(f"the run {run.name if run else ''} is of another version of crnnocr: begin anew") from error
    where = f"{device}, {ranks.size} processes" if ranks.size > 1 else str(device)
    yield Begun(run.name if run else "", batch_size, _in_words(budget, plan, config), trainer.step, where, left)
    with _loader(order, plan, trainer.step, device, ranks) as loader:
        if not ranks.is_first or run is None:
            for _ in trainer.train(loader):
                pass
            return
        with (
            History.open(run.history, trainer.step) as history,
            closing(_kept(trainer, loader, history, run, batch_size)) as events,
        ):
            for event in events:
                if isinstance(event, Trained):
                    trained = event
                else:
                    yield event
    yield _finish(order, run, trained, budget.seconds, str(device), batch_size)


def _kept(
    trainer: Trainer, loader: Loader, history: History, run: Run, batch_size: int
) -> Generator[Progress | Validation | Trained]:
    """The events of a training whose states are kept as it goes on, and when it is closed."""

    def keep() -> None:
        tensors, values = trainer.state()
        run.save(tensors, values | {"batch_size": batch_size})

    saved = time.monotonic()
    for event in trainer.train(loader):
        if isinstance(event, Validation):
            history.add(event)
        if time.monotonic() - saved > _SAVE_SECONDS:
            keep()
            saved = time.monotonic()
        try:
            yield event
        except GeneratorExit:
            if not isinstance(event, Trained):
                keep()
            raise


def _loader(order: Order, plan: Plan, step: int, device: torch.device, ranks: Ranks) -> Loader:
    prepared = order.prepared
    card = prepared.card
    stream: Iterator[LabeledLine | None] = iter(())
    if order.draw:
        share = ranks.share(next(plan.pools(step)).drawn)
        stream = drawn(order.draw, card.charset, card.config, card.orientation, share.start, share.step)
    augmentation = order.config.augmentation.times(order.config.augment)
    threads = 1 if device.type == "cpu" else max(1, min(_MAKERS, cores() // ranks.on_this_machine - 1))
    return Loader(plan, prepared.train, stream, card.charset, card.config, augmentation, ranks, step, threads)


def _finish(order: Order, run: Run, trained: Trained, seconds: float, device: str, batch_size: int) -> Finished:
    """Store the model with all that belongs to it, and forget the run."""
    prepared, scores = order.prepared, trained.scores
    prepared.model.to("cpu")
    fitted = calibration.fit(
        [reading.log_prob for reading in trained.readings], [reading.text == reading.truth for reading in trained.readings]
    )
    wanted = prepared.card.name if order.named else run.model
    name = wanted if order.force else registry.free_name(wanted)
    card = replace(
        prepared.card,
        name=name,
        training=record(prepared, order.learn, order.config, trained, seconds, device, batch_size),
        scores=scores,
        calibration=fitted,
    )
    path = registry.path_of(name)
    rows = tuple(history_rows(run.history))
    card = replace(card, activation_ranges=_peaks(prepared))
    with suppress(CrnnocrError):  # what cannot be quantised is kept as it is
        if scores and _reads_as_well(card, prepared, scores):
            card = replace(card, precision=Precision.INT8)
    checkpoint.save(path, card, prepared.model, prepared.start.trained_on | set(prepared.train.content_ids.tolist()))
    (path.parent / runs.HISTORY).write_bytes(run.history.read_bytes())
    for derived in (CURVES, *DERIVED.values()):  # those of the model it replaces
        (path.parent / derived).unlink(missing_ok=True)
    if rows:
        curves(path.parent / CURVES, rows)
    derive_onnx(path)
    registry.make_current(name)
    run.remove()
    readable = [numbers for numbers in (card.precision, Precision.FP32) if (path.parent / DERIVED[numbers]).is_file()]
    precision = readable[0] if readable else None
    return Finished(name, wanted, path, scores, fitted, precision, seconds)


def _peaks(prepared: Prepared) -> tuple[float, ...]:
    """How far the network's values reach over what it learnt from, or where that was drawn, over what it was validated on."""
    lines = prepared.train if len(prepared.train) else prepared.validation
    if not len(lines):
        return ()
    chosen = range(0, len(lines), -(-len(lines) // quantization.LINES))
    return quantization.activation_ranges(prepared.model, [lines[i].pixels for i in chosen])


def _reads_as_well(card: Card, prepared: Prepared, scores: Scores) -> bool:
    """Whether the quantised network reads the held-out pictures nearly as well as the network itself."""
    engine = OnnxEngine(serialize_onnx(card, prepared.model, ExportConfig(precision=Precision.INT8)))
    quantised, _ = read_lines(Recognizer(card, engine), prepared.validation)
    return quantised.cer <= scores.cer + _WORSE


def _in_words(budget: Budget, plan: Plan, config: TrainConfig) -> str:
    if budget.in_seconds:
        return f"{config.minutes:g} min"
    if config.steps:
        return f"{config.steps:,} steps"
    epochs = round(budget.total / plan.steps_an_epoch)
    return f"{epochs:,} epoch{'s' * (epochs > 1)}"
