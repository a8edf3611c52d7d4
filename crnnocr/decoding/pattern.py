"""Texts that fit a pattern: parsed, made a nondeterministic automaton (Thompson 1968), then a deterministic one.

Characters that the pattern never tells apart share a column of the table, so that a charset of thousands costs no more than a
small one.

Texts are single-spaced, so a pattern that asks for spaces in a row means one, and for one at an edge none. What other
characters may stand in place of counts as one character, as in `.{3}`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from crnnocr.decoding.automaton import IMPOSSIBLE, Automaton, State
from crnnocr.decoding.hypothesis import Indices
from crnnocr.decoding.pattern_syntax import Characters, Choice, Part, Repeat, Sequence, parse
from crnnocr.errors import ConfigError
from crnnocr.text.bidi import may_be_reordered, mirrored
from crnnocr.text.charset import BLANK, Charset

_MAX_STATES = 20_000
"""States of a pattern, more than any description of a line needs; ten times as many before they are deterministic."""
_MAX_STEPS = 1 << 22
"""Steps of the subset construction, and thus states in all keys together: two seconds and 100 MB."""
_START, _END = 0, 1
"""States of the nondeterministic automaton."""
_NOWHERE = -1

_Key = frozenset[int]
"""The states of the nondeterministic automaton that one of the deterministic one stands for."""


class Pattern(Automaton):
    """The texts that a pattern permits."""

    def __init__(self, pattern: str, charset: Charset, allowed: frozenset[int]) -> None:
        """Compile `pattern` for texts of the `allowed` class ids.

        Raises `ConfigError` if the pattern is malformed (it names the place), is too large, or asks for an order of
        right-to-left letters.
        """
        super().__init__()
        network = _Network(parse(pattern, charset), pattern)
        spaces = frozenset(charset.spaces)
        groups = _groups_alike(network.moves, allowed)
        self._groups = [tuple(part) for own in map(frozenset, groups) for part in (own - spaces, own & spaces) if part]
        self._table, ends = _deterministic(network, self._groups, spaces)
        self._needed = _frames_needed(self._table, ends, self._groups)
        self._ends = ends
        steps = [(state, number, target) for state, row in enumerate(self._table) for number, target in row.items()]
        at_edges = {number for state, number, target in steps if target in self._needed and (state == 0 or target in ends)}
        _check_direction(groups, {id_ for number in at_edges for id_ in self._groups[number]}, pattern, charset)
        held = (id_ for _, number, target in steps if target in self._needed for id_ in self._groups[number])
        self.spaces = spaces.intersection(held)
        """Class ids of the spaces that some permitted text holds."""
        self.states = len(self._table)
        """Number of states; state 0 is that of the empty text."""
        self._column, self._targets = self._arrays(charset.classes)

    @property
    def start(self) -> State:
        """The state before the first character."""
        return 0

    def is_final(self, state: State) -> bool:
        """Whether the pattern is complete."""
        return state in self._ends

    def frames_needed(self, state: State, last: int) -> float:
        """The fewest frames that complete the pattern: one more than its characters if the only way on repeats the last."""
        needed, only = self._needed.get(cast("int", state), (IMPOSSIBLE, BLANK))
        return needed + (only == last != BLANK)

    def after(self, states: NDArray[np.integer], characters: NDArray[np.integer]) -> Indices:
        """(N,) the states that (N,) characters lead to from (N,) states; -1 if no permitted text follows."""
        result: Indices = self._targets[states, self._column[characters]]
        return result

    def _arrays(self, classes: int) -> tuple[Indices, Indices]:
        """(C,) by class its group, and (states, groups + 1) the states that these lead to."""
        column = np.full(classes, len(self._groups))
        targets = np.full((self.states, len(self._groups) + 1), _NOWHERE)
        for number, group in enumerate(self._groups):
            column[list(group)] = number
        for state, row in enumerate(self._table):
            for number, target in row.items():
                targets[state, number] = target if target in self._needed else _NOWHERE
        return column, targets

    def _transitions(self, state: State) -> Mapping[int, State]:
        row = self._table[cast("int", state)]
        return {c: target for group, target in row.items() if target in self._needed for c in self._groups[group]}


def _check_direction(groups: list[tuple[int, ...]], at_edges: Collection[int], pattern: str, charset: Charset) -> None:
    """Refuse a pattern that depends on an order which the line in the image does not have.

    A pattern describes a text in logical order, an image shows a line from left to right. If letters may run the other way,
    both agree only if the pattern treats all characters alike, and their mirror images too. Raises `ConfigError`.
    """
    permitted = {charset.characters[id_ - 1] for group in groups for id_ in group}
    if not may_be_reordered(permitted, {charset.characters[id_ - 1] for id_ in at_edges}):
        return
    if len(groups) > 1 or any(charset.id_of(mirrored(c)) is not None and mirrored(c) not in permitted for c in permitted):
        raise ConfigError(
            "pattern",
            f"{pattern} permits characters that run from right to left beside others that it tells apart from them, and their "
            "order in the image does not say which comes first: leave those out of it, or use `lexicon`",
        )


class _Network:
    """A nondeterministic automaton."""

    def __init__(self, part: Part, pattern: str) -> None:
        self._pattern = pattern
        self._steps = 0
        self.free: list[list[int]] = [[], []]
        """By state, the states that it leads to without a character."""
        self.moves: list[tuple[frozenset[int], int] | None] = [None, None]
        """By state, the characters that lead on from it, and where to."""
        self._add(part, _START, _END)

    def _state(self) -> int:
        self.check(len(self.free) <= 10 * _MAX_STATES)
        self.free.append([])
        self.moves.append(None)
        return len(self.free) - 1

    def _add(self, part: Part, start: int, end: int) -> None:
        """Add the ways that `part` leads from one state to another."""
        match part:
            case Characters(ids):
                here = self._state()
                self.free[start].append(here)
                self.moves[here] = ids, end
            case Sequence(parts):
                for each in parts:
                    after = self._state()
                    self._add(each, start, after)
                    start = after
                self.free[start].append(end)
            case Choice(options):
                for option in options:
                    self._add(option, start, end)
            case Repeat(repeated, minimum, maximum):
                for times in range(max(minimum, maximum or 0)):
                    if times >= minimum:
                        self.free[start].append(end)
                    after = self._state()
                    self._add(repeated, start, after)
                    start = after
                self.free[start].append(end)
                if maximum is None:
                    # A state of its own to come back to, since other parts may begin where this one does.
                    hub, inside = self._state(), self._state()
                    self.free[start].append(hub)
                    self.free[hub] += [inside, end]
                    self._add(repeated, inside, hub)

    def closure(self, states: Iterable[int], spaces: frozenset[int] = frozenset()) -> _Key:
        """Of the states and those that they lead to without a character: those with a move, and the end.

        What takes nothing but some of the `spaces` is passed without them.
        """
        reached, waiting = set(states), list(states)
        while waiting:
            state = waiting.pop()
            move = self.moves[state]
            passed = [move[1]] if move and move[0] <= spaces else []
            new = [state for state in self.free[state] + passed if state not in reached]
            reached.update(new)
            waiting += new
        self._steps += len(reached)
        self.check(self._steps <= _MAX_STEPS)
        return frozenset(state for state in reached if self.moves[state] or state == _END)

    def check(self, is_small: bool) -> None:
        """Raise `ConfigError` unless the pattern `is_small`."""
        if not is_small:
            raise ConfigError("pattern", f"{self._pattern} is too large: write it with smaller numbers in braces")


def _groups_alike(moves: list[tuple[frozenset[int], int] | None], allowed: frozenset[int]) -> list[tuple[int, ...]]:
    """The allowed characters in groups whose members no move tells apart."""
    members = defaultdict(list)
    kinds = list({move[0] for move in moves if move})
    for character in sorted(allowed):
        members[tuple(character in kind for kind in kinds)].append(character)
    return [tuple(group) for signature, group in members.items() if any(signature)]


def _deterministic(
    network: _Network, groups: list[tuple[int, ...]], spaces: frozenset[int]
) -> tuple[list[dict[int, int]], frozenset[int]]:
    """For each state the state that each group leads to, and the states that end a text (the subset construction)."""
    keys = [network.closure({_START}, spaces)]
    numbers = {keys[0]: 0}
    table: list[dict[int, int]] = []
    for key in keys:  # which grows
        row: dict[int, int] = {}
        moves = [move for state in key if (move := network.moves[state])]
        for group, (character, *_) in enumerate(groups):
            reached = {target for ids, target in moves if character in ids}
            if not reached:
                continue
            if character in spaces:  # a text that would end with it ends before it
                after = network.closure(reached, spaces)
                ends = _END in key
            else:
                after = network.closure(reached)
                ends = _END in network.closure(after, spaces)
            after = after | {_END} if ends else after - {_END}
            if after not in numbers:
                numbers[after] = len(keys)
                keys.append(after)
            row[group] = numbers[after]
        network.check(len(keys) <= _MAX_STATES)
        table.append(row)
    return table, frozenset(number for key, number in numbers.items() if _END in key)


def _frames_needed(
    table: list[dict[int, int]], ends: frozenset[int], groups: list[tuple[int, ...]]
) -> dict[int, tuple[int, int]]:
    """For each state that can end: the fewest frames that its rest needs, and the only character that begins such a rest.

    The character is the blank if several do, or none. After it, the rest needs one more frame for the blank between. States
    are settled in the order of the frames that they need.
    """
    before = defaultdict(list)
    for state, row in enumerate(table):
        for group, target in row.items():
            before[target].append((state, group))
    needed: dict[int, tuple[int, int]] = {}
    waiting: defaultdict[int, dict[int, set[int]]] = defaultdict(dict, {0: {state: set() for state in ends}})
    while waiting:
        frames = min(waiting)
        settled = [(state, firsts) for state, firsts in waiting.pop(frames).items() if state not in needed]
        for state, firsts in settled:
            needed[state] = frames, min(firsts) if len(firsts) == 1 else BLANK
        for target, _ in settled:
            only = needed[target][1]
            for state, group in before[target]:
                # Two that need no blank after them are as good as all.
                others = [c for c in groups[group][:3] if c != only][:2]
                if others:
                    waiting[frames + 1].setdefault(state, set()).update(others)
                if only in groups[group]:
                    waiting[frames + 2].setdefault(state, set()).add(only)
    return needed
