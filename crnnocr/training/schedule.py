"""How long training goes on, and the learning rate over that: a short rise, a constant part, and a fall to zero at its end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from crnnocr.config import TrainConfig

_REPORTS_A_PACE = 20
_WARMUP_SHARE = 0.1


class Budget:
    """How long training may go on: a number of steps, or seconds of `clock` if the configuration gives minutes."""

    def __init__(
        self, config: TrainConfig, pictures: int, steps_an_epoch: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._started = clock()
        self.in_seconds = config.minutes is not None
        """Whether it is counted in seconds, else in steps."""
        if config.minutes is not None:
            self.total = config.minutes * 60
        else:
            self.total = float(config.steps or epochs_for(config, pictures) * steps_an_epoch)

    @property
    def seconds(self) -> float:
        """Since the start, without what lay between a kill and the training that went on."""
        return self._clock() - self._started

    def go_on_from(self, seconds: float) -> None:
        """Count on from what an interrupted training has used."""
        self._started = self._clock() - seconds

    def now(self, step: int) -> float:
        """How much is used up after `step` steps."""
        return self.seconds if self.in_seconds else float(step)


class Pace:
    """How fast something grows, over the last reports."""

    def __init__(self, seconds: float = 0.0, value: float = 0.0) -> None:
        self._marks = deque([(seconds, value)], maxlen=_REPORTS_A_PACE)

    def update(self, seconds: float, value: float) -> float:
        """What `value`, reached after `seconds`, has grown by a second lately."""
        before, less = self._marks[0]
        self._marks.append((seconds, value))
        return (value - less) / max(seconds - before, 1e-9)


def epochs_for(config: TrainConfig, pictures: int) -> int:
    """The epochs asked for, or as many as show `config.presentations` pictures, within the limits."""
    fewest, most = config.epoch_limits
    return config.epochs or min(most, max(fewest, round(config.presentations / max(1, pictures))))


class Schedule:
    """Warm-up, constant, decay. Time is counted in the budget's unit, steps or seconds.

    The decay takes the last `decay_share` of the whole. `start_decay` begins it early, and then it is shortened so that it
    still takes this share: training never stops without it.
    """

    def __init__(self, budget: Budget, config: TrainConfig) -> None:
        self._share = config.decay_share
        self._warmup_steps = float(config.warmup_steps)
        if not budget.in_seconds:
            self._warmup_steps = min(self._warmup_steps, _WARMUP_SHARE * budget.total)
        self.end = budget.total
        """When training ends."""
        self.decay_start = budget.total * (1 - config.decay_share)
        """When the learning rate begins to fall."""

    def start_decay(self, now: float) -> None:
        """Begin the decay now, unless it has begun."""
        if now < self.decay_start:
            self.decay_start = now
            self.end = now / (1 - self._share)

    def factor(self, now: float, step: int) -> float:
        """What the highest learning rate is multiplied with at time `now`, in step `step` (from 0)."""
        warm = min(1.0, (step + 1) / max(1.0, self._warmup_steps))
        if not self.decaying(now):
            return warm
        return warm * max(0.0, (self.end - now) / max(self.end - self.decay_start, 1e-9))

    def decaying(self, now: float) -> bool:
        """Whether the learning rate falls."""
        return now >= self.decay_start

    def finished(self, now: float) -> bool:
        """Whether the budget is used up."""
        return now >= self.end
