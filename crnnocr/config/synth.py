"""How pictures are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crnnocr.config.inference import Orientation, Pair
from crnnocr.errors import UsageError

DEFAULT_COUNT = 1000
"""Pictures that `synth` draws."""


def check_seed(seed: int) -> None:
    """Raise `UsageError` where it is no seed."""
    if not 0 <= seed < 2**31:
        raise UsageError("--seed takes 0 to 2147483647")


class Style(StrEnum):
    """Looks of drawn pictures."""

    TRDG = "trdg"
    """trdg's own: one grey ink on noisy paper, words of its dictionary."""
    CLEAN = "clean"
    """Dark on light or light on dark, straight, as a screen shows it; blurred and turned by a little."""
    DOCUMENT = "document"
    """Printed pages, scanned, photocopied, thresholded or faxed."""
    SCENE = "scene"
    """Signs, labels and packages, photographed: colours, textures, shadows, slants, curves."""
    RECEIPT = "receipt"
    """Thermal and dot-matrix print."""
    MIXED = "mixed"
    """All of these but trdg's, in turns of chance."""


class LabelFormat(StrEnum):
    """How the labels of drawn pictures are written for other tools, beside `metadata.jsonl`, which is always there."""

    IMAGEFOLDER = "imagefolder"
    """`metadata.jsonl` alone."""
    CSV = "csv"
    """`labels.csv` with the header `file_name,text`."""
    TSV = "tsv"
    """`labels.tsv`: path, tab, text, without a header."""
    GT_TXT = "gt.txt"
    """`000000.gt.txt` beside each picture."""


@dataclass(frozen=True)
class SynthConfig:
    """What `synth` draws. The picture of an index depends on these and the environment alone."""

    lang: tuple[str, ...] = ("en",)
    """Codes of the languages of the texts; each text is of one of them."""
    seed: int = 0
    """Start of all chance."""
    style: Style = Style.MIXED
    """Looks of the pictures."""
    words: Pair | None = None
    """Fewest and most words of a text; by default as the style has them."""
    chars: Pair | None = None
    """Fewest and most characters of a text; by default as the style has them."""
    text: str | None = None
    """A UTF-8 text file to draw in place of texts made up: its lines as they are or, with `words` or `chars`, its running
    text cut into pieces of that length."""
    charset: str | None = None
    """The characters that texts may hold; by default those of the languages."""
    fonts: str | None = None
    """A folder of font files to draw with, in place of trdg's and those of installed font packages."""
    system_fonts: bool = False
    """Draw with the fonts of this system too."""
    height: int = 32
    """Height of the pictures in pixels; the width, of vertical lines."""
    orientation: Orientation = Orientation.HORIZONTAL
    """Which way the lines run."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "style", Style(self.style))
        object.__setattr__(self, "orientation", Orientation(self.orientation))
        check_seed(self.seed)
        if self.orientation not in (Orientation.HORIZONTAL, Orientation.VERTICAL):
            told = f"--orientation {self.orientation}"
            raise UsageError(f"{told} is for pictures that are there: draw horizontal or vertical ones")
        if not self.lang:
            raise UsageError("--lang needs at least one language")
        if self.words and not 1 <= self.words[0] <= self.words[1] <= 50:
            raise UsageError("--words takes a number or a range such as 1-3, of 1 to 50 words")
        if self.chars and not 1 <= self.chars[0] <= self.chars[1] <= 500:
            raise UsageError("--chars takes a number or a range such as 4-12, of 1 to 500 characters")
        if self.charset is not None and not self.charset.strip():
            raise UsageError("--charset needs at least one character that is no space")
        if not 16 <= self.height <= 512:
            raise UsageError("--height must lie between 16 and 512 pixels")
        if self.style is Style.TRDG and self.orientation is Orientation.VERTICAL:
            raise UsageError("--style trdg draws horizontal lines only: choose another style for --orientation vertical")
