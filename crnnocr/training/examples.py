"""Labelled pictures made ready for the network, and those that cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from crnnocr import images
from crnnocr.charset import Charset
from crnnocr.config import ModelConfig
from crnnocr.datasets import Fault, Sample
from crnnocr.datasets.split import content_id
from crnnocr.decoders.lattice import frames_needed
from crnnocr.errors import ImageError


@dataclass(frozen=True)
class Example:
    """A line and the text it should be read as."""

    line: images.Line
    """(H, W) grey values."""
    text: str
    """The label, in NFC."""
    ids: tuple[int, ...]
    """The label's class ids."""
    content_id: int
    """Stands for the content of the picture's file."""


def read_examples(samples: Sequence[Sample], charset: Charset, config: ModelConfig) -> tuple[list[Example], list[Fault]]:
    """Read the pictures of `samples` as lines for a model of this shape.

    Returns:
        The examples that a model can learn from, and a fault for each that it cannot: unreadable pictures, and labels that
        need more frames than their picture has.

    Raises:
        DataError: a label holds a character that the charset lacks.
    """
    examples: list[Example] = []
    faults: list[Fault] = []
    with ThreadPoolExecutor() as threads:
        for result in threads.map(lambda sample: _read(sample, charset, config), samples):
            if isinstance(result, Example):
                examples.append(result)
            else:
                faults.append(result)
    return examples, faults


def _read(sample: Sample, charset: Charset, config: ModelConfig) -> Example | Fault:
    try:
        data = sample.path.read_bytes()
        line = images.to_line(images.open_grey(data, str(sample.path)), config.height, config.min_width)
    except (OSError, ImageError) as error:
        return Fault("picture that cannot be read", str(error), sample.path)
    ids = tuple(charset.encode(sample.text))
    needed, there = frames_needed(ids), config.frames(line.shape[1])
    if needed > there:
        return Fault("label that needs more frames than its picture has", f"{sample.path}: {needed} of {there}", sample.path)
    return Example(line, sample.text, ids, content_id(data))
