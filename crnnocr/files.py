"""Files and folders: written whole or not at all, locks, hashes, text, real paths, and where crnnocr keeps its own."""

from __future__ import annotations

import codecs
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import platformdirs

from crnnocr.errors import ConfigError, CrnnocrError, DataError, UsageError
from crnnocr.text.charset import nfc


def data_directory() -> Path:
    """Return where users' models and runs are kept: `CRNNOCR_DATA_DIR`, else the platform's data directory."""
    chosen = os.environ.get("CRNNOCR_DATA_DIR")
    return Path(chosen) if chosen else platformdirs.user_data_path("crnnocr", appauthor=False)


def cache_directory() -> Path:
    """Return where files are kept that can be made again: `CRNNOCR_CACHE_DIR`, else the platform's cache directory."""
    chosen = os.environ.get("CRNNOCR_CACHE_DIR")
    return Path(chosen) if chosen else platformdirs.user_cache_path("crnnocr", appauthor=False)


@contextmanager
def atomic_write(path: Path, durable: bool = False) -> Iterator[Path]:
    """Yield a path to write to, which replaces `path` if the block succeeds and is removed if not.

    A `durable` file is the old or the new one, whole, even after a power cut. If `path` is a link, its target is replaced; a
    device or a pipe is written to directly.

    Raises `CrnnocrError` if the disk is full or the folder cannot be written.
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
            raise  # about another file
        raise write_error(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def atomic_files(folder: Path, replaces: Iterable[Path] = ()) -> Iterator[Path]:
    """Yield a new folder to write files to. If the block succeeds they are moved to `folder`, else they are removed.

    Other files in `folder` stay, except those that they have the names of and those in `replaces`.

    Raises `CrnnocrError` if the disk is full or the folder cannot be written.
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
        for path in replaces:
            path.unlink(missing_ok=True)
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith((str(part), str(folder))):
            raise  # about another file
        raise write_error(folder, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def target_of_part(name: str) -> str | None:
    """Return the file name that a partial file called `name` would have become; None for any other name."""
    leftover = re.fullmatch(r"\.(.+)\.\d+\.part", name)
    return leftover[1] if leftover else None


def is_device(path: Path) -> bool:
    """Whether a path leads to a device or a pipe, which cannot be replaced by a file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _flush(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk itself."""
    if path.is_dir() and sys.platform == "win32":
        return  # which cannot open folders
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot do this
            raise
    finally:
        os.close(descriptor)


_MAKE_ROOM, _WRITE_ELSEWHERE = "make room there, then run it again", "write somewhere else, or have it made writable"
_FIXES = {
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EFBIG: "raise the limit (ulimit -f), then run it again",
    errno.EACCES: _WRITE_ELSEWHERE,
    errno.EPERM: _WRITE_ELSEWHERE,
    errno.EROFS: _WRITE_ELSEWHERE,
}


def write_error(path: Path, error: OSError) -> CrnnocrError:
    """Return what `error` means to a user who wanted `path` written, with the fix."""
    fix = _FIXES.get(error.errno or 0)
    return CrnnocrError(f"cannot write {path}: {error.strerror or error}{f' ({fix})' if fix else ''}")


def check_output(field: str, path: Path) -> None:
    """Check before long work that a file can be written, and leave it as it is.

    Raises:
        ConfigError: of `field`, if `path` is a folder or its folder does not exist.
        CrnnocrError: its folder cannot be written to.
    """
    if path.is_dir():
        raise ConfigError(field, f"{path} is a folder: name a file")
    if is_device(path):
        return
    if not path.parent.exists():
        raise ConfigError(field, f"{path}: there is no folder {path.parent}: make it, or name another")
    try:
        with TemporaryFile(dir=path.resolve().parent):
            pass
    except OSError as error:
        raise write_error(path, error) from error


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes, and make it if it does not exist.

    The system frees the lock when the process ends, however it ends. The folder itself is locked, so that no lock file lies
    among the user's files. If the system cannot lock folders, nothing is locked.

    Raises `UsageError` if another process holds the lock, and `CrnnocrError` if the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY) if sys.platform != "win32" else None
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        if descriptor is not None:
            lock(folder, descriptor)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def lock(path: Path, descriptor: int) -> None:
    """Lock an open file or folder against other processes until it is closed, if the system can.

    Raises `UsageError` if another process holds the lock.
    """
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(f"another process is writing to {path}: wait until it has ended") from error
    except OSError:
        pass  # a file system without locks


def sha256_of(path: Path) -> str:
    """Return the hash of a file as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def real_folder(folder: str | os.PathLike[str]) -> str:
    """Return the absolute path of a folder with all links resolved and a separator at its end."""
    return os.path.realpath(folder).rstrip(os.sep) + os.sep


class FolderLinks:
    """Tells which links to folders to follow: each target once, and none that holds the folder or lies in it."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = real_folder(folder)
        self._followed: set[str] = set()

    def lead_elsewhere(self, path: str) -> bool:
        """Whether a link leads to a folder that is not followed yet. From then on it is."""
        target = real_folder(path)
        if target in self._followed or target.startswith(self._folder) or self._folder.startswith(target):
            return False
        self._followed.add(target)
        return True


_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_HEAD = 64
"""Bytes at the start of a file that reveal its encoding."""


def read_text(path: Path) -> str:
    """Return the text of a file, without a byte order mark.

    Raises `DataError` if it cannot be read, or is neither UTF-8 nor UTF-16.
    """
    try:
        text = _decoded(path.read_bytes(), path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    return text if "\n" in text else text.replace("\r", "\n")  # as an old Mac ends lines


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Iterate over the lines of a text file, each with its number from 1, without holding the whole file in memory.

    Raises `DataError` as `read_text` does.
    """
    start = 0
    try:
        with path.open("rb") as file:
            if file.read(4).startswith((*_UTF_32, *_UTF_16)):
                yield from enumerate(read_text(path).removesuffix("\n").split("\n"), start=1)
                return
            file.seek(0)
            for number, line in enumerate(file, start=1):
                if number == 1 and b"\r" in line and not line.endswith(b"\n"):
                    yield from enumerate(read_text(path).removesuffix("\n").split("\n"), start=1)
                    return
                yield number, _decoded(line, path, start).rstrip("\n")
                start += len(line)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def read_phrases(path: str, field: str) -> list[str]:
    """Return the lines of a text file that are not empty, in NFC, with single spaces and none at their ends.

    Raises `ConfigError` of the `field` that names the file, if it cannot be read.
    """
    try:
        text = read_text(Path(path))
    except DataError as error:
        raise ConfigError(field, str(error)) from error
    return [line for raw in nfc(text).splitlines() if (line := " ".join(raw.split()))]


def decode_utf_8(data: bytes, path: Path, start: int = 0) -> str:
    """Decode a part of the file `path` that begins at byte `start`, without a byte order mark.

    Raises `DataError`, naming the byte, if it is not UTF-8.
    """
    try:
        return data.decode("utf-8" if start else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {start + error.start}): save it as UTF-8") from error


def _decoded(data: bytes, path: Path, start: int = 0) -> str:
    head = data[:_HEAD] if start == 0 else b""
    if head.startswith((*_UTF_32, *_UTF_16)):
        encoding = "UTF-32" if head.startswith(_UTF_32) else "UTF-16"
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path} begins as {encoding} but does not go on so (byte {error.start}): save it as UTF-8"
            ) from error
    if head.count(0) > len(head) / 4:
        raise DataError(f"{path} looks like UTF-16 without a byte order mark: save it as UTF-8")
    return decode_utf_8(data, path, start)


def as_json(values: dict[str, Any]) -> dict[str, Any]:
    """Return `values` as they come back from a JSON file: tuples as lists, enumerations as their values."""
    parsed: dict[str, Any] = json.loads(json.dumps(values))
    return parsed
