"""Which characters each kind of display shows, and what it lights up for them."""

from __future__ import annotations

from enum import StrEnum


class Display(StrEnum):
    """A kind of display."""

    SEVEN = "seven"
    """Seven segments: digits, and the letters that look like no digit."""
    FOURTEEN = "fourteen"
    """Fourteen segments: digits and capitals."""
    DOTS = "dots"
    """A matrix of five by seven dots."""


SEVEN: dict[str, str] = {
    "0": "abcdef",
    "1": "bc",
    "2": "abdeg",
    "3": "abcdg",
    "4": "bcfg",
    "5": "acdfg",
    "6": "acdefg",
    "7": "abc",
    "8": "abcdefg",
    "9": "abcdfg",
    "A": "abcefg",
    "b": "cdefg",
    "C": "adef",
    "c": "deg",
    "d": "bcdeg",
    "E": "adefg",
    "F": "aefg",
    "H": "bcefg",
    "h": "cefg",
    "J": "bcde",
    "L": "def",
    "n": "ceg",
    "o": "cdeg",
    "P": "abefg",
    "r": "eg",
    "t": "defg",
    "U": "bcdef",
    "u": "cde",
    "y": "bcdfg",
    "°": "abfg",
    "-": "g",
    "_": "d",
    "=": "dg",
}
"""The segments of each character: a is the upper one, b to f follow clockwise, g is in the middle."""

SEVEN_VARIANTS: dict[str, str] = {"6": "cdefg", "7": "abcf", "9": "abcfg"}
"""How other displays show some digits. A 6 without its upper segment is a b elsewhere, so no text with letters has them."""

FOURTEEN: dict[str, str] = {
    "0": "abcdefjk",
    "1": "bcj",
    "2": "abdegG",
    "3": "abcdG",
    "4": "bcfgG",
    "5": "adfgm",
    "6": "acdefgG",
    "7": "abc",
    "8": "abcdefgG",
    "9": "abcdfgG",
    "A": "abcefgG",
    "B": "abcdGil",
    "C": "adef",
    "D": "abcdil",
    "E": "adefgG",
    "F": "aefg",
    "G": "acdefG",
    "H": "bcefgG",
    "I": "adil",
    "J": "bcde",
    "K": "efgjm",
    "L": "def",
    "M": "bcefhj",
    "N": "bcefhm",
    "O": "abcdef",
    "P": "abefgG",
    "Q": "abcdefm",
    "R": "abefgGm",
    "S": "acdfgG",
    "T": "ail",
    "U": "bcdef",
    "V": "efjk",
    "W": "bcefkm",
    "X": "hjkm",
    "Y": "hjl",
    "Z": "adjk",
    "°": "abfgG",
    "-": "gG",
    "_": "d",
    "=": "dgG",
    "+": "gGil",
    "*": "gGhijklm",
    "/": "jk",
    "\\": "hm",
    "%": "cfjk",
    "$": "acdfgGil",
    "<": "jm",
    ">": "hk",
}
"""The segments of each character: a to f as of seven; g and G are the left and right half of the middle; h, i and j run from
the upper left, top and upper right to the center, k, l and m from the lower left, bottom and lower right.
"""

MARKS = ".,:"
"""Signs between two cells of segments."""

DOT_ROWS, DOT_COLUMNS = 7, 5

_DOTS = """
! 00004f0000 " 0007000700 # 147f147f14 $ 242a7f2a12 % 2313086462 & 3649562050 ' 0000070000 ( 001c224100 ) 0041221c00
* 2a1c7f1c2a + 08083e0808 , 0050300000 - 0808080808 . 0060600000 / 2010080402 0 3e5149453e 1 00427f4000 2 4261514946
3 2141454b31 4 1814127f10 5 2745454539 6 3c4a494930 7 0171090503 8 3649494936 9 064949291e : 0036360000 ; 0056360000
< 0814224100 = 1414141414 > 0041221408 ? 0201510906 @ 324979413e A 7e1111117e B 7f49494936 C 3e41414122 D 7f4141221c
E 7f49494941 F 7f09090901 G 3e4149497a H 7f0808087f I 00417f4100 J 2040413f01 K 7f08142241 L 7f40404040 M 7f020c027f
N 7f0408107f O 3e4141413e P 7f09090906 Q 3e4151215e R 7f09192946 S 4649494931 T 01017f0101 U 3f4040403f V 1f2040201f
W 3f4038403f X 6314081463 Y 0708700807 Z 6151494543 [ 007f414100 \\ 0204081020 ] 0041417f00 ^ 0402010204 _ 4040404040
` 0001020400 a 2054545478 b 7f48444438 c 3844444420 d 384444487f e 3854545418 f 087e090102 g 0c5252523e h 7f08040478
i 00447d4000 j 2040443d00 k 7f10284400 l 00417f4000 m 7c04180478 n 7c08040478 o 3844444438 p 7c14141408 q 081414187c
r 7c08040408 s 4854545420 t 043f444020 u 3c4040207c v 1c2040201c w 3c4030403c x 4428102844 y 0c5050503c z 4464544c44
{ 0008364100 | 00007f0000 } 0041360800 ~ 0804081008 ° 0006090906 µ 7c1010083c Ω 5e6101615e ± 44445f4444 ² 0019151200
³ 0011150a00 € 143e554122 £ 487e494362
"""


def _parse_dots() -> dict[str, frozenset[tuple[int, int]]]:
    fields = _DOTS.split()
    return {
        character: frozenset(
            (column, row) for column, bits in enumerate(bytes.fromhex(code)) for row in range(DOT_ROWS) if bits >> row & 1
        )
        for character, code in zip(fields[::2], fields[1::2], strict=True)
    }


DOTS = _parse_dots()
"""The dots of each character as (column, row) from the upper left. A byte of `_DOTS` is a column, its lowest bit the top."""

SHOWN: dict[Display, frozenset[str]] = {
    Display.SEVEN: frozenset(SEVEN).union(MARKS),
    Display.FOURTEEN: frozenset(FOURTEEN).union(MARKS),
    Display.DOTS: frozenset(DOTS),
}
"""The characters that each kind shows, besides the space."""

CHARACTERS = frozenset(" ").union(*SHOWN.values())
"""All characters that some kind shows."""
