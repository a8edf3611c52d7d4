"""How a command ends, what it says on stderr, and that it leaves the process as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import pytest
import torch
import typer
from typer.testing import Result

from crnnocr.cli import console
from crnnocr.errors import ConfigError, CrnnocrError, DataError, GateError, UsageError

RunCli = Callable[..., Result]
Top = Annotated[int, typer.Option("--top-k")]
From = Annotated[str, typer.Option("--from", "-f")]


def ended(action: Callable[[], None], **about: Any) -> int:
    """The exit code of a command with the options --top-k and --from that does this."""

    @console.handle_errors
    def command(top_k: Top = 1, start: From = "", **others: Any) -> None:
        action()

    with pytest.raises(typer.Exit) as caught:
        command(**about)
    return caught.value.exit_code


def raising(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


# Errors


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (CrnnocrError("no luck"), 1, "error: no luck\n"),
        (UsageError("`start` and `top_k=3`"), 2, "error: --from and --top-k 3\n"),
        (UsageError("`beam` is no option here"), 2, "error: `beam` is no option here\n"),
        (ConfigError("top_k", "takes 1 to 10"), 2, "error: --top-k takes 1 to 10\n"),
        (ConfigError("beam", "takes 1 to 10"), 2, "error: beam takes 1 to 10\n"),
        (GateError("missed", ["a detail"]), 4, "error: missed\n"),
        (FileNotFoundError(2, "No such file", "x.txt"), 1, "error: x.txt: No such file\n"),
        (KeyboardInterrupt("all is kept"), 130, "interrupted: all is kept\n"),
    ],
    ids=lambda value: repr(value) if isinstance(value, BaseException) else None,
)
def test_an_error_is_one_line_and_an_exit_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(raising(error)) == code
    assert capsys.readouterr().err == said


def test_texts_of_the_user_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    def action() -> None:
        console.info("label '`start`'")
        raise CrnnocrError("no luck")

    ended(action)
    assert capsys.readouterr().err == "label '`start`'\nerror: no luck\n"


def test_details_are_for_verbose_and_tracebacks_for_debug(capsys: pytest.CaptureFixture[str]) -> None:
    ended(raising(GateError("missed", ["a detail of `start`"])), verbose=True)
    assert capsys.readouterr().err == "error: missed\n  a detail of --from\n"
    ended(raising(CrnnocrError("no luck")), debug=True)
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.endswith("error: no luck\n")


def test_an_error_of_a_field_can_be_sent_between_processes() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(ConfigError("beam", "takes 1 to 10")))
    assert (type(error), error.field, str(error)) == (ConfigError, "beam", "beam takes 1 to 10")


def test_quiet_leaves_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    with console.session(quiet=True):
        console.info("something")
        console.warn("a tab\tand more")
    assert capsys.readouterr().err == "warning: a tab\\tand more\n"


# Signals


@contextmanager
def heeding(number: signal.Signals) -> Iterator[None]:
    """As a shell's foreground job heeds signals, however the tests are run."""
    before = signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_that_a_library_turns_into_an_error_of_its_own_ends_as_it_asks(
    sent: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def action() -> None:
        try:
            os.kill(os.getpid(), sent)
            time.sleep(5)
        except BaseException:
            raise ImportError("cannot load module more than once per process") from None

    with heeding(sent):
        assert ended(action) == code
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")
def test_a_deferred_signal_is_noted_and_a_second_one_ends() -> None:
    def send() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)

    with heeding(signal.SIGTERM), console.session():
        with console.deferred_signals(True) as come:
            send()
            assert come == [signal.SIGTERM]
            with pytest.raises(SystemExit):
                send()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")
def test_what_is_to_outlive_its_terminal_does() -> None:
    def action() -> NoReturn:
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(0.01)
        raise DataError("the end")

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert ended(action) == 1
    finally:
        signal.signal(signal.SIGHUP, before)


# The process


def process_state() -> dict[str, Any]:
    """The state of the process that a command could change."""
    return {
        "environment": dict(os.environ),
        "signals": [
            signal.getsignal(getattr(signal, name))
            for name in ("SIGINT", "SIGTERM", "SIGABRT", "SIGHUP")
            if hasattr(signal, name)
        ],
        "warnings": (list(warnings.filters), warnings.showwarning),
        "threads": torch.get_num_threads(),
        "kernels": (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark),
    }


@pytest.mark.parametrize(
    "arguments",
    [
        "synth set --count 2 --words 1",
        "train DATA --preset tiny --steps 2 --deterministic",
        "train DATA --check",
        "eval DATA",
        "eval nowhere",
        "predict DATA",
        "predict DATA --beam -1",
        "export --output x",
        "models",
        "models show",
    ],
)
@pytest.mark.usefixtures("current_model", "tiny_preset")
def test_a_command_leaves_the_process_as_it_was(
    arguments: str, tiny_data: Path, run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GOMP_SPINCOUNT", "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "OPENBLAS_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    with heeding(signal.SIGINT), heeding(signal.SIGTERM):
        before = process_state()
        run_cli(*arguments.replace("DATA", str(tiny_data)).split())
        assert process_state() == before


def test_a_command_can_run_in_a_thread(tiny_data: Path, tiny_preset: str, run_cli: RunCli) -> None:
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(run_cli, "train", tiny_data, "--preset", tiny_preset, "--steps", 2).result()
    assert result.exit_code == 0, result.stderr


def test_loading_the_package_sets_nothing(run_process: Callable[..., Any]) -> None:
    code = """
import os, signal, warnings
def state(): return dict(os.environ), [signal.getsignal(n) for n in signal.valid_signals()], warnings.showwarning
before = state()
import crnnocr.cli, crnnocr.synth.sampler, crnnocr.inference.recognizer, crnnocr.training.run
print(state() == before)
"""
    assert run_process("-c", code).stdout == "True\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no closed pipes to write to")
def test_if_the_reader_of_stdout_has_gone_a_command_ends_quietly() -> None:
    code = """
import typer
from crnnocr.cli import console
@console.handle_errors
def command():
    for _ in range(100_000):
        typer.echo("a line")
typer.run(command)
"""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, encoding="utf-8", check=False, timeout=60)
    os.close(writer)
    assert (result.returncode, result.stderr) == (0, "")
