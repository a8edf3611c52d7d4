"""The learning rate over a training: a short rise, a constant part, and a fall to zero that always comes to its end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from crnnocr.config import TrainConfig

_REPORTS_A_PACE = 20


class Budget:
    """How long training may go on, counted in steps, or in seconds of `clock` if the configuration gives minutes."""

    def __init__(self, config: TrainConfig, pictures: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._in_seconds = config.minutes is not None
        if config.minutes is not None:
            self.total = config.minutes * 60
        else:
            self.total = float(epochs_for(config, pictures) * -(-pictures // config.batch_size))

    @property
    def seconds(self) -> float:
        """Since the start."""
        return self._clock() - self._started

    def now(self, step: int) -> float:
        """How much is used up after `step` steps."""
        return self.seconds if self._in_seconds else float(step)


class Pace:
    """How fast something grows, over the last reports."""

    def __init__(self) -> None:
        self._marks = deque([(0.0, 0.0)], maxlen=_REPORTS_A_PACE)

    def update(self, seconds: float, value: float) -> float:
        """What `value`, reached after `seconds`, has grown by a second lately."""
        before, less = self._marks[0]
        self._marks.append((seconds, value))
        return (value - less) / max(seconds - before, 1e-9)


def epochs_for(config: TrainConfig, pictures: int) -> int:
    """The epochs asked for, or as many as show `config.presentations` pictures, within the limits."""
    fewest, most = config.epoch_limits
    return config.epochs or min(most, max(fewest, round(config.presentations / pictures)))


class Schedule:
    """Warm-up, constant, decay. Time is counted in the budget's unit, steps or seconds.

    The decay takes the last `decay_share` of the whole. `start_decay` begins it early, and then it is shortened so that it
    still takes this share: training never stops without it.
    """

    def __init__(self, budget: float, config: TrainConfig) -> None:
        self._share = config.decay_share
        self._warmup_steps = config.warmup_steps
        self.end = budget
        """When training ends."""
        self.decay_start = budget * (1 - config.decay_share)
        """When the learning rate begins to fall."""

    def start_decay(self, now: float) -> None:
        """Begin the decay now, unless it has begun."""
        if now < self.decay_start:
            self.decay_start = now
            self.end = now / (1 - self._share)

    def factor(self, now: float, step: int) -> float:
        """What the highest learning rate is multiplied with at time `now`, in step `step` (from 0)."""
        warm = min(1.0, (step + 1) / self._warmup_steps)
        if not self.decaying(now):
            return warm
        return warm * max(0.0, (self.end - now) / (self.end - self.decay_start))

    def decaying(self, now: float) -> bool:
        """Whether the learning rate falls."""
        return now >= self.decay_start

    def finished(self, now: float) -> bool:
        """Whether the budget is used up."""
        return now >= self.end
