"""Which images to label next: those from whose labels a model learns most. It is not confident of them, and each differs.

BADGE (Ash et al. 2020, "Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds", arXiv 1906.03671): an image
stands for the gradient that it would give if what is predicted were its label, and the images are chosen as k-means++ chooses
its centers (Arthur and Vassilvitskii 2007): each with a probability that grows with the square of its distance from those
that were chosen before. A sure reading has a gradient near 0, and 0 is the first center. Here the gradient is that for the bias
of the last layer, with the most probable class of each frame as its label: the sum over the frames of the probability of each
class, less 1 for that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crnnocr.config import ReadConfig
from crnnocr.datasets.lines import content_id
from crnnocr.decoding.hypothesis import LogProbs
from crnnocr.errors import ImageError
from crnnocr.inference.recognizer import Recognizer

CANDIDATES = 20
"""Images that are compared for each one that is wanted: the least confident ones."""
_AT_A_TIME = 64
"""Images whose lines are in memory at the same time."""

Floats = NDArray[np.floating]


def choose(
    recognizer: Recognizer,
    images: Sequence[Path],
    count: int,
    read: ReadConfig = ReadConfig(),  # noqa: B008 (frozen)
) -> list[int]:
    """The indices of `count` image files to label next, or of fewer if there are no more that the model was not trained on.

    Those that cannot be read are none of them. `read` says how the images are seen.
    """
    preprocessor = recognizer.preprocessor(read)
    found: list[int] = []
    gradients: list[Floats] = []
    for start in range(0, len(images), _AT_A_TIME):
        lines = []
        for i in range(start, min(start + _AT_A_TIME, len(images))):
            with suppress(OSError, ImageError):
                content = images[i].read_bytes()
                if content_id(content) not in recognizer.trained_on:
                    lines.append(preprocessor.views(content)[0].line)
                    found.append(i)
        gradients += map(gradient, recognizer.log_probs(lines) if lines else [])
    return [found[i] for i in k_means_plus_plus(np.array(gradients, np.float32), count)] if found else []


def gradient(log_probs: LogProbs) -> Floats:
    """The (C,) gradient for the last layer's bias, of an image with (T, C) log-probabilities whose best path is its label."""
    probabilities = np.exp(log_probs.astype(np.float64))
    found: Floats = probabilities.sum(axis=0)
    np.subtract.at(found, log_probs.argmax(axis=1), 1)
    return found


def k_means_plus_plus(vectors: Floats, count: int) -> list[int]:
    """The indices of at most `count` of (N, C) vectors, as k-means++ chooses centers if one is at 0. The same each time."""
    rng = np.random.default_rng(0)
    squares = np.square(vectors).sum(axis=1, dtype=np.float64)
    distances, chosen = squares.copy(), list[int]()
    while len(chosen) < min(count, len(vectors)):
        total = distances.sum()
        if total > 0:
            i = int(rng.choice(len(vectors), p=distances / total))
        else:
            i = int(np.setdiff1d(np.arange(len(vectors)), chosen)[0])
        chosen.append(i)
        apart = squares - 2 * (vectors @ vectors[i]).astype(np.float64) + squares[i]
        distances = np.minimum(distances, np.maximum(apart, 0))
        distances[chosen] = 0
    return chosen
