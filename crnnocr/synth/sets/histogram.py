"""How often each character occurs in texts."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

FEW = 10
"""A character that occurs less often than this is hardly learnt."""

_RAREST = 10
_CLASSES = {"L": "letters", "M": "marks", "N": "digits", "P": "punctuation", "S": "symbols", "Z": "spaces"}


@dataclass(frozen=True)
class Histogram:
    """How often each character occurs in some texts."""

    texts: int
    """How many texts there are."""
    counts: dict[str, int]
    """Times that each character of the charset occurs, the most frequent first; those that never do are among them."""

    @classmethod
    def of(cls, texts: Iterable[str], charset: str) -> Histogram:
        """That of `texts`, which are gone through once, over the characters of `charset`."""
        counts = Counter(dict.fromkeys(charset, 0))
        number = 0
        for text in texts:
            counts.update(text)
            number += 1
        return cls(number, dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))))

    @property
    def mean_length(self) -> float:
        """Characters of a text, on average."""
        return sum(self.counts.values()) / max(1, self.texts)

    def lines(self, whole: bool) -> list[str]:
        """What it says, in words: classes, and the rarest characters or, if `whole`, all."""
        few = sum(count < FEW for count in self.counts.values())
        listed = list(reversed(self.counts.items()))
        rarest = listed if whole else listed[:_RAREST]
        return [
            f"{len(self.counts)} characters in the charset: {', '.join(self._classes())}",
            f"{'rarest first' if whole else 'rarest'}: {', '.join(f'{_shown(each)} {count:,}' for each, count in rarest)}",
            f"{few} of them occur fewer than {FEW} times",
        ]

    def _classes(self) -> list[str]:
        totals: Counter[str] = Counter()
        for character, count in self.counts.items():
            totals[_CLASSES.get(unicodedata.category(character)[0], "others")] += count
        whole = max(1, totals.total())
        return [f"{name} {count / whole:.1%}" for name, count in totals.most_common()]


def _shown(character: str) -> str:
    """A character as it can be seen in a list."""
    if unicodedata.category(character).startswith("M"):
        return f"◌{character}"
    return "space" if character == " " else character if character.isprintable() else f"U+{ord(character):04X}"
