"""A folder of drawn pictures: `000000.png`, …, their labels in `metadata.jsonl`, and how they were made in `synth.json`.

Picture by picture is written whole or not at all, and each depends on its index alone: an interrupted set is completed, and
a larger one extended, by the same call again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import features

from crnnocr import __version__
from crnnocr.config import SynthConfig
from crnnocr.datasets import imagefolder
from crnnocr.errors import DataError, UsageError
from crnnocr.files import replacing
from crnnocr.synth import trdg_adapter
from crnnocr.synth.sampler import Sampler

MANIFEST = "synth.json"


def draw(folder: Path, config: SynthConfig, count: int, force: bool = False) -> Generator[int]:
    """Draw until `folder` holds samples 0 to `count` - 1, and write their labels.

    However it ends, the labels of the pictures that are there are written.

    Yields:
        How many pictures are there, after each one that was drawn.

    Raises:
        UsageError: the folder holds something else, and not `force`; or it holds more pictures of this set than `count`.
        DataError: no font can draw a text.
    """
    if count < 1:
        raise UsageError("--count must be at least 1")
    sampler = Sampler(config)
    manifest = _manifest(config, sampler.fonts)
    foreign = _take_over(folder, manifest, count, force)
    done: list[int] = []
    try:
        for index in range(count):
            picture = folder / _name(index)
            if not picture.exists():
                line = sampler[index]
                with replacing(picture) as part:
                    line.image.save(part, format="PNG")
                yield len(done) + 1
            done.append(index)
    finally:
        own = [(_name(index), sampler.text(index)) for index in done]
        with replacing(folder / imagefolder.LABEL_FILE) as part:
            imagefolder.write(part, foreign + own)


def _name(index: int) -> str:
    return f"{index:06d}.png"


def _manifest(config: SynthConfig, fonts: Sequence[Path]) -> dict[str, Any]:
    """All that the pictures depend on."""
    text = hashlib.sha256(Path(config.text).read_bytes()).hexdigest() if config.text else None
    digest = hashlib.sha256(b"".join(hashlib.sha256(font.read_bytes()).digest() for font in fonts)).hexdigest()
    return {
        "made_by": "crnnocr synth",
        "options": {**asdict(config), "words": list(config.words), "text": text},
        "environment": {
            "crnnocr": __version__,
            "trdg": trdg_adapter.version(),
            "pillow": version("pillow"),
            "freetype": features.version("freetype2"),
            "numpy": version("numpy"),
            "fonts": {"files": len(fonts), "sha256": digest},
        },
    }


def _take_over(folder: Path, manifest: dict[str, Any], count: int, force: bool) -> list[tuple[str, str]]:
    """Make the folder ready for this set. Returns the labels in it that belong to other pictures, to be kept."""
    if folder.is_file():
        raise UsageError(f"{folder} is a file: name a folder")
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if not there:
        _write_manifest(folder, manifest)
        return []
    earlier = _read_manifest(folder)
    if earlier == manifest:
        _refuse_more(folder, count)
        return []
    if not force:
        difference = _difference(earlier, manifest) if earlier else f"it holds {there[0]}"
        raise UsageError(f"{folder} is not empty ({difference}): name another folder, or mix into it with --force")
    foreign = _rows_of_others(folder, remove_own=earlier is not None)
    for index in range(count):
        if (folder / _name(index)).exists():
            raise UsageError(f"{folder / _name(index)} is somebody else's and would be overwritten: name another folder")
    _write_manifest(folder, manifest)
    return foreign


def _refuse_more(folder: Path, count: int) -> None:
    last = max((int(path.stem) for path in folder.glob("[0-9]*.png") if path.stem.isdigit()), default=-1)
    if last >= count:
        raise UsageError(f"{folder} holds {last + 1} pictures of this set already: ask for --count {last + 1} or more")


def _rows_of_others(folder: Path, remove_own: bool) -> list[tuple[str, str]]:
    """The labels in the folder. With `remove_own`, the numbered pictures of an earlier set go, and their labels."""
    labels = folder / imagefolder.LABEL_FILE
    rows = list(imagefolder.rows(labels)) if labels.is_file() else []
    if not remove_own:
        return rows
    own = {path.name for path in folder.glob("[0-9]*.png") if path.stem.isdigit() and len(path.stem) >= 6}
    for name in own:
        (folder / name).unlink()
    return [row for row in rows if row[0] not in own]


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"{folder / MANIFEST} is damaged: delete the folder and draw it anew") from error
    return manifest


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    with replacing(folder / MANIFEST) as part:
        part.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _difference(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    """What sets an earlier set apart, in words."""
    for group in ("options", "environment"):
        for key, value in now[group].items():
            before = earlier.get(group, {}).get(key)
            if before != value:
                return f"it was drawn with {key} {before}, not {value}"
    return f"its {MANIFEST} differs"
