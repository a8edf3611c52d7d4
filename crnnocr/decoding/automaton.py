"""Which texts are permitted, as a deterministic automaton over class ids.

What a search asks most is whether a prefix can still become a permitted text in the frames that are left, so each automaton
knows the fewest frames that its states need: one a character, and a blank between equal neighbours.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import TypeAlias

State: TypeAlias = Hashable

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
