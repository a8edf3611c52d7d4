"""From the end of the training loop to a stored model, in steps that can each be repeated after a kill."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from crnnocr import __version__
from crnnocr.config import ActivationRange, ExportConfig, Precision, TrainConfig
from crnnocr.datasets import Dataset
from crnnocr.datasets.lines import LineDataset
from crnnocr.errors import CrnnocrError, DataError, ModelError
from crnnocr.evaluation.outcomes import EvalResult
from crnnocr.export.folder import derive_onnx, serialize_onnx
from crnnocr.files import as_json, atomic_write
from crnnocr.graph import quantization
from crnnocr.inference.engines import DERIVED, OnnxEngine, TorchEngine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics import bootstrap, calibration
from crnnocr.metrics.bootstrap import Estimate
from crnnocr.metrics.calibration import Calibration
from crnnocr.metrics.scores import Scores
from crnnocr.model import checkpoint, registry
from crnnocr.model.card import Card, DataSource, TextStatistics, TrainingData, TrainingRecord, Versions
from crnnocr.model.crnn import CRNN
from crnnocr.training.history import CURVES, HISTORY, draw_curves, load_history
from crnnocr.training.improvement import Improvement, calibrated_on, recognize_held_out
from crnnocr.training.prepare import Prepared
from crnnocr.training.resume import Run
from crnnocr.training.trainer import Trained
from crnnocr.training.validation import recognize_lines

_MAX_CER_LOSS = 0.001
"""The quantized network is used if its character error rate is higher by at most this."""


@dataclass(frozen=True)
class Finished:
    """A training that ended well."""

    name: str
    """The name that the model is stored under."""
    wanted: str
    """The name that it was to have, if that was free."""
    path: Path
    """The model's file."""
    scores: Scores | None
    """Scores on the validation split, if there is one: those of `eval`; for synthetic lines, those of the kept weights."""
    cer: Estimate | None
    """The character error rate among them, with its 95 % interval; None if the validation split is synthetic."""
    improvement: Improvement | None
    """Its comparison with its start model; None without one, or if the validation split is synthetic."""
    folds: int
    """Parts of the cross-validation that the scores are of; 0 if they are of a validation split."""
    pseudo_labeled: int
    """Unlabeled images that it was trained on, too."""
    is_current: bool
    """Whether it was made the current model: not if it has no lower CER than its start model."""
    precision: Precision | None
    """Precision with which onnxruntime runs it on a CPU; None if torch does."""
    is_exportable: bool
    """Whether its export in single precision was verified to give the same."""
    seconds: float
    """Wall time of the training, including that before an interruption."""


@dataclass
class Ending:
    """A training whose loop has ended. The network holds the weights to keep."""

    prepared: Prepared
    config: TrainConfig
    sources: tuple[Dataset, ...]
    trained: Trained
    run: Run
    seconds: float
    device: str
    batch_size: int
    wanted: str
    """The name that the model is to have."""
    force: bool
    """Replace a model of that name."""
    card: Card
    """The card of the new model, completed by the first steps."""
    codes: str = ""
    """The form of the codes in synthetic images, if they were made after the labels."""
    folds: EvalResult | None = None
    """The scored predictions for the images of all folds, each by a network that was trained without them."""
    pseudo_labeled: LineDataset | None = None
    """The lines with pseudo-labels that it was trained on, too."""
    before: EvalResult | None = None
    """The start model's scored predictions for the images of the validation split."""
    cer: Estimate | None = None
    """The character error rate on the held-out images, with its interval."""
    improvement: Improvement | None = None
    """The comparison of the trained model with it."""

    @property
    def path(self) -> Path:
        """The model's file."""
        return registry.path_of(self.card.name)

    @property
    def is_better(self) -> bool:
        """Whether the trained model is better than its start model, or there is none to compare it with."""
        return self.improvement is None or self.improvement.is_better

    def finished(self) -> Finished:
        """The result, once all steps are done."""
        readable = [each for each in (self.card.precision, Precision.FP32) if (self.path.parent / DERIVED[each]).is_file()]
        precision = readable[0] if readable else None
        return Finished(
            name=self.card.name,
            wanted=self.wanted,
            path=self.path,
            scores=self.card.scores,
            cer=self.cer,
            improvement=self.improvement,
            folds=self.prepared.folds,
            pseudo_labeled=len(self.pseudo_labeled or ()),
            is_current=self.is_better,
            precision=precision,
            is_exportable=(self.path.parent / DERIVED[Precision.FP32]).is_file(),
            seconds=self.seconds,
        )


def choose_name(ending: Ending) -> None:
    """Choose a name that is free, and note it in the run, so that a resumed run takes the same. None is replaced by what is not
    better than its start model.
    """
    if ending.force and ending.is_better:
        name = ending.wanted
    else:
        name = ending.run.stored_as
        if not name or not _is_free_for(name, ending.prepared):
            name = registry.free_name(ending.wanted)
            ending.run.note_stored_as(name)
    ending.card = replace(ending.card, name=name)


def complete_card(ending: Ending) -> None:
    """Fill in how the model was trained, its scores and calibration, and the precision that is as good on a CPU."""
    prepared, trained = ending.prepared, ending.trained
    prepared.model.to("cpu")
    card = replace(
        ending.card,
        training=_record(ending),
        scores=trained.scores,
        calibration=_calibration(ending),
        activation_ranges=_activation_ranges(prepared),
    )
    with suppress(CrnnocrError):  # a model that cannot be quantized stays as it is
        if _is_as_good_quantized(card, prepared, trained.scores):
            card = replace(card, precision=Precision.INT8)
    ending.card = card


def measure(ending: Ending) -> None:
    """Recognize the images of the validation split as `eval` will, and compare that with what the start model recognized."""
    if not ending.prepared.has_held_out_images:
        return
    with suppress(DataError):  # they cannot be read any more: the scores of their lines stay
        after = ending.folds or recognize_held_out(
            recognizer_of(ending.card, ending.prepared.model, torch.device(ending.device)), ending.prepared.validation.samples
        )
        ending.card = replace(ending.card, scores=after.scores)
        counts = [outcome.counts for outcome in after.outcomes]
        ending.cer = bootstrap.ratio([each.edits for each in counts], [each.characters for each in counts])
        if ending.before and ending.prepared.start.found:
            ending.improvement = Improvement.of(ending.prepared.start.found.name, ending.before, after)


def store_model(ending: Ending) -> None:
    """Write the model's file."""
    trained_on = set(ending.prepared.start.trained_on)
    for lines in filter(None, (ending.prepared.train, ending.pseudo_labeled)):
        trained_on |= {*lines.content_ids.tolist(), *lines.split_ids.tolist()}
    checkpoint.save(ending.path, ending.card, ending.prepared.model, trained_on)


def export_onnx(ending: Ending) -> None:
    """Write the files that onnxruntime runs in place of the model, and remove those of a model that it replaces."""
    for name in DERIVED.values():
        (ending.path.parent / name).unlink(missing_ok=True)
    derive_onnx(ending.path)


def store_history(ending: Ending) -> None:
    """Write history and curves beside the model."""
    with atomic_write(ending.path.parent / HISTORY) as part:
        part.write_bytes(ending.run.history.read_bytes())
    (ending.path.parent / CURVES).unlink(missing_ok=True)
    draw_curves(ending.path.parent / CURVES, tuple(load_history(ending.run.history)), ending.improvement)


def make_current(ending: Ending) -> None:
    """Make the model the current one, if it is better than its start model."""
    if ending.is_better:
        registry.make_current(ending.card.name)


def remove_run(ending: Ending) -> None:
    """Remove the run: it has ended."""
    ending.run.remove()


Step: TypeAlias = Callable[[Ending], None]

STEPS: tuple[Step, ...] = (
    complete_card,
    measure,
    choose_name,
    store_model,
    store_history,
    export_onnx,
    make_current,
    remove_run,
)
"""The steps in their order. A run that was killed after any of them is resumed from its last state, and ends the same."""


def recognizer_of(card: Card, model: CRNN, device: torch.device) -> Recognizer:
    """The model of this card as it will be loaded where it was trained."""
    model = deepcopy(model)
    if device.type == "cpu":
        with suppress(CrnnocrError):  # torch runs what cannot be exported
            return Recognizer(card, OnnxEngine(serialize_onnx(card, model, ExportConfig(precision=card.precision))))
    return Recognizer(card, TorchEngine(model, device))


def _calibration(ending: Ending) -> Calibration:
    """Calibrated on images that the network which recognized them was not trained on."""
    if ending.folds:
        return calibrated_on(ending.folds)
    samples = ending.trained.samples
    return calibration.fit([each.log_prob for each in samples], [each.prediction == each.reference for each in samples])


def _is_free_for(name: str, prepared: Prepared) -> bool:
    """Whether no model has this name, or only the one that this run has stored before it was killed."""
    if not registry.path_of(name).exists():
        return True
    try:
        _, stored = checkpoint.load(registry.path_of(name))
    except ModelError:
        return False
    there, here = stored.state_dict(), prepared.model.state_dict()
    return there.keys() == here.keys() and all(torch.equal(there[key], here[key].cpu()) for key in here)


def _record(ending: Ending) -> TrainingRecord:
    prepared = ending.prepared
    return TrainingRecord(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        data=TrainingData(
            sources=tuple(
                DataSource(dataset.source.resolve().name, dataset.format, len(dataset.samples), dataset.group)
                for dataset in ending.sources
            ),
            learned=len(prepared.train),
            held_out=len(prepared.measured),
            folds=prepared.folds,
            codes=ending.codes,
            pseudo_labeled=len(ending.pseudo_labeled or ()),
            digest=prepared.digest,
            texts=_text_statistics(prepared.train),
        ),
        start=prepared.start.found.name if prepared.start.found else None,
        config=as_json(asdict(ending.config)),
        batch_size=ending.batch_size,
        steps=ending.trained.step,
        pictures_shown=ending.trained.samples_seen,
        seconds=round(ending.seconds, 1),
        device=ending.device,
        threads=torch.get_num_threads(),
        versions=Versions(crnnocr=__version__, torch=torch.__version__, numpy=np.__version__, python=platform.python_version()),
    )


def _text_statistics(lines: LineDataset) -> TextStatistics | None:
    if not len(lines):
        return None
    lengths = np.array([len(text) for text in lines.texts])
    return TextStatistics(
        characters=int(lengths.sum()),
        mean_length=round(float(lengths.mean()), 2),
        longest=int(lengths.max()),
        mean_width=round(float(lines.widths.mean()), 1),
        distinct=len(set(lines.texts)),
    )


def _activation_ranges(prepared: Prepared) -> tuple[ActivationRange, ...]:
    """The ranges over lines of the training split; over the validation split if all training images are synthetic."""
    lines = prepared.train if len(prepared.train) else prepared.validation
    if not len(lines):
        return ()
    chosen = range(0, len(lines), -(-len(lines) // quantization.LINES))
    return quantization.activation_ranges(prepared.model, [lines[i].pixels for i in chosen])


def _is_as_good_quantized(card: Card, prepared: Prepared, scores: Scores | None) -> bool:
    """Whether the quantized network recognizes the validation split nearly as well as the network itself, which has `scores`
    there. Without a validation split they are compared on the images that both were trained on.
    """
    lines = prepared.validation
    if scores is None:
        if not prepared.folds:
            return False
        lines = prepared.train
        scores, _ = recognize_lines(Recognizer(card, TorchEngine(prepared.model, torch.device("cpu"))), lines)
    engine = OnnxEngine(serialize_onnx(card, prepared.model, ExportConfig(precision=Precision.INT8)))
    quantized, _ = recognize_lines(Recognizer(card, engine), lines)
    return quantized.cer <= scores.cer + _MAX_CER_LOSS
