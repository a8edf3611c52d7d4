"""Random pairs of texts that share much with each other."""

from __future__ import annotations

import random
import unicodedata

ALPHABET = "aab cdé\u0301ß漢字かなあ ,.-0O1lІا\u05d0ل\U0001f600e\u0308 \u202e"
"""Composing accents, look-alikes of three scripts, right-to-left letters, an override of the writing direction, emoji."""


def random_pairs(n: int, seed: int) -> list[tuple[str, str]]:
    """References of at least one word, and predictions that share much with them, both in NFC."""
    rng = random.Random(seed)
    pairs: list[tuple[str, str]] = []
    while len(pairs) < n:
        reference = "".join(rng.choices(ALPHABET, k=rng.randrange(1, 30)))
        characters = list(reference)
        for _ in range(rng.randrange(6)):
            start = rng.randrange(len(characters) + 1)
            characters[start : start + rng.randrange(2)] = rng.choices(ALPHABET, k=rng.randrange(3))
        reference, prediction = (unicodedata.normalize("NFC", each).strip() for each in (reference, "".join(characters)))
        if reference.split():
            pairs.append((reference, prediction))
    return pairs
