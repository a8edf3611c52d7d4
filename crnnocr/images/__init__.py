"""From a source to the lines that a model reads."""

from __future__ import annotations

from crnnocr.images.formats import SUFFIXES, PassedOver, foreign_name, image_files, is_image_name, open_image
from crnnocr.images.limits import MEMORY
from crnnocr.images.loading import ImageWarning, Readable, Source, is_source, kept_bytes, load_gray, load_upright, snapshot
from crnnocr.images.preprocessor import VERTICAL_FROM, Line, LineImage, Preprocessor, View, seen, to_batch

__all__ = [
    "MEMORY",
    "SUFFIXES",
    "VERTICAL_FROM",
    "ImageWarning",
    "Line",
    "LineImage",
    "PassedOver",
    "Preprocessor",
    "Readable",
    "Source",
    "View",
    "foreign_name",
    "image_files",
    "is_image_name",
    "is_source",
    "kept_bytes",
    "load_gray",
    "load_upright",
    "open_image",
    "seen",
    "snapshot",
    "to_batch",
]
