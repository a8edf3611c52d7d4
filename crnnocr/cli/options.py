"""The model and the decoder that a command line asks for, and what is said of them.

What is to read, as a command line names it: the command's own options, and `--compare OTHER`.
"""

from __future__ import annotations

import argparse
import shlex
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NoReturn

from crnnocr import runtime
from crnnocr.cli import console
from crnnocr.config import DecodeConfig, EngineChoice, Invert, Orientation, ReadConfig
from crnnocr.errors import UsageError

if TYPE_CHECKING:
    from crnnocr.decoding.decoder import Decoder
    from crnnocr.evaluation.outcomes import Reader
    from crnnocr.inference.recognizer import Recognizer


def load(
    model: str | None, device: str, engine: EngineChoice, decode: DecodeConfig, which: str = "", options: str = ""
) -> tuple[str, Recognizer, Decoder]:
    """The name of the model, what reads with it, and what finds texts; said in words, as `ui.info_model` does."""
    runtime.prepare_to_recognize()
    from crnnocr.images import ImageWarning
    from crnnocr.inference.recognizer import Recognizer
    from crnnocr.model import registry

    warnings.simplefilter("always", ImageWarning)  # each of a million pictures may give its own; none is remembered
    found = registry.find(model)
    recognizer = Recognizer.load(found.path, device, engine)
    console.info_model(found, recognizer.engine.description, which, options)
    decoder = recognizer.decoder(decode)
    if decoder.lexicon and decoder.lexicon.excluded:
        console.warn(f"{decoder.lexicon.excluded:,} words of {decode.lexicon} have characters that are not possible: left out")
    return found.name, recognizer, decoder


_DEFAULTS = DecodeConfig()
_MEND = "name a model, or in quotes options such as '--beam 10' or 'other-model --engine torch'"


@dataclass(frozen=True)
class Wanted:
    """A model and how it is to read."""

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
    options: str = ""
    """What sets it apart from the first one, as it stands on a command line."""

    def name(self, model: str) -> str:
        """What to call it, by the name of its model: that, and its own options."""
        return " ".join(filter(None, (model, self.options)))


def other(told: str, first: Wanted) -> Wanted:
    """What `--compare` names: a model, options of its own, or both; what is not said is as the first one has it.

    Raises `UsageError` where it says something else.
    """
    try:
        given = vars(_parser().parse_args(shlex.split(told)))
    except ValueError as error:  # a quotation mark is not closed
        raise UsageError(f"--compare {told}: {error}") from error
    model = given.pop("model", first.model)
    if model == "" or (model is first.model and not given):
        raise UsageError(f"--compare is empty: {_MEND}")
    options = " ".join(_option(name.replace("_", "-"), value) for name, value in given.items())
    decode, read = _replaced(first.decode, given), _replaced(first.read, given)
    return Wanted(model, given.get("device", first.device), given.get("engine", first.engine), decode, read, options)


def _option(name: str, value: object) -> str:
    """An option as it stands on a command line."""
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {shlex.quote(str(value))}"


def load_readers(wanted: Sequence[Wanted]) -> list[Reader]:
    """What reads, loaded, and each with a name of its own."""
    from crnnocr.evaluation.outcomes import Reader

    readers: list[Reader] = []
    for which, each in zip(("first", "second") if len(wanted) > 1 else ("",), wanted, strict=True):
        model, recognizer, decoder = load(each.model, each.device, each.engine, each.decode, which, each.options)
        name = each.name(model)
        if name in (reader.name for reader in readers):
            name += f" ({each.model})"
        readers.append(Reader(model, recognizer, decoder, each.read, _in_words(each.decode), name))
    return readers


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="--compare", add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--device")
    parser.add_argument("--engine", type=EngineChoice, choices=list(EngineChoice))
    parser.add_argument("--beam", type=int)
    for name in ("allow", "block", "lexicon", "pattern", "lm"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--lm-weight", type=float)
    parser.add_argument("--orientation", type=Orientation, choices=list(Orientation))
    parser.add_argument("--invert", type=Invert, choices=list(Invert))
    parser.add_argument("--quick", action=argparse.BooleanOptionalAction)
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"--compare: {message}: {_MEND}")


def _replaced(config: Any, given: dict[str, Any]) -> Any:
    """A config with what is given of its fields."""
    return replace(config, **{field.name: given[field.name] for field in fields(config) if field.name in given})


def _in_words(decode: DecodeConfig) -> str:
    """How texts are found, where it is not by the defaults."""
    given = {field.name: getattr(decode, field.name) for field in fields(decode) if field.name != "top_k"}
    return ", ".join(f"{name.replace('_', '-')} {value}" for name, value in given.items() if value != getattr(_DEFAULTS, name))
