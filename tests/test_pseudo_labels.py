"""Unlabeled images: what is recognized in them confidently is trained on, as far as that helps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from cards import trained_card
from digits import CONFIG, SHAPE, WITHOUT_ONNX, numbers

from crnnocr.config import DEFAULT_PRESET, PRESETS, TrainConfig
from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.lines import LineDataset
from crnnocr.model import checkpoint
from crnnocr.training import pseudo_labels, stages
from crnnocr.training import run as training
from crnnocr.training.finalize import Finished
from crnnocr.training.loader import Loader
from crnnocr.training.prepare import Prepared, inspect, prepare
from crnnocr.training.run import Event
from crnnocr.training.schedule import Progress
from crnnocr.training.stages import FoldMeasured, Order, PseudoLabelsMeasured, StageBegun
from crnnocr.training.validation import ValidationSample

SHORT = replace(CONFIG, steps=3, batch_size=4, folds=2)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(PRESETS, DEFAULT_PRESET, SHAPE)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def labeled(tmp_path: Path) -> Dataset:
    """10 numbers."""
    return numbers(tmp_path / "labeled", 10)


@pytest.fixture
def unlabeled(tmp_path: Path) -> list[Sample]:
    """12 other numbers, without labels."""
    return [replace(sample, text="") for sample in numbers(tmp_path / "unlabeled", 12, first=300, longest=6).samples]


def ready(
    labeled: Dataset, unlabeled: list[Sample], config: TrainConfig = SHORT, checked: tuple[Dataset, ...] = ()
) -> Prepared:
    return prepare(inspect([labeled], checked, config, unlabeled=unlabeled), config, "x")


def order(prepared: Prepared, labeled: Dataset, config: TrainConfig = SHORT, **options: Any) -> Order:
    defaults = {"device": "cpu", "save_seconds": -1, "report_seconds": -1, "finalization": WITHOUT_ONNX}
    return Order(prepared, config, (labeled,), **defaults | options)


def train(prepared: Prepared, labeled: Dataset, config: TrainConfig = SHORT, **options: Any) -> tuple[list[Event], Finished]:
    *events, finished = training.run(order(prepared, labeled, config, **options))
    assert isinstance(finished, Finished)
    return events, finished


def recognized(monkeypatch: pytest.MonkeyPatch, *predictions: tuple[str, float]) -> None:
    """Let these texts be recognized in unlabeled lines, with these probabilities, in turn."""

    def recognize(_: object, lines: LineDataset, **__: object) -> tuple[None, tuple[ValidationSample, ...]]:
        turns = itertools.islice(itertools.cycle(predictions), len(lines))
        return None, tuple(ValidationSample("", text, math.log(probability)) for text, probability in turns)

    monkeypatch.setattr(pseudo_labels, "recognize_lines", recognize)


def helped(monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    """Let pseudo-labels help or not, whatever is measured."""
    monkeypatch.setattr(PseudoLabelsMeasured, "helped", property(lambda _: answer))


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[LineDataset]:
    """The lines of each round of a training."""
    lines: list[LineDataset] = []

    def recorded(**options: Any) -> Loader:
        lines.append(options["lines"])
        return Loader(**options)

    monkeypatch.setattr(stages, "Loader", recorded)
    return lines


# Which predictions become labels


def test_only_confident_predictions_do_with_their_confidence_as_weight(
    labeled: Dataset, unlabeled: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = ready(labeled, unlabeled)
    assert prepared.unlabeled is not None
    recognized(monkeypatch, ("23", 0.99**2), ("352", 0.97**3), ("", 0.999), ("7532", 0.985**4))
    found = pseudo_labels.pseudo_labeled(None, prepared.unlabeled, SHORT, None)  # type: ignore[arg-type]
    assert SHORT.min_confidence == 0.98
    assert found.texts == ["23", "7532"] * 3
    assert [sample.weight for sample in found.samples] == pytest.approx([0.99, 0.985] * 3)
    assert {line.text for line in found} == {"23", "7532"}
    assert found[0].pixels is not None


def test_the_constraints_are_those_of_predict() -> None:
    config = replace(SHORT, pattern=r"\d{3}", allow="23", lexicon="words.txt")
    decode = pseudo_labels.decoding(config)
    assert (decode.pattern, decode.allow, decode.lexicon) == (r"\d{3}", "23", "words.txt")


def test_a_pseudo_label_fits_the_pattern(labeled: Dataset, unlabeled: list[Sample], loaded: list[LineDataset]) -> None:
    config = replace(SHORT, pattern=r"\d{3}", min_confidence=1e-9, folds=0, held_out=0.3)
    train(ready(labeled, unlabeled, config), labeled, config)
    given = set(labeled.samples)
    made = [sample.text for lines in loaded for sample in lines.samples if sample not in given]
    assert made
    assert all(len(text) == 3 and text.isdigit() for text in made)


def test_many_of_them_do_not_outweigh_the_labels(labeled: Dataset, unlabeled: list[Sample]) -> None:
    prepared = ready(labeled, unlabeled)
    assert prepared.unlabeled is not None
    few = prepared.train.subset(np.arange(len(prepared.train)) < 2)
    mixed = pseudo_labels.mixed(few, prepared.unlabeled)
    assert len(mixed) == 3 * 2 + 12
    assert mixed.content_ids.tolist() == few.content_ids.tolist() * 3 + prepared.unlabeled.content_ids.tolist()
    for i, source in ((4, few[0]), (6, prepared.unlabeled[0]), (17, prepared.unlabeled[11])):
        assert np.array_equal(mixed[i].pixels, source.pixels)
    assert len(pseudo_labels.mixed(prepared.train, prepared.unlabeled)) == 22


def test_an_image_with_a_label_is_no_unlabeled_one_and_each_counts_once(labeled: Dataset, unlabeled: list[Sample]) -> None:
    again = [*unlabeled, unlabeled[0], replace(labeled.samples[3], text="")]
    prepared = ready(labeled, again)
    assert prepared.unlabeled is not None
    assert len(prepared.unlabeled) == 12
    assert prepared.digest != ready(labeled, unlabeled[1:]).digest
    few = ready(labeled, again, replace(SHORT, unlabeled_limit=5)).unlabeled
    assert few is not None
    assert few.content_ids.tolist() == [
        i for i in prepared.unlabeled.content_ids if i in sorted(prepared.unlabeled.content_ids)[:5]
    ]


# How far they are used


def test_folds_are_measured_with_and_without_and_the_model_is_trained_as_is_better(
    labeled: Dataset, unlabeled: list[Sample], monkeypatch: pytest.MonkeyPatch, loaded: list[LineDataset]
) -> None:
    recognized(monkeypatch, ("23", 0.999))
    helped(monkeypatch, True)
    events, finished = train(ready(labeled, unlabeled), labeled)
    begun = [(each.number, each.images, each.pseudo_labeled) for each in events if isinstance(each, StageBegun)]
    assert begun == [(1, 5, 0), (1, 5, 12), (1, 5, 12), (2, 5, 0), (2, 5, 12), (2, 5, 12), (3, 10, 0), (3, 10, 12), (3, 10, 12)]
    assert [len(lines) for lines in loaded] == [
        images + pseudo + (5 if pseudo and images == 5 else 0) for _, images, pseudo in begun
    ]
    folds = [(each.number, each.pseudo_labels) for each in events if isinstance(each, FoldMeasured)]
    assert folds == [(1, False), (1, True), (2, False), (2, True)]
    assert sum(isinstance(each, PseudoLabelsMeasured) for each in events) == 1
    assert finished.pseudo_labeled == 12
    card, record = trained_card(finished.path)
    assert (record.data.learned, record.data.pseudo_labeled, record.data.folds) == (10, 12, 2)
    assert card.scores is not None
    assert card.scores.n == 10
    contents = {int(i) for lines in loaded for i in lines.content_ids}
    assert contents <= checkpoint.trained_on(finished.path)


def test_where_they_do_not_help_the_folds_the_model_is_trained_on_the_labels_alone(
    labeled: Dataset, unlabeled: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    recognized(monkeypatch, ("23", 0.999))
    helped(monkeypatch, False)
    events, finished = train(ready(labeled, unlabeled), labeled)
    assert [each.pseudo_labeled for each in events if isinstance(each, StageBegun) and each.number == 3] == [0]
    _, alone = train(ready(labeled, []), labeled)
    assert same(finished, alone)
    assert finished.pseudo_labeled == 0
    assert finished.scores == alone.scores


def test_where_they_do_not_help_the_validation_split_the_weights_from_before_are_stored(
    tmp_path: Path, labeled: Dataset, unlabeled: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = (numbers(tmp_path / "checked", 6, first=700, longest=6),)
    recognized(monkeypatch, ("23", 0.999))
    _, alone = train(ready(labeled, [], checked=checked), labeled)
    for answer in (False, True):
        helped(monkeypatch, answer)
        events, finished = train(ready(labeled, unlabeled, checked=checked), labeled)
        compared = [each for each in events if isinstance(each, PseudoLabelsMeasured)]
        assert [each.without.n for each in compared] == [6]
        assert same(finished, alone) is not answer
        assert finished.pseudo_labeled == 12 * answer
        assert finished.scores == (compared[0].with_them if answer else compared[0].without)


def test_if_nothing_is_recognized_confidently_the_labels_are_trained_on(
    labeled: Dataset, unlabeled: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    recognized(monkeypatch, ("23", 0.01))
    _, finished = train(ready(labeled, unlabeled), labeled)
    assert finished.pseudo_labeled == 0


def same(one: Finished, other: Finished) -> bool:
    mine, theirs = (safetensors.numpy.load_file(each.path) for each in (one, other))
    names = [name for name in mine if not name.startswith("trained_on")]
    return all(np.array_equal(mine[name], theirs[name]) for name in names if name in theirs and mine[name].dtype.kind == "f")


# Interruptions


@pytest.mark.parametrize("at", range(1, 27, 5))
def test_interrupted_in_any_round_it_is_resumed_to_the_same_bits(
    at: int, labeled: Dataset, unlabeled: list[Sample], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recognized(monkeypatch, ("23", 0.999), ("7532", 0.5), ("352", 0.99))
    helped(monkeypatch, True)
    _, whole = train(ready(labeled, unlabeled), labeled)
    monkeypatch.setenv("CRNNOCR_DATA_DIR", str(tmp_path / "store"))
    with closing(training.run(order(ready(labeled, unlabeled), labeled))) as events:
        for _ in itertools.islice((event for event in events if isinstance(event, Progress)), at):
            pass
    _, resumed = train(ready(labeled, unlabeled), labeled, resume=True)
    assert same(resumed, whole)
    assert resumed.scores == whole.scores
    assert resumed.pseudo_labeled == whole.pseudo_labeled > 0
