"""The stages of a training, each from the first weights: one for each fold of a cross-validation, which is measured on the fold
that it has not seen, and a last one on all labeled images, which gives the model.

With unlabeled images a stage goes on after the labels with rounds of pseudo-labels, each found by the weights of the round
before. Both are measured, and if pseudo-labels make the error rate no lower, the model is trained without them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class FoldMeasured:
    """A fold was measured by a network that was trained without it."""

    number: int
    """From 1."""
    folds: int
    scores: Scores
    pseudo_labels: bool = False
    """Whether the network was trained on pseudo-labels, too."""


@dataclass(frozen=True)
class PseudoLabelsMeasured:
    """All images that are measured on were recognized by networks that were trained with and without pseudo-labels."""

    without: Scores
    with_them: Scores

    @property
    def helped(self) -> bool:
        """Whether they are used for the model."""
        return self.with_them.cer < self.without.cer


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
        self._stage = self._round = 0
        if state:
            try:
                self._stage, self._round = int(state.values["stage"]), int(state.values["round"])
                self.seconds = float(state.values["earlier_seconds"])
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
        times = f", {self._parts} times," if self._parts > 1 else ""
        if config.steps:
            return f"{config.steps:,} steps{times}"
        budget = self._budget(sampler)
        return plural(round(budget.total / sampler.steps_per_epoch), "epoch") + times

    @property
    def measured(self) -> EvalResult | None:
        """What the folds recognized together, as the model was trained; None without a cross-validation."""
        return self._pooled(self.pseudo_labeled is not None) if self._prepared.folds and self._run else None

    def train(self) -> Iterator[StageEvent]:
        """Train."""
        folds = self._prepared.folds
        for stage in range(self._stage, folds + 1):
            self._stage = stage
            if stage == folds and folds and self._prepared.unlabeled:
                yield self._compared()
            yield from self._train_stage(stage)

    def _train_stage(self, stage: int) -> Iterator[StageEvent]:
        first, self._round = self._round, 0
        if not first:
            self._prepared.model.load_state_dict(self._first_weights)
        labeled, is_last = self._labeled(stage), stage == self._prepared.folds
        rounds = _ROUNDS if self._is_worthwhile(stage) else 0
        for round in range(first, rounds + 1):
            pseudo = self._pseudo_labeled(stage, round) if round else None
            if self._parts > 1:
                yield self._begun(stage, len(labeled), pseudo)
            lines = labeled if pseudo is None else pseudo_labels.mixed(labeled, pseudo)
            trained = yield from self._train_round(lines, stage, round)
            if trained is None:
                return
            self.trained = trained
            self.pseudo_labeled = pseudo if is_last else None
            if round in (0, rounds) and (rounds or not is_last):
                yield from self._measure(stage, bool(round))
        if is_last and rounds and len(self._prepared.validation):
            yield from self._chosen()

    def _begun(self, stage: int, images: int, pseudo: LineDataset | None) -> StageBegun:
        begun = StageBegun(stage + 1, self._prepared.folds + 1, images)
        if pseudo is None:
            return begun
        return replace(begun, pseudo_labeled=len(pseudo), unlabeled=len(self._prepared.unlabeled or ()))

    def _chosen(self) -> Iterator[PseudoLabelsMeasured]:
        """Compare with and without pseudo-labels on the validation split, and take back the weights from before if better."""
        compared = self._compared()
        yield compared
        if not compared.helped:
            self._return_to_labels_alone()

    def _train_round(self, lines: LineDataset, stage: int, round: int) -> Generator[StageEvent, None, Trained | None]:
        """Train on these lines from the present weights, or go on from the state; None in a process that keeps nothing."""
        state, self._state = self._state, None
        sampler = self._sampler(lines)
        budget = self._budget(self._sampler(self._labeled(stage)))  # rounds of pseudo-labels are as long as that of the labels
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
            values = {"batch_size": self._batch_size, "stage": stage, "round": round, "earlier_seconds": self.seconds}
            trained = yield from _recorded(trainer, loader, self._run, values, self._order.save_seconds)
        self.seconds += budget.seconds
        return trained

    @property
    def _parts(self) -> int:
        """Trainings of which all stages consist, if pseudo-labels help."""
        return (self._prepared.folds + 1) * (1 + _ROUNDS * (self._prepared.unlabeled is not None))

    def _labeled(self, stage: int) -> LineDataset:
        prepared = self._prepared
        return prepared.train.subset(prepared.fold_of != stage) if stage < prepared.folds else prepared.train

    def _is_worthwhile(self, stage: int) -> bool:
        """Whether a stage has rounds of pseudo-labels: the last one only if these helped the folds."""
        if not self._prepared.unlabeled or not len(self._prepared.unlabeled):
            return False
        return stage < self._prepared.folds or not self._prepared.folds or self._compared().helped

    def _pseudo_labeled(self, stage: int, round: int) -> LineDataset:
        """The pseudo-labels of a round, by the present weights unless they were found before an interruption."""
        prepared, run = self._prepared, self._run
        assert prepared.unlabeled
        assert run
        path = run.pseudo_labels(stage, round)
        found = pseudo_labels.load(path, prepared.unlabeled)
        if found is None:
            is_fold = stage < prepared.folds
            measured = self._result(stage, False) if is_fold or not prepared.folds else self._pooled(False)
            recognizer = recognizer_of(prepared.card, prepared.model, self._device)
            found = pseudo_labels.pseudo_labeled(recognizer, prepared.unlabeled, self._config, measured)
            pseudo_labels.save(found, path)
        return found

    def _measure(self, stage: int, pseudo_labeled: bool) -> Iterator[FoldMeasured]:
        """Recognize the held-out lines of a stage, if there are any. The last stage keeps its weights before pseudo-labels."""
        prepared, run = self._prepared, self._run
        samples = prepared.held_out(stage).samples
        if not samples or not run:
            return
        result = improvement.recognize_held_out(recognizer_of(prepared.card, prepared.model, self._device), samples)
        improvement.save(result, samples, run.predictions(stage, pseudo_labeled))
        if stage < prepared.folds:
            yield FoldMeasured(stage + 1, prepared.folds, result.scores, pseudo_labeled)
        elif not pseudo_labeled:
            run.save(TrainerState(dict(prepared.model.state_dict()), {}), run.labels_alone)

    def _result(self, stage: int, pseudo_labeled: bool) -> EvalResult | None:
        assert self._run
        return improvement.load(self._run.predictions(stage, pseudo_labeled), self._prepared.held_out(stage).samples)

    def _pooled(self, pseudo_labeled: bool) -> EvalResult:
        """What the stages recognized in their held-out lines, with or without pseudo-labels."""
        stages = range(self._prepared.folds or 1)
        return improvement.pooled(found for stage in stages if (found := self._result(stage, pseudo_labeled)))

    def _compared(self) -> PseudoLabelsMeasured:
        return PseudoLabelsMeasured(self._pooled(False).scores, self._pooled(True).scores)

    def _return_to_labels_alone(self) -> None:
        """Take back the weights from before the pseudo-labels."""
        assert self._run
        prepared = self._prepared
        prepared.model.load_state_dict(self._run.load(self._run.labels_alone).tensors)
        recognizer = recognizer_of(prepared.card, prepared.model, self._device)
        scores, samples = recognize_lines(recognizer, prepared.validation)
        self.trained = Trained(scores, samples, self.trained.step, self.trained.samples_seen)
        self.pseudo_labeled = None

    def _sampler(self, lines: LineDataset) -> BatchSampler:
        share = self._config.mix if self._order.synthetic else 0.0
        return BatchSampler(len(lines), self._batch_size, self._config.seed, share)

    def _budget(self, sampler: BatchSampler) -> Budget:
        samples, widths = sampler.samples_per_epoch, self._prepared.train.widths
        if self._prepared.start.found and len(widths):  # a wide line has much to learn from
            samples = round(samples * max(1.0, float(widths.mean()) / _WIDE))
        return Budget(self._config, samples, sampler.steps_per_epoch, self._order.clock, self._parts)

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
