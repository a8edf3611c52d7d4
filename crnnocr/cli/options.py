"""Options of the command line, derived from the fields of configs; and the recognizers that a command line asks for.

A parameter of a command that is a config stands for the options of its fields, in their order:

    @console.handle_errors
    @options.expand_configs
    def predict_cli(model: options.Model = None, *, decode: DecodeConfig, quiet: options.Quiet = False) -> None: ...

`--compare OTHER` has a parser of the same fields.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import shlex
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, get_args, get_origin

import typer

from crnnocr import runtime
from crnnocr.cli import console
from crnnocr.config import DecodeConfig, EngineConfig, ReadConfig
from crnnocr.config.options import OptionField, options_of
from crnnocr.errors import UsageError

if TYPE_CHECKING:
    from crnnocr.decoding.decoder import Decoder
    from crnnocr.evaluation.outcomes import System
    from crnnocr.inference.recognizer import Recognizer


@dataclass(frozen=True)
class Without:
    """In `Annotated`: the fields of a config that are no options of this command."""

    names: tuple[str, ...]


def option_of(config: type, name: str) -> Any:
    """The Typer option of one field of a config, for a command that takes no others."""
    return _typer_option(next(each for each in options_of(config) if each.name == name))


def expand_configs(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose configs, parameters without a default, are given as options and built by keyword."""
    signature = inspect.signature(command, eval_str=True)
    configs = {name: each.annotation for name, each in signature.parameters.items() if _is_config(each.annotation)}

    @functools.wraps(command)
    def run(**given: Any) -> None:
        for name, annotation in configs.items():
            config, fields = _fields(annotation)
            given[name] = config(**{each.name: each.parse(given.pop(each.name)) for each in fields})
        command(**given)

    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if name in configs:
            parameters += map(_parameter, _fields(configs[name])[1])
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def _is_config(annotation: Any) -> bool:
    return is_dataclass(get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation)


def _fields(annotation: Any) -> tuple[type, list[OptionField]]:
    """A config, and those of its fields that are options of a command that has it as an annotation."""
    config, *about = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    left_out = {name for each in about if isinstance(each, Without) for name in each.names}
    return config, [each for each in options_of(config) if each.name not in left_out]


def _parameter(each: OptionField) -> inspect.Parameter:
    """The parameter of a command for a field, which Typer makes an option of."""
    kind: Any = each.type
    default = each.default
    if each.is_repeatable:
        kind, default = list[str], list(each.default)
    elif each.about.parse:
        kind, default = str, each.about.typed_default
    annotation: Any = Annotated[kind | None if default is None else kind, _typer_option(each)]
    return inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _typer_option(each: OptionField) -> Any:
    return typer.Option(each.flag, metavar=each.about.metavar, help=each.about.help)


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but warnings and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Device = Annotated[str, option_of(EngineConfig, "device")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|PATH",
        help="Name of a model, model folder or file; else the current model, or the pretrained one.",
    ),
]

OneText = Annotated[DecodeConfig, Without(("top_k",))]
TextsAlone = Annotated[ReadConfig, Without(("characters", "threads"))]


@dataclass(frozen=True)
class Setup:
    """A model, and how it recognizes."""

    model: str | None
    """Name or path; None for the current one."""
    engine: EngineConfig
    decode: DecodeConfig
    read: ReadConfig
    options: str = ""
    """The options in which it differs from the first setup, as on a command line."""

    def name(self, model: str) -> str:
        """Its name in a comparison: that of its model, and its own options."""
        return " ".join(filter(None, (model, self.options)))


def load_recognizer(setup: Setup, which: str = "") -> tuple[str, Recognizer, Decoder]:
    """The name of the model, the recognizer and the decoder; says what they are, as `console.info_model` does."""
    runtime.prepare_to_recognize()
    from crnnocr.images import ImageWarning
    from crnnocr.inference.recognizer import Recognizer
    from crnnocr.model import registry

    warnings.simplefilter("always", ImageWarning)  # each of a million images may give its own; none is remembered
    found = registry.find(setup.model)
    recognizer = Recognizer.load(found.path, setup.engine.device, setup.engine.engine)
    console.info_model(found, recognizer.engine.description, which, setup.options)
    decoder = recognizer.decoder(setup.decode)
    if decoder.lexicon and decoder.lexicon.excluded:
        excluded, file = decoder.lexicon.excluded, setup.decode.lexicon
        console.warn(f"{excluded:,} words of {file} have characters that are not possible: left out")
    return found.name, recognizer, decoder


def load_systems(setups: Sequence[Setup]) -> list[System]:
    """Load the systems of `eval`, one or two, each with a name of its own."""
    from crnnocr.evaluation.outcomes import System

    systems: list[System] = []
    for which, setup in zip(("first", "second") if len(setups) > 1 else ("",), setups, strict=True):
        model, recognizer, decoder = load_recognizer(setup, which)
        name = setup.name(model)
        if name in (system.name for system in systems):
            name += f" ({setup.model})"
        systems.append(System(model, recognizer, decoder, read_config=setup.read, options=_in_words(setup.decode), name=name))
    return systems


def _in_words(decode: DecodeConfig) -> str:
    """The options of a decoder that are not the defaults."""
    given = {each.name: (getattr(decode, each.name), each.default) for each in _fields(OneText)[1]}
    return ", ".join(f"{name.replace('_', '-')} {value}" for name, (value, default) in given.items() if value != default)


_FIX = "name a model, or in quotes options such as '--beam 10' or 'other-model --engine torch'"


def parse_compare(text: str, first: Setup) -> Setup:
    """The setup that `--compare` names by a model, options of its own, or both; the rest is as in the first one.

    Raises `UsageError` if it says something else.
    """
    try:
        given = vars(compare_parser().parse_args(shlex.split(text)))
    except ValueError as error:  # a quotation mark is not closed
        raise UsageError(f"--compare {text}: {error}") from error
    model = given.pop("model", first.model)
    if model == "" or (model is first.model and not given):
        raise UsageError(f"--compare is empty: {_FIX}")
    engine, decode, read = (_replaced(config, given) for config in (first.engine, first.decode, first.read))
    return Setup(model, engine, decode, read, " ".join(_typed(given)))


def _compare_fields() -> Iterator[OptionField]:
    for annotation in (EngineConfig, OneText, TextsAlone):
        yield from _fields(annotation)[1]


def compare_parser() -> argparse.ArgumentParser:
    """The parser of `--compare`: a model, and the options of `eval` that say how it recognizes."""
    parser = _CompareParser(prog="--compare", add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    parser.add_argument("model", nargs="?")
    for each in _compare_fields():
        if each.type is bool:
            parser.add_argument(each.flag, dest=each.name, action=argparse.BooleanOptionalAction)
        else:
            choices = each.choices and list(map(str, each.choices))
            kind = str if choices else each.type
            parser.add_argument(each.flag, dest=each.name, type=kind, choices=choices)
    return parser


class _CompareParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"--compare: {message}: {_FIX}")


def _typed(given: dict[str, Any]) -> Iterator[str]:
    """Options as they stand on a command line."""
    flags = {each.name: each.flag for each in _compare_fields()}
    for name, value in given.items():
        if isinstance(value, bool):
            yield flags[name] if value else f"--no-{flags[name].removeprefix('--')}"
        else:
            yield f"{flags[name]} {shlex.quote(str(value))}"


def _replaced(config: Any, given: dict[str, Any]) -> Any:
    """A config with what is given of its fields."""
    return replace(config, **{each.name: given[each.name] for each in options_of(type(config)) if each.name in given})
