"""Texts made of the words of a list.

A line can be cut into words of the list and single characters that are no part of words (spaces, punctuation, signs), such
that no cut falls between two letters, digits or marks. So each run of letters, digits and marks is a word of the list, or part
of one that holds other characters itself, such as don't.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, cast

import numpy as np

from crnnocr.charset import BLANK, Charset
from crnnocr.decoders.automaton import IMPOSSIBLE, Automaton, State
from crnnocr.decoders.pattern_syntax import is_word_character
from crnnocr.errors import UsageError

_Place: TypeAlias = tuple[bool, bool, tuple[int, ...]]
"""Where a prefix leads: whether it can be cut at its end, whether a word character is the last one, and the nodes of the trie
that it may be in, if it is within a word."""

_ROOT = 0


class Lexicon(Automaton):
    """The lines made of listed words."""

    def __init__(self, words: Iterable[str], charset: Charset, allowed: frozenset[int]) -> None:
        """Compile `words` for texts of the `allowed` class ids.

        Raises `UsageError` where the charset can write none of them.
        """
        super().__init__()
        known, self.left_out = [], 0
        for word in words:
            if charset.unknown(word):
                self.left_out += 1
            else:
                known.append(charset.encode(word))
        if not known:
            raise UsageError("--lexicon holds no word that the model knows all characters of")
        self.words = len(known)
        self._in_words = frozenset(c for c in allowed if is_word_character(charset.decode([c])))
        self._between = allowed - self._in_words
        self._trie = _Trie((ids for ids in known if allowed.issuperset(ids)), charset.classes)

    @property
    def start(self) -> State:
        """Before the first word."""
        return True, False, ()

    def accepts(self, state: State) -> bool:
        """Whether no word is left unfinished."""
        can_cut, _, _ = cast("_Place", state)
        return can_cut

    def frames_needed(self, state: State, last: int) -> float:
        """The fewest frames that finish a word."""
        can_cut, _, nodes = cast("_Place", state)
        return 0 if can_cut else min(self._trie.frames_needed(node, last != BLANK) for node in nodes)

    def _arcs(self, state: State) -> Mapping[int, State]:
        can_cut, in_word, nodes = cast("_Place", state)
        reached: defaultdict[int, list[int]] = defaultdict(list)
        for node in (*nodes, _ROOT) if can_cut else nodes:
            for character, child in self._trie.children(node).items():
                if node != _ROOT or not (in_word and character in self._in_words):
                    reached[character].append(child)
        if can_cut:
            for character in self._between:
                reached[character].append(_ROOT)
        return {character: self._place(character, children) for character, children in reached.items()}

    def _place(self, last: int, nodes: list[int]) -> _Place:
        can_cut = any(node == _ROOT or self._trie.is_word(node) for node in nodes)
        # What a root would add is added to every place that can be cut.
        return can_cut, last in self._in_words, tuple(sorted(node for node in nodes if node != _ROOT))


class _Trie:
    """Words by their beginnings: a node for each, node 0 for the empty one."""

    def __init__(self, words: Iterable[Sequence[int]], classes: int) -> None:
        nodes: dict[int, int] = {}  # by parent · classes + character
        ends = set()
        for word in words:
            node = _ROOT
            for character in word:
                node = nodes.setdefault(node * classes + character, len(nodes) + 1)
            ends.add(node)
        parents, self._characters = np.divmod(np.fromiter(nodes, np.int64, len(nodes)), classes)
        self._order = np.argsort(parents, kind="stable")
        self._begins = np.searchsorted(parents[self._order], np.arange(len(nodes) + 2)).tolist()
        self._ends = frozenset(ends)
        self._needed = self._frames_needed(parents.tolist(), self._characters.tolist())

    def children(self, node: int) -> dict[int, int]:
        """By character, the beginnings that are longer by it."""
        own = self._order[self._begins[node] : self._begins[node + 1]]
        return dict(zip(self._characters[own].tolist(), (own + 1).tolist(), strict=True))

    def is_word(self, node: int) -> bool:
        """Whether the beginning is a word."""
        return node in self._ends

    def frames_needed(self, node: int, after_character: bool) -> float:
        """The fewest frames that make the beginning a word; more if its last character was in the frame before."""
        return self._needed[after_character][node]

    def _frames_needed(self, parents: list[int], characters: list[int]) -> tuple[list[float], list[float]]:
        """For each node the frames needed after a blank, and after its last character."""
        after_blank = [IMPOSSIBLE] * (len(parents) + 1)
        after_character = after_blank.copy()
        for node in self._ends:
            after_blank[node] = after_character[node] = 0
        last = [BLANK, *characters]
        # A child comes after its parent.
        for node in range(len(parents), 0, -1):
            parent = parents[node - 1]
            frames = 1 + after_character[node]
            after_blank[parent] = min(after_blank[parent], frames)
            after_character[parent] = min(after_character[parent], frames + (last[parent] == last[node]))
        return after_blank, after_character
