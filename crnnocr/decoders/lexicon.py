"""Texts made of the words of a list, which as a whole fit a pattern.

A line can be cut into words of the list and single characters that are no part of words (spaces, punctuation, signs), such
that no cut falls between two letters, digits or marks. So each run of letters, digits and marks is a word of the list, or part
of one that holds other characters itself, such as don't.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias, cast

import numpy as np

from crnnocr.charset import BLANK, Charset
from crnnocr.decoders.automaton import Automaton, State
from crnnocr.decoders.cuts import NOWHERE, Cuts
from crnnocr.decoders.pattern import Pattern
from crnnocr.decoders.pattern_syntax import is_word_character
from crnnocr.decoders.trie import Trie
from crnnocr.errors import UsageError

_MOST_BEGUN = 128
"""Cuts of which it is remembered what may begin there: in a large Chinese lexicon a megabyte each."""

_Place: TypeAlias = tuple[int, int]
"""The cut where a word began, and the place among what may begin there."""

_State: TypeAlias = tuple[int, tuple[_Place, ...]]
"""The cut that a prefix may end with, or nowhere, and the places within words that it may be in."""


class Lexicon(Automaton):
    """The lines made of listed words."""

    def __init__(self, words: Iterable[str], charset: Charset, allowed: frozenset[int], pattern: Pattern | None = None) -> None:
        """Compile `words` for texts of the `allowed` class ids that fit a `pattern`, which was compiled for the same.

        Raises `UsageError` where none of them can be written so, or where words and pattern are too large together.
        """
        super().__init__()
        listed = list(words)
        known = [ids for word in listed if not charset.unknown(word) and allowed.issuperset(ids := charset.encode(word))]
        self.words, self.left_out = len(known), len(listed) - len(known)
        if not known:
            raise UsageError("--lexicon holds no word of characters that the model knows and --allow and --block permit")
        in_words = np.array([False, *map(is_word_character, charset.characters)])
        self._trie = Trie([*known, *((id_,) for id_ in allowed if not in_words[id_])])
        self._cuts = Cuts(self._trie, pattern or Pattern(".*", charset, allowed), in_words)
        self._begun = lru_cache(_MOST_BEGUN)(lambda cut: self._children(cut, 0))

    @property
    def start(self) -> State:
        """Before the first word."""
        return 0, ()

    @property
    def beginnings(self) -> int:
        """Beginnings of words that are possible after all cuts together: what it costs to compile."""
        return self._cuts.size

    def accepts(self, state: State) -> bool:
        """Whether no word is left unfinished, and the pattern complete."""
        cut, _ = cast("_State", state)
        return cut != NOWHERE and bool(self._cuts.is_end[cut])

    def frames_needed(self, state: State, last: int) -> float:
        """The fewest frames that finish the words and complete the pattern."""
        cut, places = cast("_State", state)
        if not places:
            return self._cuts.frames_needed(cut)
        return min(self._cuts.beginnings[before].frames_needed(place, last != BLANK) for before, place in places)

    def _arcs(self, state: State) -> Mapping[int, State]:
        cut, places = cast("_State", state)
        begun = {} if cut == NOWHERE else self._begun(cut)
        longer: dict[int, _State] = {}
        for place in places:
            for character, reached in self._children(*place).items():
                longer[character] = self._both(longer[character], reached) if character in longer else reached
        for character in longer:
            if character in begun:
                longer[character] = self._both(longer[character], begun[character])
        # What may begin at a cut is shared by all prefixes that come to it: it may be thousands of characters.
        arcs = ChainMap(longer, begun) if longer and begun else longer or begun
        return cast("Mapping[int, State]", arcs)

    def _children(self, cut: int, place: int) -> dict[int, _State]:
        """By character, where a word leads that began at a cut and has come to a place."""
        own = self._cuts.beginnings[cut]
        children = slice(own.begins[place], own.begins[place + 1])
        reached = zip(own.cuts[children].tolist(), range(children.start, children.stop), strict=True)
        characters = self._trie.characters[own.nodes[children]].tolist()
        return {character: (after, ((cut, child),)) for character, (after, child) in zip(characters, reached, strict=True)}

    def _both(self, one: _State, other: _State) -> _State:
        """What it is to have come to the places of two states by the same prefix."""
        # The same node is the same wherever the word began.
        places = {self._cuts.beginnings[cut].nodes[place]: (cut, place) for cut, place in one[1] + other[1]}
        return max(one[0], other[0]), tuple(sorted(places.values()))
