"""Messages on stderr, and how errors and signals end a command: shared by all commands."""

from __future__ import annotations

import functools
import inspect
import io
import os
import re
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event, Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TextIO, cast

import typer
from typer.models import OptionInfo

from crnnocr import runtime
from crnnocr.errors import ConfigError, CrnnocrError
from crnnocr.formatting import escape_controls

if TYPE_CHECKING:
    from rich.console import Console

    from crnnocr.model.registry import FoundModel

P = ParamSpec("P")

INTERRUPTED = 130
_PATIENCE = 4.0
"""Seconds after a signal to end in which the network must have stopped."""
_POLL = 0.1
"""Seconds between two attempts to stop it."""
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Session:
    """One run of a command: what it may say on stderr, and the signals that have come to it."""

    def __init__(
        self,
        command: Callable[..., object] | None = None,
        *,
        quiet: bool = False,
        verbose: bool = False,
        debug: bool = False,
        console: Console | None = None,
    ) -> None:
        """`console` takes the place of one on stderr."""
        if console:
            self.console = console
        self.command, self.quiet, self.verbose, self.debug = command, quiet, verbose, debug
        self.ignores_broken_pipe = False
        self.signals: list[int] = []
        """Numbers of the signals to end that have come."""

    @functools.cached_property
    def console(self) -> Console:
        """The console on stderr, for people."""
        from rich.console import Console

        session = self

        class Outlasting(Console):
            def on_broken_pipe(self) -> None:
                if session.ignores_broken_pipe:
                    _discard(sys.stderr)
                else:
                    super().on_broken_pipe()

        return Outlasting(stderr=True, emoji=False, highlight=False, soft_wrap=True)

    @functools.cached_property
    def flags(self) -> dict[str, str]:
        """The long option of each parameter of the command."""
        flags: dict[str, str] = {}
        for name, parameter in inspect.signature(self.command, eval_str=True).parameters.items() if self.command else ():
            for about in getattr(parameter.annotation, "__metadata__", ()):
                if isinstance(about, OptionInfo):
                    spellings = [str(flag) for flag in (about.default, *(about.param_decls or ()))]
                    flags[name] = next(flag for flag in spellings if flag.startswith("--"))
        return flags

    def spell(self, message: str) -> str:
        """A message of the core with each field in backquotes spelled as an option: `` `top_k=3` `` as `--top-k 3`.

        What is no option of the command stays as it is.
        """

        def spell(found: re.Match[str]) -> str:
            flag, value = self.flags.get(found[1]), found[2]
            return found[0] if flag is None else flag if value in (None, "True") else f"{flag} {value}"

        return re.sub(r"`(\w+)(?:=([^`]*))?`", spell, message)

    def print(self, message: str) -> None:
        """A plain line on stderr: above what the console shows there, if it is in use; importing it takes long."""
        message = escape_controls(message)
        if "console" in self.__dict__:
            self.console.print(message, markup=False)
            return
        try:
            typer.echo(message, err=True)
        except BrokenPipeError:
            if not self.ignores_broken_pipe:
                raise
            _discard(sys.stderr)

    def warn(self, message: str) -> None:
        """A warning on stderr, also with --quiet."""
        if _is_main_process():
            self.console.print(f"warning: {escape_controls(message)}", style="yellow", markup=False)

    def complain(self, error: Exception | str) -> None:
        """An error on stderr, with --debug also the traceback of the exception that is being handled."""
        if self.debug:
            for line in traceback.format_exc().splitlines():
                typer.echo(escape_controls(line), err=True)
        if isinstance(error, ConfigError):
            error = f"{self.flags.get(error.field, error.field)} {error.message}"
        self.console.print(f"error: {escape_controls(self.spell(str(error)))}", style="red", markup=False)

    def show_warning(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: object = None,
        line: object = None,
    ) -> None:
        """A `warnings.showwarning` that shows ours, and with --debug all."""
        if category.__module__.startswith("crnnocr") or self.debug:
            self.warn(self.spell(str(message)))

    def exit_on_signal(self, number: int, frame: object = None) -> NoReturn:
        """End as a signal asks for, after all that must not be left half-written."""
        self.signals.append(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    def ends_on(self, number: int) -> bool:
        """Whether the command ends on a signal, rather than take note of it and go on."""
        return signal.getsignal(number) == self.exit_on_signal

    def handle_signals(self) -> None:
        """End in order on SIGTERM, on Ctrl-C and when the terminal is closed. Python handles signals in the main thread only.

        What ignores Ctrl-C or the end of the terminal (`nohup`) goes on doing so.
        """
        if current_thread() is not main_thread():
            return
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            by_default = (signal.SIG_DFL, signal.default_int_handler)
            if number is not None and (name == "SIGTERM" or signal.getsignal(number) in by_default):
                signal.signal(number, self.exit_on_signal)


@contextmanager
def _watched_signals(now: Session) -> Iterator[None]:
    """Stop the network on a signal to end, which Python handles only once the main thread runs Python again.

    What cannot be stopped is ended with the process.
    """
    if current_thread() is not main_thread() or sys.platform == "win32":
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)  # the system writes the signal's number there
    ended = Event()

    def watch() -> None:
        with os.fdopen(reader, "rb", buffering=0) as numbers:
            while number := numbers.read(1):
                until = time.monotonic() + _PATIENCE
                while now.ends_on(number[0]) and runtime.stop_all() and not ended.wait(_POLL):
                    if time.monotonic() > until:
                        os._exit(128 + number[0])

    Thread(target=watch, name="signals", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before)
        os.close(writer)


_session: ContextVar[Session] = ContextVar("session")


@contextmanager
def session(command: Callable[..., object] | None = None, **about: Any) -> Iterator[Session]:
    """A `Session` that the functions of this module belong to, inside the block."""
    token = _session.set(Session(command, **about))
    try:
        yield _session.get()
    finally:
        _session.reset(token)


def _current() -> Session:
    return _session.get(None) or Session()


def console() -> Console:
    """The console on stderr, for people."""
    return _current().console


def ignore_broken_pipe() -> None:
    """Go on without a word when the reader of stderr goes away: somebody waits for the exit code."""
    _current().ignores_broken_pipe = True


def info(message: str) -> None:
    """A line on stderr, unless --quiet."""
    if _is_main_process() and not _current().quiet:
        _current().print(message)


def verbose(message: str) -> None:
    """A line on stderr with --verbose only."""
    if _current().verbose:
        info(message)


def is_verbose() -> bool:
    """Whether more is to be said than usual."""
    return _current().verbose


def warn(message: str) -> None:
    """A warning on stderr, also with --quiet."""
    _current().warn(message)


def spell(message: str) -> str:
    """A message of the core with its fields spelled as options. Errors and Python's warnings need no call of this."""
    return _current().spell(message)


def shows_progress() -> bool:
    """Whether progress bars have somebody to look at them."""
    return console().is_terminal and _is_main_process() and not _current().quiet


def exit_on_signal(number: int) -> NoReturn:
    """End as a signal asks for, after all that must not be left half-written."""
    _current().exit_on_signal(number)


def _is_main_process() -> bool:
    """Whether this is the first of the processes that `torchrun` has started, or the only one: the one that speaks."""
    return os.environ.get("RANK", "0") == "0"


def info_model(found: FoundModel, engine: str = "", which: str = "", options: str = "") -> None:
    """Which model is used, and what runs it; of several also which of them it is, and the options that are its own."""
    name = f"{found.label}{f' {options}' if options else ''}"
    info(f"{f'{which} ' if which else ''}model: {name}{f', by {engine}' if engine else ''}")
    verbose(f"  {found.path}")


def handle_errors(command: Callable[P, None]) -> Callable[P, None]:
    """A command that ends an error in one sentence on stderr and its exit code, and leaves the process as it was."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asked = {name: bool(kwargs.get(name)) for name in ("quiet", "verbose", "debug")}
        with runtime.restored_process_state(), session(command, **asked) as now, _watched_signals(now):
            warnings.showwarning = now.show_warning
            now.handle_signals()
            runtime.limit_threads()
            try:
                command(*args, **kwargs)
                sys.stdout.flush()
            except CrnnocrError as error:
                if now.signals:  # which stopped the work that failed
                    now.print("interrupted")
                    raise typer.Exit(128 + now.signals[0]) from None
                now.complain(error)
                for line in getattr(error, "more", ()):
                    verbose(f"  {now.spell(line)}")
                raise typer.Exit(error.exit_code) from None
            except KeyboardInterrupt as interrupt:
                now.print(": ".join(("interrupted", *map(str, interrupt.args))))
                raise typer.Exit(INTERRUPTED) from None
            except BrokenPipeError:
                _discard(sys.stdout)
                raise typer.Exit(0) from None
            except OSError as error:
                now.complain(f"{error.filename or 'the system'}: {error.strerror or error}")
                raise typer.Exit(CrnnocrError.exit_code) from None
            except Exception:
                if not now.signals:
                    raise
                # A signal came while a module was loaded, which turned the end into an error of its own.
                now.print("interrupted")
                raise typer.Exit(128 + now.signals[0]) from None

    return run


@contextmanager
def ignoring_closed_stdout() -> Iterator[None]:
    """Go on after a block that prints, even if the reader of stdout has gone: the command has more to do than that."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)


def _discard(stream: TextIO) -> None:
    """Send what Python would still flush to a stream to nowhere: its reader has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def deferred_signals(wanted: bool) -> Iterator[list[int]]:
    """Collect the signals to end that come meanwhile, if `wanted`, for a block that can end well only now and then.

    A second one ends it at once.
    """
    come: list[int] = []

    def note(number: int, frame: object) -> None:
        if come:
            exit_on_signal(number)
        come.append(number)

    wanted = wanted and current_thread() is main_thread()
    numbers = [signal.Signals[name] for name in _SIGNALS if wanted and hasattr(signal, name)]
    before = {number: signal.signal(number, note) for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}
    try:
        yield come
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def open_closed_streams() -> None:
    """Put something in the place of standard streams that were closed before the command began, as by `>&-`.

    Stdin is empty, what goes to stderr is lost, and to print on stdout is an error. Their numbers are taken, too: a file that
    is opened later would get them, and with them what libraries print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    # Python has None for a closed stream, which its types do not say.
    streams = cast(Any, sys)
    streams.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115
    streams.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    streams.stdout = sys.stdout or _ClosedText()


class _ClosedBytes(io.RawIOBase):
    def write(self, data: object) -> NoReturn:
        raise CrnnocrError("stdout is closed, so there is nowhere to print to: redirect it to a file, or leave it open")


class _ClosedText(io.TextIOBase):
    buffer = _ClosedBytes()

    def write(self, text: str) -> NoReturn:
        self.buffer.write(text)
