"""The words of a list by their beginnings, and which of them a pattern lets come where."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from crnnocr.charset import BLANK
from crnnocr.decoders.hypothesis import Floats, Ids, Indices
from crnnocr.decoders.pattern import Pattern

ROOT = 0
"""The empty beginning."""

_NEVER = np.iinfo(np.uint16).max
"""More frames than any line has."""


class Trie:
    """Words by their beginnings: a node for each, in order of length and, of one length, of their parents."""

    def __init__(self, words: Iterable[Ids]) -> None:
        """Write the tree of `words`, each of them class ids."""
        ordered = sorted({tuple(word) for word in words})
        lengths = np.array([len(word) for word in ordered])
        flat = np.array([character for word in ordered for character in word], dtype=np.int32)
        starts = lengths.cumsum() - lengths
        parents, characters = [np.zeros(1, dtype=np.int32)], [np.full(1, BLANK, dtype=np.int32)]
        nodes = np.zeros(len(ordered), dtype=np.int64)  # by word, that of its beginning so far
        count = 1
        for length in range(lengths.max()):
            longer = np.flatnonzero(lengths > length)
            own, last = nodes[longer], flat[starts[longer] + length]
            # Words with the same beginning follow each other.
            is_new = (np.diff(own, prepend=-1) != 0) | (np.diff(last, prepend=-1) != 0)
            nodes[longer] = count - 1 + is_new.cumsum()
            parents.append(own[is_new].astype(np.int32))
            characters.append(last[is_new])
            count += len(parents[-1])
        self.characters = np.concatenate(characters)
        """(N,) by node, the last character."""
        self.is_word = np.zeros(count, dtype=bool)
        """(N,) by node, whether it is a word, not only a beginning."""
        self.is_word[nodes] = True
        self.begins = np.searchsorted(np.concatenate(parents)[1:], np.arange(count + 1)) + 1
        """(N + 1,) by node, its first child; they end where those of the next node begin."""
        self.firsts, self.frames = self._from_the_root(parents)

    def _from_the_root(self, parents: list[NDArray[np.int32]]) -> tuple[Indices, Indices]:
        """(N,) by node, its first character, and (N,) the fewest frames that write it."""
        firsts, frames = np.zeros((2, len(self.characters)), dtype=np.int64)
        begin = 1
        for level in parents[1:]:
            own = slice(begin, begin + len(level))
            firsts[own] = np.where(level == ROOT, self.characters[own], firsts[level])
            frames[own] = frames[level] + 1 + (self.characters[own] == self.characters[level])
            begin = own.stop
        return firsts, frames


class Beginnings:
    """The part of a trie that a pattern lets follow one of its states: its nodes here are called places.

    Place 0 is the root. What each place still needs is known after `settle`.
    """

    cuts: NDArray[np.int32]
    """(P,) by place, the cut that may follow it, or -1."""

    def __init__(self, trie: Trie, pattern: Pattern, state: int, first: NDArray[np.bool_]) -> None:
        """Walk down the trie.

        Args:
            trie: all words.
            pattern: what they must fit.
            state: that of the pattern before them.
            first: (C,) by class, whether a word may begin with it.
        """
        nodes, states, counts = [np.zeros(1, dtype=np.int64)], [np.full(1, state)], [np.ones(1, dtype=np.int64)]
        while len(nodes[-1]):
            parents, children = _children(trie.begins, nodes[-1])
            characters = trie.characters[children]
            after = pattern.after(states[-1][parents], characters)
            kept = after >= 0
            if len(nodes) == 1:
                kept &= first[characters]
            counts.append(np.bincount(parents[kept], minlength=len(nodes[-1])))
            nodes.append(children[kept])
            states.append(after[kept])
        self._trie = trie
        self._levels = np.cumsum([0, *map(len, nodes)]).tolist()
        self.nodes = np.concatenate(nodes).astype(np.int32)
        """(P,) by place, the node of the trie."""
        self.begins = np.concatenate(counts).cumsum().astype(np.int32)
        """(P + 1,) by place, its first child; they end where those of the next place begin."""
        self.words = np.flatnonzero(trie.is_word[self.nodes])
        """(W,) places that are words."""
        self.states = np.concatenate(states)[self.words]
        """(W,) by word, the state of the pattern after it."""

    def settle(self, cuts: Indices, after_blank: Floats, after_character: Floats) -> None:
        """Work out the frames that all places need.

        Args:
            cuts: (W,) by word, the cut after it.
            after_blank: (W,) the frames that are needed there after a blank.
            after_character: (W,) the same after the word's last character.
        """
        self.cuts = np.full(len(self.nodes), -1, dtype=np.int32)
        self.cuts[self.words] = cuts
        needed = np.full((2, len(self.nodes)), np.inf, dtype=np.float32)
        needed[:, self.words] = after_blank, after_character
        characters = self._trie.characters[self.nodes]
        for begin, end, last in reversed([*zip(self._levels, self._levels[1:], self._levels[2:], strict=False)]):
            parents = np.repeat(np.arange(begin, end), np.diff(self.begins[begin : end + 1]))
            through = needed[1, end:last] + 1
            np.minimum.at(needed[0], parents, through)
            np.minimum.at(needed[1], parents, through + (characters[parents] == characters[end:last]))
        self._needed = np.minimum(needed, _NEVER).astype(np.uint16)

    def frames_needed(self, place: int, after_character: bool) -> float:
        """The fewest frames that a place still needs: after a blank, or after its last character."""
        needed = int(self._needed[int(after_character), place])
        return needed if needed < _NEVER else np.inf


def _children(begins: Indices, nodes: Indices) -> tuple[Indices, Indices]:
    """All children of some nodes: the index of the parent of each, and the child."""
    counts = begins[nodes + 1] - begins[nodes]
    parents = np.repeat(np.arange(len(nodes)), counts)
    return parents, np.arange(len(parents)) + (begins[nodes] - counts.cumsum() + counts)[parents]
