"""How images are recognized: by which engine, in which views, by which decoder; and the limits of an image."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from crnnocr.config.options import option, validate

MAX_PIXELS = 50_000_000
"""An image with more pixels is an error, and is not decoded."""

MAX_WIDTH = 32_768
"""A line that would be wider than this at the model's height, in pixels, is squeezed to it."""

PREDICTION_COLUMNS = ("path", "text", "confidence")
"""Columns of the tables that `predict` writes and `train` reads."""

CONFIDENCE_BINS = 15
"""Bins of a reliability diagram, as in Guo et al. 2017."""


class Orientation(StrEnum):
    """Which way a line of text runs. Its start is turned to the left."""

    HORIZONTAL = "horizontal"
    """Along the image, in the direction of its script."""
    VERTICAL = "vertical"
    """From the image's top to its bottom."""
    UPWARD = "upward"
    """From its bottom to its top, as on the spines of some books."""
    UPSIDE_DOWN = "upside-down"
    """From right to left, each character turned by half."""
    AUTO = "auto"
    """Images much taller than wide are vertical in training, and recognized in all orientations; others are horizontal, and
    upside down if they cannot be read confidently otherwise."""


class Precision(StrEnum):
    """The number type that a network computes with."""

    FP32 = "fp32"
    """Single precision, as in training."""
    FP16 = "fp16"
    """Half-precision weights, and convolutions in it if the processor can: half the size."""
    INT8 = "int8"
    """Bytes in the convolutions and LSTMs: the fastest on a CPU, and hardly less accurate."""


class EngineChoice(StrEnum):
    """The library that runs the network."""

    AUTO = "auto"
    """torch on a GPU, onnxruntime on a CPU."""
    ONNXRUNTIME = "onnxruntime"
    """On the CPU."""
    TORCH = "torch"
    """On the device."""


class Invert(StrEnum):
    """Which images have black and white exchanged."""

    NEVER = "never"
    AUTO = "auto"
    """Those that are light on dark."""
    ALWAYS = "always"


class NormalizationStep(StrEnum):
    """A difference between reference and prediction that does not count; both are normalized alike."""

    NFC = "nfc"
    """Different encodings of the same character in Unicode. Always applied."""
    NFKC = "nfkc"
    """Different forms of a character, too: full width, ligatures, superscripts."""
    CASE = "case"
    """Upper and lower case."""
    SPACES = "spaces"
    """White space: all of it is removed."""
    QUOTES = "quotes"
    """Kinds of quotation marks, and kinds of dashes."""


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """The library and the device that run the network."""

    engine: EngineChoice = option(
        EngineChoice.AUTO, "Library that runs the network; auto: onnxruntime on a CPU, torch on a GPU."
    )
    device: str = option("auto", "Where the network runs.", metavar="auto|cuda|mps|cpu")

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True, kw_only=True)
class ReadConfig:
    """How images are seen, and how much is reported of them."""

    orientation: Orientation | None = option(
        None,
        "Which way lines run; auto tries all for tall images, and upside down if not confident.  [default: the model's]",
    )
    rows: int | None = option(
        None, "Rows of text in an image; 2 are read one after the other.  [default: the model's]", metavar="1|2", min=1, max=2
    )
    invert: Invert = option(Invert.NEVER, "Exchange black and white; auto: if an image is light on dark.")
    quick: bool = option(False, "Use a single view of each image; else uncertain ones are recognized in several.")
    characters: bool = option(False, "Report position and confidence of each character (in jsonl).")
    threads: int | None = option(None, "Worker threads; by default one per core that the process may use.", metavar="N", min=1)

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True, kw_only=True)
class DecodeConfig:
    """How texts are found in log-probabilities, and which texts are possible."""

    beam: int = option(
        0,
        "Width of the beam search; 0 is greedy, the fastest. 5 to 20 finds better texts of unclear images.",
        metavar="N",
        min=0,
        max=10_000,
    )
    top_k: int = option(1, "Give the N best texts (in jsonl).", metavar="N", min=1, max=10_000)
    allow: str | None = option(
        None, "The only characters that are possible, such as 0123456789.", metavar="CHARACTERS", may_be_empty=False
    )
    block: str | None = option(None, "Characters that are not possible.", metavar="CHARACTERS", may_be_empty=False)
    lexicon: str | None = option(
        None, "The only words that are possible: a UTF-8 file, one a line.", metavar="FILE", may_be_empty=False
    )
    pattern: str | None = option(
        None, "Regular expression that the whole text matches, such as [A-Z]{2}\\d{3,5}.", metavar="REGEX", may_be_empty=False
    )
    lm: str | None = option(
        None,
        "Text like that in the images (UTF-8); its language model favors likely texts.",
        metavar="FILE",
        may_be_empty=False,
    )
    lm_weight: float = option(0.5, "Weight of the language model against the image alone.", metavar="W", min=0, max=10)

    _SEARCH: ClassVar[int] = 10
    """Prefixes that are kept if only other options ask for a search."""

    def __post_init__(self) -> None:
        validate(self)

    @property
    def width(self) -> int:
        """Prefixes that the search keeps; 0 for the best path."""
        searches = self.beam or self.top_k > 1 or self.lexicon or self.pattern or self.lm
        return max(self.beam or self._SEARCH, self.top_k) if searches else 0
