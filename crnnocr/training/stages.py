"""The stages of a training, each from the first weights: one for each fold of a cross-validation, which is measured on the fold
that it has not seen, and a last one on all labeled images, which gives the model.

With unlabeled images a stage goes on, after the labels, with shorter rounds of pseudo-labels, each found by the weights of the
round before. All are measured, and the model is trained with as many as were best: with none as without unlabeled images.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch

from crnnocr.config import TrainConfig
from crnnocr.datasets import Dataset
from crnnocr.datasets.lines import LabeledLine, LineDataset
from crnnocr.errors import CrnnocrError
from crnnocr.evaluation.outcomes import EvalResult
from crnnocr.formatting import plural
from crnnocr.metrics.scores import Scores
from crnnocr.runtime import cores
from crnnocr.training import improvement, pseudo_labels
from crnnocr.training.batching import BatchSampler
from crnnocr.training.distributed import DistributedContext
from crnnocr.training.finalize import STEPS, Step, recognizer_of
from crnnocr.training.history import History
from crnnocr.training.loader import Loader
from crnnocr.training.prepare import Prepared
from crnnocr.training.resume import Run
from crnnocr.training.schedule import Budget, Progress
from crnnocr.training.synthetic import Sampler, synthetic_lines
from crnnocr.training.trainer import REPORT_SECONDS, LossFunction, Trained, Trainer, TrainerState, ctc_loss
from crnnocr.training.validation import UNTRAINED_CER, Validation, recognize_lines

_MAX_LOADER_THREADS = 8
"""More do not help a GPU."""

_WIDE = 200
"""Width in pixels from which on a line counts as more than one of the samples that a training from a start model sees."""

_ROUNDS = 2
"""Times that pseudo-labels are looked for in a stage."""

_PART = 0.25
"""Length of a round of pseudo-labels, as a share of that of the labels."""


@dataclass(frozen=True)
class StageBegun:
    """A round of a stage of several begins."""

    number: int
    """The stage, from 1; the last one is on all images."""
    stages: int
    images: int
    """Labeled images that it trains on."""
    pseudo_labeled: int = 0
    """Unlabeled images that are recognized confidently, and trained on too."""
    unlabeled: int = 0
    """Unlabeled images; 0 if it trains on labels alone."""
    round: int = 0
    """Of pseudo-labels, from 1; 0 for the labels alone."""


@dataclass(frozen=True)
class FoldMeasured:
    """A fold was measured by a network that was trained without it."""

    number: int
    """From 1."""
    folds: int
    scores: Scores
    round: int = 0
    """Of pseudo-labels; 0 for a network that was trained on labels alone."""


@dataclass(frozen=True)
class PseudoLabelsMeasured:
    """All held-out images were recognized by networks that were trained on labels alone, and after each round."""

    scores: tuple[Scores, ...]
    """Of the labels alone, and of each round of pseudo-labels."""
    found: bool
    """Whether any image was recognized confidently enough."""

    @property
    def best(self) -> int:
        """The round with the lowest CER, with which the model is trained; 0 if pseudo-labels do not help."""
        return min(range(len(self.scores)), key=lambda i: self.scores[i].cer)


StageEvent = StageBegun | Progress | Validation | FoldMeasured | PseudoLabelsMeasured


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
    codes: str = ""
    """The form of the labels, a regular expression, if these images are made after it."""
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


class Stages:
    """Trains the network of an order in stages; at the end it holds the weights of the model."""

    def __init__(
        self,
        order: Order,
        run: Run | None,
        state: TrainerState | None,
        batch_size: int,
        device: torch.device,
        context: DistributedContext,
    ) -> None:
        """Get ready to train, from a `state` on if there is one; without a `run` nothing is kept.

        Raises `CrnnocrError` if the state is damaged.
        """
        self.seconds = 0.0
        """Wall time of all stages that have ended, including that before an interruption."""
        self.trained = Trained(None, (), 0, 0)
        """The result of the last stage."""
        self.pseudo_labeled: LineDataset | None = None
        """The lines with pseudo-labels that the model was trained on."""
        self._order, self._prepared, self._config = order, order.prepared, order.config
        self._run, self._state, self._batch_size, self._device, self._context = run, state, batch_size, device, context
        self._first_weights = deepcopy(order.prepared.model.state_dict())
        self._stage = self._round = self._steps = self._samples = 0
        if state:
            try:
                self._stage, self._round = int(state.values["stage"]), int(state.values["round"])
                self.seconds = float(state.values["earlier_seconds"])
                self._steps, self._samples = int(state.values["earlier_steps"]), int(state.values["earlier_samples"])
            except (KeyError, TypeError, ValueError) as error:
                raise CrnnocrError("the state of the run is damaged: begin again without `resume`") from error
        self.resumed_at = int(state.values.get("step", 0)) if state else 0
        """Steps made in its stage before it was interrupted."""

    @property
    def budget_in_words(self) -> str:
        """How long it lasts."""
        config, sampler = self._config, self._sampler(self._prepared.train)
        if config.minutes is not None:
            return f"{config.minutes:g} min"
        times = f", {self._prepared.folds + 1} times," if self._prepared.folds else ""
        more = " and half as many with pseudo-labels" if self._has_pseudo_labels else ""
        if config.steps:
            return f"{config.steps:,} steps{more}{times}"
        return plural(round(self._budget(sampler, 0, 0).total / sampler.steps_per_epoch), "epoch") + more + times

    @property
    def measured(self) -> EvalResult | None:
        """The scored predictions of all folds, trained as the model was; None without a cross-validation."""
        if not self._prepared.folds or not self._run:
            return None
        return self._pooled(0 if self.pseudo_labeled is None else self._compared().best)

    def train(self) -> Iterator[StageEvent]:
        """Train."""
        folds = self._prepared.folds
        for stage in range(self._stage, folds + 1):
            if stage == folds and folds and self._has_pseudo_labels:
                yield self._compared()
            yield from self._train_stage(stage)

    def _train_stage(self, stage: int) -> Iterator[StageEvent]:
        first, self._round = self._round, 0
        labeled, is_last, rounds = self._labeled(stage), stage == self._prepared.folds, self._rounds(stage)
        for round in range(first, rounds + 1):
            pseudo = self._pseudo_labeled(stage, round) if round else None
            if self._prepared.folds or rounds:
                yield self._begun(stage, round, len(labeled), pseudo)
            if pseudo is None or len(pseudo):
                lines = labeled if pseudo is None else pseudo_labels.mixed(labeled, pseudo)
                trained = yield from self._train_round(lines, stage, round, rounds)
                if trained is None:
                    return
                self.trained, self.pseudo_labeled = trained, pseudo if is_last else None
            if rounds or not is_last:
                yield from self._measure(stage, round)
        if is_last and rounds and len(self._prepared.validation):
            yield from self._chosen()

    def _begun(self, stage: int, round: int, images: int, pseudo: LineDataset | None) -> StageBegun:
        begun = StageBegun(stage + 1, self._prepared.folds + 1, images, round=round)
        if pseudo is None:
            return begun
        return replace(begun, pseudo_labeled=len(pseudo), unlabeled=len(self._prepared.unlabeled or ()))

    def _train_round(
        self, lines: LineDataset, stage: int, round: int, rounds: int
    ) -> Generator[StageEvent, None, Trained | None]:
        """Train on these lines, or go on from the state; None in a process that keeps nothing."""
        state, self._state = self._state, None
        if not round:
            self._prepared.model.load_state_dict(self._first_weights)
            self._steps = self._samples = 0
        sampler = self._sampler(lines)
        budget = self._budget(self._sampler(self._labeled(stage)), round, rounds)
        if budget.in_seconds and stage == self._prepared.folds and not round:  # the time that the folds did not need
            budget.total = max(budget.total, ((self._config.minutes or 0) * 60 - self.seconds) / (1 + rounds * _PART))
        trainer = self._trainer(budget)
        if self._run and state:
            try:
                trainer.load_state_dict(state)
            except (AttributeError, LookupError, RuntimeError, TypeError, ValueError, OverflowError) as error:
                raise CrnnocrError(f"the run {self._run.name} is of another version of crnnocr: begin again") from error
        with self._loader(lines, sampler, trainer.step) as loader:
            if not self._context.is_main or self._run is None:
                for _ in trainer.train(loader):
                    pass
                return None
            values = {
                "batch_size": self._batch_size,
                "stage": stage,
                "round": round,
                "earlier_seconds": self.seconds,
                "earlier_steps": self._steps,
                "earlier_samples": self._samples,
            }
            trained = yield from _recorded(trainer, loader, self._run, values, self._order.save_seconds)
        self.seconds += budget.seconds
        self._steps, self._samples = self._steps + trained.step, self._samples + trained.samples_seen
        return replace(trained, step=self._steps, samples_seen=self._samples)

    @property
    def _has_pseudo_labels(self) -> bool:
        """Whether pseudo-labels are tried: there are unlabeled images, and others to measure whether they help."""
        return bool(self._prepared.unlabeled) and self._prepared.has_held_out_images

    def _rounds(self, stage: int) -> int:
        """Rounds of pseudo-labels in a stage: in the last one as many as were best for the folds."""
        if not self._has_pseudo_labels:
            return 0
        return self._compared().best if self._prepared.folds and stage == self._prepared.folds else _ROUNDS

    def _labeled(self, stage: int) -> LineDataset:
        """The lines that a stage trains on: none of its fold, nor one with the content of one there."""
        prepared = self._prepared
        if stage == prepared.folds:
            return prepared.train
        contents = prepared.train.content_ids
        return prepared.train.subset(~np.isin(contents, contents[prepared.fold_of == stage]))

    def _pseudo_labeled(self, stage: int, round: int) -> LineDataset:
        """The pseudo-labels of a round, found by the weights of the round before; in no held-out image, or one of its group."""
        prepared, run = self._prepared, self._run
        assert prepared.unlabeled
        assert run
        held_out, unlabeled = prepared.held_out(stage), prepared.unlabeled
        unlabeled = unlabeled.subset(~np.isin(unlabeled.split_ids, held_out.split_ids))
        path = run.pseudo_labels(stage, round)
        if self._state:  # the round was interrupted
            return pseudo_labels.load(path, unlabeled)
        began = self._order.clock()
        measured = self._pooled(0) if prepared.folds and stage == prepared.folds else self._result(stage, 0)
        recognizer = recognizer_of(prepared.card, prepared.model, self._device)
        found = pseudo_labels.pseudo_labeled(recognizer, unlabeled, self._config, measured)
        pseudo_labels.save(found, path)
        self.seconds += self._order.clock() - began
        return found

    def _measure(self, stage: int, round: int) -> Iterator[FoldMeasured]:
        """Recognize the held-out lines of a stage, if there are any. The last stage keeps what each round gave."""
        prepared, run = self._prepared, self._run
        samples = prepared.held_out(stage).samples
        if not samples or not run:
            return
        began = self._order.clock()
        result = improvement.recognize_held_out(recognizer_of(prepared.card, prepared.model, self._device), samples)
        improvement.save(result, samples, run.predictions(stage, round))
        self.seconds += self._order.clock() - began
        if stage < prepared.folds:
            yield FoldMeasured(stage + 1, prepared.folds, result.scores, round)
        else:
            values = {"step": self.trained.step, "samples_seen": self.trained.samples_seen}
            run.save(TrainerState(dict(prepared.model.state_dict()), values), run.weights(round))

    def _chosen(self) -> Iterator[PseudoLabelsMeasured]:
        """Compare the rounds on the validation split, and take back the weights of the best."""
        prepared, run, compared = self._prepared, self._run, self._compared()
        assert run
        assert prepared.unlabeled
        yield compared
        state = run.load(run.weights(compared.best))
        prepared.model.load_state_dict(state.tensors)
        scores, samples = recognize_lines(recognizer_of(prepared.card, prepared.model, self._device), prepared.validation)
        self.trained = Trained(scores, samples, state.values["step"], state.values["samples_seen"])
        path = run.pseudo_labels(prepared.folds, compared.best)
        self.pseudo_labeled = pseudo_labels.load(path, prepared.unlabeled) if compared.best else None

    def _result(self, stage: int, round: int) -> EvalResult:
        assert self._run
        return improvement.load(self._run.predictions(stage, round), self._prepared.held_out(stage).samples)

    def _pooled(self, round: int) -> EvalResult:
        """The scored predictions of the stages for their held-out lines, after a round."""
        return improvement.pooled(self._result(stage, round) for stage in range(self._prepared.folds or 1))

    def _compared(self) -> PseudoLabelsMeasured:
        assert self._run
        scores = tuple(self._pooled(round).scores for round in range(1 + _ROUNDS))
        paths = [self._run.pseudo_labels(stage, 1) for stage in range(self._prepared.folds or 1)]
        return PseudoLabelsMeasured(scores, any(len(json.loads(path.read_text())) for path in paths))

    def _sampler(self, lines: LineDataset) -> BatchSampler:
        share = self._config.mix if self._order.synthetic else 0.0
        return BatchSampler(len(lines), self._batch_size, self._config.seed, share)

    def _budget(self, sampler: BatchSampler, round: int, rounds: int) -> Budget:
        """The budget of a round, of a stage of so many; a round of pseudo-labels has a part of that of the labels."""
        samples, widths = float(sampler.samples_per_epoch), self._prepared.train.widths
        if self._prepared.start.found and len(widths):  # a wide line has much to learn from
            samples *= max(1.0, float(widths.mean()) / _WIDE)
        return Budget(
            self._config,
            int(samples),
            sampler.steps_per_epoch,
            self._order.clock,
            stages=self._prepared.folds + 1,
            part=_PART if round else 1.0,
            whole=1 + rounds * _PART,
        )

    def _trainer(self, budget: Budget) -> Trainer:
        prepared, order = self._prepared, self._order
        return Trainer(
            model=prepared.model,
            card=prepared.card,
            validation=prepared.validation,
            config=self._config,
            budget=budget,
            device=self._device,
            batch_size=self._batch_size,
            context=self._context,
            loss=order.loss,
            report_seconds=order.report_seconds,
            untrained_cer=order.untrained_cer,
            is_start_trained=prepared.start.found is not None,
        )

    def _loader(self, lines: LineDataset, sampler: BatchSampler, step: int) -> Loader:
        order, card, context = self._order, self._prepared.card, self._context
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
        is_cpu = self._device.type == "cpu"
        threads = 1 if is_cpu else max(1, min(_MAX_LOADER_THREADS, cores() // context.local_world_size - 1))
        return Loader(
            sampler=sampler,
            lines=lines,
            synthetic=synthetic,
            charset=card.charset,
            model_config=card.config,
            augmentation=order.config.augmentation.times(order.config.augment),
            context=context,
            step=step,
            threads=threads,
        )


def _recorded(
    trainer: Trainer, loader: Loader, run: Run, values: dict[str, int | float], save_seconds: float
) -> Generator[Progress | Validation, None, Trained]:
    """Train, keeping the state, with these `values`, in the run's folder; and the history of the labels alone."""
    with (
        nullcontext() if values["round"] else History.open(run.history, trainer.step) as history,
        closing(_saving(trainer, loader, history, run, values, save_seconds)) as events,
    ):
        for event in events:
            if isinstance(event, Trained):
                trained = event
            else:
                yield event
    return trained


def _saving(
    trainer: Trainer, loader: Loader, history: History | None, run: Run, more: dict[str, int | float], save_seconds: float
) -> Generator[Progress | Validation | Trained]:
    """The events of a training whose state is saved from time to time, at its end, and when it is closed."""

    def save() -> None:
        tensors, values = trainer.state_dict()
        run.save(TrainerState(tensors, values | more))

    saved = time.monotonic()
    for event in trainer.train(loader):
        if history and isinstance(event, Validation):
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
