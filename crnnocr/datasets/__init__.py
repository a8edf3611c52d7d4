"""Labelled images on disk: samples, and the data sets that loaders make of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crnnocr.datasets import regions
from crnnocr.datasets.issues import Issue
from crnnocr.datasets.regions import Region
from crnnocr.errors import ImageError


@dataclass(frozen=True, slots=True)
class Sample:
    """An image and its label."""

    path: Path
    """The image file, or the database or parquet file that holds the image."""
    text: str
    """The label, in NFC, single-spaced, without white space at its ends."""
    entry: str = ""
    """The image's key there; empty for an image file."""
    region: Region | None = None
    """The part of the image in which the text stands; None for all of it."""
    group: str = ""
    """The thing that it shows (a page, a plate, a video), if several images show it; empty if that is not known."""
    weight: float = 1.0
    """How much the label counts in training, from 0 to 1: the confidence of a model that gave it, 1 for a person's."""

    @property
    def name(self) -> str:
        """The image as messages name it."""
        name = f"{self.path}:{self.entry}" if self.entry else str(self.path)
        return name if self.region is None else f"{name}#{self.region}"

    def read(self) -> bytes:
        """Return the bytes of the image file, or those of one that holds the region alone. Thread-safe.

        Raises `ImageError` if they cannot be read.
        """
        if self.region is None:
            return self._read_all()
        return regions.read(self._key(), self.name, self._read_all, self.region)

    def relative_region(self) -> Region | None:
        """Return the region in fractions of the image's width and height. Raises `ImageError` if the image cannot be read."""
        if self.region is None or self.region.is_relative:
            return self.region
        width, height = regions.page_size(self._key(), self.name, self._read_all)
        return self.region.scaled(1 / width, 1 / height, is_relative=True)

    def _key(self) -> tuple[Path, str, int]:
        """Stands for the whole image, as it is now, among those that are kept decoded."""
        try:
            return self.path, self.entry, self.path.stat().st_mtime_ns
        except OSError:
            return self.path, self.entry, 0

    def _read_all(self) -> bytes:
        if self.entry:
            from crnnocr.datasets import hugging_face, lmdb_folder

            if self.path.suffix in hugging_face.SUFFIXES:
                return hugging_face.read_entry(self.path, self.entry)
            return lmdb_folder.read_entry(self.path, self.entry)
        try:
            return self.path.read_bytes()
        except FileNotFoundError as error:
            raise ImageError(f"{self.name}: there is no such file") from error
        except OSError as error:
            raise ImageError(f"{self.name}: {error.strerror}") from error


@dataclass(frozen=True)
class Dataset:
    """The usable samples of a folder or label file, and the issues of the rest."""

    source: Path
    """The folder or label file."""
    format: str
    """The format that was detected, in words."""
    samples: tuple[Sample, ...]
    """In the order of the label file, or else sorted by name."""
    issues: tuple[Issue, ...] = ()
    """The reasons why samples were left out or changed: one issue of each kind, with all locations."""
    group: str | None = None
    """The column or regular expression that told the groups of the samples; None if they are in none."""
