"""Which texts are permitted, as a deterministic automaton over class ids.

Each kind of constraint is one, and two of them together are their product. States are made as they are reached: the product of
a large lexicon with a pattern is never written out. What a search asks most is whether a prefix can still become a permitted
text in the frames that are left, so each automaton knows the fewest frames that its states need: one a character, and a blank
between equal neighbours.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from functools import lru_cache
from heapq import heappop, heappush
from typing import TypeAlias, cast

State: TypeAlias = Hashable

_Node: TypeAlias = tuple[State, int]
"""A state and the class of the frame before."""

IMPOSSIBLE = math.inf
"""The frames needed by what can never become a permitted text."""

MOST_STATES = 1 << 15
"""States of which what was found out is remembered; a large lexicon has more."""


class Automaton(ABC):
    """A set of permitted texts. Safe to use from several threads."""

    def __init__(self) -> None:
        self.arcs = lru_cache(MOST_STATES)(self._arcs)
        """By state, its arcs: the state that each class leads to, of the classes that may come next."""

    @property
    @abstractmethod
    def start(self) -> State:
        """The state of the empty prefix."""

    @abstractmethod
    def accepts(self, state: State) -> bool:
        """Whether a permitted text may end here."""

    @abstractmethod
    def frames_needed(self, state: State, last: int) -> float:
        """The fewest frames in which a prefix becomes a permitted text, from `state` on.

        Args:
            state: where the prefix leads.
            last: the class of the frame before: the prefix's last character, or the blank.

        Returns:
            Their number, 0 where the prefix is permitted as it is; `IMPOSSIBLE` where nothing can follow that makes it so.
        """

    @abstractmethod
    def _arcs(self, state: State) -> Mapping[int, State]:
        """What `arcs` remembers."""

    def permits(self, ids: tuple[int, ...]) -> bool:
        """Whether the text of class `ids` is one of the permitted."""
        state = self.start
        for character in ids:
            arcs = self.arcs(state)
            if character not in arcs:
                return False
            state = arcs[character]
        return self.accepts(state)


class Product(Automaton):
    """The texts that two automata permit both."""

    def __init__(self, one: Automaton, other: Automaton) -> None:
        super().__init__()
        self._automata = one, other
        self._needed: dict[_Node, float] = {}

    @property
    def start(self) -> State:
        """The starts of both."""
        return self._automata[0].start, self._automata[1].start

    def accepts(self, state: State) -> bool:
        """Whether both do."""
        return all(automaton.accepts(own) for automaton, own in self._parts(state))

    def frames_needed(self, state: State, last: int) -> float:
        """The fewest frames that satisfy both, which may be more than each of them needs.

        The shortest way to a state that both accept, found with A* (Hart, Nilsson, Raphael 1968): what each needs alone is a
        lower bound. Where there is no way, all that was visited is known to have none.
        """
        needed = self._needed.get((state, last))
        if needed is None:
            if len(self._needed) > MOST_STATES:
                self._needed = {}
            found = self._shortest((state, last))
            self._needed.update(found)
            needed = found[state, last]
        return needed

    def _arcs(self, state: State) -> Mapping[int, State]:
        (one, own), (other, others) = self._parts(state)
        mine, theirs = one.arcs(own), other.arcs(others)
        shorter = min(mine, theirs, key=len)
        return {c: (mine[c], theirs[c]) for c in shorter if c in mine and c in theirs}

    def _parts(self, state: State) -> tuple[tuple[Automaton, State], tuple[Automaton, State]]:
        one, other = cast("tuple[State, State]", state)
        return (self._automata[0], one), (self._automata[1], other)

    def _bound(self, node: _Node) -> float:
        """Frames that `node`, a state and the class before it, needs at least."""
        state, last = node
        return max(automaton.frames_needed(own, last) for automaton, own in self._parts(state))

    def _shortest(self, source: _Node) -> dict[_Node, float]:
        """What is needed from the source and from all on its shortest way, or that all that it reaches never ends."""
        taken = {source: 0}
        came_from: dict[_Node, _Node] = {}
        queue = [(self._bound(source), 0, 0, source)]
        while queue:
            bound, fewer, _, node = heappop(queue)
            if bound == IMPOSSIBLE:
                break
            if -fewer > taken[node]:
                continue
            if self.accepts(node[0]):
                return _needed_along(node, came_from, taken)
            for character, state in self.arcs(node[0]).items():
                reached, frames = (state, character), taken[node] + 1 + (character == node[1])
                if frames < taken.get(reached, IMPOSSIBLE):
                    taken[reached], came_from[reached] = frames, node
                    # Of equal bounds the one that has come farthest, and the latest: straight to an end where there is one.
                    heappush(queue, (frames + self._bound(reached), -frames, -len(taken), reached))
        return dict.fromkeys(taken, IMPOSSIBLE)


def _needed_along(end: _Node, came_from: dict[_Node, _Node], taken: dict[_Node, int]) -> dict[_Node, float]:
    """The frames needed from each node of the way to the `end`."""
    node, needed = end, {end: 0.0}
    while node in came_from:
        node = came_from[node]
        needed[node] = taken[end] - taken[node]
    return needed
