"""Running text cut into pieces of a length."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate

from crnnocr.config import Pair
from crnnocr.synth.texts import JOINERS
from crnnocr.synth.texts.chance import Chance
from crnnocr.synth.texts.corpus import is_mark

_INSIDE = frozenset(" " + JOINERS)
"""Characters that no piece begins or ends with."""


def pieces(text: str, words: Pair | None, chars: Pair | None, spaced: bool, chance: Chance) -> Iterator[Pair]:
    """Where pieces of a tidy `text` begin and end, from its first to its last, of so many words or characters or both.

    With characters alone a piece ends with a word, if one ends at such a length (in scripts without spaces, and where none
    does, at any character). The last piece reaches back into the one before it, so that it is long enough too. Only what
    fits into no piece is left out: a text that is too short; a word that is too long beside its neighbours.
    """
    if words:
        yield from _of_words(text, words, chars or (1, len(text)), chance)
    elif chars:
        yield from _of_characters(text, chars, spaced, chance)


def _of_words(text: str, words: Pair, chars: Pair, chance: Chance) -> Iterator[Pair]:
    ends = [end - 1 for end in accumulate(len(word) + 1 for word in text.split(" "))]
    starts = [0, *(end + 1 for end in ends[:-1])]
    first, count = 0, len(ends)
    while first < count:
        fewest = max(words[0], bisect_left(ends, starts[first] + chars[0]) - first + 1)
        most = min(words[1], bisect_right(ends, starts[first] + chars[1]) - first)
        if fewest <= most:
            size = chance.between(fewest, most)
            yield starts[first], ends[first + size - 1]
            first += size
        elif first + fewest <= count:
            first += 1
        else:
            fitting = range(max(0, count - words[1]), max(0, count - words[0] + 1))
            lasts = [start for start in fitting if chars[0] <= len(text) - starts[start] <= chars[1]]
            if lasts:
                yield starts[lasts[-1]], len(text)
            return


def _of_characters(text: str, chars: Pair, spaced: bool, chance: Chance) -> Iterator[Pair]:
    start = 0
    while start < len(text):
        piece = _at_words(text, start, chars, chance) if spaced else None
        piece = piece or _anywhere(text, start, chars, chance)
        if piece:
            yield piece
        # A character that no piece reaches is passed over.
        start = piece[1] if piece else start + 1
        start += text[start : start + 1] in _INSIDE


def _at_words(text: str, start: int, chars: Pair, chance: Chance) -> Pair | None:
    """A piece that ends where a word does and begins at `start`, or else with a word before it, the last there is."""
    wish = chance.between(*chars)
    begin = start
    while begin >= 0:
        end = _word_end(text, begin, wish, chars)
        if end > start:
            return begin, end
        if begin <= max(0, start - chars[1]):
            break
        begin = text.rfind(" ", 0, begin - 1) + 1
    return None


def _word_end(text: str, begin: int, wish: int, chars: Pair) -> int:
    """Where the last word ends that is within the length that is wished for, or else the next one; -1 if none is."""
    if begin + chars[0] <= len(text) <= begin + wish:
        return len(text)
    end = text.rfind(" ", begin + chars[0], begin + wish + 1)
    if end < 0:
        end = text.find(" ", begin + wish + 1, begin + chars[1] + 1)
    return len(text) if end < 0 and begin + wish < len(text) <= begin + chars[1] else end


def _anywhere(text: str, start: int, chars: Pair, chance: Chance) -> Pair | None:
    """A piece that begins at `start`, or else before it, the last there is."""
    wish = chance.between(*chars)
    for begin in range(start, max(-1, start - chars[1]), -1):
        for end in _wished(begin, wish, chars):
            if start < end and _is_piece(text, begin, end):
                return begin, end
    return None


def _wished(begin: int, wish: int, chars: Pair) -> Iterator[int]:
    """Where a piece may end: first where it is of the length that is wished for, then shorter, then longer."""
    yield from range(begin + wish, begin + chars[0] - 1, -1)
    yield from range(begin + wish + 1, begin + chars[1] + 1)


def _is_piece(text: str, start: int, end: int) -> bool:
    if end > len(text) or text[start] in _INSIDE or text[end - 1] in _INSIDE or is_mark(text[start]):
        return False
    return end == len(text) or not is_mark(text[end])
