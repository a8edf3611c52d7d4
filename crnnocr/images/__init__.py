"""From a source to the lines that a model reads."""

from __future__ import annotations

from crnnocr.images.loading import (
    SUFFIXES,
    ImageWarning,
    Readable,
    Source,
    image_files,
    is_image_name,
    is_source,
    load_gray,
    snapshot,
)
from crnnocr.images.preprocessor import VERTICAL_FROM, Line, LineImage, Preprocessor, View, to_batch, turned

__all__ = [
    "SUFFIXES",
    "VERTICAL_FROM",
    "ImageWarning",
    "Line",
    "LineImage",
    "Preprocessor",
    "Readable",
    "Source",
    "View",
    "image_files",
    "is_image_name",
    "is_source",
    "load_gray",
    "snapshot",
    "to_batch",
    "turned",
]
