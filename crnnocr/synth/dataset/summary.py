"""Which of the faces a set is drawn with.

How often each character occurs in texts.

What a drawn set holds.

What a call of `synth` would do, found out without writing anything.
"""

from __future__ import annotations

import io
import os
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crnnocr.config import LabelFormat, SynthConfig
from crnnocr.datasets import imagefolder
from crnnocr.formatting import duration, size
from crnnocr.runtime import cores
from crnnocr.synth.dataset import manifest
from crnnocr.synth.dataset.contents import is_own
from crnnocr.synth.dataset.folder import check
from crnnocr.synth.dataset.pool import team_size
from crnnocr.synth.dataset.resume import examine
from crnnocr.synth.fonts import FontFace
from crnnocr.synth.sampler import Sampler
from crnnocr.text.charset import visible

SAMPLED = 200
"""Texts of a set that faces are tried on."""


def drawing(faces: Iterable[FontFace], texts: Sequence[str]) -> tuple[FontFace, ...]:
    """The faces that draw at least one of `texts`, in their order."""
    return tuple(face for face in faces if any(map(face.draws, texts)))


def spread(count: int) -> range:
    """The numbers of `SAMPLED` texts, or a few more, spread evenly over a set of `count`."""
    return range(0, count, max(1, count // SAMPLED))


FEW = 10
"""A character that occurs less often than this is hardly learnt."""

_RAREST = 10
_CLASSES = {"L": "letters", "M": "marks", "N": "digits", "P": "punctuation", "S": "symbols", "Z": "spaces"}


@dataclass(frozen=True)
class Histogram:
    """How often each character occurs in some texts."""

    texts: int
    """How many texts there are."""
    counts: dict[str, int]
    """Times that each character of the charset occurs, the most frequent first; those that never do are among them."""

    @classmethod
    def of(cls, texts: Iterable[str], charset: str) -> Histogram:
        """That of `texts`, which are gone through once, over the characters of `charset`."""
        counts = Counter(dict.fromkeys(charset, 0))
        number = 0
        for text in texts:
            counts.update(text)
            number += 1
        return cls(number, dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))))

    @property
    def mean_length(self) -> float:
        """Characters of a text, on average."""
        return sum(self.counts.values()) / max(1, self.texts)

    def lines(self, whole: bool) -> list[str]:
        """What it says, in words: classes, and the rarest characters or, if `whole`, all."""
        few = sum(count < FEW for count in self.counts.values())
        listed = list(reversed(self.counts.items()))
        rarest = listed if whole else listed[:_RAREST]
        return [
            f"{len(self.counts)} characters in the charset: {', '.join(self._classes())}",
            f"{'rarest first' if whole else 'rarest'}: {', '.join(f'{visible(each)} {count:,}' for each, count in rarest)}",
            f"{few} of them occur fewer than {FEW} times",
        ]

    def _classes(self) -> list[str]:
        totals: Counter[str] = Counter()
        for character, count in self.counts.items():
            totals[_CLASSES.get(unicodedata.category(character)[0], "others")] += count
        whole = max(1, totals.total())
        return [f"{name} {count / whole:.1%}" for name, count in totals.most_common()]


@dataclass(frozen=True)
class Summary:
    """What a drawn set holds."""

    bytes: int
    """Size of its pictures' files."""
    fonts: int
    """Font files that draw texts of it."""
    histogram: Histogram
    """The characters of its labels."""

    def to_json(self) -> dict[str, Any]:
        """The summary as values that JSON can hold."""
        length = round(self.histogram.mean_length, 2)
        return {"bytes": self.bytes, "fonts": self.fonts, "mean_length": length, "characters": self.histogram.counts}

    def lines(self, whole: bool) -> list[str]:
        """What it says, in words; `whole` lists every character."""
        length = self.histogram.mean_length
        return [
            f"{size(self.bytes)}, {self.fonts} fonts, {length:.1f} characters a text on average",
            *self.histogram.lines(whole),
        ]


def summarise(folder: Path, count: int, sampler: Sampler) -> Summary:
    """The summary of pictures 0 to `count` - 1 in `folder`, read from what is there."""
    sampled: list[str] = []
    histogram = Histogram.of(_sampling(_labels(folder, count), spread(count), sampled), sampler.charset)
    fonts = {face.path for face in drawing(sampler.faces, sampled)}
    return Summary(sum(_sizes(folder, count)), len(fonts), histogram)


def _sampling(texts: Iterable[str], numbers: range, sampled: list[str]) -> Iterator[str]:
    """`texts`, of which those of these `numbers` are added to `sampled` on the way."""
    for number, text in enumerate(texts):
        if number in numbers:
            sampled.append(text)
        yield text


def _sizes(folder: Path, count: int) -> Iterator[int]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_own(entry.name, count):
                yield entry.stat().st_size


def _labels(folder: Path, count: int) -> Iterator[str]:
    for _, row in imagefolder.records(folder / imagefolder.LABEL_FILE):
        if is_own(row["file_name"], count):
            yield row["text"]


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
