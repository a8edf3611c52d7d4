"""Labelled lines made ready for the network, and those that cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crnnocr.config import ModelConfig
from crnnocr.datasets.lines import Lines, ReadSamples
from crnnocr.images import Line
from crnnocr.text.charset import Charset, frames_needed


@dataclass(frozen=True)
class Example:
    """A line and the text it should be read as."""

    line: Line
    """(H, W) grey values."""
    text: str
    """The label, in NFC."""
    ids: tuple[int, ...]
    """The label's class ids."""


class Examples:
    """Labelled lines by their number. They share one array of grey values; an `Example` is made when it is asked for."""

    def __init__(self, lines: Lines, texts: Sequence[str], content_ids: NDArray[np.int64], charset: Charset) -> None:
        self.texts = texts
        """The labels."""
        self.content_ids = content_ids
        """(n,) stands for the content of each one's picture."""
        self._lines = lines
        self._charset = charset
        self._chosen = np.arange(len(texts))

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> Example:
        text = self.texts[index]
        return Example(self._lines[self._chosen[index]], text, tuple(self._charset.encode(text)))

    @property
    def widths(self) -> NDArray[np.int64]:
        """(n,) width of each line in pixels."""
        return self._lines.widths[self._chosen]

    def subset(self, chosen: NDArray[np.bool_]) -> Examples:
        """Those for which the (n,) `chosen` is true."""
        indices = np.flatnonzero(chosen).tolist()
        part = Examples(self._lines, [self.texts[i] for i in indices], self.content_ids[indices], self._charset)
        part._chosen = self._chosen[indices]
        return part


def learnable(read: ReadSamples, charset: Charset, shape: ModelConfig) -> Examples:
    """The samples that a model of this shape can learn: not those that need more frames than their lines have.

    Raises `DataError` where a label holds a character that the charset lacks.
    """
    texts = [sample.text for sample in read.samples]
    needed = np.array([frames_needed(charset.encode(text)) for text in texts], dtype=np.int64)
    return Examples(read.lines, texts, read.content_ids, charset).subset(needed <= shape.frames(read.lines.widths))
