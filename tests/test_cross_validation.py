"""Few labeled images are all trained on, and measured by networks that have not seen them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cards import trained_card
from digits import CONFIG, SHAPE, WITHOUT_ONNX, numbers, prepared

from crnnocr.config import DEFAULT_PRESET, PRESETS, TrainConfig
from crnnocr.datasets import Dataset
from crnnocr.datasets.lines import LineDataset
from crnnocr.errors import ConfigError
from crnnocr.evaluation.outcomes import EvalResult
from crnnocr.model import registry
from crnnocr.training import improvement, stages
from crnnocr.training import run as training
from crnnocr.training.distributed import DistributedContext
from crnnocr.training.finalize import Finished
from crnnocr.training.loader import Loader
from crnnocr.training.prepare import Prepared, inspect, prepare
from crnnocr.training.stages import FoldMeasured, Order, StageBegun

SHORT = replace(CONFIG, steps=3, batch_size=4)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(PRESETS, DEFAULT_PRESET, SHAPE)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """14 numbers."""
    return numbers(tmp_path / "data", 14)


@pytest.fixture
def start(tmp_path: Path) -> str:
    """A model of ten other numbers."""
    others = numbers(tmp_path / "others", 10, first=500)
    *_, finished = training.run(
        Order(prepared(others, SHORT, name="start"), SHORT, (others,), device="cpu", finalization=WITHOUT_ONNX)
    )
    assert isinstance(finished, Finished)
    return finished.name


def by_default(data: Dataset, config: TrainConfig, name: str = "x") -> Prepared:
    return prepare(inspect([data], (), config), config, name)


def test_with_a_start_model_few_images_are_cross_validated(data: Dataset, start: str) -> None:
    ready = by_default(data, replace(SHORT, start=start))
    assert ready.folds == 4
    assert len(ready.train) == len(ready.measured) == 14
    assert not len(ready.validation)
    assert sorted(np.bincount(ready.fold_of)) == [3, 3, 4, 4]
    assert by_default(data, replace(SHORT, start=start, few=13)).folds == 0
    assert by_default(data, replace(SHORT, start=start, folds=0)).folds == 0
    assert by_default(data, SHORT).folds == 0  # from scratch
    assert by_default(data, replace(SHORT, folds=3)).folds == 3


def test_there_are_no_more_folds_than_images(tmp_path: Path) -> None:
    few = numbers(tmp_path / "few", 3)
    assert sorted(by_default(few, replace(SHORT, folds=9)).fold_of) == [0, 1, 2]
    assert by_default(numbers(tmp_path / "one", 1), replace(SHORT, folds=9)).folds == 0
    with pytest.raises(ConfigError, match="1 leaves nothing to train on"):
        replace(SHORT, folds=1)


def test_a_group_is_in_one_fold(data: Dataset) -> None:
    samples = tuple(replace(sample, group=str(i // 4)) for i, sample in enumerate(data.samples))
    ready = by_default(replace(data, samples=samples), replace(SHORT, folds=3))
    folds_of_groups = {(sample.group, fold) for sample, fold in zip(ready.train.samples, ready.fold_of, strict=True)}
    assert len(folds_of_groups) == 4
    assert ready.folds == 3


def test_what_the_start_model_has_seen_is_trained_on_but_not_measured(tmp_path: Path, data: Dataset, start: str) -> None:
    both = replace(data, samples=data.samples + numbers(tmp_path / "others", 10, first=500).samples)
    ready = by_default(both, replace(SHORT, start=start))
    assert ready.already_seen == (ready.fold_of < 0).sum() > 0
    assert len(ready.measured) + ready.already_seen == len(ready.train) == 24


def test_each_fold_is_measured_by_a_network_that_has_not_seen_it(
    data: Dataset, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(SHORT, start=start)
    ready = by_default(data, config)
    trained_on: list[set[int]] = []

    def recorded(lines: LineDataset, **options: Any) -> Loader:
        trained_on.append(set(lines.content_ids.tolist()))
        return Loader(lines=lines, **options)

    results: list[EvalResult] = []
    pooled = improvement.pooled

    def kept(parts: Iterator[EvalResult]) -> EvalResult:
        results.extend(parts)
        return pooled(results)

    monkeypatch.setattr(stages, "Loader", recorded)
    monkeypatch.setattr(improvement, "pooled", kept)
    events = list(training.run(Order(ready, config, (data,), device="cpu", finalization=WITHOUT_ONNX)))
    assert [event.images for event in events if isinstance(event, StageBegun)] == [len(part) for part in trained_on]
    assert trained_on[-1] == set(ready.train.content_ids.tolist())
    ids = dict(zip(ready.train.samples, ready.train.content_ids.tolist(), strict=True))
    for part, result in zip(trained_on[:-1], results, strict=True):
        measured = {ids[outcome.sample] for outcome in result.outcomes}
        assert measured | part == trained_on[-1]
        assert not measured & part
    finished = events[-1]
    assert isinstance(finished, Finished)
    folds = [event.scores for event in events if isinstance(event, FoldMeasured)]
    assert [each.n for each in folds] == [len(result.outcomes) for result in results]
    card, record = trained_card(finished.path)
    assert card.scores == finished.scores
    assert finished.scores is not None
    assert finished.scores.n == sum(each.n for each in folds) == 14
    assert (finished.folds, record.data.folds, record.data.held_out, record.data.learned) == (4, 4, 14, 14)
    assert card.calibration.samples == 14
    assert finished.improvement is not None
    assert finished.improvement.after == finished.scores
    assert finished.improvement.comparison.n == 14
    assert registry.own_names() == ["start", "x"]


def test_an_image_of_a_fold_is_not_trained_on_as_a_copy_in_another_group(tmp_path: Path) -> None:
    twice = numbers(tmp_path / "data", 8)
    copies = tuple(replace(sample, group=f"{group} {i}") for group in "ab" for i, sample in enumerate(twice.samples))
    config = replace(SHORT, folds=4)
    ready = by_default(replace(twice, samples=copies), config)
    order = Order(ready, config, (twice,), device="cpu")
    run_stages = stages.Stages(order, None, None, 4, torch.device("cpu"), DistributedContext())
    for fold in range(ready.folds):
        part = run_stages._labeled(fold)
        assert len(part)
        assert not set(part.content_ids.tolist()) & set(ready.held_out(fold).content_ids.tolist())


def test_folds_of_groups_of_unequal_sizes_are_about_equally_large(tmp_path: Path) -> None:
    data = numbers(tmp_path / "data", 20)
    sizes = [8, 4, 4, 2, 1, 1]
    groups = [str(group) for group, size in enumerate(sizes) for _ in range(size)]
    samples = tuple(replace(sample, group=group) for sample, group in zip(data.samples, groups, strict=True))
    assert sorted(np.bincount(by_default(replace(data, samples=samples), replace(SHORT, folds=3)).fold_of)) == [6, 6, 8]
