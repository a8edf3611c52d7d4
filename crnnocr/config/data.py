"""The options that say how labels are to be read where a label file does not say so itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crnnocr.config.options import option, validate

_SEPARATORS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}


def _separator(text: str) -> str:
    separator = _SEPARATORS.get(text.lower(), text)
    if len(separator) != 1:
        raise ValueError(f"give one character, or {', '.join(name for name in _SEPARATORS if name.isalpha())}")
    return separator


class EmptyLabels(StrEnum):
    """Use of images whose label is empty."""

    SKIP = "skip"
    """They are left out, since somebody may not have labeled them yet."""
    KEEP = "keep"
    """They show no text, and models learn that or are measured by it."""


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """How labels are read. By default all of it is detected."""

    image_column: str | None = option(
        None, "Column, or JSON key, of the image's file name.", metavar="NAME|N", may_be_empty=False
    )
    """By its name, or its number from 1."""
    text_column: str | None = option(None, "Column, or JSON key, of the label.", metavar="NAME|N", may_be_empty=False)
    """By its name, or its number from 1."""
    images: str | None = option(
        None, "Folder of the images; by default that of the label file.", metavar="FOLDER", may_be_empty=False
    )
    separator: str | None = option(
        None,
        "Separator of a table's columns: tab, comma, semicolon, pipe, space, or a character.",
        metavar="SEPARATOR",
        parse=_separator,
    )
    group: str | None = option(
        None,
        "What tells images of one thing (page, plate, video), to hold them out together: a column, or an expression for paths.",
        metavar="COLUMN|REGEX",
        may_be_empty=False,
    )
    empty: EmptyLabels = option(
        EmptyLabels.SKIP, "Images with an empty label: skip them, or keep them as images that show no text."
    )

    def __post_init__(self) -> None:
        validate(self)
