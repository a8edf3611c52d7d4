"""Embedding levels: which characters of a line run which way, by the Unicode Bidirectional Algorithm (UAX #9).

The rules keep their names of the standard: X for explicit embeddings and isolates, W for numbers, N for neutral characters, I
for levels. Even levels run from left to right, odd ones from right to left.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

_PAIRS = (
    "()<>[]{}«»༺༻༼༽᚛᚜‹›⁅⁆⁽⁾₍₎∈∋∉∌∊∍∕⧵∼∽≃⋍≒≓≔≕≤≥≦≧≨≩≪≫≮≯≰≱≲≳≴≵≶≷≸≹≺≻≼≽≾≿⊀⊁⊂⊃⊄⊅⊆⊇⊈⊉⊊⊋⊏⊐⊑⊒⊘⦸⊢⊣⊦⫞⊨⫤⊩⫣⊫⫥⊰⊱⊲⊳⊴⊵⊶⊷⋉⋊⋋⋌"
    "⋐⋑⋖⋗⋘⋙⋚⋛⋜⋝⋞⋟⋠⋡⋢⋣⋤⋥⋦⋧⋨⋩⋪⋫⋬⋭⋰⋱⋲⋺⋳⋻⋴⋼⋶⋽⋷⋾⌈⌉⌊⌋❨❩❪❫❬❭❮❯❰❱❲❳❴❵⟃⟄⟅⟆⟈⟉⟋⟍⟕⟖⟝⟞⟢⟣⟤⟥⟦⟧⟨⟩⟪⟫⟬⟭⟮⟯⦃⦄⦅⦆⦇⦈⦉⦊⦋⦌⦍⦐⦎⦏"
    "⦑⦒⦓⦔⦕⦖⦗⦘⧀⧁⧄⧅⧏⧐⧑⧒⧔⧕⧘⧙⧚⧛⧸⧹⧼⧽⨫⨬⨭⨮⨴⨵⨼⨽⩤⩥⩹⩺⩽⩾⩿⪀⪁⪂⪃⪄⪋⪌⪑⪒⪓⪔⪕⪖⪗⪘⪙⪚⪛⪜⪡⪢⪦⪧⪨⪩⪪⪫⪬⪭⪯⪰⪳⪴⪻⪼⪽⪾⪿⫀⫁⫂⫃⫄⫅⫆⫍⫎⫏⫐⫑⫒"
    "⫓⫔⫕⫖⫬⫭⫷⫸⫹⫺⸂⸃⸄⸅⸉⸊⸌⸍⸜⸝⸠⸡⸢⸣⸤⸥⸦⸧⸨⸩〈〉《》「」『』【】〔〕〖〗〘〙〚〛﹙﹚﹛﹜﹝﹞﹤﹥（）＜＞［］｛｝｟｠｢｣"
)
MIRRORED: dict[str, str] = {c: _PAIRS[i ^ 1] for i, c in enumerate(_PAIRS)}
"""The glyph that a character has where it runs from right to left (BidiMirroring.txt, after NFC)."""

RIGHT_TO_LEFT = ("R", "AL")
_STRONG = ("L", *RIGHT_TO_LEFT)
_RESOLVED = ("L", "R", "EN", "AN")
_SEPARATORS = ("S", "B")
_EMBEDDINGS = {"LRE": "N", "RLE": "N", "LRO": "L", "RLO": "R"}
"""Each with what it makes of the characters in it; N leaves them as they are."""
_ISOLATES = ("LRI", "RLI", "FSI")
REMOVED = (*_EMBEDDINGS, "PDF", "BN")
_MAX_DEPTH = 125
_MAX_BRACKETS = 63


@dataclass(frozen=True)
class Item:
    """A character with the marks on it, or an invisible control."""

    text: str
    kind: str = ""
    """Its Bidi_Class."""
    is_control: bool = False
    """Whether it directs the others and has no ink: a directional mark, embedding, override or isolate."""


@dataclass
class _Sequence:
    """An isolating run sequence (BD13)."""

    indices: list[int] = field(default_factory=list)
    level: int = 0


def outside(level: int) -> str:
    """The direction of a level, L or R."""
    return "R" if level % 2 else "L"


def bracket(character: str) -> str:
    """Ps for an opening bracket that has a partner, Pe for a closing one, else nothing (BidiBrackets.txt)."""
    category = unicodedata.category(character) if character in MIRRORED else ""
    return category if category in ("Ps", "Pe") else ""


def embedding_levels(items: Sequence[Item], base: int) -> list[int]:
    """The embedding level of each item in a line of base level `base`."""
    levels, kinds = _explicit([item.kind for item in items], base)
    result = list(levels)
    for sequence in _sequences(levels, [item.kind for item in items]):
        own = sequence.indices
        around = [_beside(levels, items, own[0] - 1, -1, base), _beside(levels, items, own[-1] + 1, 1, base)]
        if items[own[-1]].kind in _ISOLATES:  # without a match
            around[1] = base
        start, end = (outside(max(sequence.level, level)) for level in around)
        resolved = resolve([kinds[i] for i in own], [items[i].text for i in own], sequence.level, start, end)
        for i, kind in zip(own, resolved, strict=True):
            result[i] = sequence.level + _rise(kind, sequence.level)
    _reset_spaces(items, result, base)
    return result


def resolve(kinds: Sequence[str], texts: Sequence[str], level: int, start: str, end: str) -> list[str]:
    """The resolved kind of each item of a sequence: L, R, EN or AN (W2 to W7, N0 to N2).

    W1 needs no rule, since marks belong to their characters.

    Args:
        kinds: Bidi_Class of each.
        texts: what they are, for brackets.
        level: that of the sequence.
        start: the direction before it.
        end: the direction after it.
    """
    numbers = _numbers(kinds, start)
    _pair_brackets(numbers, texts, level, start)
    sides = ["R" if kind in ("EN", "AN") else kind for kind in numbers]
    result: list[str] = []
    for is_neutral, run in groupby(range(len(numbers)), key=lambda i: numbers[i] not in _RESOLVED):
        own = list(run)
        if is_neutral:  # N1 and N2
            before = sides[own[0] - 1] if own[0] else start
            after = sides[own[-1] + 1] if own[-1] + 1 < len(sides) else end
            result += [before if before == after else outside(level)] * len(own)
        else:
            result += [numbers[i] for i in own]
    return result


def _numbers(given: Sequence[str], start: str) -> list[str]:
    """Kinds after W2 to W7."""
    kinds: list[str] = []
    strong = start
    for kind in given:
        if kind in _STRONG:
            strong = kind
        kinds.append("AN" if kind == "EN" and strong == "AL" else kind)  # W2
    kinds = ["R" if kind == "AL" else kind for kind in kinds]  # W3
    for i in range(1, len(kinds) - 1):  # W4
        before, after = kinds[i - 1], kinds[i + 1]
        if before == after and ((kinds[i] in ("ES", "CS") and before == "EN") or (kinds[i] == "CS" and before == "AN")):
            kinds[i] = before
    position = 0
    for kind, run in groupby(list(kinds)):  # W5
        end = position + len(list(run))
        beside = kinds[position - 1 : position] + kinds[end : end + 1]
        if kind == "ET" and "EN" in beside:
            kinds[position:end] = ["EN"] * (end - position)
        position = end
    strong = start
    for i, kind in enumerate(kinds):  # W7
        if kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            kinds[i] = "L"
    return kinds


def _pair_brackets(kinds: list[str], texts: Sequence[str], level: int, start: str) -> None:
    """N0: both brackets of a pair take one direction."""
    own = outside(level)
    for opening, closing in sorted(_pairs(kinds, texts)):
        inside = {"R" if kind in ("EN", "AN") else kind for kind in kinds[opening:closing]} & {"L", "R"}
        if not inside:
            continue
        before = (kind for kind in reversed(kinds[:opening]) if kind in _RESOLVED)
        context = next(before, start)
        same = own in inside or (context == "L") == (own == "L")
        kinds[opening] = kinds[closing] = own if same else outside(level + 1)


def _pairs(kinds: Sequence[str], texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Indices of the brackets of each pair (BD16)."""
    stack: list[tuple[str, int]] = []
    for i, (kind, text) in enumerate(zip(kinds, texts, strict=True)):
        type_ = bracket(text[0]) if kind == "ON" else ""
        if type_ == "Ps":
            if len(stack) == _MAX_BRACKETS:
                return
            stack.append((MIRRORED[text[0]], i))
        elif type_ == "Pe":
            found = next((n for n in reversed(range(len(stack))) if stack[n][0] == text[0]), None)
            if found is not None:
                yield stack[found][1], i
                del stack[found:]


def _rise(kind: str, level: int) -> int:
    """I1 and I2: how far a resolved kind lies above the level of its sequence."""
    if level % 2:
        return int(kind != "R")
    return {"L": 0, "R": 1}.get(kind, 2)


class _Explicit:
    """The stack of embeddings, overrides and isolates (X1 to X8)."""

    def __init__(self, base: int) -> None:
        self.stack: list[tuple[int, str, bool]] = [(base, "N", False)]
        """Level, override and whether it is an isolate."""
        self._isolates = self._lost_isolates = self._lost_embeddings = 0

    def open(self, kind: str, rightward: bool) -> None:
        """Begin an embedding, override or isolate, if it is not too deep."""
        level, is_isolate = self.stack[-1][0], kind in _ISOLATES
        deeper = (level + 2) & ~1 if rightward else (level + 1) | 1
        if deeper <= _MAX_DEPTH and not self._lost_isolates and not self._lost_embeddings:
            self._isolates += is_isolate
            self.stack.append((deeper, _EMBEDDINGS.get(kind, "N"), is_isolate))
        elif is_isolate:
            self._lost_isolates += 1
        elif not self._lost_isolates:
            self._lost_embeddings += 1

    def close_isolate(self) -> None:
        """End the last isolate, and what was begun in it."""
        if self._lost_isolates:
            self._lost_isolates -= 1
        elif self._isolates:
            self._lost_embeddings = 0
            while not self.stack.pop()[2]:
                pass
            self._isolates -= 1

    def close_embedding(self) -> None:
        """End the last embedding or override, unless an isolate was begun after it."""
        if self._lost_isolates:
            return
        if self._lost_embeddings:
            self._lost_embeddings -= 1
        elif len(self.stack) > 1 and not self.stack[-1][2]:
            self.stack.pop()


def _explicit(kinds: Sequence[str], base: int) -> tuple[list[int], list[str]]:
    """Levels and kinds after X1 to X8; what X9 removes has the level of what is around it."""
    state = _Explicit(base)
    levels: list[int] = []
    result: list[str] = []
    for i, kind in enumerate(kinds):
        if kind == "PDI":
            state.close_isolate()
        level, override, _ = state.stack[-1]
        levels.append(base if kind == "B" else level)
        result.append(kind if override == "N" or kind in (*REMOVED, "B") else override)
        if kind in _EMBEDDINGS or kind in _ISOLATES:
            state.open(kind, _first_strong(kinds, i + 1) == "L" if kind == "FSI" else kind[0] == "L")
        elif kind == "PDF":
            state.close_embedding()
    return levels, result


def _first_strong(kinds: Sequence[str], start: int) -> str:
    """L or R: the direction of the first strong character of an isolate (P2, P3)."""
    depth = 0
    for kind in kinds[start:]:
        if kind in _ISOLATES:
            depth += 1
        elif kind == "PDI":
            if not depth:
                break
            depth -= 1
        elif kind in _STRONG and not depth:
            return "L" if kind == "L" else "R"
    return "L"


def _sequences(levels: Sequence[int], kinds: Sequence[str]) -> list[_Sequence]:
    """The isolating run sequences of a line: level runs, joined from an isolate's beginning to its end (BD13)."""
    found: list[_Sequence] = []
    waiting: list[_Sequence] = []
    kept = [i for i, kind in enumerate(kinds) if kind not in REMOVED]
    for level, run in groupby(kept, key=lambda i: levels[i]):
        own = list(run)
        if kinds[own[0]] == "PDI" and waiting and waiting[-1].level == level:
            sequence = waiting.pop()
        else:
            sequence = _Sequence(level=level)
            found.append(sequence)
        sequence.indices += own
        if kinds[own[-1]] in _ISOLATES:
            waiting.append(sequence)
    return found


def _beside(levels: Sequence[int], items: Sequence[Item], i: int, step: int, base: int) -> int:
    """The level of the next item that X9 does not remove; the base level at the ends of the line."""
    while 0 <= i < len(items):
        if items[i].kind not in REMOVED:
            return levels[i]
        i += step
    return base


def _reset_spaces(items: Sequence[Item], levels: list[int], base: int) -> None:
    """L1: separators, and the spaces before them and at the end, have the base level."""
    trailing = True
    for i in reversed(range(len(items))):
        kind = items[i].kind
        if kind in _SEPARATORS:
            trailing = True
        elif kind not in ("WS", *_ISOLATES, "PDI", *REMOVED):
            trailing = False
        if trailing:
            levels[i] = base
