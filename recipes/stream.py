"""The endless stream of synthetic lines that the pretrained models learn from.

The texts of the images that `benchmarks/protocol987.py` measures with never occur in it.
"""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from crnnocr.config import Style, SynthConfig
from crnnocr.synth.sampler import Sampler

if TYPE_CHECKING:
    from PIL import Image

ASCII = "".join(map(chr, range(32, 127)))
COMMON = ASCII + "€£§‘’“”–—…"
"""The characters of most texts. Typographic quotes and dashes are characters of their own: they can be folded later, but not
unfolded.
"""
LATIN_1 = "".join(map(chr, (*range(0xC0, 0xD7), *range(0xD8, 0xF7), *range(0xF8, 0x100))))
"""Its letters beyond ASCII."""
CHARSET = COMMON + LATIN_1 + "¥¢«»¡¿•·°±×÷™®©№µ²³¼½¾"

STREAM = SynthConfig(lang=("en",), style=Style.MIXED, charset=COMMON, seed=20_261, height=48)
VALIDATION = replace(STREAM, seed=20_262)

NEIGHBORS = ("en", "de", "fr", "es", "it", "pt", "sv")
"""Languages whose words hold the letters beyond ASCII; names and loanwords bring them into English."""

REPLACEMENTS_FROM = 2**31
"""A sample whose text is one of the protocol's is replaced by that of an index higher by this."""

ROWS = 4000
"""Rows of single characters."""

KINDS = ("trdg", *["scene"] * 4, "receipt", *["mixed"] * 3, "neighbors")
"""The kinds of every ten samples: mixed, more of the hardest, one like that of `synth --style trdg`, and one in other languages
and with all characters."""


class Stream:
    """Makes samples whose texts are not among those that the 987 protocol measures with."""

    def __init__(self, config: SynthConfig) -> None:
        self._config = config
        configs = {
            "trdg": replace(config, style=Style.TRDG, fonts=None, words=(1, 3), height=32),
            "neighbors": replace(config, lang=NEIGHBORS, charset=CHARSET),
            **{style.value: replace(config, style=style) for style in (Style.SCENE, Style.RECEIPT, Style.MIXED)},
        }
        self._samplers = {kind: Sampler(each) for kind, each in configs.items()}
        folder = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        path = Path(folder) / "rows.txt"
        path.write_text("\n".join(rows()), encoding="utf-8")
        self._rows = Sampler(replace(config, style=Style.RECEIPT, text=str(path)))
        self.charset = self._samplers["neighbors"].charset

    def __reduce__(self) -> tuple[type[Stream], tuple[SynthConfig]]:
        return Stream, (self._config,)

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        image, text = self._samplers[KINDS[index % len(KINDS)]][index]
        return self[index + REPLACEMENTS_FROM] if text in protocol_texts() else (image, text)

    def row(self, index: int) -> tuple[Image.Image, str]:
        """A row of single characters with spaces between them."""
        return self._rows[index]


def rows() -> list[str]:
    """Rows of single characters, which hardly occur in texts: of digits, of capital letters, of both."""
    rng = Random(0)
    kinds = ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return [" ".join(rng.choices(rng.choice(kinds), k=rng.randint(3, 8))) for _ in range(ROWS)]


@cache
def protocol_texts() -> frozenset[str]:
    """The texts of the images that the protocol measures with."""
    from protocol987 import COUNT, MEASURE

    sampler = Sampler(MEASURE)
    return frozenset(sampler[i][1] for i in range(COUNT))
