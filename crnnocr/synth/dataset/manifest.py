"""`synth.json`: everything that the images of a set depend on, and so what must be the same to resume it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

from PIL import features

from crnnocr import __version__
from crnnocr.config import LabelFormat, SynthConfig
from crnnocr.errors import DataError, UsageError
from crnnocr.files import as_json, atomic_write, sha256_of
from crnnocr.synth import fonts
from crnnocr.synth.dataset.labels import MAX_COUNT

MANIFEST = "synth.json"

Manifest: TypeAlias = dict[str, Any]

_FONT_OPTIONS = ("fonts", "system_fonts")
"""Options that matter only by the font files they lead to; the digest of these is part of the environment."""

_PACKAGES = ("trdg", "pillow", "numpy", "wordfreq", "faker", "fonttools")
_LIBRARIES = {"freetype": "freetype2", "raqm": "raqm", "harfbuzz": "harfbuzz", "fribidi": "fribidi"}
_CODECS = {"libjpeg": ("libjpeg_turbo", "jpg"), "zlib": ("zlib_ng", "zlib")}


@dataclass(frozen=True)
class ExistingSet:
    """The set that a folder holds already."""

    manifest: Manifest | None = None
    """Everything its images depend on; None if the folder holds no set."""
    count: int = 0
    """How many images it was to have."""
    format: LabelFormat = LabelFormat.IMAGEFOLDER


def create(config: SynthConfig, faces: Sequence[fonts.FontFace]) -> Manifest:
    """Everything that images made with these options and fonts depend on, on this machine now."""
    options = {key: value for key, value in asdict(config).items() if key not in _FONT_OPTIONS}
    return as_json(
        {
            "made_by": "crnnocr synth",
            "options": {**options, "text": _digest_of(config.text), "charset": _sorted(config.charset)},
            "environment": {
                "crnnocr": __version__,
                **{name: _installed(name) for name in _PACKAGES},
                **{name: features.version(feature) for name, feature in _LIBRARIES.items()},
                **{name: _codec(*parts) for name, parts in _CODECS.items()},
                "unicode": unicodedata.unidata_version,
                "fonts": {"files": len({face.path for face in faces}), "sha256": fonts.digest(faces)},
            },
        }
    )


def load(folder: Path) -> ExistingSet:
    """The set that a folder holds. Raises `DataError` if its manifest is damaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        count, format = _count(manifest.pop("count")), LabelFormat(manifest.pop("format", LabelFormat.IMAGEFOLDER))
    except FileNotFoundError:
        return ExistingSet()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(f"{folder / MANIFEST} is damaged: name another folder, or delete this one") from error
    return ExistingSet(manifest, count, format)


def _count(value: Any) -> int:
    if not isinstance(value, int) or not 1 <= value <= MAX_COUNT:
        raise ValueError
    return value


def write(folder: Path, manifest: Manifest, count: int, format: LabelFormat) -> None:
    """Write the manifest of a set that is to have `count` images with labels in `format`."""
    values = {**manifest, "count": count, "format": format}
    with atomic_write(folder / MANIFEST) as part:
        part.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def difference(existing: Manifest, now: Manifest) -> str:
    """How the manifest of an existing set differs, in words."""
    options = [_option(*values) for values in _changes(existing, now, "options")]
    environment = [_version(*values) for values in _changes(existing, now, "environment")]
    return f"it was made with {'; '.join(options + environment)}" if options + environment else f"its {MANIFEST} is another's"


def _changes(existing: Manifest, now: Manifest, group: str) -> Iterator[tuple[str, Any, Any]]:
    before = existing.get(group)
    if isinstance(before, dict):
        yield from ((key, before.get(key), value) for key, value in now[group].items() if before.get(key) != value)


def _option(key: str, before: Any, now: Any) -> str:
    if key == "text" and before and now:
        return "another `text` file"
    return f"`{key}={_typed(key, before)}`, not {_typed(key, now)}"


def _typed(key: str, value: Any) -> str:
    """The value of an option as it is typed."""
    if value is None:
        return "unset"
    if key == "text":
        return "FILE"
    if isinstance(value, list):
        return ("," if key == "lang" else "-").join(dict.fromkeys(map(str, value)))
    return str(value)


def _version(key: str, before: Any, now: Any) -> str:
    if key == "fonts":
        files = before.get("files") if isinstance(before, dict) else None
        return f"other fonts ({files} files)" if files == now["files"] else f"other fonts ({files} files, not {now['files']})"
    return f"{key} {before}, not {now}"


def _digest_of(file: str | None) -> str | None:
    if file is None:
        return None
    try:
        return sha256_of(Path(file))
    except OSError as error:
        raise UsageError(f"cannot read `text={file}`: {error.strerror}") from error


def _sorted(characters: str | None) -> str | None:
    return None if characters is None else "".join(sorted(set(characters)))


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _codec(feature: str, codec: str) -> str:
    """The library behind a codec of Pillow, and its version: two libraries for one format write different bytes."""
    variant = features.version_feature(feature)
    return f"{feature} {variant}" if variant else f"{features.version_codec(codec)}"
