"""One training from prepared data to a stored model."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass

import torch

from crnnocr import runtime
from crnnocr.errors import CrnnocrError
from crnnocr.evaluation.outcomes import EvalResult
from crnnocr.files import as_json
from crnnocr.inference.recognizer import Recognizer
from crnnocr.model import registry
from crnnocr.training import improvement, resume
from crnnocr.training.batching import batch_size_for
from crnnocr.training.distributed import DistributedContext, process_group
from crnnocr.training.finalize import Ending, Finished
from crnnocr.training.improvement import StartMeasured
from crnnocr.training.prepare import Prepared
from crnnocr.training.resume import Run
from crnnocr.training.stages import Order, StageEvent, Stages


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
class Finalizing:
    """A step on the way from the end of the training loop to the stored model is done."""

    step: str
    """Name of the function in `finalize.STEPS`."""


Event = Begun | StartMeasured | StageEvent | Finalizing | Finished


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
    if run.before.is_file():
        return improvement.load(run.before, samples)
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
    prepared, config = order.prepared, order.config
    state = run.load() if run and is_resumed else None
    batch_size = state.batch_size if state else batch_size_for(config, prepared, device, context)
    where = f"{device}, {context.world_size} processes" if context.world_size > 1 else str(device)
    stages = Stages(order, run, state, batch_size, device, context)
    yield Begun(run.name if run else "", batch_size, stages.budget_in_words, stages.resumed_at, where, other)
    yield from stages.train()
    if not context.is_main or run is None:
        return
    ending = Ending(
        prepared=prepared,
        config=config,
        sources=order.sources,
        trained=stages.trained,
        run=run,
        wanted=prepared.card.name if order.named else run.model,
        force=order.force,
        seconds=stages.seconds,
        device=str(device),
        batch_size=batch_size,
        card=prepared.card,
        folds=stages.measured,
        codes=order.codes,
        pseudo_labeled=stages.pseudo_labeled,
        before=before,
    )
    for step in order.finalization:
        step(ending)
        yield Finalizing(step.__name__)
    yield ending.finished()
