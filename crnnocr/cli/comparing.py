"""`--compare OTHER`: another reader, named as a command line would."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from typing import NoReturn

from crnnocr.config import DecodeConfig, EngineChoice, Invert, Orientation, ReadConfig
from crnnocr.errors import UsageError


@dataclass(frozen=True)
class Reader:
    """A model and how it reads, as a command line names them."""

    model: str | None
    """Name or path; None for the current one."""
    device: str
    """Where the network runs."""
    engine: EngineChoice
    """What runs it."""
    decode: DecodeConfig
    """How texts are found."""
    read: ReadConfig
    """What is done with the pictures."""
    told: str = ""
    """What it was named as; empty where by the options of the command itself."""

    def name(self, model: str) -> str:
        """What to call it, by the name of its model: that, and its own options."""
        _, *options = shlex.split(self.told) if self.told and not self.told.lstrip().startswith("-") else ("", self.told)
        return " ".join([model, *filter(None, options)])


def other(told: str, first: Reader) -> Reader:
    """The reader that `--compare` names: a model, options of its own, or both; what is not said is as the first one has it.

    Raises `UsageError` where it says something else.
    """
    parser = _Parser(prog="--compare", add_help=False, allow_abbrev=False)
    parser.add_argument("model", nargs="?", default=first.model)
    parser.add_argument("--device", default=first.device)
    parser.add_argument("--engine", type=EngineChoice, choices=list(EngineChoice), default=first.engine)
    parser.add_argument("--beam", type=int, default=first.decode.beam)
    for name in ("allow", "block", "lexicon", "pattern", "lm"):
        parser.add_argument(f"--{name}", default=getattr(first.decode, name))
    parser.add_argument("--lm-weight", type=float, default=first.decode.lm_weight)
    parser.add_argument("--orientation", type=Orientation, choices=list(Orientation), default=first.read.orientation)
    parser.add_argument("--invert", type=Invert, choices=list(Invert), default=first.read.invert)
    try:
        found = parser.parse_args(shlex.split(told))
    except ValueError as error:  # a quotation mark is not closed
        raise UsageError(f"--compare {told}: {error}") from error
    decode = DecodeConfig(found.beam, 1, found.allow, found.block, found.lexicon, found.pattern, found.lm, found.lm_weight)
    read = ReadConfig(found.orientation, found.invert)
    return Reader(found.model, found.device, found.engine, decode, read, told)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(
            f"--compare: {message}: name a model, or in quotes options such as '--beam 10' or 'other-model --engine torch'"
        )
