"""What a drawn set holds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crnnocr.datasets import imagefolder
from crnnocr.synth.sampler import Sampler
from crnnocr.synth.sets.contents import is_own
from crnnocr.synth.sets.faces import drawing, spread
from crnnocr.synth.sets.histogram import Histogram
from crnnocr.synth.sets.quantities import size


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
    for _, row in imagefolder.rows(folder / imagefolder.LABEL_FILE):
        if is_own(row["file_name"], count):
            yield row["text"]
