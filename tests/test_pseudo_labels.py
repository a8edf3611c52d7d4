"""Unlabeled images: what is recognized in them confidently is trained on, as far as that helps."""

from __future__ import annotations

import itertools
import json
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
from evaluations import outcome, result_of

from crnnocr.config import DEFAULT_PRESET, PRESETS, TrainConfig
from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.lines import LineDataset
from crnnocr.errors import CrnnocrError
from crnnocr.evaluation.outcomes import EvalResult
from crnnocr.metrics.calibration import Calibration
from crnnocr.model import checkpoint
from crnnocr.training import pseudo_labels, stages
from crnnocr.training import run as training
from crnnocr.training.finalize import Finished
from crnnocr.training.history import HISTORY
from crnnocr.training.loader import Loader
from crnnocr.training.prepare import Prepared, inspect, prepare
from crnnocr.training.resume import interrupted_runs
from crnnocr.training.run import Event
from crnnocr.training.schedule import Progress
from crnnocr.training.stages import FoldMeasured, Order, PseudoLabelsMeasured, StageBegun
from crnnocr.training.validation import Validation, ValidationSample

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
    defaults: dict[str, Any] = {"device": "cpu", "save_seconds": -1, "report_seconds": -1, "finalization": WITHOUT_ONNX}
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


def best(monkeypatch: pytest.MonkeyPatch, round: int) -> None:
    """Let so many rounds of pseudo-labels be the best, whatever is measured."""
    monkeypatch.setattr(PseudoLabelsMeasured, "best", property(lambda _: round))


def measured(*correct: bool) -> EvalResult:
    """What a model recognized in labeled images that it has not seen: rightly or not, and confidently."""
    return result_of([outcome("12", "12" if each else "21", 0.99) for each in correct])


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
    monkeypatch.setattr(pseudo_labels, "calibrated_on", lambda _: Calibration())
    found = pseudo_labels.pseudo_labeled(None, prepared.unlabeled, SHORT, measured(True))  # type: ignore[arg-type]
    assert SHORT.min_confidence == 0.98
    assert found.texts == ["23", "7532"] * 3
    assert [sample.weight for sample in found.samples] == pytest.approx([0.99, 0.985] * 3)
    assert [found[i].weight for i in range(len(found))] == pytest.approx([0.99, 0.985] * 3)


def test_confidences_count_as_calibrated_on_images_that_were_not_trained_on(
    labeled: Dataset, unlabeled: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = ready(labeled, unlabeled)
    assert prepared.unlabeled is not None
    recognized(monkeypatch, ("23", 0.985**2))
    numbers_found = [
        len(pseudo_labels.pseudo_labeled(None, prepared.unlabeled, SHORT, result))  # type: ignore[arg-type]
        for result in (measured(*[True] * 200), measured(*[True, False] * 100))
    ]
    assert numbers_found == [12, 0]  # the same network is overconfident if half of what it recognized so was wrong


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
    assert ready(labeled, [replace(sample, text="") for sample in labeled.samples]).unlabeled is None


def test_none_is_found_in_an_image_of_a_held_out_group(
    labeled: Dataset, unlabeled: list[Sample], monkeypatch: pytest.MonkeyPatch, loaded: list[LineDataset]
) -> None:
    samples = tuple(replace(sample, group=f"page {i % 2}") for i, sample in enumerate(labeled.samples))
    same_pages = [replace(sample, group=f"page {i % 2}") for i, sample in enumerate(unlabeled)]
    recognized(monkeypatch, ("23", 0.999))
    best(monkeypatch, 0)
    pages = replace(labeled, samples=samples)
    train(ready(pages, same_pages), pages)
    for lines in loaded[:6]:
        assert len({sample.group for sample in lines.samples}) == 1


# How far they are used


def test_each_round_is_measured_and_the_model_is_trained_with_as_many_as_were_best(
    labeled: Dataset, unlabeled: list[Sample], monkeypatch: pytest.MonkeyPatch, loaded: list[LineDataset]
) -> None:
    recognized(monkeypatch, ("23", 0.999))
    best(monkeypatch, 1)
    events, finished = train(ready(labeled, unlabeled), labeled)
    begun = [(each.number, each.images, each.pseudo_labeled) for each in events if isinstance(each, StageBegun)]
    assert begun == [(1, 5, 0), (1, 5, 12), (1, 5, 12), (2, 5, 0), (2, 5, 12), (2, 5, 12), (3, 10, 0), (3, 10, 12)]
    assert [len(lines) for lines in loaded] == [images if not pseudo else 12 + max(10, images) for _, images, pseudo in begun]
    folds = [(each.number, each.round) for each in events if isinstance(each, FoldMeasured)]
    assert folds == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    [compared] = [each for each in events if isinstance(each, PseudoLabelsMeasured)]
    assert [scores.n for scores in compared.scores] == [10] * 3
    assert finished.pseudo_labeled == 12
    card, record = trained_card(finished.path)
    assert (record.data.learned, record.data.pseudo_labeled, record.data.folds, record.steps) == (10, 12, 2, 4)
    assert card.scores == compared.scores[1]
    contents = {int(i) for lines in loaded for i in lines.content_ids}
    assert contents <= checkpoint.trained_on(finished.path)


def test_the_best_round_is_the_first_with_the_lowest_error_rate() -> None:
    scores = [result_of([outcome("1234", text)]).scores for text in ("1234", "1235", "1245", "1234")]
    assert PseudoLabelsMeasured(tuple(scores), True).best == 0
    assert PseudoLabelsMeasured(tuple(scores[1:]), True).best == 2
    assert PseudoLabelsMeasured(tuple(scores[1:3]), True).best == 0


def test_where_they_do_not_help_the_folds_the_model_is_that_of_the_labels_alone(
    labeled: Dataset, unlabeled: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    recognized(monkeypatch, ("23", 0.999))
    best(monkeypatch, 0)
    config = replace(SHORT, steps=None, total_samples=400, epoch_limits=(1, 400))
    events, finished = train(ready(labeled, unlabeled, config), labeled, config)
    assert [each.pseudo_labeled for each in events if isinstance(each, StageBegun) and each.number == 3] == [0]
    _, alone = train(ready(labeled, [], config), labeled, config)
    assert same(finished, alone)
    assert trained_card(finished.path)[1].steps == trained_card(alone.path)[1].steps > 3
    assert finished.pseudo_labeled == 0


@pytest.mark.parametrize("round", [0, 1, 2])
def test_of_the_rounds_on_a_validation_split_the_best_weights_and_their_history_are_stored(
    round: int, tmp_path: Path, labeled: Dataset, unlabeled: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = (numbers(tmp_path / "checked", 6, first=700, longest=6),)
    recognized(monkeypatch, ("23", 0.999))
    best(monkeypatch, round)
    config = replace(SHORT, validations=3)
    events, finished = train(ready(labeled, unlabeled, config, checked), labeled, config)
    [compared] = [each for each in events if isinstance(each, PseudoLabelsMeasured)]
    assert [scores.n for scores in compared.scores] == [6] * 3
    assert finished.scores == compared.scores[round]
    assert finished.pseudo_labeled == 12 * (round > 0)
    rows = [json.loads(line) for line in (finished.path.parent / HISTORY).read_text().splitlines()]
    validations = [event for event in events if isinstance(event, Validation)]
    assert [row["loss"] for row in rows] == [each.progress.loss for each in validations[:3]]  # those of the labels alone
    _, record = trained_card(finished.path)
    assert record.steps == 3 + round  # a quarter of three steps is one
    assert (record.pictures_shown > rows[-1]["pictures"]) is (round > 0)
    _, alone = train(ready(labeled, [], config, checked), labeled, config)
    assert same(finished, alone) is (round == 0)


def test_if_nothing_is_recognized_confidently_no_round_is_trained(
    labeled: Dataset, unlabeled: list[Sample], monkeypatch: pytest.MonkeyPatch, loaded: list[LineDataset]
) -> None:
    recognized(monkeypatch, ("23", 0.01))
    events, finished = train(ready(labeled, unlabeled), labeled)
    assert [len(lines) for lines in loaded] == [5, 5, 10]
    [compared] = [each for each in events if isinstance(each, PseudoLabelsMeasured)]
    assert (compared.best, compared.found) == (0, False)
    assert finished.pseudo_labeled == 0


def test_where_nothing_is_held_out_they_are_not_used(tmp_path: Path, unlabeled: list[Sample]) -> None:
    one = numbers(tmp_path / "one", 1)
    events, finished = train(ready(one, unlabeled), one)
    assert not any(isinstance(each, PseudoLabelsMeasured) for each in events)
    assert finished.pseudo_labeled == 0


def same(one: Finished, other: Finished) -> bool:
    mine, theirs = (safetensors.numpy.load_file(each.path) for each in (one, other))
    return all(np.array_equal(mine[name], theirs[name]) for name in mine if mine[name].dtype.kind == "f")


# Interruptions


@pytest.mark.parametrize("round", [0, 2])
@pytest.mark.parametrize("at", range(1, 14, 2))
def test_interrupted_in_any_round_it_is_resumed_to_the_same_bits(
    at: int, round: int, labeled: Dataset, unlabeled: list[Sample], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recognized(monkeypatch, ("23", 0.999), ("7532", 0.5), ("352", 0.99))
    best(monkeypatch, round)
    _, whole = train(ready(labeled, unlabeled), labeled)
    monkeypatch.setenv("CRNNOCR_DATA_DIR", str(tmp_path / "store"))
    with closing(training.run(order(ready(labeled, unlabeled), labeled))) as events:
        for _ in itertools.islice((event for event in events if isinstance(event, Progress)), min(at, 12)):
            pass
    _, resumed = train(ready(labeled, unlabeled), labeled, resume=True)
    assert same(resumed, whole)
    assert resumed.scores == whole.scores
    assert resumed.pseudo_labeled == whole.pseudo_labeled


@pytest.mark.parametrize("name", ["stage-1-0.jsonl", "pseudo-labels-1-1.jsonl"])
@pytest.mark.parametrize("content", ["", "[", None])
def test_a_file_that_a_run_lacks_is_an_error_and_no_other_result(
    name: str, content: str | None, labeled: Dataset, unlabeled: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    recognized(monkeypatch, ("23", 0.999))
    with closing(training.run(order(ready(labeled, unlabeled), labeled))) as events:
        for _ in itertools.islice((event for event in events if isinstance(event, Progress)), 4):
            pass
    [run] = interrupted_runs()
    (run.folder / name).unlink()
    if content is not None:
        (run.folder / name).write_text(content)
    with pytest.raises(CrnnocrError, match="begin again without `resume`"):
        train(ready(labeled, unlabeled), labeled, resume=True)
