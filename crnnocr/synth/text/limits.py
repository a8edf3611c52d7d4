"""How long texts may be: in words, in characters, or both."""

from __future__ import annotations

from dataclasses import dataclass

from crnnocr.config import Range, SynthConfig
from crnnocr.errors import UsageError
from crnnocr.synth.rng import Chance
from crnnocr.synth.text.corpus import is_mark

_ENDLESS = 10**6


@dataclass(frozen=True)
class Limits:
    """Fewest and most words and characters of a text."""

    words: Range | None
    """None where any number will do."""
    chars: Range | None
    """None where any number will do."""
    glue: str
    """What stands between two words."""

    @classmethod
    def of(cls, config: SynthConfig, glue: str, *, single: bool) -> Limits:
        """Those of `config`; `single` where no text can have two words. Raises `UsageError` where no text keeps them."""
        words, chars = config.words, config.chars
        if single and words and words[0] > 1:
            raise UsageError(f"--words {words[0]} needs a space in --charset")
        if single:
            words = (1, 1)
        if words and chars and words[0] + (words[0] - 1) * len(glue) > chars[1]:
            raise UsageError(f"{words[0]} words (--words) never fit into {chars[1]} characters (--chars)")
        return cls(words, chars, glue)

    def keeps(self, text: str, count: int) -> bool:
        """Whether `text`, of `count` words, is within."""
        return _within(count, self.words) and _within(len(text), self.chars)

    def cut(self, text: str) -> str:
        """The start of `text` that is not too long, up to the end of a word where words are set apart."""
        most = self.chars[1] if self.chars else len(text)
        if len(text) <= most:
            return text
        end = text.rfind(" ", 0, most + 1) if self.glue else most
        while end > 0 and is_mark(text[end]):
            end -= 1
        return text[: max(end, 0)].rstrip()

    def lengths(self, chance: Chance, mean: float) -> list[int]:
        """Lengths in characters of words that together, glue included, are within; `mean` is that of a usual word."""
        glue = len(self.glue)
        fewest, most = self.words or (1, _ENDLESS)
        assert self.chars is not None
        least = max(self.chars[0], fewest + (fewest - 1) * glue)
        total = chance.between(least, self.chars[1])
        most = min(most, (total + glue) // (1 + glue))
        usual = round((total + glue) / (mean + glue) + chance.random() - 0.5)
        count = min(max(usual, fewest), most)
        return _shares(total - (count - 1) * glue, count, chance)


def _within(number: int, pair: Range | None) -> bool:
    return pair is None or pair[0] <= number <= pair[1]


def _shares(total: int, count: int, chance: Chance) -> list[int]:
    """`count` numbers of at least 1, near each other, with a sum of `total`."""
    shares = [1 + (total - count) // count] * count
    for _ in range((total - count) % count):
        shares[chance.below(count)] += 1
    for _ in range(2 * count):
        giver, taker = chance.below(count), chance.below(count)
        moved = chance.below(shares[giver])
        shares[giver] -= moved
        shares[taker] += moved
    return shares
