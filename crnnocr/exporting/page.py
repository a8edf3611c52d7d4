"""A page that reads pictures in a browser: what it needs is beside it, as scripts, so that it runs without a server, too."""

from __future__ import annotations

import base64
import json
import shutil
import unicodedata
from importlib import resources
from pathlib import Path

from crnnocr.exporting.page_runtime import Runtime
from crnnocr.model.checkpoint import Card

INDEX = "index.html"
_MODEL, _SCRIPT, _BINARY = "model.js", "runtime.js", "runtime-binary.js"
_OURS = (INDEX, "reader.js", "direction.js", "LICENSE-onnxruntime-web.txt")
FILES = (*_OURS, _MODEL, _SCRIPT, _BINARY)
"""Names of the files of a page."""


def write(folder: Path, card: Card, graph: Path, runtime: Runtime) -> None:
    """Write the page of a self-contained graph, which goes into it."""
    for name in _OURS:
        with resources.as_file(resources.files("crnnocr.exporting") / "web" / name) as file:
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
    _define(folder / _BINARY, "RUNTIME", {"version": runtime.version, "glue": glue, "binary": binary})
    (folder / _SCRIPT).write_bytes(runtime.script)
    graph.unlink()


def _define(file: Path, name: str, value: object) -> None:
    file.write_text(f"const {name} = {json.dumps(value)};\n", encoding="utf-8")


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
