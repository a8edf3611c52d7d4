"""The form of labels that are codes: induced from some of them, shown as a regular expression, and drawn from at random.

`KX 4711` and `AB 0815` are two letters, a space and four digits; labels of running text have no such form.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crnnocr.text.charset import nfc

_ALPHABETS = (string.digits, string.ascii_uppercase)
"""Of each of these any character may stand where one of it was seen. Others stand only where they were seen."""

_MIN_LABELS = 8
"""Labels from which on a form can be seen."""
_MAX_LENGTHS = 4
"""Lengths that codes of one kind have at most."""
_MIN_SHARE = 0.8
"""Share of the labels that have one of these lengths at least."""
_MIN_DIGITS = 0.25
"""Share of digits among the characters of codes at least; words have fewer."""
_MIN_FIXED = 5
"""Labels that have the same character at a place, and no other, for it to be taken as fixed."""
_MAX_SHOWN = 8
"""Characters of a place that are shown."""


@dataclass(frozen=True)
class LabelPattern:
    """The characters at each place of codes, by their length."""

    places: tuple[tuple[tuple[str, ...], ...], ...]
    """For each length of codes and each place in them: what was seen there, each an alphabet or a character alone."""
    weights: tuple[int, ...]
    """Labels of each length."""

    @property
    def regex(self) -> str:
        """The form as a regular expression, in which `…` stands for more characters than are shown."""
        return "|".join(map(_shown, self.places))

    @property
    def characters(self) -> str:
        """Every character that a text may hold, in code point order."""
        return "".join(sorted({c for form in self.places for place in form for choice in place for c in choice}))

    def text(self, rng: np.random.Generator) -> str:
        """A code of this form."""
        form = self.places[int(rng.choice(len(self.places), p=np.array(self.weights) / sum(self.weights)))]
        choices = [place[int(rng.integers(len(place)))] for place in form]
        return "".join(choice[int(rng.integers(len(choice)))] for choice in choices)


def induce(labels: Sequence[str]) -> LabelPattern | None:
    """The form of these labels; None if they are no codes, or too few to tell."""
    texts = [nfc(label) for label in dict.fromkeys(labels) if label]
    characters = "".join(texts)
    if len(texts) < _MIN_LABELS or sum(c in string.digits for c in characters) < _MIN_DIGITS * len(characters):
        return None
    lengths = Counter(map(len, texts)).most_common(_MAX_LENGTHS)
    if sum(count for _, count in lengths) < _MIN_SHARE * len(texts):
        return None
    forms = [[text for text in texts if len(text) == length] for length, _ in lengths]
    return LabelPattern(tuple(map(_places, forms)), tuple(map(len, forms)))


def _places(texts: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(map(_place, zip(*texts, strict=True)))


def _place(seen: Sequence[str]) -> tuple[str, ...]:
    if len(set(seen)) == 1 and len(seen) >= _MIN_FIXED:
        return (seen[0],)
    return tuple(next((alphabet for alphabet in _ALPHABETS if c in alphabet), c) for c in seen)


def _shown(places: Sequence[Sequence[str]]) -> str:
    """The places of one length, equal neighbors as one with their number."""
    parts: list[tuple[str, int]] = []
    for place in map(_class, places):
        if parts and parts[-1][0] == place:
            parts[-1] = (place, parts[-1][1] + 1)
        else:
            parts.append((place, 1))
    return "".join(part + (f"{{{times}}}" if times > 1 else "") for part, times in parts)


def _escaped(character: str) -> str:
    return character if character == " " else re.escape(character)


def _class(place: Sequence[str]) -> str:
    choices = sorted(set(place), key=lambda choice: (len(choice) == 1, choice))
    if len(choices) == 1 and len(choices[0]) == 1:
        return _escaped(choices[0])
    names = [f"{choice[0]}-{choice[-1]}" for choice in choices if len(choice) > 1]
    others = [_escaped(choice) for choice in choices if len(choice) == 1]
    shown = "".join(names + others[:_MAX_SHOWN]) + "…" * (len(others) > _MAX_SHOWN)
    return r"\d" if shown == "0-9" else f"[{shown}]"
