"""Between the words of a line: what may follow there, and the frames that it needs.

What can follow a cut depends on nothing but the state of the pattern there and on whether a word character is before it. So
there are few cuts, each with its part of the trie, and what they need is worked out between them (Bellman 1958, "On a Routing
Problem"), then within the words from their ends back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crnnocr.decoders.hypothesis import Floats, Indices
from crnnocr.decoders.pattern import Pattern
from crnnocr.decoders.trie import Beginnings, Trie
from crnnocr.errors import UsageError

NOWHERE = -1
"""No cut."""

_MOST_BEGINNINGS = 1 << 24
"""Beginnings of words after all cuts together, 16 bytes each: 256 MB."""


class Cuts:
    """The cuts of all permitted lines. Cut 0 is before the first word."""

    def __init__(self, trie: Trie, pattern: Pattern, in_words: NDArray[np.bool_]) -> None:
        """Find them, and what they need.

        Args:
            trie: the words, and the characters that are no part of words as words of their own.
            pattern: what the lines fit.
            in_words: (C,) by class, whether it is a word character. No cut is between two of them.
        """
        self._trie = trie
        self._in_words = in_words
        # Word characters are one kind, for they are never repeated over a cut; each other character is one of its own.
        self._kinds = np.where(in_words, 0, (~in_words).cumsum())
        self._sides = int(self._kinds.max()) + 1
        self._ids = np.full(2 * pattern.states, NOWHERE)
        """By code, the cut."""
        states = [0]
        self._ids[0] = 0
        self.beginnings: list[Beginnings] = []
        """By cut, what may begin there."""
        self.size = 0
        """All that together: what it costs to compile."""
        links = []
        for cut, code in enumerate(states):  # which grows
            self.beginnings.append(Beginnings(trie, pattern, code // 2, ~in_words if code % 2 else np.ones_like(in_words)))
            self.size += len(self.beginnings[-1].nodes)
            if self.size > _MOST_BEGINNINGS:
                raise UsageError(
                    "--lexicon and --pattern are too large together: take a shorter list, or a pattern that counts less"
                )
            links.append(self._links(cut))
            reached = np.unique(links[-1][:, 1])
            new = reached[self._ids[reached] == NOWHERE]
            self._ids[new] = len(states) + np.arange(len(new))
            states += new.tolist()
        self.is_end = np.array([pattern.accepts(code // 2) for code in states])
        """By cut, whether a line may end there."""
        self._needed = self._settled(np.concatenate(links))
        for own in self.beginnings:
            last = self._trie.characters[own.nodes[own.words]]
            cuts = self._ids[self._codes(own)]
            own.settle(cuts, self._needed[cuts, 0], self._needed[cuts, self._kinds[last]])

    def frames_needed(self, cut: int) -> float:
        """The fewest frames that make a line of what is before a cut, after a blank."""
        return float(self._needed[cut, 0])

    def _codes(self, own: Beginnings) -> Indices:
        """(W,) by word, the cut after it as a state of the pattern · 2 + whether a word character is before it."""
        return 2 * own.states + self._in_words[self._trie.characters[own.nodes[own.words]]]

    def _links(self, cut: int) -> Indices:
        """(M, 5): the cut, what it leads to by a word, the kinds of the word's first and last character, its fewest frames."""
        trie, own = self._trie, self.beginnings[cut]
        nodes = own.nodes[own.words]
        first, last = self._kinds[trie.firsts[nodes]], self._kinds[trie.characters[nodes]]
        order = np.argsort(trie.frames[nodes], kind="stable")
        ends = np.stack([self._codes(own), first, last, trie.frames[nodes]], axis=1)[order]
        keys = (ends[:, 0] * self._sides + ends[:, 1]) * self._sides + ends[:, 2]
        shortest = ends[np.unique(keys, return_index=True)[1]]
        return np.insert(shortest, 0, cut, axis=1)

    def _settled(self, links: Indices) -> Floats:
        """(cuts, kinds): the frames needed after a character of each kind; in column 0 after a blank or any word character."""
        source, code, first, last, frames = links.T
        target = self._ids[code]
        shape = len(self.beginnings), self._sides
        needed = np.full(shape, np.inf)
        needed[self.is_end] = 0.0
        while True:
            through = np.full(shape, np.inf)
            np.minimum.at(through, (source, first), frames + needed[target, last])
            least = through.min(axis=1, keepdims=True)
            is_least = through == least
            # Where all the shortest ways begin with one character, a blank comes between it and the same before it.
            better = least + (is_least & (is_least.sum(axis=1, keepdims=True) == 1))
            better[:, 0] = least[:, 0]
            better[self.is_end] = 0.0
            if np.array_equal(better, needed):
                return needed
            needed = better
