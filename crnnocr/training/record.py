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
from crnnocr.model.card import DataSource, TextStatistics, TrainingData, TrainingRecord, Versions
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
) -> TrainingRecord:
    """Describe a training that ends now, for the model's card.

    Args:
        prepared: the two splits and the start model.
        sources: the data sets of both splits.
        config: the options.
        trained: its outcome.
        seconds: its wall time.
        device: where it ran.
        batch_size: images a step.
    """
    return TrainingRecord(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        data=TrainingData(
            sources=tuple(
                DataSource(dataset.source.resolve().name, dataset.format, len(dataset.samples)) for dataset in sources
            ),
            learned=len(prepared.train),
            held_out=len(prepared.validation),
            digest=digest(prepared),
            texts=_text_statistics(prepared.train),
        ),
        start=prepared.start.found.name if prepared.start.found else None,
        config=as_json(asdict(config)),
        batch_size=batch_size,
        steps=trained.step,
        pictures_shown=trained.samples_seen,
        seconds=round(seconds, 1),
        device=device,
        threads=torch.get_num_threads(),
        versions=Versions(crnnocr=__version__, torch=torch.__version__, numpy=np.__version__, python=platform.python_version()),
    )


def _text_statistics(lines: LineDataset) -> TextStatistics | None:
    if not len(lines):
        return None
    lengths = np.array([len(text) for text in lines.texts])
    return TextStatistics(
        characters=int(lengths.sum()),
        mean_length=round(float(lengths.mean()), 2),
        longest=int(lengths.max()),
        mean_width=round(float(lines.widths.mean()), 1),
        distinct=len(set(lines.texts)),
    )


def digest(prepared: Prepared) -> str:
    """One hash of the images and labels of both splits."""
    whole = hashlib.blake2b(digest_size=16)
    for lines in (prepared.train, prepared.validation):
        whole.update(lines.content_ids.astype("<i8").tobytes())
        whole.update("\n".join(lines.texts).encode())
    return whole.hexdigest()


def as_json(values: dict[str, Any]) -> dict[str, Any]:
    """Values as JSON gives them back."""
    result: dict[str, Any] = json.loads(json.dumps(values))
    return result
