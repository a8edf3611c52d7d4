"""Training: its loss, the weights it keeps, and the model that it stores."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cards import trained_card
from digits import CHARACTERS, CONFIG, SHAPE, WITHOUT_ONNX, Drawer, image_of, numbers, prepared, trained_below
from torch import Tensor
from torch.nn import functional

from crnnocr import images
from crnnocr.config import DEFAULT_PRESET, PRESETS, Conv, DecodeConfig, EngineChoice, TrainConfig
from crnnocr.datasets import Dataset
from crnnocr.errors import CrnnocrError, UsageError
from crnnocr.evaluation.outcomes import predict_samples, score_samples, unseen
from crnnocr.images import Preprocessor
from crnnocr.inference.engines import TorchEngine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.scores import Scorer
from crnnocr.model import checkpoint, registry
from crnnocr.model.card import DataSource
from crnnocr.training import run as training
from crnnocr.training.batching import BatchSampler
from crnnocr.training.finalize import Finished
from crnnocr.training.loader import Loader
from crnnocr.training.prepare import Prepared
from crnnocr.training.run import Begun, Event
from crnnocr.training.schedule import Budget, Progress
from crnnocr.training.stages import Order
from crnnocr.training.trainer import Trained, Trainer, ctc_loss
from crnnocr.training.validation import Validation, ValidationSample, Validator

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(PRESETS, DEFAULT_PRESET, SHAPE)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums come in one order only
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """24 numbers."""
    return numbers(tmp_path / "data", 24)


def trainer_of(ready: Prepared, config: TrainConfig, budget: Budget | None = None, **options: Any) -> tuple[Trainer, Loader]:
    sampler = BatchSampler(len(ready.train), config.batch_size or 16, config.seed)
    budget = budget or Budget(config, sampler.samples_per_epoch, sampler.steps_per_epoch)
    trainer = Trainer(ready.model, ready.card, ready.validation, config, budget, CPU, sampler.batch_size, **options)
    return trainer, Loader(sampler, ready.train, iter(()), ready.card.charset, SHAPE, config.augmentation.times(config.augment))


def events_of(
    ready: Prepared, config: TrainConfig, budget: Budget | None = None, **options: Any
) -> list[Progress | Validation | Trained]:
    trainer, loader = trainer_of(ready, config, budget, **options)
    with loader:
        return list(trainer.train(loader))


def losses(ready: Prepared, config: TrainConfig) -> list[float]:
    """The loss of each step, per character."""
    each: list[float] = []

    def recorded(
        log_probs: Tensor, frames: Tensor, ids: Tensor, lengths: Tensor, weights: Tensor, device: torch.device
    ) -> Tensor:
        loss = ctc_loss(log_probs, frames, ids, lengths, weights, device)
        each.append(loss.item() / int(lengths.sum()))
        return loss

    events_of(ready, config, loss=recorded, report_seconds=-1)
    return each[::2]  # every other loss is that of the auxiliary head


def run(data: Dataset, config: TrainConfig, **options: Any) -> list[Event]:
    """A whole training, without exported models, which would take longer than it."""
    ready = prepared(data, config, name=options.pop("name", "x"))
    return list(training.run(Order(ready, config, (data,), device="cpu", finalization=WITHOUT_ONNX, **options)))


def finished(events: Sequence[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


# The loss


def log_probs(*lines: Sequence[Sequence[float]]) -> Tensor:
    """(N, T, C) natural logs of probabilities."""
    return torch.log(torch.tensor(lines))


def loss_of(log_probs: Tensor, frames: Tensor, targets: Sequence[Sequence[int]]) -> Tensor:
    ids, lengths = torch.tensor(list(itertools.chain(*targets))), torch.tensor([len(target) for target in targets])
    return ctc_loss(log_probs, frames, ids, lengths, torch.ones(len(targets)), CPU)


def test_the_loss_of_one_character_in_two_even_frames() -> None:
    even = log_probs([[0.5, 0.5], [0.5, 0.5]])
    # Of the four paths --, -a, a- and aa, three read "a".
    assert loss_of(even, torch.tensor([2]), [(1,)]).item() == pytest.approx(-math.log(3 / 4))


def test_the_loss_is_summed_over_the_lines() -> None:
    confident = log_probs([[0.2, 0.8, 0.0], [0.2, 0.0, 0.8]])
    # The only path that reads "ab" is ab.
    one = loss_of(confident, torch.tensor([2]), [(1, 2)])
    two = loss_of(confident.repeat(2, 1, 1), torch.tensor([2, 2]), [(1, 2), (1, 2)])
    assert [one.item(), two.item()] == pytest.approx([-2 * math.log(0.8), -4 * math.log(0.8)])


def sum_over_paths(line: Tensor, target: tuple[int, ...]) -> float:
    """The probability of `target`: the sum over all paths that read so, one by one. `line` is (T, C) log-probabilities."""
    probabilities = line.double().exp().tolist()
    total = 0.0
    for path in itertools.product(range(line.shape[1]), repeat=line.shape[0]):
        if tuple(c for c, _ in itertools.groupby(path) if c != 0) == target:
            total += math.prod(frame[c] for frame, c in zip(probabilities, path, strict=True))
    return total


def test_the_loss_of_a_line_is_multiplied_by_its_weight() -> None:
    lines, ones = log_probs([[0.2, 0.8, 0.0]], [[0.2, 0.3, 0.5]]), torch.ones(2, dtype=torch.int64)
    weighted = ctc_loss(lines, ones, torch.tensor([1, 2]), ones, torch.tensor([0.25, 0.5]), CPU)
    assert weighted.item() == pytest.approx(-0.25 * math.log(0.8) - 0.5 * math.log(0.5))


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_is_the_sum_over_all_paths(seed: int) -> None:
    torch.manual_seed(seed)
    batch = torch.randn(4, 5, 4).log_softmax(2)
    frames, targets = torch.tensor([5, 4, 3, 2]), [(1, 1, 2), (3, 2), (2, 2), (1, 3)]
    expected = -sum(
        math.log(sum_over_paths(line[:count], target))
        for line, count, target in zip(batch, frames.tolist(), targets, strict=True)
    )
    assert loss_of(batch, frames, targets).item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_torchs_own_of_padded_labels() -> None:
    torch.manual_seed(0)
    batch = torch.randn(3, 12, 7).log_softmax(2)
    frames, targets = torch.tensor([12, 9, 7]), [(1, 2, 3, 3), (6,), (5, 4)]
    padded = torch.tensor([[1, 2, 3, 3], [6, 0, 0, 0], [5, 4, 0, 0]])
    lines = functional.ctc_loss(batch.transpose(0, 1), padded, frames, torch.tensor([4, 1, 2]), reduction="none")
    assert loss_of(batch, frames, targets).item() == pytest.approx(lines.sum().item(), rel=1e-6)


def test_a_line_that_cannot_hold_its_label_adds_nothing() -> None:
    raw = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = loss_of(raw.log_softmax(2), torch.tensor([3, 3]), [(1, 2), (1, 1, 1)])
    (gradient,) = torch.autograd.grad(loss, raw)
    assert math.isfinite(loss.item())
    assert gradient[0].abs().sum() > 0
    assert not gradient[1].any()


def test_the_reported_loss_is_per_character(data: Dataset) -> None:
    config = replace(CONFIG, steps=1, batch_size=100, held_out=0, learning_rate=0)
    ready = prepared(data, config)
    lines, widths = images.to_batch([ready.train[i].pixels for i in range(24)])
    ready.model.train()
    raw, frames = ready.model(torch.from_numpy(lines), torch.from_numpy(widths))
    expected = loss_of(raw.detach(), frames, [ready.card.charset.encode(text) for text in ready.train.texts]).item()
    (progress,) = [event for event in events_of(prepared(data, config), config) if isinstance(event, Progress)]
    assert progress.loss == pytest.approx(expected / sum(map(len, ready.train.texts)), rel=1e-4)


def test_a_loss_that_is_not_finite_ends_the_training(data: Dataset) -> None:
    ready = prepared(data, CONFIG)
    torch.nn.init.constant_(ready.model.head.bias, math.nan)
    with pytest.raises(CrnnocrError, match="the loss is no longer a number after 1 steps: begin again with another seed"):
        losses(ready, CONFIG)


# A whole training


@dataclass(frozen=True)
class Whole:
    """A training that has learned its data."""

    data: Dataset
    ready: Prepared
    events: list[Event]
    folder: Path

    @property
    def finished(self) -> Finished:
        return finished(self.events)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """60 steps on 48 numbers, some of which are held out. Not to be written to."""
    folder = tmp_path_factory.mktemp("whole")
    with trained_below(folder):
        data = numbers(folder / "data")
        ready = prepared(data, CONFIG, name="numbers")
        return Whole(data, ready, list(training.run(Order(ready, CONFIG, (data,), device="cpu"))), folder)


def test_it_learns_to_recognize_numbers_that_it_has_not_seen(whole: Whole) -> None:
    scores = whole.finished.scores
    assert scores is not None
    assert scores.n == len(whole.ready.validation) >= 8
    assert scores.cer < 0.2  # untrained it is 1; one character in ten is left to learn after so few steps


def test_the_stored_model_has_the_scores_that_were_measured(whole: Whole) -> None:
    recognizer = Recognizer.load(str(whole.finished.path), "cpu", EngineChoice.TORCH)
    held_out = unseen(whole.data.samples, recognizer)
    assert sorted(sample.text for sample in held_out) == sorted(whole.ready.validation.texts)
    assert score_samples(predict_samples(recognizer, held_out, DecodeConfig())).scores == whole.finished.scores
    assert checkpoint.load_card(whole.finished.path).scores == whole.finished.scores


def test_with_trained_weights_a_line_has_the_same_result_alone_and_in_a_batch(whole: Whole) -> None:
    _, model = checkpoint.load(whole.finished.path)
    engine = TorchEngine(model, CPU)
    lines = [Preprocessor.for_model(SHAPE).line(image_of(text)) for text in ("23", "7", "53275327532753", "2")]
    together, frames = engine.log_probs(*images.to_batch(lines))
    batch, widths = images.to_batch(lines)
    wider, _ = engine.log_probs(np.pad(batch, ((0, 0), (0, 0), (0, 0), (0, 77))), widths)
    for row, line in enumerate(lines):
        alone, (count,) = engine.log_probs(*images.to_batch([line]))
        assert count == frames[row]
        assert np.abs(together[row, :count] - alone[0]).max() < 1e-4
        assert np.abs(wider[row, :count] - alone[0]).max() < 1e-4
    assert np.abs(together[0, :2] - together[3, :2]).max() > 0.1, "the results differ between lines"


def test_its_events_are_the_plan_the_progress_the_validations_and_the_result(whole: Whole) -> None:
    begun, *between, end = whole.events
    assert begun == Begun("numbers", 12, "60 steps", 0, "cpu", "")
    assert isinstance(end, Finished)
    validations = [event for event in between if isinstance(event, Validation)]
    assert [validation.progress.step for validation in validations] == [15, 30, 45, 60]
    assert all([sample.reference for sample in v.samples] == list(whole.ready.validation.texts) for v in validations)
    progress = [event for event in between if isinstance(event, Progress)]
    assert [event.step for event in progress] == sorted(event.step for event in progress)
    last = progress[-1]
    assert (last.step, last.done, last.seconds_left, last.learning_rate) == (60, 1, 0, 0)
    assert 25 <= len(whole.ready.train) <= 36  # are three batches of about 12
    assert (last.epoch, last.samples_seen) == (20, 20 * len(whole.ready.train))
    assert all(0 <= event.data_wait <= 1 and event.images_per_second > 0 for event in progress)


def test_it_stores_a_model_its_history_its_curves_and_exported_models(whole: Whole) -> None:
    folder = whole.finished.path.parent
    assert folder == whole.folder / "store" / "models" / "numbers"
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors",
        "model.onnx",
        "model.int8.onnx",
        "history.jsonl",
        "curves.svg",
    }
    assert (whole.folder / "store" / "current-model").read_text() == "numbers\n"
    assert not list((whole.folder / "store" / "runs").iterdir())
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    validations = [event for event in whole.events if isinstance(event, Validation)]
    assert [(row["step"], row["cer"], row["kept"]) for row in rows] == [
        (v.progress.step, v.scores.cer, v.is_best) for v in validations
    ]


def test_its_card_records_how_it_was_trained(whole: Whole) -> None:
    card, record = trained_card(whole.finished.path)
    assert (card.name, card.charset.characters, card.config) == ("numbers", "2357", SHAPE)
    assert card.calibration.samples == len(whole.ready.validation)
    assert record.data.sources == (DataSource("data", "hand-made", 48),)
    assert record.data.learned + record.data.held_out == 48
    assert record.data.texts
    assert record.data.texts.longest == 4
    assert (record.start, record.batch_size, record.steps, record.device) == (None, 12, 60, "cpu")
    assert record.config["seed"] == 0
    assert checkpoint.trained_on(whole.finished.path) == set(whole.ready.train.content_ids.tolist())


def test_only_annealed_weights_are_kept_the_best_of_them(data: Dataset) -> None:
    config = replace(CONFIG, steps=40, validations=20)
    validations = [event for event in events_of(prepared(data, config), config) if isinstance(event, Validation)]
    # The rate is down to a fifth of its highest in the last fifth of the decay, which takes the last half.
    annealed = [validation for validation in validations if validation.progress.step >= 36]
    assert len(annealed) == 3
    assert not any(validation.is_best for validation in validations if validation not in annealed)
    best = [validation for validation in annealed if validation.is_best]
    assert best[-1].scores.cer == min(validation.scores.cer for validation in annealed)


def test_a_plateau_starts_the_decay_and_the_training_ends_annealed_and_early(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = Scorer()
    steady.update("abcd", "abcx")
    monkeypatch.setattr(Validator, "score", lambda *_: (steady.summary(), (ValidationSample("abcd", "abcx", -1.0),)))
    config = replace(CONFIG, steps=80, validations=40, patience=3)
    validations = [event for event in events_of(prepared(data, config), config) if isinstance(event, Validation)]
    # The first is the best so far, three more bring nothing: the decay starts after 8 of 80 steps and takes as long again.
    assert validations[-1].progress.step == 16
    assert validations[-1].progress.learning_rate == 0
    assert validations[-1].is_best


def test_before_anything_is_recognized_there_is_no_plateau(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Scorer()
    nothing.update("abcd", "")
    monkeypatch.setattr(Validator, "score", lambda *_: (nothing.summary(), (ValidationSample("abcd", "", -1.0),)))
    config = replace(CONFIG, steps=20, validations=20, patience=2)
    assert [event.step for event in events_of(prepared(data, config), config) if isinstance(event, Trained)] == [20]


def test_a_training_of_minutes_ends_by_its_clock(data: Dataset) -> None:
    config = replace(CONFIG, steps=None, minutes=1)
    clock = itertools.count(0, 5)  # five seconds pass each time it is read
    budget = Budget(config, 24, 2, clock=lambda: float(next(clock)))
    *_, progress, trained = events_of(prepared(data, config), config, budget)
    assert isinstance(progress, Progress)
    assert isinstance(trained, Trained)
    assert (progress.done, progress.seconds_left) == (1, 0)
    assert 1 <= trained.step <= 12  # it is read at least once per step; in 60 s of wall time there would be thousands of steps


def test_the_same_seed_gives_the_same_weights(data: Dataset) -> None:
    weights = []
    for attempt, seed in enumerate((5, 5, 6)):
        torch.manual_seed(attempt)  # has no effect
        config = replace(CONFIG, steps=6, seed=seed, augment=1)
        ready = prepared(data, config)
        events_of(ready, config)
        weights.append(ready.model.state_dict())
    one, again, other = weights
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_the_callers_random_numbers_stay_as_they_are(data: Dataset) -> None:
    config = replace(CONFIG, steps=2)
    before = torch.get_rng_state()
    events_of(prepared(data, config), config)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_reported_loss_is_the_mean_of_the_last_fifty_steps(data: Dataset) -> None:
    config = replace(CONFIG, steps=55)
    each = losses(prepared(data, config), config)
    events = events_of(prepared(data, config), config, report_seconds=-1)
    reported = [event.loss for event in events if isinstance(event, Progress)]
    assert reported == pytest.approx([np.mean(each[max(0, step - 50) : step]) for step in range(1, 56)], rel=1e-5)


@pytest.mark.parametrize(("batch_size", "factor"), [(16, 1), (36, 1.5), (4, 0.5), (64, 2), (1024, 2)])
def test_the_learning_rate_grows_with_the_root_of_the_batch_size_up_to_a_limit(
    batch_size: int, factor: float, data: Dataset
) -> None:
    config = replace(CONFIG, steps=10, batch_size=batch_size, learning_rate=1e-3, validations=10)
    assert config.base_batch == 16
    events = events_of(prepared(data, config), config)
    rates = [event.progress.learning_rate for event in events if isinstance(event, Validation)]
    assert max(rates) == pytest.approx(1e-3 * factor)  # from the end of the rise to the fifth step


def test_a_network_that_is_not_normalized_throughout_has_half_the_learning_rate(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, steps=10, batch_size=16, learning_rate=1e-3, validations=10)
    bare = replace(SHAPE, backbone=(Conv(8, norm=False), *SHAPE.backbone[1:]))
    monkeypatch.setitem(PRESETS, DEFAULT_PRESET, bare)
    events = events_of(prepared(data, config), config)
    rates = [event.progress.learning_rate for event in events if isinstance(event, Validation)]
    assert max(rates) == pytest.approx(5e-4)


def test_without_a_validation_split_the_last_weights_are_kept_and_nothing_is_measured(data: Dataset) -> None:
    config = replace(CONFIG, steps=3, held_out=0)
    events = run(data, config)
    end = finished(events)
    assert not [event for event in events if isinstance(event, Validation)]
    assert end.scores is None
    assert checkpoint.load_card(end.path).scores is None
    assert (end.path.parent / "history.jsonl").read_text() == ""
    assert not (end.path.parent / "curves.svg").exists()


def test_it_learns_from_synthetic_images_alone(tmp_path: Path) -> None:
    config = replace(CONFIG, synth="digits")
    nothing = Dataset(tmp_path, "none", ())
    ready = prepared([], config, synthetic=Drawer(), synthetic_validation=Drawer())
    order = Order(ready, config, (nothing,), Drawer(), device="cpu", synthetic_workers=0, finalization=WITHOUT_ONNX)
    end = finished(list(training.run(order)))
    assert end.scores is not None
    assert end.scores.n == 20
    assert end.scores.cer < 0.3  # 60 batches of numbers of which none comes twice
    assert checkpoint.trained_on(end.path) == frozenset()


# Training from a start model


def test_a_start_model_gives_a_low_loss_from_the_first_step(whole: Whole, data: Dataset) -> None:
    scratch = replace(CONFIG, steps=1)
    start = replace(scratch, start=str(whole.finished.path))
    from_scratch, from_model = (losses(prepared(data, config), config)[0] for config in (scratch, start))
    assert from_model < from_scratch / 3


@pytest.mark.parametrize("new", ["", "4"], ids=["same characters", "a new one"])
def test_frozen_convolutions_stay_as_they_are_and_all_else_is_trained(new: str, whole: Whole, data: Dataset) -> None:
    config = replace(CONFIG, start=str(whole.finished.path), freeze=True, steps=4, augment=1)
    if new:
        data = replace(data, samples=(replace(data.samples[0], text="4"), *data.samples[1:]))
    end = finished(run(data, config))
    _, before = checkpoint.load(whole.finished.path)
    card, after = checkpoint.load(end.path)
    assert card.charset.characters == CHARACTERS + new
    known = before.state_dict()
    for name, value in after.state_dict().items():
        if name.startswith("backbone."):  # weights, and the statistics of their normalization
            assert torch.equal(value, known[name]), name
        else:
            assert value.shape != known[name].shape or not torch.equal(value, known[name]), name


def test_convolutions_that_are_not_frozen_are_trained_too(whole: Whole, data: Dataset) -> None:
    end = finished(run(data, replace(CONFIG, start=str(whole.finished.path), steps=4)))
    known = checkpoint.load(whole.finished.path)[1].state_dict()
    changed = {name for name, value in checkpoint.load(end.path)[1].state_dict().items() if not torch.equal(value, known[name])}
    assert changed == {name for name in known if not name.endswith("num_batches_tracked")}


def test_a_model_remembers_what_its_start_model_was_trained_on(whole: Whole, tmp_path: Path) -> None:
    late = numbers(tmp_path / "late", 20, first=500)
    end = finished(run(late, replace(CONFIG, start=str(whole.finished.path), steps=2)))
    before, after = (checkpoint.trained_on(path) for path in (whole.finished.path, end.path))
    assert before < after
    assert trained_card(end.path)[1].start == "numbers"
    recognizers = [Recognizer.load(str(path), "cpu") for path in (whole.finished.path, end.path)]
    assert len(unseen(late.samples, recognizers[1])) < len(unseen(late.samples, recognizers[0]))


# Names and errors


def test_a_model_of_the_same_name_stays_and_with_force_is_replaced(data: Dataset) -> None:
    config = replace(CONFIG, steps=1)
    for force, name in ((False, "x"), (False, "x-2"), (True, "x")):
        before = {name: registry.path_of(name).read_bytes() for name in registry.own_names()}
        end = finished(run(data, replace(config, seed=len(before)), force=force))
        assert (end.name, checkpoint.load_card(end.path).name) == (name, name)
        assert registry.find(None) == registry.FoundModel(end.path, name, is_current=True)
        for other in before.keys() - {name}:
            assert registry.path_of(other).read_bytes() == before[other]
        assert before.get(name) != end.path.read_bytes()
    assert registry.own_names() == ["x", "x-2"]


def test_a_missing_device_is_an_error_before_anything_is_done(data: Dataset, own_registry: Path) -> None:
    ready = prepared(data, CONFIG)
    with pytest.raises(UsageError, match="device takes auto, cuda, mps or cpu, not tpu"):
        next(training.run(Order(ready, CONFIG, (data,), device="tpu")))
    assert not own_registry.exists()


def test_a_data_directory_that_cannot_be_written_is_an_error_before_the_training(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CRNNOCR_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(CrnnocrError, match=r"cannot write in the data directory .*/file: Not a directory \(CRNNOCR_DATA_DIR"):
        next(training.run(Order(prepared(data, CONFIG), CONFIG, (data,), device="cpu")))
