"""Texts without the differences that are not to count between label and reading.

What is done is the same for both, and is said with every result: a character error rate without case and spaces is another
figure than one with them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from crnnocr.config import Normalise
from crnnocr.errors import UsageError
from crnnocr.text.charset import normalise

QUOTES = {"'": "‘’‚‛′ʹʼ`´", '"': "“”„‟″«»", "-": "‐‑‒–—―−"}
"""Signs that are written for one another, by the plain one that stands for them where kinds of quotes do not count."""
_PLAIN = str.maketrans({kind: plain for plain, kinds in QUOTES.items() for kind in kinds})

_WORDS = {
    Normalise.NFC: "NFC",
    Normalise.NFKC: "NFKC",
    Normalise.QUOTES: "quotes and dashes alike",
    Normalise.CASE: "without case",
    Normalise.SPACES: "without spaces",
}
"""What each does, in the order in which they are named."""


@dataclass(frozen=True)
class Normalisation:
    """What both sides are brought to before they are compared. By default NFC only."""

    steps: tuple[Normalise, ...] = ()
    """Which differences do not count, besides those of NFC."""

    @classmethod
    def parse(cls, values: Sequence[str]) -> Normalisation:
        """From names of steps, or several with commas between. Raises `UsageError` where one is no step, or there is none."""
        if any(not value.strip(" ,") for value in values):
            raise UsageError(f"--normalise is empty: choose of {', '.join(Normalise)}, with commas between")
        names = [name.strip() for value in values for name in value.split(",") if name.strip()]
        for name in names:
            if name not in set(Normalise):
                raise UsageError(f"--normalise {name}: choose of {', '.join(Normalise)}, with commas between")
        return cls(tuple(step for step in _WORDS if step in names))

    def __call__(self, text: str) -> str:
        """A label or a reading as it is compared."""
        # Each step may leave what another one changes (a ligature has a case once it is apart), until none does.
        while (done := self._once(text)) != text:
            text = done
        return text

    def _once(self, text: str) -> str:
        text = normalise(text)
        if Normalise.QUOTES in self.steps:  # first, for NFKC takes some of them for an accent on a space
            text = text.translate(_PLAIN)
        if Normalise.CASE in self.steps:
            text = text.casefold()
        if Normalise.SPACES in self.steps:
            text = re.sub(r"\s+", "", text)
        return unicodedata.normalize("NFKC" if Normalise.NFKC in self.steps else "NFC", text)

    def __str__(self) -> str:
        """In words, for people: `NFC, without case`."""
        unicode = Normalise.NFKC if Normalise.NFKC in self.steps else Normalise.NFC
        others = [step for step in self.steps if step not in (Normalise.NFC, Normalise.NFKC)]
        return ", ".join(_WORDS[step] for step in (unicode, *others))
