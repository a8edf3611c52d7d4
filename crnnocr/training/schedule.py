"""How long a training runs, where it stands, and its learning rate: a short rise, a constant part, and a fall to zero."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from crnnocr.config import TrainConfig

_REPORTS_AVERAGED = 20
_MAX_WARMUP_SHARE = 0.1


@dataclass(frozen=True)
class StepStats:
    """Figures of a training after a step."""

    step: int
    """Steps made."""
    epoch: int
    """The running epoch, from 1."""
    samples_seen: int
    """Samples trained on so far, each as often as it was seen."""
    seconds: float
    """Wall time of the training, including that before an interruption."""
    loss: float
    """CTC loss in nats per character, averaged over the last steps."""
    learning_rate: float
    """Learning rate of the last step."""
    data_wait: float
    """Share of the recent time that was spent waiting for batches, 0 to 1."""


@dataclass(frozen=True)
class Progress(StepStats):
    """Where a training stands."""

    done: float
    """Share of the budget that is used up, 0 to 1."""
    images_per_second: float
    """Recent speed."""
    seconds_left: float
    """Time until the budget is used up, at the recent speed."""


class Budget:
    """How long a training may run: a number of steps, or seconds of `clock` if the configuration gives minutes."""

    def __init__(
        self,
        config: TrainConfig,
        samples_per_epoch: int,
        steps_per_epoch: int,
        clock: Callable[[], float] = time.monotonic,
        stages: int = 1,
        part: float = 1.0,
        whole: float = 1.0,
    ) -> None:
        """Start now.

        Args:
            config: says how long.
            samples_per_epoch: how many samples an epoch counts as.
            steps_per_epoch: steps of an epoch.
            clock: measures seconds.
            stages: among which minutes and the default budget are divided equally; of epochs and steps each has as many.
            part: of a stage, with the stage's first round as 1.
            whole: the parts of the stage together, among which its minutes are divided.
        """
        self._clock = clock
        self._started = clock()
        self.in_seconds = config.minutes is not None
        """Whether the unit is the second, else the step."""
        if config.minutes is not None:
            self.total = config.minutes * 60 / stages * part / whole
        else:
            steps = config.steps or epochs_for(config, samples_per_epoch * stages) * steps_per_epoch
            self.total = float(max(1, round(steps * part)))

    @property
    def seconds(self) -> float:
        """Seconds since the start, without those between an interruption and the resumption."""
        return self._clock() - self._started

    def resume_at(self, seconds: float) -> None:
        """Count on from the seconds that an interrupted training has used."""
        self._started = self._clock() - seconds

    def used(self, step: int) -> float:
        """The part of the budget that is used up after `step` steps, in its unit."""
        return self.seconds if self.in_seconds else float(step)


def epochs_for(config: TrainConfig, samples: int) -> int:
    """The epochs asked for, or as many as make `config.total_samples` of these samples, within the limits."""
    fewest, most = config.epoch_limits
    return config.epochs or min(most, max(fewest, round(config.total_samples / max(1, samples))))


class RateMeter:
    """Measures how fast a value grows, over the last reports."""

    def __init__(self, seconds: float = 0.0, value: float = 0.0) -> None:
        self._reports = deque([(seconds, value)], maxlen=_REPORTS_AVERAGED)

    def update(self, seconds: float, value: float) -> float:
        """Take in the `value` reached after `seconds`, and return its recent growth per second."""
        seconds_before, value_before = self._reports[0]
        self._reports.append((seconds, value))
        return (value - value_before) / max(seconds - seconds_before, 1e-9)


class Schedule:
    """Warm-up, constant, decay. Times are in the budget's unit, steps or seconds.

    The decay takes the last `decay_share` of the whole. `start_decay` begins it early and shortens it, so that it still takes
    this share: a training never ends without it.
    """

    def __init__(self, budget: Budget, config: TrainConfig) -> None:
        self._decay_share = config.decay_share
        self._warmup_steps = float(config.warmup_steps)
        self._warmup_end = _MAX_WARMUP_SHARE * budget.total
        if not budget.in_seconds:
            self._warmup_steps = min(self._warmup_steps, self._warmup_end)
        self.end = budget.total
        """When the training ends."""
        self.decay_start = budget.total * (1 - config.decay_share)
        """When the learning rate begins to fall."""

    def start_decay(self, now: float) -> None:
        """Begin the decay now, unless it has begun."""
        if now < self.decay_start:
            self.decay_start = now
            self.end = now / (1 - self._decay_share)

    def factor(self, now: float, step: int) -> float:
        """The share of the highest learning rate at time `now`, in step `step` (from 0)."""
        warm = min(1.0, max((step + 1) / max(1.0, self._warmup_steps), now / max(self._warmup_end, 1e-9)))
        if not self.is_decaying(now):
            return warm
        return warm * max(0.0, (self.end - now) / max(self.end - self.decay_start, 1e-9))

    def is_decaying(self, now: float) -> bool:
        """Whether the learning rate falls at time `now`."""
        return now >= self.decay_start

    def is_finished(self, now: float) -> bool:
        """Whether the budget is used up at time `now`."""
        return now >= self.end
