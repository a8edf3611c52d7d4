"""Where onnxruntime-web comes from: an installed copy, a folder or archive of the package, or npm if the user says so."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
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
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            reason = (str(error).splitlines() or ["it ends early"])[0]
            raise UsageError(f"--runtime {path}: not an archive of {PACKAGE} ({reason})") from error
        return _of_folder(Path(folder) / "package", str(path))


def _of_folder(folder: Path, name: str | None = None) -> Runtime:
    name = name or str(folder)
    try:
        package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        named, version = package["name"], str(package["version"])
        if named != PACKAGE:
            raise UsageError(f"--runtime {name}: this package is {named}, not {PACKAGE}")
        files = [(folder / "dist" / file).read_bytes() for file in (_SCRIPT, _GLUE, _BINARY)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--runtime {name}: not a copy of {PACKAGE} ({error})") from error
    return Runtime(version, *files)
