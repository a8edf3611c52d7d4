"""Training: its length, its batches, what is set aside before it, its loss, and what comes of it."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from crnnocr.charset import Charset
from crnnocr.config import AugmentConfig, ModelConfig, TrainConfig
from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.detect import load_dataset
from crnnocr.errors import CrnnocrError, DataError, ModelError
from crnnocr.evaluation import unseen
from crnnocr.metrics import Scorer
from crnnocr.model import checkpoint, store
from crnnocr.recognizer import Recognizer
from crnnocr.training.batching import Batch, epoch_batches, repeated, streamed
from crnnocr.training.examples import Example
from crnnocr.training.loop import Progress, Trained, ctc_loss, train
from crnnocr.training.run import Finished, Prepared, prepare, run
from crnnocr.training.schedule import Budget, Pace, Schedule, epochs_for
from crnnocr.training.validation import Validation, Validator

CPU = torch.device("cpu")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums come in one order only."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def first(data: Path, count: int) -> Dataset:
    dataset = load_dataset(data)
    return replace(dataset, samples=dataset.samples[:count])


def picture(path: Path, width: int, text: str) -> Sample:
    """A blank picture of 16 pixels in height, of which the tiny shape makes a frame for every two pixels of width."""
    Image.new("L", (width, 16), "white").save(path)
    return Sample(path, text)


def events_of(prepared: Prepared, config: TrainConfig) -> Iterator[Progress | Validation | Trained]:
    batches = repeated(prepared.examples, config.batch_size, config.seed)
    budget = Budget(config, len(prepared.examples))
    return train(prepared.model, prepared.card, batches, prepared.held_out, config, budget, CPU)


def losses(prepared: Prepared, config: TrainConfig) -> list[float]:
    return [event.loss for event in events_of(prepared, config) if isinstance(event, Progress)]


# The schedule


def test_the_learning_rate_rises_stays_and_falls_to_zero() -> None:
    schedule = Schedule(100, TrainConfig(warmup_steps=10, decay_share=0.4))
    steps = (0, 4, 9, 30, 59, 60, 80, 90, 100)
    assert [schedule.factor(step, step) for step in steps] == pytest.approx([0.1, 0.5, 1, 1, 1, 1, 0.5, 0.25, 0])


def test_it_falls_over_the_last_share_of_the_whole_only() -> None:
    schedule = Schedule(100, TrainConfig(decay_share=0.4))
    assert [schedule.decaying(now) for now in (0, 59, 60, 99)] == [False, False, True, True]
    assert [schedule.finished(now) for now in (99, 100)] == [False, True]


def test_a_decay_that_starts_early_keeps_its_share_of_the_whole() -> None:
    schedule = Schedule(100, TrainConfig(warmup_steps=1, decay_share=0.4))
    schedule.start_decay(30)
    assert schedule.end == pytest.approx(50)  # 30 are 0.6 of it
    assert schedule.decaying(30)
    assert [schedule.factor(now, 50) for now in (30, 40, 50)] == pytest.approx([1, 0.5, 0])


def test_a_decay_that_has_begun_is_not_begun_again() -> None:
    schedule = Schedule(100, TrainConfig(decay_share=0.4))
    schedule.start_decay(30)
    schedule.start_decay(35)
    assert schedule.decay_start == 30
    assert schedule.end == pytest.approx(50)


@pytest.mark.parametrize("early", [None, 1, 3.7, 25, 59, 60, 80])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_training_never_ends_before_the_rate_has_come_to_zero(early: float | None, share: float) -> None:
    schedule = Schedule(100, TrainConfig(warmup_steps=1, decay_share=share))
    if early is not None:
        schedule.start_decay(early)
    times = np.linspace(0, 100, 2001)
    rates = [schedule.factor(now, 5) for now in times]
    assert schedule.finished(100)
    assert all(rate == pytest.approx(0, abs=1e-9) for now, rate in zip(times, rates, strict=True) if schedule.finished(now))
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates))


# The budget


def test_a_budget_of_epochs_is_counted_in_steps() -> None:
    budget = Budget(TrainConfig(epochs=3, batch_size=16), pictures=33)
    assert budget.total == 9  # batches of 16, 16 and 1, three times
    assert budget.now(4) == 4


def test_a_budget_of_minutes_is_counted_in_seconds_of_its_clock_from_its_start() -> None:
    clock = iter([1000.0, 1000.0, 1030.0, 1130.0])
    budget = Budget(TrainConfig(minutes=2), pictures=33, clock=lambda: next(clock))
    assert budget.total == 120
    assert [budget.now(step) for step in (0, 7, 8)] == [0, 30, 130]  # whatever the steps


def test_by_default_the_clock_is_that_on_the_wall() -> None:
    budget = Budget(TrainConfig(minutes=2), pictures=33)
    before = time.monotonic()
    time.sleep(0.05)
    assert budget.seconds >= time.monotonic() - before - 0.01 >= 0.04


def test_a_training_of_minutes_ends_by_its_clock(tiny_data: Path, tiny_preset: str) -> None:
    config = TrainConfig(preset=tiny_preset, minutes=1, batch_size=4)
    prepared = prepare(first(tiny_data, 8), config, "x")
    clock = itertools.count(0, 5)  # five seconds pass with each look at it
    batches = repeated(prepared.examples, config.batch_size, config.seed)
    budget = Budget(config, len(prepared.examples), clock=lambda: float(next(clock)))
    *_, progress, trained = train(prepared.model, prepared.card, batches, [], config, budget, CPU)
    assert isinstance(progress, Progress)
    assert isinstance(trained, Trained)
    assert (progress.done, progress.seconds_left) == (1, 0)
    assert 1 <= trained.step <= 12  # a look or more a step in 60 seconds; by the wall it would be thousands


def test_a_pace_is_that_of_the_last_reports() -> None:
    pace = Pace()
    assert pace.update(2, 6) == 3
    for second in range(3, 43):  # slower from here on, for longer than a pace looks back
        lately = pace.update(second, 6 + (second - 2))
    assert lately == 1


@pytest.mark.parametrize(
    ("pictures", "epochs"),
    [(1, 400), (50, 400), (100, 300), (987, 30), (3000, 10), (1_000_000, 10)],
)
def test_epochs_follow_the_number_of_pictures_within_limits(pictures: int, epochs: int) -> None:
    config = TrainConfig(presentations=30_000, epoch_limits=(10, 400))
    assert epochs_for(config, pictures) == epochs


def test_epochs_that_are_asked_for_are_taken() -> None:
    assert epochs_for(TrainConfig(epochs=1), 987) == 1
    assert epochs_for(TrainConfig(epochs=5000), 987) == 5000


# Batches


WIDTHS: Sequence[int] = np.random.default_rng(0).integers(20, 400, size=501).tolist()


def test_an_epoch_holds_every_picture_once() -> None:
    batches = epoch_batches(WIDTHS, 16, seed=0, epoch=0)
    assert sorted(itertools.chain(*batches)) == list(range(501))
    assert max(map(len, batches)) == 16


def test_an_epoch_depends_on_seed_and_number_alone() -> None:
    torch.manual_seed(1)
    once = epoch_batches(WIDTHS, 16, seed=3, epoch=5)
    torch.manual_seed(2)
    assert epoch_batches(WIDTHS, 16, seed=3, epoch=5) == once
    assert epoch_batches(WIDTHS, 16, seed=3, epoch=6) != once
    assert epoch_batches(WIDTHS, 16, seed=4, epoch=5) != once


def padding(batches: list[list[int]]) -> int:
    """Columns that are added to make each batch as wide as its widest."""
    return sum(max(WIDTHS[i] for i in batch) - WIDTHS[j] for batch in batches for j in batch)


def test_batches_hold_like_widths() -> None:
    as_they_come = [list(range(501))[i : i + 16] for i in range(0, 501, 16)]
    # Pools of 12 batches of uniform widths leave about a twelfth of the padding; half is far from both.
    assert padding(epoch_batches(WIDTHS, 16, seed=0, epoch=0)) < padding(as_they_come) / 2


def lines(widths: Sequence[int]) -> list[Example]:
    """Blank lines, each of them named with its number."""
    return [Example(np.zeros((2, width), np.uint8), str(number), (), number) for number, width in enumerate(widths)]


def ids_of(batches: Iterable[Batch]) -> list[list[int]]:
    return [[example.content_id for example in batch] for _, batch in batches]


def test_repeated_batches_are_the_epochs_one_after_the_other() -> None:
    batches = list(itertools.islice(repeated(lines(WIDTHS[:40]), 16, seed=3), 6))
    assert [epoch for epoch, _ in batches] == [1, 1, 1, 2, 2, 2]  # 40 pictures are batches of 16, 16 and 8
    expected = [batch for epoch in (0, 1) for batch in epoch_batches(WIDTHS[:40], 16, 3, epoch)]
    assert ids_of(batches) == expected


def test_a_stream_is_taken_whole_and_in_one_epoch() -> None:
    pool = 16 * 12  # twelve batches
    batches = list(itertools.islice(streamed(lines(WIDTHS), 16, seed=0), 24))
    assert {epoch for epoch, _ in batches} == {1}
    assert {len(batch) for _, batch in batches} == {16}
    assert sorted(itertools.chain(*ids_of(batches[:12]))) == list(range(pool))
    assert sorted(itertools.chain(*ids_of(batches[12:]))) == list(range(pool, 2 * pool))


def test_a_stream_is_read_no_further_than_a_pool_ahead() -> None:
    taken = 0

    def endless() -> Iterator[Example]:
        nonlocal taken
        for example in itertools.cycle(lines(WIDTHS)):
            taken += 1
            yield example

    batches = streamed(endless(), 4, seed=0)
    assert taken == 0
    next(batches)
    assert taken == 4 * 12
    assert len(list(itertools.islice(batches, 12))) == 12
    assert taken == 2 * 4 * 12


def test_batches_of_a_stream_hold_like_widths_in_an_order_of_the_seed() -> None:
    once, again, other = (ids_of(itertools.islice(streamed(lines(WIDTHS), 16, seed), 24)) for seed in (1, 1, 2))
    assert once == again != other
    # Within pools as within an epoch: sorting them leaves about a twelfth of the padding.
    assert padding(once) < padding([list(range(i, i + 16)) for i in range(0, 24 * 16, 16)]) / 2


def test_a_stream_that_ends_ends_its_batches() -> None:
    assert sorted(itertools.chain(*ids_of(streamed(lines(WIDTHS[:50]), 16, seed=0)))) == list(range(50))


# What is set aside


def test_a_label_that_needs_more_frames_than_its_picture_has_is_set_aside_and_named(
    tmp_path: Path, tiny_preset: str, tiny_shape: ModelConfig
) -> None:
    assert tiny_shape.frames(4) == 2
    samples = (
        picture(tmp_path / "fits.png", 4, "ab"),
        picture(tmp_path / "repeats.png", 4, "aa"),  # a blank must stand between the two
        picture(tmp_path / "just.png", 6, "aa"),
        picture(tmp_path / "long.png", 4, "abcdefgh"),
    )
    prepared = prepare(Dataset(tmp_path, "hand-made", samples), TrainConfig(preset=tiny_preset), "x")
    assert {example.text for example in prepared.examples + prepared.held_out} == {"ab", "aa"}
    assert [(fault.kind, fault.where) for fault in prepared.faults] == [
        ("label that needs more frames than its picture has", f"{tmp_path / 'repeats.png'}: 3 of 2"),
        ("label that needs more frames than its picture has", f"{tmp_path / 'long.png'}: 8 of 2"),
    ]


def test_a_picture_that_cannot_be_read_is_set_aside_and_named(tmp_path: Path, tiny_preset: str) -> None:
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    samples = (picture(tmp_path / "good.png", 16, "ab"), Sample(tmp_path / "broken.png", "ab"))
    prepared = prepare(Dataset(tmp_path, "hand-made", samples), TrainConfig(preset=tiny_preset), "x")
    assert len(prepared.examples) == 1
    (fault,) = prepared.faults
    assert fault.kind == "picture that cannot be read"
    assert "broken.png" in fault.where


def test_data_of_which_nothing_is_left_is_refused(tmp_path: Path, tiny_preset: str) -> None:
    dataset = Dataset(tmp_path, "hand-made", (picture(tmp_path / "long.png", 4, "abcdefgh"),))
    with pytest.raises(DataError, match=r"no picture is left to learn from; label that needs more frames .*long\.png: 8 of 2"):
        prepare(dataset, TrainConfig(preset=tiny_preset), "x")


def test_characters_that_the_start_model_lacks_are_named_with_code_point_and_file(tmp_path: Path, tiny_model: Path) -> None:
    dataset = Dataset(tmp_path, "hand-made", (picture(tmp_path / "cafe.png", 40, "café"),))
    expected = r"does not know all characters of .*: 'é' \(U\+00E9 LATIN SMALL LETTER E WITH ACUTE\) in .*cafe\.png"
    with pytest.raises(DataError, match=expected):
        prepare(dataset, TrainConfig(start=str(tiny_model)), "x")


def test_a_start_model_that_is_not_there_is_named(tiny_data: Path) -> None:
    with pytest.raises(ModelError, match="no model plates"):
        prepare(load_dataset(tiny_data), TrainConfig(start="plates"), "x")


def test_what_is_held_out_is_not_learned_and_does_not_depend_on_the_order(tiny_data: Path, tiny_preset: str) -> None:
    dataset, config = load_dataset(tiny_data), TrainConfig(preset=tiny_preset, held_out=0.3)
    prepared = prepare(dataset, config, "x")
    turned = prepare(replace(dataset, samples=dataset.samples[::-1]), config, "x")
    assert len(prepared.examples) + len(prepared.held_out) == 40
    assert {e.content_id for e in prepared.held_out} == {e.content_id for e in turned.held_out}
    assert not {e.content_id for e in prepared.held_out} & {e.content_id for e in prepared.examples}


# The loss


def log_probs(*lines: Sequence[Sequence[float]]) -> Tensor:
    """(N, T, C) natural logs of probabilities."""
    return torch.log(torch.tensor(lines))


def test_the_loss_of_one_character_in_two_even_frames() -> None:
    even = log_probs([[0.5, 0.5], [0.5, 0.5]])
    # Of the four paths --, -a, a- and aa, three read "a".
    assert ctc_loss(even, torch.tensor([2]), [(1,)]).item() == pytest.approx(-math.log(3 / 4))


def test_the_loss_is_per_character() -> None:
    sure = log_probs([[0.2, 0.8, 0.0], [0.2, 0.0, 0.8]])
    # The only path that reads "ab" is ab: two characters share its 0.8 × 0.8.
    one = ctc_loss(sure, torch.tensor([2]), [(1, 2)])
    two = ctc_loss(sure.repeat(2, 1, 1), torch.tensor([2, 2]), [(1, 2), (1, 2)])
    assert [one.item(), two.item()] == pytest.approx([-math.log(0.8), -math.log(0.8)])


def summed_over_paths(line: Tensor, target: tuple[int, ...]) -> float:
    """The probability of `target`: the sum over all paths that read so, one by one. `line` is (T, C) log-probabilities."""
    probabilities = line.double().exp().tolist()
    total = 0.0
    for path in itertools.product(range(line.shape[1]), repeat=line.shape[0]):
        if tuple(c for c, _ in itertools.groupby(path) if c != 0) == target:
            total += math.prod(frame[c] for frame, c in zip(probabilities, path, strict=True))
    return total


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_is_the_sum_over_all_paths(seed: int) -> None:
    torch.manual_seed(seed)
    batch = torch.randn(4, 5, 4).log_softmax(2)
    frames, targets = torch.tensor([5, 4, 3, 2]), [(1, 1, 2), (3, 2), (2, 2), (1, 3)]
    expected = -sum(
        math.log(summed_over_paths(line[:count], target))
        for line, count, target in zip(batch, frames.tolist(), targets, strict=True)
    )
    assert ctc_loss(batch, frames, targets).item() == pytest.approx(expected / 9, rel=1e-5)


def test_the_loss_is_torchs_own_sum_divided_by_the_characters() -> None:
    torch.manual_seed(0)
    batch = torch.randn(3, 12, 7).log_softmax(2)
    frames, targets = torch.tensor([12, 9, 7]), [(1, 2, 3, 3), (6,), (5, 4)]
    padded = torch.tensor([[1, 2, 3, 3], [6, 0, 0, 0], [5, 4, 0, 0]])
    lines = functional.ctc_loss(batch.transpose(0, 1), padded, frames, torch.tensor([4, 1, 2]), reduction="none")
    assert ctc_loss(batch, frames, targets).item() == pytest.approx(lines.sum().item() / 7, rel=1e-6)


def test_a_line_that_cannot_hold_its_label_counts_nothing() -> None:
    raw = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = ctc_loss(raw.log_softmax(2), torch.tensor([3, 3]), [(1, 2), (1, 1, 1)])
    (gradient,) = torch.autograd.grad(loss, raw)
    assert math.isfinite(loss.item())
    assert gradient[0].abs().sum() > 0
    assert not gradient[1].any()


def test_a_loss_that_is_no_number_ends_the_training(tiny_data: Path, tiny_preset: str) -> None:
    config = TrainConfig(preset=tiny_preset, epochs=1)
    prepared = prepare(first(tiny_data, 4), config, "x")
    torch.nn.init.constant_(prepared.model.head.bias, math.nan)
    with pytest.raises(CrnnocrError, match="no longer a number after 0 steps"):
        losses(prepared, config)


# What comes of it


@pytest.mark.usefixtures("one_thread")
def test_the_same_seed_gives_the_same_weights(tiny_data: Path, tiny_preset: str) -> None:
    config = TrainConfig(preset=tiny_preset, epochs=3, batch_size=8, seed=5)
    weights = []
    for seed in (5, 5, 6):
        prepared = prepare(first(tiny_data, 16), replace(config, seed=seed), "x")
        assert all(map(math.isfinite, losses(prepared, replace(config, seed=seed))))
        weights.append(prepared.model.state_dict())
    one, again, other = weights
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_a_tiny_model_learns_eight_words_by_heart(tiny_data: Path, tiny_model: Path) -> None:
    samples = first(tiny_data, 8).samples
    readings = Recognizer.load(str(tiny_model), "cpu").predict(sample.path for sample in samples)
    right = sum(sample.text == reading.text for sample, reading in zip(samples, readings, strict=True))
    assert right >= 6  # an untrained model reads none


@pytest.mark.usefixtures("one_thread")
def test_the_loss_falls(tiny_data: Path, tiny_preset: str, by_heart: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crnnocr.training.loop._REPORT_SECONDS", 0)  # a report after every step
    config = replace(by_heart, preset=tiny_preset, epochs=40)
    course = losses(prepare(first(tiny_data, 8), config, "x"), config)
    assert len(course) == 40
    assert course[0] > 3.5  # chance over some forty classes, in nats a character
    assert course[-1] < course[0] - 0.5  # the mean of the last fifty, all forty here


def test_going_on_from_a_model_begins_with_its_loss(
    tiny_data: Path, tiny_model: Path, tiny_preset: str, by_heart: TrainConfig
) -> None:
    anew = replace(by_heart, preset=tiny_preset, epochs=1)
    onwards = replace(anew, start=str(tiny_model))
    at_first = [losses(prepare(first(tiny_data, 8), config, "x"), config)[0] for config in (anew, onwards)]
    assert at_first[1] < at_first[0] / 3


def test_only_annealed_weights_are_kept(tiny_data: Path, tiny_preset: str, by_heart: TrainConfig) -> None:
    config = replace(by_heart, preset=tiny_preset, epochs=40, validations=8, held_out=0.3)
    prepared = prepare(first(tiny_data, 16), config, "x")
    validations = [event for event in events_of(prepared, config) if isinstance(event, Validation)]
    last_step = validations[-1].step
    # The learning rate is down to a fifth of its highest in the last fifth of the decay.
    annealed_from = last_step * (1 - config.decay_share / 5)
    annealed = [v for v in validations if v.step >= annealed_from]
    assert 1 <= len(annealed) < len(validations)
    assert not any(validation.is_best for validation in validations if validation not in annealed)
    best = [validation for validation in validations if validation.is_best]
    assert best[-1].scores.cer == min(v.scores.cer for v in annealed)


def test_a_plateau_starts_the_decay_and_the_training_ends_annealed_and_early(
    tiny_data: Path, tiny_preset: str, by_heart: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = Scorer()
    steady.update("abcd", "abcx")
    monkeypatch.setattr(Validator, "_read", lambda self, examples: (steady.summary(), (("abcd", "abcx"),)))
    config = replace(by_heart, preset=tiny_preset, epochs=200, validations=40, patience=3, held_out=0.3, decay_share=0.5)
    prepared = prepare(first(tiny_data, 16), config, "x")
    events = list(events_of(prepared, config))
    validations = [event for event in events if isinstance(event, Validation)]
    steps = prepared.epochs * -(-len(prepared.examples) // config.batch_size)
    # The first is the best so far, three more bring nothing: the decay starts at 4 of 40 parts and takes as long again.
    assert validations[-1].step == pytest.approx(steps * 8 / 40, rel=0.1)
    assert validations[-1].is_best


def test_a_finished_training_is_stored_with_what_it_was_trained_on(
    tiny_data: Path, tiny_preset: str, by_heart: TrainConfig
) -> None:
    config = replace(by_heart, preset=tiny_preset, epochs=2, augment=AugmentConfig())
    dataset = load_dataset(tiny_data)
    prepared = prepare(dataset, config, "plates")
    *_, finished = run(prepared, dataset, config, device="cpu")
    assert isinstance(finished, Finished)
    assert finished.name == "plates"
    assert store.find(None) == store.FoundModel(finished.path, "plates", is_current=True)
    assert checkpoint.trained_on(finished.path) == {example.content_id for example in prepared.examples}
    card = checkpoint.read_card(finished.path)
    assert finished.scores is not None
    assert card.scores == pytest.approx(vars(finished.scores))
    assert card.training["data"]["learned"] + card.training["data"]["held_out"] == 40
    assert card.training["config"]["seed"] == config.seed


def test_what_was_measured_is_what_is_stored(tiny_data: Path, tiny_preset: str, by_heart: TrainConfig) -> None:
    config = replace(by_heart, preset=tiny_preset, epochs=40, held_out=0.3)
    dataset = first(tiny_data, 16)
    prepared = prepare(dataset, config, "x")
    *_, finished = run(prepared, dataset, config, device="cpu")
    assert isinstance(finished, Finished)
    assert finished.scores is not None
    recognizer = Recognizer.load(str(finished.path), "cpu")
    unseen = [sample for sample in dataset.samples if sample.text in {example.text for example in prepared.held_out}]
    readings = [prediction.text for prediction in recognizer.predict(sample.path for sample in unseen)]
    exact = sum(sample.text == reading for sample, reading in zip(unseen, readings, strict=True)) / len(unseen)
    assert len(unseen) == finished.scores.n
    assert exact == finished.scores.exact


def test_a_training_that_is_closed_early_leaves_nothing(tiny_data: Path, tiny_preset: str, own_store: Path) -> None:
    config = TrainConfig(preset=tiny_preset, epochs=50, validations=50)
    dataset = load_dataset(tiny_data)
    events = run(prepare(dataset, config, "x"), dataset, config, device="cpu")
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert store.names() == []
    assert not [path for path in own_store.rglob("*") if path.is_file()]


def test_a_taken_name_is_left_alone_and_with_force_replaced(tiny_data: Path, tiny_preset: str, by_heart: TrainConfig) -> None:
    config = replace(by_heart, preset=tiny_preset, epochs=1)
    dataset = first(tiny_data, 8)
    for force, name in ((False, "x"), (False, "x-2"), (True, "x")):
        *_, finished = run(prepare(dataset, config, "x"), dataset, config, force, "cpu")
        assert isinstance(finished, Finished)
        assert (finished.name, checkpoint.read_card(finished.path).name) == (name, name)
    assert store.names() == ["x", "x-2"]


def test_a_model_remembers_what_its_start_model_was_trained_on(
    tiny_data: Path, tiny_preset: str, by_heart: TrainConfig
) -> None:
    every = load_dataset(tiny_data)
    known = Charset.from_texts(sample.text for sample in every.samples[:20])
    early = replace(every, samples=every.samples[:20])
    late = replace(every, samples=tuple(s for s in every.samples[20:] if not known.unknown(s.text)))
    config = replace(by_heart, preset=tiny_preset, epochs=1)
    onwards = replace(config, preset=None, start="early", held_out=0.3)
    *_, one = run(prepare(early, config, "early"), early, config, device="cpu")
    *_, two = run(prepare(late, onwards, "late"), late, onwards, device="cpu")
    assert isinstance(one, Finished)
    assert isinstance(two, Finished)
    assert checkpoint.trained_on(one.path) < checkpoint.trained_on(two.path)
    assert unseen(early.samples, Recognizer.load("late")) == unseen(early.samples, Recognizer.load("early"))
    held_out_later = prepare(early, replace(onwards, held_out=0.9), "later").held_out
    assert not {example.content_id for example in held_out_later} & checkpoint.trained_on(one.path)
