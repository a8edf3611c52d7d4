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
from typing import Any, TypeAlias

from PIL import features

from crnnocr import __version__
from crnnocr.config import SynthConfig
from crnnocr.datasets import imagefolder
from crnnocr.datasets.detect import load_dataset
from crnnocr.errors import DataError, UsageError
from crnnocr.files import replacing
from crnnocr.synth import trdg_adapter
from crnnocr.synth.sampler import Sampler

MANIFEST = "synth.json"

Manifest: TypeAlias = dict[str, Any]
Row: TypeAlias = dict[str, Any]


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
    foreign = _take_over(folder, _manifest(config, sampler.fonts), count, force)
    try:
        for index in range(count):
            picture = folder / _name(index)
            if not picture.exists():
                line = sampler[index]
                with replacing(picture) as part:
                    line.image.save(part, format="PNG")
                yield index + 1
    finally:
        there = (index for index in range(count) if (folder / _name(index)).exists())
        own = [{"file_name": _name(index), "text": sampler.text(index)} for index in there]
        with replacing(folder / imagefolder.LABEL_FILE) as part:
            imagefolder.write(part, foreign + own)


def _name(index: int) -> str:
    return f"{index:06d}.png"


def _manifest(config: SynthConfig, fonts: Sequence[Path]) -> Manifest:
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


def _take_over(folder: Path, manifest: Manifest, count: int, force: bool) -> list[Row]:
    """Make the folder ready for this set. Returns the labels in it that belong to other pictures, to be kept."""
    if folder.is_file():
        raise UsageError(f"{folder} is a file: name a folder")
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    earlier, earlier_count = _read_manifest(folder)
    own = {_name(index) for index in range(earlier_count)}
    if earlier == manifest:
        _refuse_fewer(folder, count, earlier_count)
    elif there and not force:
        difference = _difference(earlier, manifest) if earlier else f"it holds {there[0]}"
        raise UsageError(f"{folder} is not empty ({difference}): name another folder, or mix into it with --force")
    foreign = [row for row in _labels(folder) if row["file_name"] not in own]
    for name in map(_name, range(count)):
        if name not in own and (folder / name).exists():
            raise UsageError(f"{folder / name} is not of this set and would be overwritten: name another folder")
    if earlier is not None and earlier != manifest:
        with replacing(folder / imagefolder.LABEL_FILE) as part:
            imagefolder.write(part, foreign)  # before the pictures go, so that a kill leaves no label for another picture
        for name in own:
            (folder / name).unlink(missing_ok=True)
    _write_manifest(folder, manifest, count)
    return foreign


def _refuse_fewer(folder: Path, count: int, earlier_count: int) -> None:
    there = [index for index in range(count, earlier_count) if (folder / _name(index)).exists()]
    if there:
        raise UsageError(
            f"{folder} holds {there[-1] + 1} pictures of this set already: ask for --count {there[-1] + 1} or more"
        )


def _labels(folder: Path) -> list[Row]:
    """The labels that a folder holds already, in whatever form, as rows of an imagefolder."""
    if (folder / imagefolder.LABEL_FILE).is_file():
        return [row for _, row in imagefolder.rows(folder / imagefolder.LABEL_FILE)]
    try:
        samples = load_dataset(folder).samples
    except DataError:
        return []
    return [{"file_name": sample.path.relative_to(folder).as_posix(), "text": sample.text} for sample in samples]


def _read_manifest(folder: Path) -> tuple[Manifest | None, int]:
    """What the pictures of an earlier set in the folder depend on, and how many it has; None and 0 without one."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return manifest, int(manifest.pop("count"))
    except FileNotFoundError:
        return None, 0
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{folder / MANIFEST} is damaged: name another folder, or delete this one") from error


def _write_manifest(folder: Path, manifest: Manifest, count: int) -> None:
    with replacing(folder / MANIFEST) as part:
        part.write_text(json.dumps({**manifest, "count": count}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _difference(earlier: Manifest, now: Manifest) -> str:
    """What sets an earlier set apart, in words."""
    for group in ("options", "environment"):
        before = earlier.get(group)
        for key, value in now[group].items():
            if isinstance(before, dict) and before.get(key) != value:
                return f"it was drawn with {key} {before.get(key)}, not {value}"
    return f"its {MANIFEST} is another's"
