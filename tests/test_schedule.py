"""How long a training runs, and its learning rate over that time."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pytest

from crnnocr.config import TrainConfig
from crnnocr.training.schedule import Budget, RateMeter, Schedule, epochs_for


def schedule_of(total: int = 100, **options: Any) -> Schedule:
    """The schedule of so many steps."""
    config = TrainConfig(steps=total, **{"decay_share": 0.4, "warmup_steps": 1} | options)
    return Schedule(Budget(config, samples_per_epoch=1, steps_per_epoch=1), config)


# The learning rate


def test_the_learning_rate_rises_stays_and_falls_to_zero() -> None:
    schedule = schedule_of(warmup_steps=10)
    steps = (0, 4, 9, 30, 59, 60, 80, 90, 100)
    assert [schedule.factor(step, step) for step in steps] == pytest.approx([0.1, 0.5, 1, 1, 1, 1, 0.5, 0.25, 0])


def test_the_rise_takes_a_tenth_of_a_short_training_at_most() -> None:
    schedule = schedule_of(50, warmup_steps=200)
    assert [schedule.factor(step, step) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])


def test_the_rise_is_in_steps_even_if_the_budget_is_in_minutes() -> None:
    config = TrainConfig(minutes=1, warmup_steps=200)
    schedule = Schedule(Budget(config, samples_per_epoch=1, steps_per_epoch=1, clock=lambda: 0.0), config)
    assert [schedule.factor(0, step) for step in (0, 99, 199, 500)] == pytest.approx([1 / 200, 0.5, 1, 1])


def test_the_rise_takes_a_tenth_of_a_few_minutes_at_most() -> None:
    config = TrainConfig(minutes=1, warmup_steps=200)
    schedule = Schedule(Budget(config, samples_per_epoch=1, steps_per_epoch=1, clock=lambda: 0.0), config)
    assert [schedule.factor(seconds, 1) for seconds in (0, 3, 6, 20)] == pytest.approx([2 / 200, 0.5, 1, 1])


def test_minutes_and_the_default_budget_are_divided_among_stages_and_their_rounds() -> None:
    def total(config: TrainConfig, **options: Any) -> float:
        return Budget(config, samples_per_epoch=100, steps_per_epoch=10, **options).total

    minutes, steps, epochs = TrainConfig(minutes=10), TrainConfig(steps=80), TrainConfig(epochs=3)
    assert total(minutes, stages=5) == 120
    assert total(minutes, stages=5, whole=1.5) == 80
    assert total(minutes, stages=5, part=0.25, whole=1.5) == 20
    assert (total(steps, stages=5, whole=1.5), total(steps, stages=5, part=0.25, whole=1.5)) == (80, 20)
    assert (total(epochs, stages=5), total(epochs, stages=5, part=0.25)) == (30, 8)
    assert total(TrainConfig(), stages=5) == 60 * 10  # 30,000 samples are 300 epochs of 100


def test_it_falls_over_the_last_share_of_the_whole_only() -> None:
    schedule = schedule_of()
    assert [schedule.is_decaying(now) for now in (0, 59, 60, 99)] == [False, False, True, True]
    assert [schedule.is_finished(now) for now in (99, 100)] == [False, True]


def test_a_decay_that_starts_early_keeps_its_share_of_the_whole() -> None:
    schedule = schedule_of()
    schedule.start_decay(30)
    assert schedule.end == pytest.approx(50)  # 30 are 0.6 of it
    assert schedule.is_decaying(30)
    assert [schedule.factor(now, 50) for now in (30, 40, 50)] == pytest.approx([1, 0.5, 0])


def test_a_decay_begins_once() -> None:
    schedule = schedule_of()
    schedule.start_decay(30)
    schedule.start_decay(35)
    assert schedule.decay_start == 30
    assert schedule.end == pytest.approx(50)


@pytest.mark.parametrize("early", [None, 1, 3.7, 25, 59, 60, 80])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_training_never_ends_before_the_rate_is_zero(early: float | None, share: float) -> None:
    schedule = schedule_of(decay_share=share)
    if early is not None:
        schedule.start_decay(early)
    times = np.linspace(0, 100, 2001)
    rates = [schedule.factor(now, 5) for now in times]
    assert schedule.is_finished(100)
    assert all(rate == pytest.approx(0, abs=1e-9) for now, rate in zip(times, rates, strict=True) if schedule.is_finished(now))
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates))


# The budget


@pytest.mark.parametrize(
    ("options", "steps"),
    [({"steps": 7}, 7), ({"epochs": 3}, 15), ({}, 10 * 5)],  # by default ten epochs of 3,000 samples
)
def test_a_budget_of_steps_or_epochs_is_counted_in_steps(options: dict[str, int], steps: int) -> None:
    budget = Budget(TrainConfig(**options), samples_per_epoch=3000, steps_per_epoch=5)  # type: ignore[arg-type]
    assert not budget.in_seconds
    assert budget.total == steps
    assert budget.used(4) == 4


def test_a_budget_of_minutes_is_counted_in_seconds_of_its_clock_from_its_start() -> None:
    clock = iter([1000.0, 1000.0, 1030.0, 1130.0])
    budget = Budget(TrainConfig(minutes=2), samples_per_epoch=33, steps_per_epoch=3, clock=lambda: next(clock))
    assert budget.in_seconds
    assert budget.total == 120
    assert [budget.used(step) for step in (0, 7, 8)] == [0, 30, 130]  # whatever the steps


def test_a_resumed_budget_counts_on() -> None:
    clock = iter([1000.0, 1010.0, 1015.0])
    budget = Budget(TrainConfig(minutes=2), samples_per_epoch=33, steps_per_epoch=3, clock=lambda: next(clock))
    budget.resume_at(90)  # at 1010
    assert budget.seconds == 95


def test_by_default_the_clock_is_wall_time() -> None:
    budget = Budget(TrainConfig(minutes=2), samples_per_epoch=33, steps_per_epoch=3)
    before = time.monotonic()
    time.sleep(0.05)
    assert budget.seconds >= time.monotonic() - before - 0.01 >= 0.04


def test_a_rate_is_that_of_the_last_reports() -> None:
    meter = RateMeter()
    assert meter.update(2, 6) == 3
    for second in range(3, 43):  # slower from here on, for longer than the meter averages
        rate = meter.update(second, 6 + (second - 2))
    assert rate == 1


def test_a_rate_of_a_resumed_training_counts_only_what_is_new() -> None:
    assert RateMeter(100, 5000).update(102, 5006) == 3


@pytest.mark.parametrize(
    ("samples", "epochs"),
    [(0, 400), (1, 400), (50, 400), (100, 300), (987, 30), (3000, 10), (1_000_000, 10)],
)
def test_epochs_follow_the_number_of_samples_within_limits(samples: int, epochs: int) -> None:
    config = TrainConfig(total_samples=30_000, epoch_limits=(10, 400))
    assert epochs_for(config, samples) == epochs


def test_epochs_that_are_given_have_no_limits() -> None:
    assert epochs_for(TrainConfig(epochs=1), 987) == 1
    assert epochs_for(TrainConfig(epochs=5000), 987) == 5000
