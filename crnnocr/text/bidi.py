"""Logical and visual order: the order in which a text is typed, and the one in which it stands on paper from left to right.

A network reads from left to right. Hebrew and Arabic run the other way, except for the numbers and Latin words in them.
`logical_to_visual` is the Unicode Bidirectional Algorithm (UAX #9) for one line, `visual_to_logical` goes back. A line runs
from right to left if most of its letters do, or if it has no letters but digits of the Arabic script. UAX #9 (P2) goes by the
first letter, but on paper one cannot tell which was the first.

Two texts may look the same: in an Arabic line `abc 12` may be typed as it stands, or as `12` before `abc`. Then the one is
taken in which the number belongs to the Latin words before it, as in `iPhone 15`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, groupby

from crnnocr.text.bidi_levels import MIRRORED, REMOVED, RIGHT_TO_LEFT, Item, bracket, embedding_levels

_MARKS = "\u200e\u200f"
"""The left-to-right and the right-to-left mark, by the direction of a level."""
_CONTROL_CODES = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_CONTROL = re.compile(f"[{_CONTROL_CODES}]")
_CONCERNS = re.compile(f"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff{_CONTROL_CODES}]")
_PERSIAN_DIGITS = re.compile("[\u06f0-\u06f9]")
_NUMBERS = ("EN", "AN")
_ATTACHED = ("NSM", "BN")
_ATTEMPTS = 6
"""Times that the order is corrected by what the algorithm makes of it; texts as people write them need two."""


def logical_to_visual(text: str, base: int | None = None) -> str:
    """Return the characters of a text as they stand on paper, from left to right.

    Marks stay behind the character that bears them. Invisible controls (directional marks, embeddings, isolates) act, and are
    left out. The text is a line of its own, or in one of base level `base`.
    """
    if not _CONCERNS.search(text):
        return text
    items = _items(text)
    levels = embedding_levels(items, base_level(text) if base is None else base)
    kept = [i for i, item in enumerate(items) if item.kind not in REMOVED]
    return "".join(_on_paper(items[i], levels[i]) for i in _reordered(kept, levels) if not items[i].is_control)


def visual_to_logical(text: str) -> str:
    """Return the text whose characters stand on paper in this order, from left to right.

    Its visual order is the one given. Only if no plain text is found that stands so, which happens to nothing that people
    write without them, directional marks (U+200E, U+200F) in it keep the order.
    """
    if not _CONCERNS.search(text):
        return text
    return "".join(character for character, _ in in_logical_order(text))


def in_logical_order(text: str) -> list[tuple[str, int]]:
    """As `visual_to_logical`, each character with the index of what stands on paper for it; -1 for a directional mark."""
    if not _CONCERNS.search(text):
        return list(zip(text, range(len(text)), strict=True))
    items = [item for item in _items(text) if not item.is_control]
    base = base_level(text)
    starts = [0, *accumulate(len(item.text) for item in items)]
    for levels in (*_fixed_points(items, base), *_first_guesses(items, base)):
        order = _reordered(list(range(len(items))), levels)
        ordered = [Item(_on_paper(items[i], levels[i]), items[i].kind) for i in order]
        marked = _with_marks(ordered, [levels[i] for i in order], base)
        if marked is not None:
            return [
                (character, -1 if item.is_control else starts[order[n]] + place)
                for n, item in marked
                for place, character in enumerate(item.text)
            ]
    raise AssertionError(f"no text stands so on paper: {text!r}")  # the last guess is always possible


def has_right_to_left(text: str) -> bool:
    """Whether a text holds characters of scripts that run from right to left, or controls of the direction."""
    return bool(_CONCERNS.search(text))


def base_level(text: str) -> int:
    """1 if a line with these characters, in any order, runs from right to left; else 0."""
    if not _CONCERNS.search(text):
        return 0
    kinds = [unicodedata.bidirectional(c) for c in text if not _CONTROL.match(c)]
    rightward, leftward = kinds.count("L"), sum(kind in RIGHT_TO_LEFT for kind in kinds)
    if not rightward and not leftward:
        return int("AN" in kinds or bool(_PERSIAN_DIGITS.search(text)))
    return int(leftward >= rightward)


def is_direction_control(character: str) -> bool:
    """Whether a character is invisible and directs the order of others."""
    return bool(_CONTROL.match(character))


def may_be_reordered(characters: Collection[str], at_edges: Collection[str]) -> bool:
    """Whether texts of some characters, which begin and end with those `at_edges`, may stand on paper in another order.

    They do with right-to-left letters, and with digits of the Arabic script beside signs that do not separate digits.
    """
    kinds, outer = ({unicodedata.bidirectional(c) for c in some} for some in (characters, at_edges))
    if not kinds.isdisjoint(RIGHT_TO_LEFT):
        return True
    if "AN" in kinds:
        return bool(kinds - {"AN", "CS"} or "CS" in outer)
    return any(map(_PERSIAN_DIGITS.match, characters)) and bool(kinds - {"EN", "ES", "CS"} or outer - {"EN"})


def orders_in_lines(word: str, alphabet: str) -> list[str]:
    """Each visual order that a word may have in lines of the characters of `alphabet`; that of the word alone comes first."""
    found = [logical_to_visual(word)]
    directions = {unicodedata.bidirectional(c) for c in word}
    if _CONCERNS.search(alphabet) and not (directions <= {"L"} or directions <= {*RIGHT_TO_LEFT, *_ATTACHED}):
        kinds = {unicodedata.bidirectional(c) for c in alphabet}
        for letter, kind, base in (("א", "R", 1), ("ا", "AL", 1), ("a", "L", 0)):
            if kind in kinds:
                found.append(logical_to_visual(f"{letter} {word} {letter}", base)[2:-2])
    return list(dict.fromkeys(found))


def mirrored(character: str) -> str:
    """Return what stands on paper for a character if the text runs from right to left: `)` for `(`."""
    return MIRRORED.get(character, character)


def _items(text: str) -> list[Item]:
    """Characters, each with the marks on it, and controls. Marks before the first character go to it."""
    items: list[Item] = []
    last, leading = None, ""  # where the last character with ink is, and marks before the first
    for character in text:
        kind = unicodedata.bidirectional(character) or "L"
        if _CONTROL.match(character):
            items.append(Item(character, kind, is_control=True))
        elif kind not in _ATTACHED:
            last = len(items)
            items.append(Item(character + leading, kind))
            leading = ""
        elif last is None:
            leading += character
        else:
            items[last] = Item(items[last].text + character, items[last].kind)
    return [*items, Item(leading, "ON")] if leading else items


def _on_paper(item: Item, level: int) -> str:
    """An item as it stands on paper, or the other way round (L4)."""
    return "".join(map(mirrored, item.text)) if level % 2 else item.text


def _reordered(order: list[int], levels: Sequence[int]) -> list[int]:
    """Reverse, from the highest level down, every run of that level or higher (L2). The same leads back."""
    for level in range(max((levels[i] for i in order), default=0), 0, -1):
        turned: list[int] = []
        for high, run in groupby(order, key=lambda i: levels[i] >= level):
            part = list(run)
            turned += reversed(part) if high else part
        order = turned
    return order


def _fixed_points(items: Sequence[Item], base: int) -> Iterator[list[int]]:
    """Levels of items in visual order that the algorithm confirms: at most one, the first that is found."""
    for guess in _first_guesses(items, base):
        levels = guess
        for _ in range(_ATTEMPTS):
            order = _reordered(list(range(len(items))), levels)
            logical = [Item(_on_paper(items[i], levels[i]), items[i].kind) for i in order]
            found = [0] * len(items)
            for i, level in zip(order, embedding_levels(logical, base), strict=True):
                found[i] = level
            if found == levels:
                yield levels
                return
            levels = found


def _first_guesses(items: Sequence[Item], base: int) -> tuple[list[int], ...]:
    """Levels of items in visual order: with phrases against the base direction held together, and without; with signs that
    belong to numbers at their other side, too.
    """
    kinds = [item.kind for item in items]
    plain = [_own_level(kind, base) for kind in kinds]
    if base:
        inside = [kind in ("L", "EN") for kind in kinds]
        phrase = 2
    else:
        inside = [kind in (*RIGHT_TO_LEFT, "AN") for kind in kinds]
        phrase = 1
    joined = list(plain)
    breaks = [kind in (*RIGHT_TO_LEFT, "AN", "S", "B") if base else kind in ("L", "S", "B") for kind in kinds]
    for is_break, run in groupby(range(len(items)), key=breaks.__getitem__):
        gap = list(run)
        ends = [i for i in gap if inside[i]]
        if is_break or not ends or (base and not any(kinds[i] == "L" for i in ends)):
            continue
        own = range(ends[0], ends[-1] + 1)
        for i in (*own, *_brackets_beside(items, own, base)):
            joined[i] = 2 if kinds[i] in _NUMBERS else phrase
    signed = list(plain)
    for kind, run in groupby(range(len(items)), key=kinds.__getitem__):
        signs = list(run)
        if kind == "ET" and "EN" in (*kinds[max(signs[0] - 1, 0) : signs[0]], *kinds[signs[-1] + 1 : signs[-1] + 2]):
            for i in signs:
                signed[i] = 2 if base else 0
    return joined, plain, signed


def _brackets_beside(items: Sequence[Item], phrase: range, base: int) -> Iterator[int]:
    """Indices of the brackets that close a phrase, after it in logical order, and were opened in it."""
    step, i, opening, closing = (1, phrase[-1], "Ps", "Pe") if base else (-1, phrase[0], "Pe", "Ps")
    types = [bracket(items[n].text[0]) for n in phrase]
    unclosed = types.count(opening) - types.count(closing)
    while unclosed > 0 and 0 <= (i := i + step) < len(items) and bracket(items[i].text[0]) == closing:
        unclosed -= 1
        yield i


def _own_level(kind: str, base: int) -> int:
    """The level of a kind wherever it is; that of the line for what depends on its neighbors."""
    if kind in RIGHT_TO_LEFT:
        return 1
    if kind == "AN" or (kind == "EN" and base):
        return 2
    return 2 * base if kind == "L" else base


def _with_marks(items: list[Item], wanted: list[int], base: int) -> list[tuple[int, Item]] | None:
    """Items in logical order, each with its index, and marks that give them their levels; None if marks cannot."""
    places: set[tuple[int, int]] = set()  # index of an item, and 0 for before it or 1 for after it
    while (wrong := _first_wrong(items, wanted, base, places)) is not None:
        if (wrong, 0) in places:
            return None
        places |= {(wrong, 0), (wrong, 1)}
    for place in sorted(places):
        if _first_wrong(items, wanted, base, places - {place}) is None:
            places.remove(place)
    return _marked(items, wanted, places)


def _first_wrong(items: list[Item], wanted: list[int], base: int, places: set[tuple[int, int]]) -> int | None:
    """The first item that has another level than wanted; None if there is none."""
    marked = _marked(items, wanted, places)
    levels = embedding_levels([item for _, item in marked], base)
    found = zip(marked, levels, strict=True)
    return next((i for (i, item), level in found if not item.is_control and level != wanted[i]), None)


def _marked(items: list[Item], wanted: list[int], places: set[tuple[int, int]]) -> list[tuple[int, Item]]:
    """Items and marks, each with the index of the item it belongs to."""
    result: list[tuple[int, Item]] = []
    for i, item in enumerate(items):
        mark = Item(_MARKS[wanted[i] % 2], "LR"[wanted[i] % 2], is_control=True)
        result += [(i, mark)] * ((i, 0) in places) + [(i, item)] + [(i, mark)] * ((i, 1) in places)
    return result
