"""What counts as the same text when readings are compared with labels."""

from __future__ import annotations

from enum import StrEnum

CONFIDENCE_BINS = 15
"""Into which readings are put by their confidence, as in Guo et al. 2017."""


class Normalise(StrEnum):
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
