"""Between the words of a line: what may follow there, and the frames that it needs.

What can follow a cut depends on nothing but the state of the pattern there and on whether a word character is before it. So
there are few cuts, each with its part of the trie, and what they need is worked out between them (Bellman 1958, "On a Routing
Problem"), then within the words from their ends back.

The words of a list by their beginnings, and which of them a pattern lets come where.

Texts made of the words of a list, which as a whole fit a pattern.

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
from numpy.typing import NDArray

from crnnocr.decoding.automaton import Automaton, State
from crnnocr.decoding.hypothesis import Floats, Ids, Indices
from crnnocr.decoding.pattern import Pattern
from crnnocr.decoding.pattern_syntax import is_word_character
from crnnocr.errors import UsageError
from crnnocr.text.charset import BLANK, Charset

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
