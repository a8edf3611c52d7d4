"""Options as fields of frozen dataclasses: an option's default, range, choices and help stand in its field, and nowhere else.

The command line, the parser of `--compare` and the help pages are derived from the fields; `validate` checks their values.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from crnnocr.errors import ConfigError

T = TypeVar("T")

Range: TypeAlias = tuple[int, int]
"""Fewest and most, both included."""

_KEY = "option"


@dataclass(frozen=True)
class Option:
    """Facts about an option besides the name, type and default of its field."""

    help: str
    metavar: str | None = None
    flag: str | None = None
    """How the command line spells it, if not after the field's name."""
    min: float | None = None
    max: float | None = None
    above: float | None = None
    """A value that is too small, while every greater one is not."""
    below: float | None = None
    """A value that is too large, while every smaller one is not."""
    choices: Sequence[str] | None = None
    """The possible values, if these are not all that the type has."""
    may_be_empty: bool = True
    """Whether an empty text is possible."""
    parse: Callable[[str], Any] | None = None
    """The value of a text that was typed. Raises `ValueError` with the fix if it has none."""
    typed_default: str | None = None
    """The default as one would type it, if that is a text to parse."""


@dataclass(frozen=True)
class OptionField:
    """A field of a config that is an option."""

    name: str
    type: Any
    """Its type without `None`."""
    default: Any
    about: Option

    @property
    def flag(self) -> str:
        """How the command line spells it."""
        return self.about.flag or f"--{self.name.replace('_', '-')}"

    @property
    def choices(self) -> Sequence[str] | None:
        """The possible values, if they are few and have names."""
        return self.about.choices or (list(self.type) if self.is_enum else None)

    @property
    def is_enum(self) -> bool:
        """Whether its values are the members of an enum."""
        return isinstance(self.type, type) and issubclass(self.type, StrEnum)

    @property
    def is_repeatable(self) -> bool:
        """Whether it can be given several times: a tuple of texts of any number."""
        return get_args(self.type) == (str, ...)

    def parse(self, typed: Any) -> Any:
        """The value of what was typed: a text, or of a repeatable option several. Raises `ConfigError` if it has none."""
        if self.about.parse is None or typed is None:
            return typed
        if self.is_repeatable:
            return tuple(dict.fromkeys(value for text in typed for value in self.about.parse(text)))
        try:
            return self.about.parse(typed)
        except ValueError as error:
            raise ConfigError(self.name, f"{typed}: {error}") from error

    def check(self, value: Any) -> None:
        """Raise `ConfigError` if a value is not among the choices, outside the range, or a range that is not in order."""
        if value == "" and not self.about.may_be_empty:
            raise ConfigError(self.name, "is empty: leave it out")
        if value is None:
            return
        is_range = isinstance(value, tuple) and not self.is_repeatable
        shown = "-".join(map(str, value)) if is_range else value
        if not all(map(self._admits, value if is_range else [value])):
            raise ConfigError(self.name, f"takes {self._admitted()}, not {shown}")
        if is_range and value[0] > value[1]:
            raise ConfigError(self.name, f"{shown}: the smaller number comes first, so write {value[1]}-{value[0]}")

    def _admits(self, value: Any) -> bool:
        about = self.about
        return (
            (about.min is None or value >= about.min)
            and (about.max is None or value <= about.max)
            and (about.above is None or value > about.above)
            and (about.below is None or value < about.below)
            and (self.choices is None or value in self.choices)
        )

    def _admitted(self) -> str:
        """The values it takes, in words."""
        about = self.about
        if self.choices is not None:
            return " or ".join(filter(None, (", ".join(self.choices[:-1]), self.choices[-1])))
        if about.min is not None and about.max is not None:
            return f"{about.min} to {about.max}"
        limits = (("at least", about.min), ("more than", about.above), ("at most", about.max), ("less than", about.below))
        return " and ".join(f"{words} {limit}" for words, limit in limits if limit is not None)


def option(default: T, help: str, **about: Any) -> T:
    """A field that is an option; `about` are further fields of `Option`."""
    return field(default=default, metadata={_KEY: Option(help, **about)})


def seed_option() -> int:
    """The field `seed`, which means the same everywhere."""
    return option(0, "Random seed.", metavar="N", min=0, max=2**31 - 1)


def options_of(config: type[Any]) -> tuple[OptionField, ...]:
    """The fields of a config that are options, in the order they stand there."""
    hints = get_type_hints(config)
    return tuple(
        OptionField(each.name, _without_none(hints[each.name]), each.default, each.metadata[_KEY])
        for each in fields(config)
        if _KEY in each.metadata
    )


def validate(config: object) -> None:
    """Make names members of their enums, and raise `ConfigError` for the first option whose value is impossible."""
    for each in options_of(type(config)):
        value = getattr(config, each.name)
        each.check(value)
        if each.is_enum and value is not None:
            object.__setattr__(config, each.name, each.type(value))


def parse_range(text: str) -> Range:
    """The range that `3` or `3-7` stands for."""
    fewest, dash, most = text.partition("-")
    if not fewest.isdecimal() or most.isdecimal() != bool(dash):
        raise ValueError("give a number or a range, such as 2 or 1-3")
    return int(fewest), int(most or fewest)


def parse_list(text: str) -> Iterator[str]:
    """The parts of a text with commas between, without blanks and empty ones."""
    return filter(None, (part.strip() for part in text.split(",")))


def _without_none(hint: Any) -> Any:
    if get_origin(hint) is not types.UnionType:
        return hint
    [kind] = (part for part in get_args(hint) if part is not types.NoneType)
    return kind
