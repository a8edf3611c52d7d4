"""Where onnxruntime-web comes from: an installed copy, a folder or archive of the package, or npm if the user says so."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from crnnocr.errors import CrnnocrError, UsageError

NPM = "npm"
"""What is said in place of a path to have npm fetch the package."""

PACKAGE = "onnxruntime-web"
_WANTED = f"{PACKAGE}@1"
_SCRIPT, _GLUE, _BINARY = "ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"


@dataclass(frozen=True)
class Runtime:
    """onnxruntime-web."""

    version: str
    """Of the package."""
    script: bytes
    """Defines `ort`."""
    glue: bytes
    """The module that loads the binary."""
    binary: bytes
    """WebAssembly."""


def find(where: str | None = None) -> Runtime:
    """The package at a path, fetched by npm, or (None) installed in a `node_modules` here, above, or for all.

    Raises `UsageError` where it is not there, and `CrnnocrError` where npm cannot fetch it.
    """
    if where == NPM:
        return _fetched()
    if where is not None:
        path = Path(where)
        return _of_archive(path) if path.is_file() else _of_folder(path)
    for folder in _installed():
        if (folder / "package.json").is_file():
            return _of_folder(folder)
    raise UsageError(
        f"a page runs by {PACKAGE}, which is not installed here: npm install {PACKAGE}, or name a copy with --runtime PATH, "
        f"or have npm fetch it with --runtime {NPM}"
    )


def _installed() -> Iterator[Path]:
    here = Path.cwd()
    yield from (folder / "node_modules" / PACKAGE for folder in (here, *here.parents))
    npm = shutil.which("npm")
    if npm:
        told = subprocess.run([npm, "root", "--global"], capture_output=True, text=True, check=False)  # noqa: S603
        if told.returncode == 0 and told.stdout.strip():
            yield Path(told.stdout.strip()) / PACKAGE


def _fetched() -> Runtime:
    npm = shutil.which("npm")
    if npm is None:
        raise UsageError(f"--runtime {NPM}: npm is not installed")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603
            [npm, "pack", _WANTED, "--pack-destination", folder], capture_output=True, text=True, check=False
        )
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            reason = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
            raise CrnnocrError(f"npm could not fetch {_WANTED}: {reason}")
        return _of_archive(archives[0])


def _of_archive(path: Path) -> Runtime:
    try:
        with tarfile.open(path) as archive:

            def read(name: str) -> bytes:
                file = archive.extractfile(f"package/{name}")
                if file is None:
                    raise KeyError(f"{name} is no file")
                return file.read()

            return _of(read, str(path))
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        reason = (str(error).splitlines() or ["it ends early"])[0]
        raise UsageError(f"--runtime {path}: not an archive of {PACKAGE} ({reason})") from error


def _of_folder(folder: Path) -> Runtime:
    return _of(lambda name: (folder / name).read_bytes(), str(folder))


def _of(read: Callable[[str], bytes], where: str) -> Runtime:
    """The runtime of a package, given what reads a file in it."""
    try:
        package = json.loads(read("package.json"))
        named, version = package["name"], str(package["version"])
        if named != PACKAGE:
            raise UsageError(f"--runtime {where}: this package is {named}, not {PACKAGE}")
        return Runtime(version, *(read(f"dist/{file}") for file in (_SCRIPT, _GLUE, _BINARY)))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--runtime {where}: not a copy of {PACKAGE} ({error})") from error
