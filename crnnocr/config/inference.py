"""What every picture and its line have in common: limits, and which way lines run.

How pictures are read, and by what.

How texts are found.

What counts as the same text when readings are compared with labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeAlias

from crnnocr.errors import UsageError

MAX_PIXELS = 50_000_000
"""Pictures of more pixels are refused, unread."""

MAX_WIDTH = 32_768
"""Lines that would be wider than this at the model's height are squeezed to it, in pixels."""

Pair: TypeAlias = tuple[int, int]


class Orientation(StrEnum):
    """Which way a line of text runs. Where it begins, is turned to the left."""

    HORIZONTAL = "horizontal"
    """Along the picture, in the direction of its script."""
    VERTICAL = "vertical"
    """From the picture's top to its bottom."""
    UPWARD = "upward"
    """From its bottom to its top, as on the spines of some books."""
    AUTO = "auto"
    """Of pictures to learn from or to read: those that are much taller than wide are learnt as vertical, and read all ways."""


class Precision(StrEnum):
    """The numbers that a network computes with."""

    FP32 = "fp32"
    """Single precision, as it was trained."""
    FP16 = "fp16"
    """Weights in half precision, and the convolutions computed in it where the processor can: half the size."""
    INT8 = "int8"
    """Bytes in the convolutions and LSTMs: the fastest on a CPU, and hardly less accurate."""


class EngineChoice(StrEnum):
    """What runs the network."""

    AUTO = "auto"
    """torch on a GPU, onnxruntime on a CPU."""
    ONNXRUNTIME = "onnxruntime"
    """onnxruntime, on the CPU."""
    TORCH = "torch"
    """torch, on the device."""


class Invert(StrEnum):
    """Whether black and white are exchanged before reading."""

    NEVER = "never"
    """Pictures are read as they are."""
    AUTO = "auto"
    """Those that are light on dark become dark on light."""
    ALWAYS = "always"
    """All are exchanged."""


@dataclass(frozen=True)
class ReadConfig:
    """What is done with pictures that are read, and what is said of them."""

    orientation: Orientation | None = None
    """Which way the lines run; by default what the model was trained for. With `auto`, a tall picture is read all
    ways, and the surest reading is taken."""
    invert: Invert = Invert.NEVER
    """Whether black and white are exchanged."""
    characters: bool = False
    """Say of each character where it is and how sure."""
    threads: int | None = None
    """How many threads work; by default one a core."""
    quick: bool = False
    """Look at each picture once, also where the reading is not sure: quicker, and wrong more often."""

    def __post_init__(self) -> None:
        if self.orientation is not None:
            object.__setattr__(self, "orientation", Orientation(self.orientation))
        object.__setattr__(self, "invert", Invert(self.invert))
        if self.threads is not None and self.threads < 1:
            raise UsageError("--threads must be at least 1")


@dataclass(frozen=True)
class DecodeConfig:
    """How texts are found in log-probabilities, and which are possible."""

    beam: int = 0
    """Prefixes that the beam search keeps; 0 takes the best path (greedy), or 10 where something else asks for a search."""
    top_k: int = 1
    """Texts that are found for each line, the best ones."""
    allow: str | None = None
    """The only characters that texts may hold; by default all that the model knows."""
    block: str | None = None
    """Characters that texts may not hold."""
    lexicon: str | None = None
    """A UTF-8 file of the words that texts are made of, one a line."""
    pattern: str | None = None
    """A regular expression that the whole text fits."""
    lm: str | None = None
    """A UTF-8 file of text such as the lines hold; a language model of it makes likely texts more probable."""
    lm_weight: float = 0.5
    """How much the language model counts against the picture."""

    _SEARCH: ClassVar[int] = 10
    """Prefixes that are kept where only other options ask for a search."""

    def __post_init__(self) -> None:
        if not 0 <= self.beam <= 10_000:
            raise UsageError("--beam takes 0 (greedy) to 10000 prefixes")
        if not 1 <= self.top_k <= 10_000:
            raise UsageError("--top-k takes 1 to 10000 texts")
        for name in ("allow", "block", "lexicon", "pattern", "lm"):
            if getattr(self, name) == "":
                raise UsageError(f"--{name} is empty: leave it out to restrict nothing")
        if not 0 <= self.lm_weight <= 10:
            raise UsageError("--lm-weight takes 0 (the picture alone) to 10")

    @property
    def width(self) -> int:
        """Prefixes that the search keeps; 0 where there is none to do."""
        searches = self.beam or self.top_k > 1 or self.lexicon or self.pattern or self.lm
        return max(self.beam or self._SEARCH, self.top_k) if searches else 0


CONFIDENCE_BINS = 15
"""Into which readings are put by their confidence, as in Guo et al. 2017."""


class NormalizationStep(StrEnum):
    """A difference between label and reading that is not to count, on both sides alike."""

    NFC = "nfc"
    """Ways to write one character in Unicode. Always so."""
    NFKC = "nfkc"
    """Forms of one character, too: full width, ligatures, superscripts."""
    CASE = "case"
    """Capital and small letters."""
    SPACES = "spaces"
    """White space: all of it is left out."""
    QUOTES = "quotes"
    """Kinds of quotation marks, and kinds of dashes."""
