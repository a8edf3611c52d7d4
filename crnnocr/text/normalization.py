"""Texts without the differences that are not to count between label and reading.

What is done is the same for both, and is said with every result: a character error rate without case and spaces is another
figure than one with them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from crnnocr.config import NormalizationStep
from crnnocr.errors import ConfigError
from crnnocr.text.charset import nfc

QUOTES = {"'": "‘’‚‛′ʹʼ`´", '"': "“”„‟″«»", "-": "‐‑‒–—―−"}
"""Signs that are written for one another, by the plain one that stands for them where kinds of quotes do not count."""
_PLAIN = str.maketrans({kind: plain for plain, kinds in QUOTES.items() for kind in kinds})

_WORDS = {
    NormalizationStep.NFC: "NFC",
    NormalizationStep.NFKC: "NFKC",
    NormalizationStep.QUOTES: "quotes and dashes alike",
    NormalizationStep.CASE: "without case",
    NormalizationStep.SPACES: "without spaces",
}
"""What each does, in the order in which they are named."""


@dataclass(frozen=True)
class Normalization:
    """What both sides are brought to before they are compared. By default NFC only."""

    steps: tuple[NormalizationStep, ...] = ()
    """Which differences do not count, besides those of NFC."""

    @classmethod
    def parse(cls, values: Sequence[str]) -> Normalization:
        """From names of steps, or several with commas between. Raises `ConfigError` where one is no step, or there is none."""
        if any(not value.strip(" ,") for value in values):
            raise ConfigError("normalise", f"is empty: choose of {', '.join(NormalizationStep)}, with commas between")
        names = [name.strip() for value in values for name in value.split(",") if name.strip()]
        for name in names:
            if name not in set(NormalizationStep):
                raise ConfigError("normalise", f"{name}: choose of {', '.join(NormalizationStep)}, with commas between")
        return cls(tuple(step for step in _WORDS if step in names))

    def __call__(self, text: str) -> str:
        """A label or a reading as it is compared."""
        # Each step may leave what another one changes (a ligature has a case once it is apart), until none does.
        while (done := self._once(text)) != text:
            text = done
        return text

    def _once(self, text: str) -> str:
        text = nfc(text)
        if NormalizationStep.QUOTES in self.steps:  # first, for NFKC takes some of them for an accent on a space
            text = text.translate(_PLAIN)
        if NormalizationStep.CASE in self.steps:
            text = text.casefold()
        if NormalizationStep.SPACES in self.steps:
            text = re.sub(r"\s+", "", text)
        return unicodedata.normalize("NFKC" if NormalizationStep.NFKC in self.steps else "NFC", text)

    def __str__(self) -> str:
        """In words, for people: `NFC, without case`."""
        unicode = NormalizationStep.NFKC if NormalizationStep.NFKC in self.steps else NormalizationStep.NFC
        others = [step for step in self.steps if step not in (NormalizationStep.NFC, NormalizationStep.NFKC)]
        return ", ".join(_WORDS[step] for step in (unicode, *others))
