"""Which characters of the labels a model does not know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crnnocr.charset import Charset, describe
from crnnocr.datasets import Sample

_FILES_NAMED = 3


def unknown_characters(samples: Sequence[Sample], charset: Charset) -> list[str]:
    """For each character that `charset` lacks: itself, its code point and name, in how many files, and the first of them."""
    files: dict[str, list[str]] = {}
    for sample in samples:
        for character in charset.unknown(sample.text):
            files.setdefault(character, []).append(Path(sample.name).name)
    return [f"{describe(character)} in {_named(names)}" for character, names in sorted(files.items())]


def _named(names: Sequence[str]) -> str:
    first = ", ".join(names[:_FILES_NAMED])
    return first if len(names) <= _FILES_NAMED else f"{len(names)} files ({first}, …)"
