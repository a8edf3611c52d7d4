"""A page that reads pictures in a browser: what it needs is beside it, as scripts, so that it runs without a server, too.

Where onnxruntime-web comes from: an installed copy, a folder or archive of the package, or npm if the user says so.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tarfile
import tempfile
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from crnnocr.errors import CrnnocrError, UsageError
from crnnocr.model.card import Card

INDEX = "index.html"
_MODEL, _RUNTIME_SCRIPT, _RUNTIME_BINARY = "model.js", "runtime.js", "runtime-binary.js"
_OURS = (INDEX, "reader.js", "direction.js", "LICENSE-onnxruntime-web.txt")
FILES = (*_OURS, _MODEL, _RUNTIME_SCRIPT, _RUNTIME_BINARY)
"""Names of the files of a page."""


def write(folder: Path, card: Card, graph: Path, runtime: Runtime) -> None:
    """Write the page of a self-contained graph, which goes into it."""
    for name in _OURS:
        with resources.as_file(resources.files("crnnocr.export") / "web_files" / name) as file:
            shutil.copyfile(file, folder / name)
    characters = card.charset.characters
    model = {
        "name": card.name,
        "charset": list(characters),
        "directions": {character: unicodedata.bidirectional(character) for character in characters},
        "graph": _text(graph.read_bytes()),
    }
    _define(folder / _MODEL, "MODEL", model)
    glue, binary = _text(runtime.glue), _text(runtime.binary)
    _define(folder / _RUNTIME_BINARY, "RUNTIME", {"version": runtime.version, "glue": glue, "binary": binary})
    (folder / _RUNTIME_SCRIPT).write_bytes(runtime.script)
    graph.unlink()


def _define(file: Path, name: str, value: object) -> None:
    file.write_text(f"const {name} = {json.dumps(value)};\n", encoding="utf-8")


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


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
