"""Writing files whole or not at all, and folders that one process at a time writes to.

Where crnnocr keeps things on this machine.

Plain text files that tell a decoder what to expect.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from crnnocr.errors import CrnnocrError, UsageError
from crnnocr.text.charset import normalise

_ROOM, _ELSEWHERE = "make room there, then run it again", "write somewhere else, or have it made writable"
_MENDS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "raise the limit (ulimit -f), then run it again",
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.EROFS: _ELSEWHERE,
}


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """A path to write to in place of `path`, which it becomes when the block ends well; else it is removed.

    Where it is to be `durable`, there is the old file or the new one, whole, after a power cut too. What a link leads to is
    replaced, not the link; a device or a pipe is written to itself.

    Raises `CrnnocrError` where the disk is full or the folder cannot be written.
    """
    if is_device(path):
        yield path
        return
    path = path.resolve() if path.is_symlink() else path
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        if durable:
            _flush(part)
        os.replace(part, path)
        if durable:
            _flush(path.parent)
    except OSError as error:
        if error.filename not in (None, str(part), str(path), *map(str, path.parents)):
            raise  # another file's trouble
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def is_device(path: Path) -> bool:
    """Whether a path leads to a device or a pipe, which cannot be replaced by a file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def adding(folder: Path, instead_of: Iterable[Path] = ()) -> Iterator[Path]:
    """A new folder to write files to, which are moved to `folder` when the block ends well; else nothing of them is left.

    What else is in `folder` stays there, but for `instead_of`, which they take the place of. Raises `CrnnocrError` where the
    disk is full or the folder cannot be written.
    """
    folder = folder.absolute()
    above = folder if folder.is_dir() else next(parent for parent in folder.parents if parent.is_dir())
    part = above / f".{folder.name}.{os.getpid()}.part"
    try:
        part.mkdir()
        yield part
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(part.iterdir()):
            os.replace(file, folder / file.name)
        for path in instead_of:
            path.unlink(missing_ok=True)
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith((str(part), str(folder))):
            raise  # another file's trouble
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _flush(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk itself."""
    if path.is_dir() and sys.platform == "win32":
        return  # which cannot open folders
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that knows no such thing
            raise
    finally:
        os.close(descriptor)


def replaced_by(name: str) -> str | None:
    """The name of the file that a file called `name` was to become, had its process not been killed; None if it is none."""
    leftover = re.fullmatch(r"\.(.+)\.\d+\.part", name)
    return leftover[1] if leftover else None


def sha256_of(path: Path) -> str:
    """The hash of a file, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cannot_write(path: Path, error: OSError) -> CrnnocrError:
    """What `error` means to whoever wanted `path`."""
    mend = _MENDS.get(error.errno or 0)
    return CrnnocrError(f"cannot write {path}: {error.strerror or error}{f' ({mend})' if mend else ''}")


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Keep other processes from entering such a block for the same folder, which is made if need be.

    It is free again when the process ends, however it ends. Systems that cannot lock a folder let everybody in.

    Raises `UsageError` where another process is in it, and `CrnnocrError` where the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY) if sys.platform != "win32" else None
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        if descriptor is not None:
            lock(folder, descriptor)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def lock(path: Path, descriptor: int) -> None:
    """Keep other processes from locking an open file or folder until this one ends or closes it, where the system can.

    Raises `UsageError` where another process has.
    """
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(f"another process is writing to {path}: wait until it has ended") from error
    except OSError:
        pass  # a file system that knows no locks


def data_directory() -> Path:
    """For what users made: `CRNNOCR_DATA_DIR`, else the platform's data directory."""
    chosen = os.environ.get("CRNNOCR_DATA_DIR")
    return Path(chosen) if chosen else platformdirs.user_data_path("crnnocr", appauthor=False)


def cache_directory() -> Path:
    """For what can be made again: `CRNNOCR_CACHE_DIR`, else the platform's cache directory."""
    chosen = os.environ.get("CRNNOCR_CACHE_DIR")
    return Path(chosen) if chosen else platformdirs.user_cache_path("crnnocr", appauthor=False)


def lines_of(path: str, option: str) -> list[str]:
    """The lines of a UTF-8 text file that are not empty, in NFC, with single spaces and none around them.

    Raises `UsageError`, naming the option, where it cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {option} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{option} {path} is not UTF-8: byte {error.start + 1} cannot be read") from error
    return [line for raw in normalise(text).splitlines() if (line := " ".join(raw.split()))]


class RealPaths:
    """Resolves links in paths. Each folder is resolved once, since a million images may lie in it."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def of(self, path: Path) -> str:
        """Return the absolute path with all links resolved. A name that no file can have is returned as it is."""
        folder, name = os.path.split(path)
        try:
            if name in ("", os.pardir) or path.is_symlink():
                return os.path.realpath(path)
            if folder not in self._folders:
                self._folders[folder] = os.path.realpath(folder).rstrip(os.sep)
        except (OSError, ValueError):
            return str(path)
        return f"{self._folders[folder]}{os.sep}{name}"
