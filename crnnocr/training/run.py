"""One training from prepared data to a stored model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass

import torch

from crnnocr import runtime
from crnnocr.config import TrainConfig
from crnnocr.datasets import Dataset
from crnnocr.datasets.lines import LabeledLine, LineDataset
from crnnocr.errors import CrnnocrError
from crnnocr.evaluation.outcomes import EvalResult
from crnnocr.files import as_json
from crnnocr.formatting import plural
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.scores import Scores
from crnnocr.model import registry
from crnnocr.runtime import cores
from crnnocr.training import improvement, resume
from crnnocr.training.batching import BatchSampler, batch_size_for
from crnnocr.training.distributed import DistributedContext, process_group
from crnnocr.training.finalize import STEPS, Ending, Finished, Step, recognizer_of
from crnnocr.training.history import History
from crnnocr.training.improvement import StartMeasured
from crnnocr.training.loader import Loader
from crnnocr.training.prepare import Prepared
from crnnocr.training.resume import Run
from crnnocr.training.schedule import Budget, Progress
from crnnocr.training.synthetic import Sampler, synthetic_lines
from crnnocr.training.trainer import REPORT_SECONDS, LossFunction, Trained, Trainer, TrainerState, ctc_loss
from crnnocr.training.validation import UNTRAINED_CER, Validation

_MAX_LOADER_THREADS = 8
"""More do not help a GPU."""


@dataclass(frozen=True)
class Begun:
    """The first event: what the training will do."""

    run: str
    """The name by which it is resumed if it is interrupted."""
    batch_size: int
    """Samples per step."""
    budget: str
    """How long it lasts, in words."""
    resumed_at: int
    """Steps made before it was interrupted."""
    device: str
    """Where it runs, and in how many processes, in words."""
    interrupted: str
    """The name of an interrupted run of the same data and options that it does not resume; empty if there is none."""


@dataclass(frozen=True)
class StageBegun:
    """A stage of a cross-validation begins: the training without a fold or, last, with all images."""

    number: int
    """From 1."""
    stages: int
    images: int
    """That it trains on."""


@dataclass(frozen=True)
class FoldMeasured:
    """A fold was measured by a network that was trained without it."""

    number: int
    """From 1."""
    folds: int
    scores: Scores


@dataclass(frozen=True)
class Finalizing:
    """A step on the way from the end of the training loop to the stored model is done."""

    step: str
    """Name of the function in `finalize.STEPS`."""


Event = Begun | StartMeasured | StageBegun | Progress | Validation | FoldMeasured | Finalizing | Finished


@dataclass(frozen=True)
class Order:
    """Everything that one training is given."""

    prepared: Prepared
    """The network and the data."""
    config: TrainConfig
    """The options."""
    sources: tuple[Dataset, ...]
    """Where the data come from."""
    synthetic: Sampler | None = None
    """Makes synthetic images to train on."""
    force: bool = False
    """Replace a model of the same name."""
    device: str = "auto"
    """Where it runs."""
    resume: bool = False
    """Resume an interrupted run of the same data and options: that of the model's name if `named`, else the newest."""
    named: bool = False
    """Whether the user chose the model's name."""
    loss: LossFunction = ctc_loss
    """The loss of a batch."""
    report_seconds: float = REPORT_SECONDS
    """Least time between two reports of progress; a negative one reports each step."""
    save_seconds: float = 20.0
    """Least time between two saved states; a negative one saves at each event."""
    synthetic_workers: int | None = None
    """Processes that make synthetic images; by default as many as fit the cores."""
    untrained_cer: float = UNTRAINED_CER
    """A higher CER than this is never taken for a plateau."""
    clock: Callable[[], float] = time.monotonic
    """Measures the training, in seconds."""
    finalization: tuple[Step, ...] = STEPS
    """The steps from the trained network to the stored model."""


def run(order: Order) -> Generator[Event]:
    """Train and, if it ends well, store the model under the card's name. It is made the current one if it is better than its
    start model, or has none.

    If the name is taken by then, the model is called `name-2`; with `force` a better one replaces the model of this name. A run
    that is closed, interrupted or killed before can be resumed from where it stood less than half a minute earlier.

    Raises:
        UsageError: there is no such device, or no run to resume.
        CrnnocrError: the loss is no longer finite, the GPU has too little memory, or the data directory cannot be written.
    """
    device = runtime.select_device(order.device)
    registry.check_writable()
    is_main = DistributedContext.from_environment().is_main
    card = order.prepared.card
    identity = {
        "data": order.prepared.digest,
        "characters": card.charset.characters,
        "shape": json.dumps(card.config.to_json()),
        "options": as_json(asdict(order.config)),
    }
    resumed = resume.find_resumable(card.name if order.named else None, identity) if order.resume else None
    other = "" if order.resume else resume.find_interrupted(identity)
    run = resumed or (resume.begin(card.name, identity) if is_main else None)
    with resume.locked(run) if run and is_main else nullcontext():
        before, found = None, order.prepared.start.found
        if run and is_main and found and order.prepared.has_held_out_images:
            before = _before(order.prepared, run, device)  # now the budget's clock has not started, and no process waits
            yield StartMeasured(found.name, before.scores)
        with process_group(device) as context:
            try:
                yield from _train(order, run, resumed is not None, other, device, context, before)
            except torch.OutOfMemoryError as error:
                raise CrnnocrError("the GPU has no memory left: train with a smaller `batch_size`") from error


def _before(prepared: Prepared, run: Run, device: torch.device) -> EvalResult:
    """Score the start model on the held-out images. The run keeps its predictions: the model may be replaced at its end."""
    samples = prepared.measured.samples
    result = improvement.load(run.before, samples)
    if result is None:
        assert prepared.start.found
        result = improvement.recognize_held_out(Recognizer.load(prepared.start.found.path, device.type), samples)
        improvement.save(result, samples, run.before)
    return result


def _train(
    order: Order,
    run: Run | None,
    is_resumed: bool,
    other: str,
    device: torch.device,
    context: DistributedContext,
    before: EvalResult | None,
) -> Iterator[Event]:
    """Train in stages, each from the first weights: without each fold, which is then measured, and last on all images."""
    prepared, config = order.prepared, order.config
    state = run.load() if run and is_resumed else None
    batch_size = state.batch_size if state else batch_size_for(config, prepared, device, context)
    first_weights = deepcopy(prepared.model.state_dict())
    fold, seconds = _progress_of(state)
    where = f"{device}, {context.world_size} processes" if context.world_size > 1 else str(device)
    is_begun = False
    while True:
        lines = prepared.train.subset(prepared.fold_of != fold) if fold < prepared.folds else prepared.train
        sampler = BatchSampler(len(lines), batch_size, config.seed, config.mix if order.synthetic else 0.0)
        stages = prepared.folds + 1
        budget = Budget(config, sampler.samples_per_epoch, sampler.steps_per_epoch, order.clock, stages)
        prepared.model.load_state_dict(first_weights)
        trainer = _trainer(order, budget, device, batch_size, context)
        if run and state:
            _load(trainer, state, run)
        if not is_begun:
            is_begun = True
            words = _in_words(budget, sampler, config, stages)
            yield Begun(run.name if run else "", batch_size, words, trainer.step, where, other)
        if prepared.folds:
            yield StageBegun(fold + 1, stages, len(lines))
        with _loader(order, lines, sampler, trainer.step, device, context) as loader:
            if not context.is_main or run is None:
                for _ in trainer.train(loader):
                    pass
                return
            values = {"batch_size": batch_size, "fold": fold, "earlier_seconds": seconds}
            trained = yield from _recorded(trainer, loader, run, values, order.save_seconds)
        seconds += budget.seconds
        if fold >= prepared.folds:
            break
        held_out = prepared.train.subset(prepared.fold_of == fold).samples
        result = improvement.recognize_held_out(recognizer_of(prepared.card, prepared.model, device), held_out)
        improvement.save(result, held_out, run.fold(fold))
        yield FoldMeasured(fold + 1, prepared.folds, result.scores)
        fold, state = fold + 1, None
    ending = Ending(
        prepared=prepared,
        config=config,
        sources=order.sources,
        trained=trained,
        run=run,
        wanted=prepared.card.name if order.named else run.model,
        force=order.force,
        seconds=seconds,
        device=str(device),
        batch_size=batch_size,
        card=prepared.card,
        folds=_measured_folds(prepared, run),
        before=before,
    )
    for step in order.finalization:
        step(ending)
        yield Finalizing(step.__name__)
    yield ending.finished()


def _progress_of(state: TrainerState | None) -> tuple[int, float]:
    """The fold that a state is of, and the seconds that the folds before it took."""
    if state is None:
        return 0, 0.0
    try:
        return int(state.values["fold"]), float(state.values["earlier_seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise CrnnocrError("the state of the run is damaged: begin again without `resume`") from error


def _trainer(order: Order, budget: Budget, device: torch.device, batch_size: int, context: DistributedContext) -> Trainer:
    prepared = order.prepared
    return Trainer(
        model=prepared.model,
        card=prepared.card,
        validation=prepared.validation,
        config=order.config,
        budget=budget,
        device=device,
        batch_size=batch_size,
        context=context,
        loss=order.loss,
        report_seconds=order.report_seconds,
        untrained_cer=order.untrained_cer,
        is_start_trained=prepared.start.found is not None,
    )


def _load(trainer: Trainer, state: TrainerState, run: Run) -> None:
    try:
        trainer.load_state_dict(state)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise CrnnocrError(f"the run {run.name} is of another version of crnnocr: begin again") from error


def _measured_folds(prepared: Prepared, run: Run) -> EvalResult | None:
    """What the folds recognized together; None without a cross-validation."""
    if not prepared.folds:
        return None
    parts = (prepared.train.subset(prepared.fold_of == fold).samples for fold in range(prepared.folds))
    found = [improvement.load(run.fold(fold), samples) for fold, samples in enumerate(parts)]
    return improvement.pooled(result for result in found if result)


def _recorded(
    trainer: Trainer, loader: Loader, run: Run, values: dict[str, int | float], save_seconds: float
) -> Generator[Progress | Validation, None, Trained]:
    """Train, keeping the history and the state, with these `values`, in the run's folder."""
    with (
        History.open(run.history, trainer.step) as history,
        closing(_saving(trainer, loader, history, run, values, save_seconds)) as events,
    ):
        for event in events:
            if isinstance(event, Trained):
                trained = event
            else:
                yield event
    return trained


def _saving(
    trainer: Trainer, loader: Loader, history: History, run: Run, more: dict[str, int | float], save_seconds: float
) -> Generator[Progress | Validation | Trained]:
    """The events of a training whose state is saved from time to time, at its end, and when it is closed."""

    def save() -> None:
        tensors, values = trainer.state_dict()
        run.save(TrainerState(tensors, values | more))

    saved = time.monotonic()
    for event in trainer.train(loader):
        if isinstance(event, Validation):
            history.add(event)
        if isinstance(event, Trained) or time.monotonic() - saved > save_seconds:
            save()
            saved = time.monotonic()
        try:
            yield event
        except GeneratorExit:
            if not isinstance(event, Trained):
                save()
            raise


def _loader(
    order: Order, lines: LineDataset, sampler: BatchSampler, step: int, device: torch.device, context: DistributedContext
) -> Loader:
    card = order.prepared.card
    synthetic: Iterator[LabeledLine | None] = iter(())
    if order.synthetic:
        shard = context.shard(next(sampler.buckets(step)).synthetic)
        synthetic = synthetic_lines(
            order.synthetic,
            card.charset,
            card.config,
            card.orientation,
            start=shard.start,
            step=shard.step,
            workers=order.synthetic_workers,
        )
    augmentation = order.config.augmentation.times(order.config.augment)
    threads = 1 if device.type == "cpu" else max(1, min(_MAX_LOADER_THREADS, cores() // context.local_world_size - 1))
    return Loader(
        sampler=sampler,
        lines=lines,
        synthetic=synthetic,
        charset=card.charset,
        model_config=card.config,
        augmentation=augmentation,
        context=context,
        step=step,
        threads=threads,
    )


def _in_words(budget: Budget, sampler: BatchSampler, config: TrainConfig, stages: int) -> str:
    if budget.in_seconds:
        return f"{config.minutes:g} min"
    times = f", {stages} times," if stages > 1 else ""
    if config.steps:
        return f"{config.steps:,} steps{times}"
    return plural(round(budget.total / sampler.steps_per_epoch), "epoch") + times
