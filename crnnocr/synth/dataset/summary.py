"""The summary of a set, and an estimate for a set to come: sizes, fonts, and how often each character occurs."""

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
from crnnocr.formatting import duration, plural, size
from crnnocr.runtime import cores
from crnnocr.synth.dataset import manifest
from crnnocr.synth.dataset.folder import check_arguments
from crnnocr.synth.dataset.labels import is_own
from crnnocr.synth.dataset.pool import worker_count
from crnnocr.synth.dataset.resume import inspect
from crnnocr.synth.fonts import FontFace
from crnnocr.synth.sampler import Sampler
from crnnocr.text.charset import visible

MAX_SAMPLED = 200
"""Texts of a set, or a few more, on which fonts are tried."""

RARE = 10
"""A character that occurs less often than this is hardly learned."""

_RAREST = 10
_CLASSES = {"L": "letters", "M": "marks", "N": "digits", "P": "punctuation", "S": "symbols", "Z": "spaces"}

_MAX_LISTED = 12
_TEXTS = 2000
_WARM_UP, _TIMED = 24, 72
"""Images that are rendered to fill the caches, and those that are timed after them."""


@dataclass(frozen=True)
class Histogram:
    """How often each character occurs in some texts."""

    texts: int
    """Number of texts."""
    counts: dict[str, int]
    """Occurrences of each character of the charset, the most frequent first; some may be 0."""

    @classmethod
    def of(cls, texts: Iterable[str], charset: str) -> Histogram:
        """The histogram of `texts`, which are iterated over once, with all characters of `charset`."""
        counts = Counter(dict.fromkeys(charset, 0))
        number = 0
        for text in texts:
            counts.update(text)
            number += 1
        return cls(number, dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))))

    @property
    def mean_length(self) -> float:
        """Mean number of characters of a text."""
        return sum(self.counts.values()) / max(1, self.texts)

    def lines(self, whole: bool) -> list[str]:
        """Lines for people: classes, and the rarest characters or, if `whole`, all."""
        rare = sum(count < RARE for count in self.counts.values())
        ascending = list(reversed(self.counts.items()))
        listed = ascending if whole else ascending[:_RAREST]
        return [
            f"{len(self.counts)} characters in the charset: {', '.join(self._classes())}",
            f"{'rarest first' if whole else 'rarest'}: {', '.join(f'{_in_quotes(each)} ×{count:,}' for each, count in listed)}",
            *([f"{rare} of them {'occurs' if rare == 1 else 'occur'} fewer than {RARE} times"] if rare else []),
        ]

    def _classes(self) -> list[str]:
        totals: Counter[str] = Counter()
        for character, count in self.counts.items():
            totals[_CLASSES.get(unicodedata.category(character)[0], "others")] += count
        whole = max(1, totals.total())
        return [f"{name} {count / whole:.1%}" for name, count in totals.most_common()]


def _in_quotes(character: str) -> str:
    """A character in quotes, or the name of one that cannot be seen."""
    shown = visible(character)
    if shown not in (character, f"◌{character}"):
        return shown
    return f'"{shown}"' if shown == "'" else f"'{shown}'"


@dataclass(frozen=True)
class Summary:
    """Sizes, fonts and characters of a set."""

    bytes: int
    """Size of its image files."""
    fonts: int
    """Font files that draw texts of it."""
    histogram: Histogram
    """The characters of its labels."""

    def to_json(self) -> dict[str, Any]:
        """The summary as values for JSON."""
        length = round(self.histogram.mean_length, 2)
        return {"bytes": self.bytes, "fonts": self.fonts, "mean_length": length, "characters": self.histogram.counts}

    def lines(self, whole: bool) -> list[str]:
        """Lines for people; `whole` lists every character."""
        length = self.histogram.mean_length
        return [
            f"{size(self.bytes)}, {plural(self.fonts, 'font')}, {length:.1f} characters a text on average",
            *self.histogram.lines(whole),
        ]


def summarize(folder: Path, count: int, sampler: Sampler) -> Summary:
    """Summarize images 0 to `count` - 1 in `folder`, from what is there."""
    sampled: list[str] = []
    histogram = Histogram.of(_collecting(_labels(folder, count), _sample_indices(count), sampled), sampler.charset)
    fonts = {face.path for face in _used_faces(sampler.faces, sampled)}
    return Summary(sum(_sizes(folder, count)), len(fonts), histogram)


def _collecting(texts: Iterable[str], indices: range, sampled: list[str]) -> Iterator[str]:
    """`texts`; those at `indices` are added to `sampled` on the way."""
    for index, text in enumerate(texts):
        if index in indices:
            sampled.append(text)
        yield text


def _sizes(folder: Path, count: int) -> Iterator[int]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_own(entry.name, count):
                yield entry.stat().st_size


def _labels(folder: Path, count: int) -> Iterator[str]:
    for _, record in imagefolder.records(folder / imagefolder.LABEL_FILE):
        if is_own(record["file_name"], count):
            yield record["text"]


def _sample_indices(count: int) -> range:
    """About `MAX_SAMPLED` indices, spread evenly over a set of `count`."""
    return range(0, count, max(1, count // MAX_SAMPLED))


def _used_faces(faces: Iterable[FontFace], texts: Sequence[str]) -> tuple[FontFace, ...]:
    """The faces that draw at least one of `texts`, in their order."""
    return tuple(face for face in faces if any(map(face.draws, texts)))


@dataclass(frozen=True)
class Estimate:
    """The images that `generate` would make."""

    folder: str
    count: int
    """Images that the folder would hold."""
    there: int
    """Images of the set that are there already."""
    workers: int
    """Processes that would render."""
    seconds: float
    """Estimated time."""
    bytes: int
    """Estimated size of all images."""
    fonts: int
    """Font files that draw texts of the set."""
    faces: int
    """Faces of these: weights, slopes, widths."""
    families: tuple[str, ...]
    """The families of the fonts, by name."""
    texts: tuple[str, ...]
    """The first texts."""
    characters: dict[str, int]
    """Occurrences of each character of the charset in the first `sampled` texts."""
    sampled: int

    def to_json(self) -> dict[str, Any]:
        """The estimate as values for JSON."""
        return asdict(self)

    def lines(self, whole: bool) -> list[str]:
        """Lines for people; `whole` lists every family and character."""
        missing = self.count - self.there
        families = self.families if whole else self.families[:_MAX_LISTED]
        more = "" if len(families) == len(self.families) else ", …"
        histogram = Histogram(self.sampled, self.characters)
        return [
            f"{self.folder}: {plural(missing, 'image')} would be made, {self.there:,} are there",
            f"time: about {duration(self.seconds)} with {plural(self.workers, 'worker')}",
            f"size: about {size(self.bytes)} in all",
            f"fonts: {self.fonts} files, {self.faces} faces of {len(self.families)} families: {', '.join(families)}{more}",
            f"texts: {histogram.mean_length:.1f} characters on average, such as",
            *(f"  {text}" for text in self.texts),
            f"characters in the first {self.sampled:,} texts:",
            *(f"  {line}" for line in histogram.lines(whole)),
        ]


def estimate(
    folder: Path,
    config: SynthConfig,
    count: int,
    *,
    force: bool = False,
    workers: int | None = None,
    format: LabelFormat = LabelFormat.IMAGEFOLDER,
) -> Estimate:
    """Estimate what `generate` would make with the same arguments. Raises what it would raise before it makes anything."""
    check_arguments(folder, count, workers)
    started = time.perf_counter()
    sampler = Sampler(config)
    start_up = time.perf_counter() - started
    present = inspect(folder, manifest.create(config, sampler.faces), count, force, format).present(count)
    processes = worker_count(workers, present, cores())
    seconds, bytes = _mean_cost(sampler, count)
    number = min(count, _TEXTS)
    histogram = Histogram.of(map(sampler.text, range(number)), sampler.charset)
    faces = _used_faces(sampler.faces, [sampler.text(index) for index in _sample_indices(number)])
    return Estimate(
        folder=str(folder),
        count=count,
        there=present.count(1),
        workers=processes,
        seconds=round(start_up * min(processes, 2) + present.count(0) * seconds / min(processes, cores()), 1),
        bytes=round(count * bytes),
        fonts=len({face.path for face in faces}),
        faces=len(faces),
        families=tuple(sorted({face.family for face in faces})),
        texts=tuple(map(sampler.text, range(min(count, _MAX_LISTED)))),
        characters=histogram.counts,
        sampled=number,
    )


def _mean_cost(sampler: Sampler, count: int) -> tuple[float, float]:
    """Mean seconds and bytes of one of the first images."""
    seconds, sizes = [], []
    for index in range(min(count, _WARM_UP + _TIMED)):
        started = time.perf_counter()
        file = io.BytesIO()
        sampler.render(index).image.save(file, format="PNG")
        seconds.append(time.perf_counter() - started)
        sizes.append(len(file.getvalue()))
    timed = seconds[_WARM_UP:] or seconds
    return sum(timed) / len(timed), sum(sizes) / len(sizes)
