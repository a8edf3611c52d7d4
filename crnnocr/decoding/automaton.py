"""Sets of permitted texts as deterministic automata over class ids.

A search asks above all whether a prefix can still become a permitted text in the frames that are left. So an automaton knows
the fewest frames that each of its states needs: one for each character, and one for a blank between equal neighbors.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import TypeAlias

State: TypeAlias = Hashable

IMPOSSIBLE = math.inf
"""The frames needed by a prefix that can never become a permitted text."""

MAX_CACHED_STATES = 1 << 15
"""States whose transitions are cached; a large lexicon has more."""


class Automaton(ABC):
    """A set of permitted texts. Safe to use from several threads."""

    def __init__(self) -> None:
        self.transitions = lru_cache(MAX_CACHED_STATES)(self._transitions)
        """By state, the state that each class leads to, for the classes that may come next."""

    @property
    @abstractmethod
    def start(self) -> State:
        """The state of the empty prefix."""

    @abstractmethod
    def is_final(self, state: State) -> bool:
        """Whether a permitted text may end here."""

    @abstractmethod
    def frames_needed(self, state: State, last: int) -> float:
        """The fewest further frames in which a prefix becomes a permitted text.

        Args:
            state: where the prefix leads.
            last: the class of the frame before: the prefix's last character, or the blank.

        Returns:
            The number of frames: 0 if the prefix is permitted as it is, `IMPOSSIBLE` if no continuation is.
        """

    @abstractmethod
    def _transitions(self, state: State) -> Mapping[int, State]:
        """Compute what `transitions` caches."""

    def accepts(self, ids: tuple[int, ...]) -> bool:
        """Whether the text of class `ids` is permitted."""
        state = self.start
        for character in ids:
            transitions = self.transitions(state)
            if character not in transitions:
                return False
            state = transitions[character]
        return self.is_final(state)
