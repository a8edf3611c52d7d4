"""A page that recognizes images in a browser: everything it needs is beside it, as scripts, so that it needs no server.

onnxruntime-web comes from an installed copy, a folder or archive of the package, or from npm if the user says so.
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

from crnnocr.errors import ConfigError, CrnnocrError, UsageError
from crnnocr.model.card import Card
from crnnocr.text.bidi import mirrored

INDEX = "index.html"
_MODEL, _RUNTIME_SCRIPT, _RUNTIME_BINARY = "model.js", "runtime.js", "runtime-binary.js"
_OURS = (INDEX, "reader.js", "direction.js", "LICENSE-onnxruntime-web.txt")
FILES = (*_OURS, _MODEL, _RUNTIME_SCRIPT, _RUNTIME_BINARY)
"""File names of a page."""

_MAX_FILE = 200_000_000
"""Bytes of the largest file in an archive of the package; the real ones have up to 30 MB."""

NPM = "npm"
"""In place of a path: have npm fetch the package."""

PACKAGE = "onnxruntime-web"
_PACKAGE_SPEC = f"{PACKAGE}@1"
_SCRIPT, _GLUE, _BINARY = "ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"


def write_page(folder: Path, card: Card, graph: Path, runtime: Runtime) -> None:
    """Write the page of a self-contained graph, whose file is removed: its content goes into a script."""
    for name in _OURS:
        with resources.as_file(resources.files("crnnocr.export") / "web_files" / name) as file:
            shutil.copyfile(file, folder / name)
    characters = card.charset.characters
    model = {
        "name": card.name,
        "charset": list(characters),
        **directions(characters),
        "graph": _base64(graph.read_bytes()),
    }
    _define(folder / _MODEL, "MODEL", model)
    glue, binary = _base64(runtime.glue), _base64(runtime.binary)
    _define(folder / _RUNTIME_BINARY, "RUNTIME", {"version": runtime.version, "glue": glue, "binary": binary})
    (folder / _RUNTIME_SCRIPT).write_bytes(runtime.script)
    graph.unlink()


def directions(characters: str) -> dict[str, dict[str, str]]:
    """The properties of characters by which the page's script brings them into logical order."""
    with_mirrored = sorted({*characters, *map(mirrored, characters)})
    return {
        "directions": {c: unicodedata.bidirectional(c) for c in with_mirrored},
        "mirrored": {c: mirrored(c) for c in with_mirrored if mirrored(c) != c},
    }


def _define(file: Path, name: str, value: object) -> None:
    file.write_text(f"const {name} = {json.dumps(value)};\n", encoding="utf-8")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@dataclass(frozen=True)
class Runtime:
    """onnxruntime-web."""

    version: str
    script: bytes
    """Defines `ort`."""
    glue: bytes
    """The module that loads the WebAssembly."""
    binary: bytes
    """WebAssembly."""


def find_runtime(where: str | None = None) -> Runtime:
    """Find the package at a path, have npm fetch it, or (None) look in a `node_modules` here, in a folder above, or globally.

    Raises:
        UsageError: it is not there.
        CrnnocrError: npm cannot fetch it.
    """
    if where == NPM:
        return _fetch()
    if where is not None:
        path = Path(where)
        return _from_archive(path) if path.is_file() else _from_folder(path)
    for folder in _installed_folders():
        if (folder / "package.json").is_file():
            return _from_folder(folder)
    raise UsageError(
        f"a page needs {PACKAGE}, which is not installed here: npm install {PACKAGE}, name a copy of it with `runtime`, "
        f"or have npm fetch it with `runtime={NPM}`"
    )


def _installed_folders() -> Iterator[Path]:
    here = Path.cwd()
    yield from (folder / "node_modules" / PACKAGE for folder in (here, *here.parents))
    npm = shutil.which("npm")
    if npm:
        found = subprocess.run([npm, "root", "--global"], capture_output=True, text=True, check=False)  # noqa: S603
        if found.returncode == 0 and found.stdout.strip():
            yield Path(found.stdout.strip()) / PACKAGE


def _fetch() -> Runtime:
    npm = shutil.which("npm")
    if npm is None:
        raise ConfigError("runtime", f"{NPM}: npm is not installed")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603
            [npm, "pack", _PACKAGE_SPEC, "--pack-destination", folder], capture_output=True, text=True, check=False
        )
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            reason = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
            raise CrnnocrError(f"npm could not fetch {_PACKAGE_SPEC}: {reason}")
        return _from_archive(archives[0])


def _from_archive(path: Path) -> Runtime:
    try:
        with tarfile.open(path) as archive:

            def read(name: str) -> bytes:
                file = archive.extractfile(f"package/{name}")
                if file is None:
                    raise KeyError(f"{name} is no file")
                content = file.read(_MAX_FILE + 1)
                if len(content) > _MAX_FILE:
                    raise KeyError(f"{name} is too large")
                return content

            return _from_package(read, str(path))
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        reason = (str(error).splitlines() or ["it ends early"])[0]
        raise ConfigError("runtime", f"{path}: not an archive of {PACKAGE} ({reason})") from error


def _from_folder(folder: Path) -> Runtime:
    return _from_package(lambda name: (folder / name).read_bytes(), str(folder))


def _from_package(read: Callable[[str], bytes], where: str) -> Runtime:
    """Load the runtime; `read` gives the content of a file of the package."""
    try:
        package = json.loads(read("package.json"))
        named, version = package["name"], str(package["version"])
        if named != PACKAGE:
            raise ConfigError("runtime", f"{where}: this package is {named}, not {PACKAGE}")
        return Runtime(version, *(read(f"dist/{file}") for file in (_SCRIPT, _GLUE, _BINARY)))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError) as error:
        raise ConfigError("runtime", f"{where}: not a copy of {PACKAGE} ({error})") from error
