"""The process that reads fuzzed files, within limits of time and memory, and sees what is opened on the way.

`python tests/fuzz_child.py KINDS SEED FIRST COUNT FOLDER` writes to `FOLDER/at` which input it is at, and to
`FOLDER/report.json` what came of all of them.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from random import Random
from typing import Any

from fuzz_kinds import CANARY, FAULTS, KINDS, Kind
from memory import peak

from crnnocr.errors import CrnnocrError

SECONDS = 2.0
"""CPU time that an input may take."""
_WALL_SECONDS = 120.0
"""After which the process ends; the machine may have other work."""
_MEMORY = 1_500_000_000
"""Bytes of address space above those of the libraries."""
_ROOT = Path(__file__).parents[1]

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_FORBIDDEN = (
    *("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.kill", "pty.", "webbrowser."),
    *("socket.", "urllib.", "ftplib.", "http.", "pickle."),
)
_IN_OPEN = 0x20
"""Of inotify."""
_CHANGES = (
    *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown"),
    "shutil.",
)


class Canary:
    """An image outside the folder of the inputs, which some of them name: it sees who opens it, native code too (Linux)."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir()
        path.write_bytes(b"P5 2 1 255\n\0\xff")
        self._events = -1
        if sys.platform == "linux":
            libc = ctypes.CDLL(None)
            self._events = libc.inotify_init1(os.O_NONBLOCK)
            libc.inotify_add_watch(self._events, os.fsencode(path), _IN_OPEN)

    def was_opened(self) -> bool:
        """Whether it was opened since the last call."""
        try:
            return self._events >= 0 and bool(os.read(self._events, 1 << 16))
        except BlockingIOError:
            return False


class Watch:
    """Notes what Python opens, changes or starts that it should not."""

    def __init__(self, folder: Path) -> None:
        self.found: list[str] = []
        self.is_on = False
        self._own = str(folder)
        shared = (
            sys.prefix,
            sys.base_prefix,
            str(_ROOT),
            "/usr/lib",
            "/usr/share",
            "/lib",
            "/proc/self",
            "/proc/cpuinfo",
            "/sys/",
        )
        self._readable = (self._own, *shared, *(os.path.realpath(path) for path in shared), "/dev/null", "/dev/urandom")

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = bool(flags & _WRITES) if isinstance(flags, int) else any(letter in (mode or "r") for letter in "wax+")
            self._see(event, path, writes)
        elif event in ("os.listdir", "os.scandir"):
            self._see(event, arguments[0], writes=False)
        elif event.startswith(_CHANGES):
            for path in arguments[:2]:
                self._see(event, path, writes=True)
        elif event.startswith(_FORBIDDEN):
            self._note(f"{event}{arguments!r:.200}")

    def _see(self, event: str, path: object, writes: bool) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        full = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 (links are the user's)
        allowed = (self._own, "/dev/null") if writes else self._readable
        if not any(full == each or full.startswith(each.rstrip("/") + "/") for each in allowed):
            self._note(f"{event} {full!r:.200}{' to write' if writes else ''}")

    def _note(self, what: str) -> None:
        self.found.append(what)
        self.is_on = False
        raise PermissionError(f"outside the folder: {what}")


def mutated(kind: Kind, name: str, seed: int, index: int, seeds: dict[Path, bytes]) -> tuple[Path, bytes]:
    """The file that input `index` changes, and its content then."""
    rng = Random(f"{name} {seed} {index}")
    path = sorted(seeds)[index % len(seeds)]
    return path, kind.mutate(seeds[path], rng)


def limit_memory() -> None:
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, used + _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class TooSlow(BaseException):
    """An input took too much CPU time."""


def _give_up(number: int, frame: object) -> None:
    raise TooSlow


class Child:
    """Runs inputs of one kind after the other."""

    def __init__(self, seed: int, first: int, count: int, folder: Path) -> None:
        self._seed, self._indices, self._folder = seed, range(first, first + count), folder
        self._watch, self._canary = Watch(folder.resolve()), Canary(folder / CANARY)
        sys.addaudithook(self._watch.hook)
        self._at = os.open(folder / "at", os.O_WRONLY | os.O_CREAT)

    def prepare(self, name: str) -> dict[Path, bytes]:
        """Make the good files, and use them, so that what is imported on the way is imported."""
        inputs = self._folder / name
        inputs.mkdir()
        seeds = {path: path.read_bytes() for path in kind_of(name).make(inputs)}
        for path, content in seeds.items():
            kind_of(name).use(path)
            path.write_bytes(content)
        return seeds

    def run(self, name: str, seeds: dict[Path, bytes]) -> dict[str, Any]:
        kind, counts, slowest = kind_of(name), {"read": 0, "refused": 0}, 0.0
        failures: list[dict[str, Any]] = []
        for index in self._indices:
            os.pwrite(self._at, f"{name} {index:12}\n".encode(), 0)
            path, content = mutated(kind, name, self._seed, index, seeds)
            path.write_bytes(content)
            outcome, seconds, failure = self._use(kind, path)
            slowest = max(slowest, seconds)
            if failure:
                failures.append({"index": index, "what": failure})
            else:
                counts[outcome] += 1
            path.write_bytes(seeds[path])
        return {"counts": counts, "failures": failures, "slowest": slowest}

    def _use(self, kind: Kind, path: Path) -> tuple[str, float, str]:
        """Whether a file was read, its CPU seconds, and what was wrong."""
        outcome, failure = "read", ""
        self._watch.found = []
        faulthandler.dump_traceback_later(_WALL_SECONDS, exit=True)
        signal.setitimer(signal.ITIMER_PROF, 2 * SECONDS)
        start = time.process_time()
        self._watch.is_on = True
        try:
            kind.use(path)
        except CrnnocrError as error:
            outcome, failure = "refused", "" if str(error).strip() else "an error without a message"
        except BaseException as error:
            failure = f"{type(error).__name__}\n{traceback.format_exc(limit=-8)}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self._watch.is_on = False
            faulthandler.cancel_dump_traceback_later()
        seconds = time.process_time() - start
        if self._canary.was_opened():
            failure = f"outside the folder: {CANARY}"
        elif self._watch.found:
            failure = f"outside the folder: {self._watch.found[0]}"
        elif not failure and seconds > SECONDS:
            failure = f"slow: {seconds:.1f} s of CPU"
        return outcome, seconds, failure


def kind_of(name: str) -> Kind:
    return KINDS[name] if name in KINDS else FAULTS[name].kind


def main() -> None:
    names, (seed, first, count), folder = sys.argv[1].split(","), map(int, sys.argv[2:5]), Path(sys.argv[5])
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, _give_up)
    child = Child(seed, first, count, folder)
    seeds = {name: child.prepare(name) for name in names}
    limit_memory()
    reports = {name: child.run(name, seeds[name]) for name in names}
    memory = peak() // 1024
    (folder / "report.json").write_text(json.dumps({"kinds": reports, "memory": memory}), encoding="utf-8")
    os._exit(0)  # threads of a pipeline may still wait


if __name__ == "__main__":
    main()
