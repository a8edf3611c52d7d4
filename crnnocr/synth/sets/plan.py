"""What a call of `synth` would do, found out without writing anything."""

from __future__ import annotations

import io
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crnnocr.config import LabelFormat, SynthConfig
from crnnocr.machine import cores
from crnnocr.synth.sampler import Sampler
from crnnocr.synth.sets import manifest
from crnnocr.synth.sets.faces import drawing, spread
from crnnocr.synth.sets.folder import check
from crnnocr.synth.sets.histogram import Histogram
from crnnocr.synth.sets.quantities import duration, size
from crnnocr.synth.sets.takeover import examine
from crnnocr.synth.sets.workers import team_size

_SHOWN = 12
_TEXTS = 2000
_WARM_UP, _MEASURED = 24, 72
"""Pictures drawn to fill the caches, and those that are timed after them."""


@dataclass(frozen=True)
class Plan:
    """What would be drawn."""

    folder: str
    """Where the pictures would go."""
    count: int
    """How many there would be in the end."""
    there: int
    """How many of them are there already."""
    workers: int
    """Processes that would draw."""
    seconds: float
    """Time that it would take, estimated."""
    bytes: int
    """Size of all the pictures, estimated."""
    fonts: int
    """Font files that draw texts of the set."""
    faces: int
    """Looks of these fonts: weights, slopes, widths."""
    families: tuple[str, ...]
    """The fonts' families, by name."""
    texts: tuple[str, ...]
    """The first texts."""
    characters: dict[str, int]
    """The characters of the charset, and how often each occurs in the first texts (`sampled` of them)."""
    sampled: int
    """How many texts the characters are counted in."""

    def to_json(self) -> dict[str, Any]:
        """The plan as values that JSON can hold."""
        return asdict(self)

    def lines(self, whole: bool) -> list[str]:
        """What it says, in words; `whole` lists every family and character."""
        missing = self.count - self.there
        families = self.families if whole else self.families[:_SHOWN]
        more = "" if len(families) == len(self.families) else ", …"
        histogram = Histogram(self.sampled, self.characters)
        return [
            f"{self.folder}: {missing:,} pictures would be drawn, {self.there:,} are there",
            f"time: about {duration(self.seconds)} with {self.workers} worker{'s' if self.workers > 1 else ''}",
            f"size: about {size(self.bytes)} in all",
            f"fonts: {self.fonts} files, {self.faces} faces of {len(self.families)} families: {', '.join(families)}{more}",
            f"texts: {histogram.mean_length:.1f} characters on average, such as",
            *(f"  {text}" for text in self.texts),
            f"characters in the first {self.sampled:,} texts:",
            *(f"  {line}" for line in histogram.lines(whole)),
        ]


def plan(
    folder: Path,
    config: SynthConfig,
    count: int,
    force: bool = False,
    workers: int | None = None,
    format: LabelFormat = LabelFormat.IMAGEFOLDER,
) -> Plan:
    """What `draw` would do with the same arguments. Raises what it would raise at once."""
    check(folder, count, workers)
    started = time.perf_counter()
    sampler = Sampler(config)
    start = time.perf_counter() - started
    there = examine(folder, manifest.of(config, sampler.faces), count, force, format).there(count)
    team = team_size(workers, there)
    each, weight = _measured(sampler, count)
    number = min(count, _TEXTS)
    histogram = Histogram.of(map(sampler.text, range(number)), sampler.charset)
    faces = drawing(sampler.faces, [sampler.text(index) for index in spread(number)])
    return Plan(
        folder=str(folder),
        count=count,
        there=there.count(1),
        workers=team,
        seconds=round(start * min(team, 2) + there.count(0) * each / min(team, cores()), 1),
        bytes=round(count * weight),
        fonts=len({face.path for face in faces}),
        faces=len(faces),
        families=tuple(sorted({face.family for face in faces})),
        texts=tuple(map(sampler.text, range(min(count, _SHOWN)))),
        characters=histogram.counts,
        sampled=number,
    )


def _measured(sampler: Sampler, count: int) -> tuple[float, float]:
    """Seconds and bytes of a picture, on average over the first ones."""
    seconds, weights = [], []
    for index in range(min(count, _WARM_UP + _MEASURED)):
        started = time.perf_counter()
        file = io.BytesIO()
        sampler.draw(index).image.save(file, format="PNG")
        seconds.append(time.perf_counter() - started)
        weights.append(len(file.getvalue()))
    timed = seconds[_WARM_UP:] or seconds
    return sum(timed) / len(timed), sum(weights) / len(weights)
