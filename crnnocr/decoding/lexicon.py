"""Texts made of the words of a list, which as a whole fit a pattern.

A line is divided into words of the list and single characters that are no part of words (spaces, punctuation, signs), such that
no word boundary falls between two letters, digits or marks. So each run of letters, digits and marks is a word of the list, or
part of one that holds other characters itself, such as don't.

What may follow a word boundary depends only on the state of the pattern there and on whether a word character is before it. So
there are few boundaries (`_WordBoundaries`), each with its part of the trie of all words (`_Trie`, `_Prefixes`). The frames
that they need are settled between the boundaries first (Bellman 1958, "On a Routing Problem"), then within the words from their
ends back.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from crnnocr.config import MAX_WIDTH
from crnnocr.decoding.automaton import Automaton, State
from crnnocr.decoding.hypothesis import Floats, Ids, Indices
from crnnocr.decoding.pattern import Pattern
from crnnocr.decoding.pattern_syntax import is_word_character
from crnnocr.errors import ConfigError
from crnnocr.text.charset import BLANK, Charset

MAX_PREFIXES = 1 << 24
"""Prefixes of words after all boundaries together, 16 bytes each: 256 MB."""

_MAX_CACHED_STARTS = 128
"""Boundaries of which the words that may begin there are cached: in a large Chinese lexicon a megabyte each."""

_MAX_LENGTH = MAX_WIDTH // 4
"""Characters of the longest word that a line can hold."""

_NO_BOUNDARY = -1

_NEVER = np.iinfo(np.uint16).max
"""More frames than any line has."""

_Place: TypeAlias = tuple[int, int]
"""The boundary at which a word began, and the place among the prefixes that may follow it."""

_State: TypeAlias = tuple[int, tuple[_Place, ...]]
"""The boundary that a text may end at, or `_NO_BOUNDARY`, and the places within words that it may be in."""


class Lexicon(Automaton):
    """The lines made of listed words."""

    def __init__(
        self,
        words: Iterable[str],
        charset: Charset,
        allowed: frozenset[int],
        pattern: Pattern | None = None,
        max_prefixes: int = MAX_PREFIXES,
    ) -> None:
        """Compile a word list.

        Args:
            words: the list.
            charset: the characters of the model.
            allowed: class ids of the characters that texts may hold.
            pattern: fits the whole texts; compiled for the same characters.
            max_prefixes: largest size of the result, see `prefixes`.

        Raises:
            ConfigError: none of the words can be written, or words and pattern are too large together.
        """
        super().__init__()
        listed = list(words)
        in_lines = [charset.encode_in_lines(word) if len(word) <= _MAX_LENGTH else () for word in listed]
        permitted = [[ids for ids in forms if allowed.issuperset(ids)] for forms in in_lines]
        self.words = sum(map(bool, permitted))
        self.excluded = len(listed) - self.words
        """Numbers of words that are permitted, and that are too long or hold characters which are unknown or not allowed."""
        known = [ids for forms in permitted for ids in forms]
        if not known:
            raise ConfigError("lexicon", "holds no word of characters that the model knows and `allow` and `block` permit")
        in_words = np.array([False, *map(is_word_character, charset.characters)])
        self._trie = _Trie([*known, *((id_,) for id_ in allowed if not in_words[id_])])
        self._boundaries = _WordBoundaries(self._trie, pattern or Pattern(".*", charset, allowed), in_words, max_prefixes)
        self._starts = lru_cache(_MAX_CACHED_STARTS)(lambda boundary: self._children(boundary, 0))

    @property
    def start(self) -> State:
        """Before the first word."""
        return 0, ()

    @property
    def prefixes(self) -> int:
        """Prefixes of words that may follow all boundaries together: the cost of compiling."""
        return self._boundaries.size

    def is_final(self, state: State) -> bool:
        """Whether no word is unfinished, and the pattern complete."""
        boundary, _ = cast("_State", state)
        return boundary != _NO_BOUNDARY and bool(self._boundaries.is_end[boundary])

    def frames_needed(self, state: State, last: int) -> float:
        """The fewest frames that finish the words and complete the pattern."""
        boundary, places = cast("_State", state)
        if not places:
            return self._boundaries.frames_needed(boundary)
        return min(self._boundaries.prefixes[start].frames_needed(place, last != BLANK) for start, place in places)

    def _transitions(self, state: State) -> Mapping[int, State]:
        boundary, places = cast("_State", state)
        begun = {} if boundary == _NO_BOUNDARY else self._starts(boundary)
        longer: dict[int, _State] = {}
        for place in places:
            for character, reached in self._children(*place).items():
                longer[character] = self._union(longer[character], reached) if character in longer else reached
        for character in longer:
            if character in begun:
                longer[character] = self._union(longer[character], begun[character])
        # The words that may begin at a boundary are shared by all prefixes that reach it: they may be thousands.
        transitions = ChainMap(longer, begun) if longer and begun else longer or begun
        return cast("Mapping[int, State]", transitions)

    def _children(self, boundary: int, place: int) -> dict[int, _State]:
        """By character, where a word leads that began at a boundary and has come to a place."""
        own = self._boundaries.prefixes[boundary]
        children = slice(own.begins[place], own.begins[place + 1])
        reached = zip(own.boundaries[children].tolist(), range(children.start, children.stop), strict=True)
        characters = self._trie.characters[own.nodes[children]].tolist()
        return {character: (after, ((boundary, child),)) for character, (after, child) in zip(characters, reached, strict=True)}

    def _union(self, one: _State, other: _State) -> _State:
        """The state of a text that leads to both states."""
        # A node is the same wherever the word began.
        places = {self._boundaries.prefixes[start].nodes[place]: (start, place) for start, place in one[1] + other[1]}
        return max(one[0], other[0]), tuple(sorted(places.values()))


class _Trie:
    """The prefixes of words: a node for each, in order of length and, of one length, of their parents. Node 0 is the root."""

    def __init__(self, words: Iterable[Ids]) -> None:
        """Build the tree of `words`, each of them class ids."""
        ordered = sorted({tuple(word) for word in words})
        lengths = np.array([len(word) for word in ordered])
        flat = np.array([character for word in ordered for character in word], dtype=np.int32)
        starts = lengths.cumsum() - lengths
        parents, characters = [np.zeros(1, dtype=np.int32)], [np.full(1, BLANK, dtype=np.int32)]
        nodes = np.zeros(len(ordered), dtype=np.int64)  # by word, that of its prefix so far
        count = 1
        for length in range(lengths.max()):
            longer = np.flatnonzero(lengths > length)
            own, last = nodes[longer], flat[starts[longer] + length]
            # Words with the same prefix follow each other.
            is_new = (np.diff(own, prepend=-1) != 0) | (np.diff(last, prepend=-1) != 0)
            nodes[longer] = count - 1 + is_new.cumsum()
            parents.append(own[is_new].astype(np.int32))
            characters.append(last[is_new])
            count += len(parents[-1])
        self.characters = np.concatenate(characters)
        """(N,) by node, the last character."""
        self.is_word = np.zeros(count, dtype=bool)
        """(N,) by node, whether it is a whole word."""
        self.is_word[nodes] = True
        self.begins = np.searchsorted(np.concatenate(parents)[1:], np.arange(count + 1)) + 1
        """(N + 1,) by node, its first child; its last is before the first of the next node."""
        self.firsts, self.frames = self._from_the_root(parents)

    def _from_the_root(self, parents: list[NDArray[np.int32]]) -> tuple[Indices, Indices]:
        """(N,) by node, its first character, and (N,) the fewest frames that hold it."""
        firsts, frames = np.zeros((2, len(self.characters)), dtype=np.int64)
        begin = 1
        for level in parents[1:]:
            own = slice(begin, begin + len(level))
            firsts[own] = np.where(level == 0, self.characters[own], firsts[level])
            frames[own] = frames[level] + 1 + (self.characters[own] == self.characters[level])
            begin = own.stop
        return firsts, frames


class _Prefixes:
    """The part of a trie that a pattern lets follow one of its states. Its nodes here are called places; place 0 is the root.

    The frames that each place still needs are known after `settle`.
    """

    boundaries: NDArray[np.int32]
    """(P,) by place, the word boundary that may follow it, or `_NO_BOUNDARY`."""

    def __init__(self, trie: _Trie, pattern: Pattern, state: int, first: NDArray[np.bool_]) -> None:
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
        """(P + 1,) by place, its first child; its last is before the first of the next place."""
        self.words = np.flatnonzero(trie.is_word[self.nodes])
        """(W,) places that are words."""
        self.states = np.concatenate(states)[self.words]
        """(W,) by word, the state of the pattern after it."""

    def settle(self, boundaries: Indices, after_blank: Floats, after_character: Floats) -> None:
        """Work out the frames that all places need.

        Args:
            boundaries: (W,) by word, the boundary after it.
            after_blank: (W,) the frames that are needed there after a blank.
            after_character: (W,) the same after the word's last character.
        """
        self.boundaries = np.full(len(self.nodes), _NO_BOUNDARY, dtype=np.int32)
        self.boundaries[self.words] = boundaries
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
    """All children of some nodes: for each child the index of its parent among `nodes`, and the child."""
    counts = begins[nodes + 1] - begins[nodes]
    parents = np.repeat(np.arange(len(nodes)), counts)
    return parents, np.arange(len(parents)) + (begins[nodes] - counts.cumsum() + counts)[parents]


class _WordBoundaries:
    """The different boundaries between words in all permitted lines. Boundary 0 is before the first word."""

    def __init__(self, trie: _Trie, pattern: Pattern, in_words: NDArray[np.bool_], max_prefixes: int) -> None:
        """Find the boundaries, and the frames that they need.

        Args:
            trie: the words, and the characters that are no part of words as words of their own.
            pattern: fits the lines.
            in_words: (C,) by class, whether it is a word character. No boundary is between two of them.
            max_prefixes: largest `size`. More raise `ConfigError`.
        """
        self._trie = trie
        self._in_words = in_words
        # Word characters are one kind, since none repeats across a boundary; each other character is a kind of its own.
        self._kinds = np.where(in_words, 0, (~in_words).cumsum())
        self._kind_count = int(self._kinds.max()) + 1
        # By code (state of the pattern · 2 + whether a word character is before), the boundary.
        self._ids = np.full(2 * pattern.states, _NO_BOUNDARY)
        codes = [0]
        self._ids[0] = 0
        self.prefixes: list[_Prefixes] = []
        """By boundary, the prefixes that may follow it."""
        self.size = 0
        """Number of all these prefixes."""
        links = []
        for boundary, code in enumerate(codes):  # which grows
            self.prefixes.append(_Prefixes(trie, pattern, code // 2, ~in_words if code % 2 else np.ones_like(in_words)))
            self.size += len(self.prefixes[-1].nodes)
            if self.size > max_prefixes:
                raise ConfigError(
                    "lexicon", "and `pattern` are too large together: take a shorter list, or a pattern that counts less"
                )
            links.append(self._links(boundary))
            reached = np.unique(links[-1][:, 1])
            new = reached[self._ids[reached] == _NO_BOUNDARY]
            self._ids[new] = len(codes) + np.arange(len(new))
            codes += new.tolist()
        self.is_end = np.array([pattern.is_final(code // 2) for code in codes])
        """By boundary, whether a line may end there."""
        self._needed = self._settled(np.concatenate(links))
        for own in self.prefixes:
            last = self._trie.characters[own.nodes[own.words]]
            after = self._ids[self._codes(own)]
            own.settle(after, self._needed[after, 0], self._needed[after, self._kinds[last]])

    def frames_needed(self, boundary: int) -> float:
        """The fewest frames that complete a line from a boundary on, after a blank."""
        return float(self._needed[boundary, 0])

    def _codes(self, own: _Prefixes) -> Indices:
        """(W,) by word, the code of the boundary after it."""
        return 2 * own.states + self._in_words[self._trie.characters[own.nodes[own.words]]]

    def _links(self, boundary: int) -> Indices:
        """(M, 5): the boundary, the code that a word leads to, the kinds of its first and last character, its fewest frames."""
        trie, own = self._trie, self.prefixes[boundary]
        nodes = own.nodes[own.words]
        first, last = self._kinds[trie.firsts[nodes]], self._kinds[trie.characters[nodes]]
        order = np.argsort(trie.frames[nodes], kind="stable")
        ends = np.stack([self._codes(own), first, last, trie.frames[nodes]], axis=1)[order]
        keys = (ends[:, 0] * self._kind_count + ends[:, 1]) * self._kind_count + ends[:, 2]
        shortest = ends[np.unique(keys, return_index=True)[1]]
        return np.insert(shortest, 0, boundary, axis=1)

    def _settled(self, links: Indices) -> Floats:
        """(boundaries, kinds): frames needed after a character of each kind; in column 0 after a blank or a word character."""
        source, code, first, last, frames = links.T
        target = self._ids[code]
        shape = len(self.prefixes), self._kind_count
        needed = np.full(shape, np.inf)
        needed[self.is_end] = 0.0
        while True:
            through = np.full(shape, np.inf)
            np.minimum.at(through, (source, first), frames + needed[target, last])
            fewest = through.min(axis=1, keepdims=True)
            is_fewest = through == fewest
            # If all the shortest ways begin with one character, a blank comes between it and the same one before it.
            better = fewest + (is_fewest & (is_fewest.sum(axis=1, keepdims=True) == 1))
            better[:, 0] = fewest[:, 0]
            better[self.is_end] = 0.0
            if np.array_equal(better, needed):
                return needed
            needed = better
