"""Options of synthetic images: content and style."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from crnnocr.config.inference import Orientation
from crnnocr.config.options import Range, option, parse_list, parse_range, seed_option, validate
from crnnocr.errors import ConfigError

DEFAULT_COUNT = 1000
"""Images that `synth` makes."""


class Style(StrEnum):
    """The kind of images that synthetic ones resemble."""

    TRDG = "trdg"
    """trdg's own: one gray ink on noisy paper, words of its dictionary."""
    CLEAN = "clean"
    """Dark on light or light on dark, straight, as on a screen; slightly blurred and rotated."""
    DOCUMENT = "document"
    """Printed pages, scanned, photocopied, thresholded or faxed."""
    SCENE = "scene"
    """Signs, labels and packages, photographed: colors, textures, shadows, slants, curves."""
    RECEIPT = "receipt"
    """Thermal and dot-matrix print."""
    DISPLAY = "display"
    """Seven and fourteen segments and dot matrices, of LEDs and liquid crystals."""
    MIXED = "mixed"
    """For each image a random one of clean, document, scene and receipt."""


class LabelFormat(StrEnum):
    """How labels are written for other tools, beside `metadata.jsonl`."""

    IMAGEFOLDER = "imagefolder"
    """`metadata.jsonl` alone."""
    CSV = "csv"
    """`labels.csv` with the header `file_name,text`."""
    TSV = "tsv"
    """`labels.tsv`: path, tab, text, without a header."""
    GT_TXT = "gt.txt"
    """`000000.gt.txt` beside each image."""


def _path(text: str) -> str:
    return str(Path(text))


@dataclass(frozen=True, kw_only=True)
class SynthConfig:
    """Options of `synth`. The image of an index depends on these and the environment alone."""

    lang: tuple[str, ...] = option(
        ("en",), "Languages of the texts, such as en,de,zh,ja,ar.", metavar="CODE[,CODE]", parse=parse_list
    )
    """Each text is of one of them."""
    seed: int = seed_option()
    style: Style = option(Style.MIXED, "Style of the images.")
    words: Range | None = option(
        None, "Words per image; by default as the style has them.", metavar="N[-M]", min=1, max=50, parse=parse_range
    )
    chars: Range | None = option(
        None, "Characters per image; by default as the style has them.", metavar="N[-M]", min=1, max=500, parse=parse_range
    )
    text: str | None = option(
        None,
        "Render the lines of this UTF-8 file; pieces of its text if a number of words or characters is given.",
        metavar="FILE",
        parse=_path,
    )
    charset: str | None = option(
        None,
        "Make only texts of these characters, given here or in a file; by default all of the languages.",
        metavar="CHARS|FILE",
    )
    fonts: str | None = option(None, "Render with the fonts in this folder alone.", metavar="FOLDER", parse=_path)
    system_fonts: bool = option(False, "Render with the fonts of this system too.")
    height: int = option(32, "Height of the images; with vertical lines, their width.", metavar="PIXELS", min=16, max=512)
    orientation: Orientation = option(
        Orientation.HORIZONTAL,
        "Which way the lines run.",
        metavar="horizontal|vertical",
        choices=(Orientation.HORIZONTAL, Orientation.VERTICAL),
    )

    def __post_init__(self) -> None:
        validate(self)
        if not self.lang:
            raise ConfigError("lang", "needs at least one language")
        if self.charset is not None and not self.charset.strip():
            raise ConfigError("charset", "needs at least one character that is no space")
        if self.style is Style.TRDG and self.orientation is Orientation.VERTICAL:
            raise ConfigError("style", "trdg makes horizontal lines only: choose another style for `orientation=vertical`")
