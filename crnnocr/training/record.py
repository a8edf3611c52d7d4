"""What a model's card says about its training."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from crnnocr import __version__
from crnnocr.config import TrainConfig
from crnnocr.datasets import Dataset
from crnnocr.datasets.lines import LineDataset
from crnnocr.training.prepare import Prepared
from crnnocr.training.trainer import Trained


def record(
    prepared: Prepared,
    sources: Sequence[Dataset],
    config: TrainConfig,
    trained: Trained,
    seconds: float,
    device: str,
    batch_size: int,
) -> dict[str, Any]:
    """How a model was trained, for its card.

    Args:
        prepared: what it began from and learnt from.
        sources: where the pictures come from.
        config: the recipe.
        trained: what came of it.
        seconds: wall time of the training.
        device: where it ran.
        batch_size: pictures a step.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "sources": [
                {"name": dataset.source.resolve().name, "format": dataset.format, "samples": len(dataset.samples)}
                for dataset in sources
            ],
            "learned": len(prepared.train),
            "held_out": len(prepared.validation),
            "digest": digest(prepared),
            "texts": _about_texts(prepared.train),
        },
        "start": prepared.start.found.name if prepared.start.found else None,
        "config": as_json(asdict(config)),
        "batch_size": batch_size,
        "steps": trained.step,
        "pictures_shown": trained.pictures,
        "seconds": round(seconds, 1),
        "device": device,
        "threads": torch.get_num_threads(),
        "versions": {
            "crnnocr": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _about_texts(lines: LineDataset) -> dict[str, Any]:
    if not len(lines):
        return {}
    lengths = np.array([len(text) for text in lines.texts])
    return {
        "characters": int(lengths.sum()),
        "mean_length": round(float(lengths.mean()), 2),
        "longest": int(lengths.max()),
        "mean_width": round(float(lines.widths.mean()), 1),
        "distinct": len(set(lines.texts)),
    }


def digest(prepared: Prepared) -> str:
    """One number for the pictures and labels that are learnt from and validated on."""
    whole = hashlib.blake2b(digest_size=16)
    for lines in (prepared.train, prepared.validation):
        whole.update(lines.content_ids.astype("<i8").tobytes())
        whole.update("\n".join(lines.texts).encode())
    return whole.hexdigest()


def as_json(values: dict[str, Any]) -> dict[str, Any]:
    """Values as JSON gives them back."""
    result: dict[str, Any] = json.loads(json.dumps(values))
    return result
