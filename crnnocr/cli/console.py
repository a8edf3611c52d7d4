"""What all commands share: the console on stderr, the boundary where errors end, and the options that mean one thing."""

from __future__ import annotations

import functools
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, ParamSpec, TextIO

import typer

from crnnocr import config
from crnnocr.errors import CrnnocrError

if TYPE_CHECKING:
    from rich.console import Console

    from crnnocr.datasets import Fault
    from crnnocr.model.registry import FoundModel

P = ParamSpec("P")

INTERRUPTED = 130
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
_come: list[int] = []
"""Numbers of the signals to end that have come to the command that runs."""

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | str.maketrans(
    {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
)

_settings = {"quiet": False, "verbose": False, "debug": False, "outlasts": False}


def _remember(name: str) -> Callable[[bool], bool]:
    def callback(value: bool) -> bool:
        _settings[name] = value
        return value

    return callback


Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", callback=_remember("quiet"), help="Say nothing on stderr but warnings and errors.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", callback=_remember("verbose"), help="Say more on stderr.")]
Debug = Annotated[bool, typer.Option("--debug", callback=_remember("debug"), help="Show the traceback of an error.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cuda|mps|cpu", help="Where the network runs.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="NAME|PATH", help="Name of a model, model folder or file; else the current, or shipped one."
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Start of all chance.")]
Beam = Annotated[int, typer.Option("--beam", metavar="N", help="Prefixes of the beam search; 0 takes the best path (greedy).")]
Allow = Annotated[
    str | None, typer.Option("--allow", metavar="CHARACTERS", help="The only characters that are possible, such as 0123456789.")
]
Block = Annotated[str | None, typer.Option("--block", metavar="CHARACTERS", help="Characters that are not possible.")]
Lexicon = Annotated[str | None, typer.Option("--lexicon", metavar="FILE", help="The only words that are possible, one a line.")]
Pattern = Annotated[
    str | None, typer.Option("--pattern", metavar="REGEX", help="What the whole text is like, such as [A-Z]{2}\\d{3,5}.")
]
Lm = Annotated[
    str | None, typer.Option("--lm", metavar="FILE", help="Text such as the pictures show, which makes likely texts preferred.")
]
Orientation = Annotated[
    config.Orientation | None,
    typer.Option("--orientation", help="Which way lines run; auto tries all for tall pictures.  [default: the model's]"),
]
Invert = Annotated[
    config.Invert, typer.Option("--invert", help="Exchange black and white; auto: where a picture is light on dark.")
]
Quick = Annotated[
    bool, typer.Option("--quick", help="Look at each picture once; else those that are hard to read are looked at again.")
]
Engine = Annotated[
    config.EngineChoice,
    typer.Option("--engine", help="What runs the network; auto: onnxruntime on a CPU, torch on a GPU."),
]
LmWeight = Annotated[float, typer.Option("--lm-weight", metavar="W", help="How much --lm counts.")]


@functools.cache
def console() -> Console:
    """The console on stderr, for people."""
    from rich.console import Console

    class Outlasting(Console):
        def on_broken_pipe(self) -> None:
            if _settings["outlasts"]:
                _print_nowhere(sys.stderr)
            else:
                super().on_broken_pipe()

    return Outlasting(stderr=True, emoji=False, highlight=False, soft_wrap=True)


def outlast_readers() -> None:
    """Where the reader of stderr goes away, the command says no more, and goes on: its exit code is what is waited for."""
    _settings["outlasts"] = True


def say(message: str) -> None:
    """A line on stderr, unless --quiet."""
    if _is_first() and not _settings["quiet"]:
        _print(message)


def _print(message: str) -> None:
    """A plain line on stderr: above what the console shows there, if it is in use; it takes long to import for no more."""
    if console.cache_info().currsize:
        console().print(message, markup=False)
    else:
        try:
            typer.echo(message, err=True)
        except BrokenPipeError:
            if not _settings["outlasts"]:
                raise
            _print_nowhere(sys.stderr)


def detail(message: str) -> None:
    """A line on stderr with --verbose only."""
    if _settings["verbose"]:
        say(message)


def is_verbose() -> bool:
    """Whether more is to be said than usual."""
    return _settings["verbose"]


def _is_first() -> bool:
    """Whether this is the first of the processes that `torchrun` has started, or the only one: the one that speaks."""
    return os.environ.get("RANK", "0") == "0"


def warn(message: str) -> None:
    """A warning on stderr, also with --quiet."""
    if _is_first():
        console().print(f"warning: {on_one_line(message)}", style="yellow", markup=False)


def shows_progress() -> bool:
    """Whether progress bars have somebody to look at them."""
    return console().is_terminal and _is_first() and not _settings["quiet"]


def say_faults(faults: Sequence[Fault]) -> None:
    """What was left out of a data set: a warning a kind, and with --verbose a line each."""
    from crnnocr.datasets import summarise

    for line in summarise(faults):
        warn(line)
    for fault in faults:
        detail(f"  {fault.where}: {fault.kind}")


def say_model(found: FoundModel, engine: str = "", which: str = "", options: str = "") -> None:
    """Which model is used, and what runs it; of several also which of them it is, and the options that are its own."""
    name = f"{found.told}{f' {options}' if options else ''}"
    say(f"{f'{which} ' if which else ''}model: {name}{f', by {engine}' if engine else ''}")
    detail(f"  {found.path}")


def boundary(command: Callable[P, None]) -> Callable[P, None]:
    """A command whose errors end in one sentence on stderr and the exit code that is theirs."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        warnings.showwarning = _show_warning
        _settings["outlasts"] = False
        signal.signal(signal.SIGTERM, end_by)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, end_by)
        _come.clear()
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except CrnnocrError as error:
            _complain(str(error))
            for line in getattr(error, "more", ()):
                detail(f"  {line}")
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt as interrupt:
            _print(": ".join(("interrupted", *map(str, interrupt.args))))
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _print_nowhere(sys.stdout)
            raise typer.Exit(0) from None
        except OSError as error:
            _complain(f"{error.filename or 'the system'}: {error.strerror or error}")
            raise typer.Exit(CrnnocrError.exit_code) from None
        except Exception:
            if not _come:
                raise
            # A signal came while a module was loaded, which turned the end into an error of its own.
            _print("interrupted")
            raise typer.Exit(128 + _come[0]) from None

    return run


@contextmanager
def printed_if_read() -> Iterator[None]:
    """A block that prints, of a command that has more to do than that: where the reader of stdout has gone, it goes on."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _print_nowhere(sys.stdout)


def _print_nowhere(stream: TextIO) -> None:
    """The reader of a stream has gone: what Python would still flush there at its end has nowhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def withheld_signals(wanted: bool) -> Iterator[list[int]]:
    """The signals to end that have come meanwhile, for a block that can end well only now and then, if that is `wanted`.

    A second one ends it at once.
    """
    come: list[int] = []

    def note(number: int, frame: object) -> None:
        if come:
            end_by(number)
        come.append(number)

    numbers = [signal.Signals[name] for name in _ENDING if wanted and hasattr(signal, name)]
    before = {number: signal.signal(number, note) for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}
    try:
        yield come
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_by(number: int, frame: object = None) -> NoReturn:
    """End as a signal asks for, after all that must not be left half-written."""
    _come.append(number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _complain(message: str) -> None:
    if _settings["debug"]:
        traceback.print_exc()
    console().print(f"error: {on_one_line(message)}", style="red", markup=False)


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: object = None, line: object = None
) -> None:
    if category.__module__.startswith("crnnocr") or _settings["debug"]:
        warn(str(message))


def on_one_line(text: str) -> str:
    """`text` on one line and in one column, and harmless to a terminal: tab, line ends and all other controls as escapes."""
    return text.translate(_ESCAPES)


def name_from(path: Path) -> str:
    """A model's name from the folder or label file of its data."""
    from crnnocr.model import registry

    path = path.resolve()
    return registry.name_like(
        path.name if path.is_dir() else path.parent.name if path.stem in ("metadata", "labels") else path.stem
    )
