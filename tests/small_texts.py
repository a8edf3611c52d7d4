"""Small alphabets and all of their short texts, to judge automata by: what tests of patterns, lexicons and searches share."""

from __future__ import annotations

import itertools
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from paths import Floats, Text, text_probs

from crnnocr.config import DecodeConfig
from crnnocr.decoding.automaton import Automaton
from crnnocr.text.charset import Charset, frames_needed

CHARSET = Charset("ab1' ")
"""Two letters, a digit, and two characters that stand between words."""


ALL = frozenset(range(1, CHARSET.classes))


_SPELLED = ("".join(text) for n in range(6) for text in itertools.product(CHARSET.characters, repeat=n))
TEXTS = [text for text in _SPELLED if text == " ".join(text.split())]
"""All short single-spaced texts."""


def permitted(automaton: Automaton) -> set[str]:
    """Which of all texts of up to five characters an automaton permits."""
    return {text for text in TEXTS if automaton.accepts(tuple(CHARSET.encode(text)))}


LISTS = [
    ["a"],
    ["a", "ab"],
    ["ab", "b1"],
    ["a'b"],
    ["a", "a'"],
    ["a'b", "b"],
    ["'a", "b"],
    ["a b", "1"],
    ["aa", "aab", "b'b"],
    ["''", "a"],
]


@cache
def is_line_of(words: tuple[str, ...], line: str) -> bool:
    """Whether `line` can be divided into words and separators, no boundary between word characters: every division tried."""
    if not line:
        return True
    for end in range(1, len(line) + 1):
        piece, rest = line[:end], line[end:]
        if rest and piece[-1].isalnum() and rest[0].isalnum():
            continue
        if (piece in words or piece in ("'", " ")) and is_line_of(words, rest):
            return True
    return False


def assert_needs_fewest_frames(automaton: Automaton) -> None:
    """From every prefix of up to two characters, the frames needed are those of its shortest completion."""
    accepted = [tuple(CHARSET.encode(text)) for text in permitted(automaton)]
    space = CHARSET.characters.index(" ") + 1
    for prefix in ((), *((c,) for c in ALL), *itertools.product(ALL, repeat=2)):
        if prefix[:1] == (space,):
            continue
        state = automaton.start
        try:
            for character in prefix:
                state = automaton.transitions(state)[character]
        except KeyError:
            continue
        rests = [text[len(prefix) :] for text in accepted if text[: len(prefix)] == prefix]
        if prefix[-1:] == (space,) and prefix[:-1] in accepted:
            rests.append(())  # the space is at the edge
        for last in (0, *prefix[-1:]):
            # With the last character before them, its repetition needs a blank; after a blank it does not.
            fewest = min((frames_needed((last, *rest)) - 1 for rest in rests), default=math.inf)
            # Completions of more than three characters are not among the texts that were tried.
            found = automaton.frames_needed(state, last)
            # Spaces in a row, which no text has, may seem to do with fewer frames than a character twice.
            assert fewest - 2 <= found <= fewest or (found > 3 and fewest > 3)


HEBREW = Charset.from_texts(["אבג 12.", "(אב)", "ab"])


def accepts_text(text: str, automaton: Automaton) -> bool:
    return automaton.accepts(tuple(HEBREW.encode(text)))


SMALL = Charset("ab ")
"""Of which all texts that fit five frames are searched."""


SPACE = SMALL.characters.index(" ") + 1


def probs_of_small(line: Floats, allow: str = SMALL.characters, block: str = "") -> dict[Text, float]:
    """The probability of every text of `SMALL`; a space that is not allowed is a blank."""
    if " " not in set(allow) - set(block):
        line = line.copy()
        line[:, 0] = np.logaddexp(line[:, 0], line[:, SPACE])
        line[:, SPACE] = -np.inf
    return text_probs(line, (SPACE,))


def configured(tmp_path: Path, options: dict[str, Any], **others: Any) -> DecodeConfig:
    """The config of options, with the lexicon in a file."""
    if "lexicon" in options:
        path = tmp_path / "words.txt"
        path.write_text("\n".join(options["lexicon"]), encoding="utf-8")
        options = {**options, "lexicon": str(path)}
    return DecodeConfig(**options, **others)
