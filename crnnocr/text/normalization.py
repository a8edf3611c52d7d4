"""Normalization of texts before they are compared, so that differences that should not count between them do not.

Reference and prediction are normalized alike, and each result says how: a character error rate without case and spaces is not
the same figure as one with them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from crnnocr.config import NormalizationStep
from crnnocr.errors import ConfigError
from crnnocr.text.charset import nfc
from crnnocr.text.confusables import QUOTES_AND_DASHES

_PLAIN = str.maketrans({sign: plain for plain, signs in QUOTES_AND_DASHES.items() for sign in signs})

_WORDS = {
    NormalizationStep.NFC: "NFC",
    NormalizationStep.NFKC: "NFKC",
    NormalizationStep.QUOTES: "quotes and dashes alike",
    NormalizationStep.CASE: "without case",
    NormalizationStep.SPACES: "without spaces",
}
"""A description of each step, in the order in which steps are named."""

_CHOICE = f"one or more of {', '.join(NormalizationStep)}, with commas between"


@dataclass(frozen=True)
class Normalization:
    """The normalization of both sides before they are compared. By default NFC only."""

    steps: tuple[NormalizationStep, ...] = ()
    """Which differences do not count, besides those that NFC removes."""

    @classmethod
    def parse(cls, values: Sequence[str]) -> Normalization:
        """Parse names of steps, alone or with commas between them. Raises `ConfigError` if one is unknown, or there is none."""
        if any(not value.strip(" ,") for value in values):
            raise ConfigError("normalise", f"is empty: name {_CHOICE}")
        names = [name.strip() for value in values for name in value.split(",") if name.strip()]
        for name in names:
            if name not in set(NormalizationStep):
                raise ConfigError("normalise", f"takes {_CHOICE}, not {name}")
        return cls(tuple(step for step in _WORDS if step in names))

    def __call__(self, text: str) -> str:
        """Return a reference or a prediction as it is compared."""
        # A step may leave something for another one to change (a ligature has a case once it is split), so repeat them.
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
        """Describe the normalization in words: `NFC, without case`."""
        unicode = NormalizationStep.NFKC if NormalizationStep.NFKC in self.steps else NormalizationStep.NFC
        others = [step for step in self.steps if step not in (NormalizationStep.NFC, NormalizationStep.NFKC)]
        return ", ".join(_WORDS[step] for step in (unicode, *others))
