"""A stand-in for a network, which recognizes the gray value of each frame as a character."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crnnocr.config import Conv, ModelConfig, Pool
from crnnocr.inference.engines import BatchLimits
from crnnocr.inference.recognizer import Recognizer
from crnnocr.model.card import Card
from crnnocr.text.charset import Charset

SHAPE = ModelConfig(preset="flat", height=8, backbone=(Conv(2), Pool((2, 2), (2, 2)), Conv(2), Pool((4, 2), (4, 2))), hidden=2)
"""A frame for every four pixels."""


class Columns:
    """Recognizes `a` if the center of a frame is black, `b` if it is gray, else nothing."""

    description = "columns"
    limits = BatchLimits(lines=16, columns=8192)

    def log_probs(
        self, images: NDArray[np.float32], widths: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        frames = widths // 4
        levels = images[:, 0, images.shape[2] // 2, 2::4][:, : int(frames.max())]
        classes = np.where(levels < -0.6, 1, np.where(levels < 0.5, 2, 0))
        return np.log(np.eye(3, dtype=np.float32)[classes] * 0.9985 + 0.0005), frames


def recognizer_of_columns() -> Recognizer:
    return Recognizer(Card("columns", Charset("ab"), SHAPE), Columns())
