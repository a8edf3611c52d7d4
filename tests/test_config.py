"""Options are described by the fields of configs alone: ranges, choices, parsing, and what is derived from them."""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest

import crnnocr
from crnnocr.cli import options
from crnnocr.cli.eval import eval_cli
from crnnocr.cli.export import export_cli
from crnnocr.cli.predict import predict_cli
from crnnocr.cli.synth import synth_cli
from crnnocr.cli.train import train_cli
from crnnocr.config import (
    DecodeConfig,
    EngineConfig,
    ExportConfig,
    ExportFormat,
    Invert,
    LabelConfig,
    Orientation,
    ReadConfig,
    Style,
    SynthConfig,
    TrainConfig,
)
from crnnocr.config.options import options_of, parse_range
from crnnocr.errors import ConfigError, UsageError

COMMANDS: list[tuple[Callable[..., None], type, set[str]]] = [
    (synth_cli, SynthConfig, set()),
    (train_cli, TrainConfig, set()),
    (export_cli, ExportConfig, set()),
    *((predict_cli, config, set[str]()) for config in (EngineConfig, DecodeConfig, ReadConfig)),
    *((command, LabelConfig, set[str]()) for command in (train_cli, eval_cli)),
    (export_cli, LabelConfig, {"group", "empty"}),
    (eval_cli, EngineConfig, set()),
    (eval_cli, DecodeConfig, {"top_k"}),
    (eval_cli, ReadConfig, {"characters", "threads"}),
]


# Values


@pytest.mark.parametrize(
    ("config", "given"),
    [
        (TrainConfig, {"epochs": 0}),
        (TrainConfig, {"steps": 0}),
        (TrainConfig, {"batch_size": 0}),
        (TrainConfig, {"minutes": 0}),
        (TrainConfig, {"minutes": math.nan}),
        (TrainConfig, {"augment": -0.1}),
        (TrainConfig, {"augment": 10.1}),
        (TrainConfig, {"augment": math.nan}),
        (TrainConfig, {"mix": 0}),
        (TrainConfig, {"mix": 1}),
        (TrainConfig, {"seed": -1}),
        (TrainConfig, {"seed": 2**31}),
        (TrainConfig, {"preset": "huge"}),
        (TrainConfig, {"charset": "none"}),
        (TrainConfig, {"epochs": 1, "steps": 1}),
        (TrainConfig, {"freeze": True, "start": "scratch"}),
        (SynthConfig, {"words": (0, 1)}),
        (SynthConfig, {"words": (3, 1)}),
        (SynthConfig, {"chars": (1, 501)}),
        (SynthConfig, {"height": 15}),
        (SynthConfig, {"lang": ()}),
        (SynthConfig, {"charset": " "}),
        (SynthConfig, {"orientation": "upward"}),
        (SynthConfig, {"style": "trdg", "orientation": "vertical"}),
        (DecodeConfig, {"beam": -1}),
        (DecodeConfig, {"top_k": 0}),
        (DecodeConfig, {"allow": ""}),
        (DecodeConfig, {"pattern": ""}),
        (DecodeConfig, {"lm_weight": 10.5}),
        (DecodeConfig, {"lm_weight": math.nan}),
        (ReadConfig, {"threads": 0}),
        (ReadConfig, {"invert": "sometimes"}),
        (ExportConfig, {"orientation": "auto"}),
        (EngineConfig, {"engine": "steam"}),
    ],
    ids=str,
)
def test_an_impossible_value_is_an_error_that_names_its_field(config: type, given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**given)
    assert caught.value.field == next(iter(given))
    assert caught.value.exit_code == 2


def test_the_limits_themselves_are_possible() -> None:
    assert DecodeConfig(beam=10_000, top_k=1, lm_weight=10).width == 10_000
    assert SynthConfig(words=(1, 50), height=512).words == (1, 50)


def test_names_become_members_of_their_enums() -> None:
    synth = SynthConfig(style="clean", orientation="vertical")  # type: ignore[arg-type]
    assert synth.style is Style.CLEAN
    assert synth.orientation is Orientation.VERTICAL
    assert ReadConfig(invert="auto").invert is Invert.AUTO  # type: ignore[arg-type]
    assert ExportConfig(format="web").format is ExportFormat.WEB  # type: ignore[arg-type]


def test_a_page_is_always_self_contained() -> None:
    assert ExportConfig(format=ExportFormat.WEB).self_contained
    assert not ExportConfig().self_contained


@pytest.mark.parametrize(("text", "found"), [("2", (2, 2)), ("1-3", (1, 3)), ("3-1", (3, 1))])
def test_a_range_is_a_number_or_two(text: str, found: tuple[int, int]) -> None:
    assert parse_range(text) == found


@pytest.mark.parametrize("text", ["", "x", "-1", "9-", "1-2-3", "1.5"])
def test_what_is_no_range_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="such as 2 or 1-3"):
        parse_range(text)


# Options derived from the fields


def parameters(command: Callable[..., None]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(command).parameters)


@pytest.mark.parametrize(
    ("command", "config", "left_out"), COMMANDS, ids=lambda value: getattr(value, "__name__", None) and value.__name__
)
def test_every_option_of_a_config_is_one_of_its_command(command: Callable[..., None], config: type, left_out: set[str]) -> None:
    found = parameters(command)
    for each in options_of(config):
        assert (each.name in found) == (each.name not in left_out)
        if each.name in left_out:
            continue
        annotation = found[each.name].annotation
        assert get_origin(annotation) is Annotated
        [about] = get_args(annotation)[1:]
        assert (about.default, about.help) == (each.flag, each.about.help)  # to Typer the first spelling is a default
        assert each.parse(found[each.name].default) == each.default


def test_compare_takes_the_same_options_as_eval() -> None:
    found = options.compare_parser().format_help().replace(",", " ").split()
    for command, config, left_out in COMMANDS:
        if command is eval_cli and config is not LabelConfig:
            for each in options_of(config):
                assert (each.flag in found) == (each.name not in left_out)


def test_compare_names_the_choices() -> None:
    first = options.Setup(None, EngineConfig(), DecodeConfig(), ReadConfig())
    assert options.parse_compare("--invert auto", first).read.invert is Invert.AUTO
    with pytest.raises(UsageError, match=r"--invert: invalid choice: 'x' .*never.*auto.*always"):
        options.parse_compare("--invert x", first)


@pytest.mark.parametrize("command", [synth_cli, train_cli, eval_cli, predict_cli, export_cli])
def test_the_help_shows_each_option_with_its_default(command: Callable[..., None], run_cli: Callable[..., Any]) -> None:
    shown = " ".join(run_cli(command.__name__.removesuffix("_cli"), "--help").stdout.split())
    for each_command, config, left_out in COMMANDS:
        for each in options_of(config) if each_command is command else ():
            if each.name in left_out:
                continue
            assert f" {each.flag} " in shown
            default = each.about.typed_default or each.default
            if default not in (None, False):
                text = f"{each.about.help} [default: {','.join(default) if isinstance(default, tuple) else default}]"
                assert text in shown


def messages(module: Path) -> Iterator[str]:
    """The texts in a module that are no docstrings."""
    nodes = list(ast.walk(ast.parse(module.read_text(encoding="utf-8"))))
    docstrings = [node.value for node in nodes if isinstance(node, ast.Expr)]
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node.value


def test_the_core_names_no_option() -> None:
    flags = {each.flag for _, config, _ in COMMANDS for each in options_of(config)}
    flags |= {"--resume", "--force", "--count", "--workers", "--report", "--suspect-labels", "--all", "--output", "--model"}
    package = Path(crnnocr.__file__).parent
    core = [path for path in package.rglob("*.py") if path.relative_to(package).parts[0] != "cli"]
    assert len(core) > 100
    named = {
        (str(path.relative_to(package)), flag)
        for path in core
        for text in messages(path)
        for flag in re.findall(r"(?<![\w-])--[a-z-]+", text)
        if flag in flags
    }
    # The README of an export is for people who type; the field of `--from` says that its option is spelled so.
    assert named == {("export/model_card.py", "--model"), ("config/train.py", "--from")}


def test_american_spelling_is_accepted_and_not_shown(run_cli: Callable[..., Any]) -> None:
    assert "--normalize" not in run_cli("eval", "--help").stdout
    assert run_cli("eval", "nowhere", "--normalize", "case").stderr.startswith("error: nowhere: ")
    assert "normalise" in run_cli("eval", "nowhere", "--normalize", "nonsense").stderr
