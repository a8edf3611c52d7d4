"""The pictures that a proof is over: those that come with crnnocr, or anybody's, and changed copies where they are too few."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crnnocr import images
from crnnocr.datasets import Sample
from crnnocr.errors import ImageError

ENOUGH = 1000
"""Pictures that shares of equal texts are counted over."""

_GOLDEN = 0.618033988749895
"""Multiples of it, less their whole part, fall evenly between 0 and 1, however many there are."""


@dataclass(frozen=True)
class Picture:
    """A picture to compare readings of."""

    name: str
    """What to call it."""
    source: images.Source | Sample
    """Where it comes from."""
    text: str | None = None
    """What it says, if that is known."""
    copy: int = 0
    """0, or which of its changed copies it is."""

    def grey(self) -> NDArray[np.uint8]:
        """(H, W) its grey values. Raises `ImageError` where it cannot be read."""
        source = self.source.read() if isinstance(self.source, Sample) else self.source
        grey = images.open_grey(source, self.name)
        return np.asarray(_changed(grey, self.copy) if self.copy else grey)

    def can_be_read(self) -> bool:
        """Whether `grey` gives its values."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", images.ImageWarning)
            try:
                self.grey()
            except ImageError:
                return False
        return True


def built_in() -> list[Picture]:
    """The real pictures that come with crnnocr."""
    folder = resources.files("crnnocr.exporting") / "pictures"
    files = sorted((f for f in folder.iterdir() if f.name.endswith((".png", ".jpg"))), key=lambda f: f.name)
    return [Picture(f.name, f.read_bytes()) for f in files]


def of_samples(samples: Iterable[Sample]) -> list[Picture]:
    """Labelled pictures of a data set."""
    return [Picture(sample.name, sample, sample.text) for sample in samples]


def enough(pictures: Sequence[Picture], count: int) -> list[Picture]:
    """The pictures, and after them so many copies, larger, smaller, paler and darker, that `count` can be read, if any can."""
    readable = [picture for picture in pictures if picture.can_be_read()]
    lacking = count - len(readable) if readable else 0
    more = (
        replace(picture, name=f"{picture.name}, changed copy {copy}", copy=copy)
        for copy in range(1, lacking + 1)
        for picture in readable
    )
    return [*pictures, *islice(more, max(0, lacking))]


def _changed(grey: Image.Image, copy: int) -> Image.Image:
    """A copy at 0.8 to 1.25 of its size with 0.9 to 1.0 of its contrast."""
    size, paleness = (copy * _GOLDEN) % 1, (copy * _GOLDEN**2) % 1
    factor, contrast = 0.8 * (1.25 / 0.8) ** size, 1 - 0.1 * paleness
    wanted = (max(1, round(grey.width * factor)), max(1, round(grey.height * factor)))
    lift = (1 - contrast) * 255 * ((copy % 3) / 2)
    return grey.resize(wanted, Image.Resampling.BICUBIC).point(lambda value: round(value * contrast + lift))
