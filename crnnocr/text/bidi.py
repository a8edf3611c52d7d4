"""Visual order: the order in which the characters of a text stand on paper, from left to right.

A network reads from left to right. Hebrew and Arabic run the other way, except for the numbers and Latin words in them. This is
the part of the Unicode Bidirectional Algorithm (UAX #9) that a single line without control characters needs: W1 to W7, N1, N2,
I1, I2, L2, L4. A line runs from right to left if most of its letters do. UAX #9 (P2) goes by the first letter, but on paper one
cannot tell which was the first.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

_RIGHT_TO_LEFT = ("R", "AL")
_MIRRORED = str.maketrans("()[]{}<>«»‹›≤≥⟨⟩", ")(][}{><»«›‹≥≤⟩⟨")
_HAS_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]")


def visual(text: str) -> str:
    """Return the characters of a text in visual order; of characters in visual order, the text.

    The function is its own inverse, except for a few texts of which two look alike: in Arabic, a number that follows a Latin
    word looks like one that comes before it. Marks stay behind the character that bears them.
    """
    if not _HAS_RIGHT_TO_LEFT.search(text):
        return text
    clusters = _clusters(text)
    kinds = [unicodedata.bidirectional(cluster[0]) for cluster in clusters]
    if not any(kind in _RIGHT_TO_LEFT for kind in kinds):
        return text
    base = int(sum(kind in _RIGHT_TO_LEFT for kind in kinds) >= kinds.count("L"))
    levels = _levels(_resolved(kinds, base), base)
    ordered = _reordered(list(range(len(clusters))), levels)
    return "".join(clusters[i].translate(_MIRRORED) if levels[i] % 2 else clusters[i] for i in ordered)


def runs_right_to_left(character: str) -> bool:
    """Whether a character is a letter of a script that runs from right to left."""
    return unicodedata.bidirectional(character) in _RIGHT_TO_LEFT


def mirrored(character: str) -> str:
    """Return what stands on paper for a character if the text runs from right to left: `)` for `(`."""
    return character.translate(_MIRRORED)


def _clusters(text: str) -> list[str]:
    """Characters, each with the marks on it."""
    clusters: list[str] = []
    for character in text:
        if clusters and unicodedata.bidirectional(character) in ("NSM", "BN"):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


def _resolved(kinds: list[str], base: int) -> list[str]:
    """The resolved type of each cluster: L, R, EN, AN, or N for a neutral one (rules W2 to W7)."""
    outside = "R" if base else "L"
    kinds = _european_or_arabic(kinds)
    for i in range(1, len(kinds) - 1):  # W4: one separator within a number
        before, after = kinds[i - 1], kinds[i + 1]
        if before == after and ((kinds[i] in ("ES", "CS") and before == "EN") or (kinds[i] == "CS" and before == "AN")):
            kinds[i] = before
    kinds = _with_terminators(kinds)
    strong = outside
    for i, kind in enumerate(kinds):  # W7
        if kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            kinds[i] = "L"
    return [kind if kind in ("L", "R", "EN", "AN") else "N" for kind in kinds]


def _european_or_arabic(kinds: list[str]) -> list[str]:
    """W2 and W3: digits after an Arabic letter are Arabic numbers."""
    result, strong = [], ""
    for kind in kinds:
        if kind in ("L", *_RIGHT_TO_LEFT):
            strong = kind
        result.append("AN" if kind == "EN" and strong == "AL" else "R" if kind == "AL" else kind)
    return result


def _with_terminators(kinds: list[str]) -> list[str]:
    """W5: signs such as % and $ beside a number belong to it."""
    result: list[str] = []
    for kind, run in groupby(kinds):
        length = len(list(run))
        start, end = len(result), len(result) + length
        beside = (start > 0 and kinds[start - 1] == "EN") or (end < len(kinds) and kinds[end] == "EN")
        result += ["EN" if kind == "ET" and beside else kind] * length
    return result


def _levels(kinds: list[str], base: int) -> list[int]:
    """The embedding level of each character (rules N1, N2, I1, I2)."""
    outside = "R" if base else "L"
    sides = [{"EN": "R", "AN": "R"}.get(kind, kind) for kind in kinds]
    levels: list[int] = []
    position = 0
    for kind, run in groupby(sides):
        end = position + len(list(run))
        if kind == "N":
            before = sides[position - 1] if position else outside
            after = sides[end] if end < len(sides) else outside
            own = before if before == after else outside
            levels += [int(own == "R")] * (end - position) if not base else [1 if own == "R" else 2] * (end - position)
        else:
            levels += [_level(kinds[i], base) for i in range(position, end)]
        position = end
    return levels


def _level(kind: str, base: int) -> int:
    if kind == "L":
        return 2 * base
    return 1 if kind == "R" else 2


def _reordered(order: list[int], levels: list[int]) -> list[int]:
    """Reverse, from the highest level down, every run of that level or higher (rule L2)."""
    for level in range(max(levels), 0, -1):
        turned: list[int] = []
        for high, run in groupby(order, key=lambda i: levels[i] >= level):
            part = list(run)
            turned += reversed(part) if high else part
        order = turned
    return order
