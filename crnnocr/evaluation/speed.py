"""How fast a model reads."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crnnocr.datasets import Sample
from crnnocr.evaluation.reader import Reader
from crnnocr.machine import cores
from crnnocr.recognizer import Prediction

_ALONE = 50
"""Pictures that are read one by one."""


@dataclass(frozen=True)
class Speed:
    """How fast pictures were read, from opening their files to their texts; loading the model does not count."""

    engine: str
    """What ran the network."""
    threads: int
    """Threads that worked."""
    pictures: int
    """Pictures that were read together."""
    seconds: float
    """What that took."""
    alone_ms: float
    """Median milliseconds for one picture alone, with one thread."""
    alone_p95_ms: float
    """The same in the slowest of twenty."""

    @property
    def per_second(self) -> float:
        """Pictures a second, read together."""
        return self.pictures / max(self.seconds, 1e-9)


def timed(readings: Iterable[tuple[Sample, Prediction]]) -> tuple[list[tuple[Sample, Prediction]], float]:
    """All readings, and the seconds until the last one."""
    started = time.perf_counter()
    read = list(readings)
    return read, time.perf_counter() - started


def measure(reader: Reader, samples: Sequence[Sample], pictures: int, seconds: float) -> Speed:
    """The speed of a reader that has read some pictures in so many seconds; some are read again, one by one."""
    alone = replace(reader.read, threads=1)
    times = []
    for sample in samples[:: max(1, len(samples) // _ALONE)][:_ALONE]:
        _, taken = timed((sample, prediction) for prediction in reader.recognizer.predict(sample, reader.decoder, alone))
        times.append(1000 * taken)
    median, slow = np.percentile(times, [50, 95]).tolist()
    return Speed(reader.recognizer.engine.description, reader.read.threads or cores(), pictures, seconds, median, slow)
