"""Where crnnocr keeps things on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def data_directory() -> Path:
    """For what users made: `CRNNOCR_DATA_DIR`, else the platform's data directory."""
    chosen = os.environ.get("CRNNOCR_DATA_DIR")
    return Path(chosen) if chosen else platformdirs.user_data_path("crnnocr", appauthor=False)


def cache_directory() -> Path:
    """For what can be made again: `CRNNOCR_CACHE_DIR`, else the platform's cache directory."""
    chosen = os.environ.get("CRNNOCR_CACHE_DIR")
    return Path(chosen) if chosen else platformdirs.user_cache_path("crnnocr", appauthor=False)
