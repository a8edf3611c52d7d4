"""Every path of small cases, counted one by one: what decoders are compared with; and seeded lines to decode."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crnnocr.decoding import LogProbs
from crnnocr.decoding.forward import text_log_probs
from crnnocr.decoding.hypothesis import greedy

Text: TypeAlias = tuple[int, ...]
Floats: TypeAlias = NDArray[np.float64]

WIDE = 2000
"""A beam wider than the prefixes of 6 frames of 3 characters: 1 + 3 + … + 3⁶ = 1093."""

SHARPNESSES = (0.3, 1.0, 3.0, 10.0)
"""Factors on normally distributed logits: nearly flat, as they are, peaked, and as confident as a trained network."""


def random_log_probs(rng: np.random.Generator, frames: int, classes: int, sharpness: float) -> Floats:
    """(T, C) log-softmax of normally distributed logits."""
    logits = rng.normal(size=(frames, classes)) * sharpness
    result: Floats = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return result


def log(probs: list[list[float]]) -> Floats:
    """Natural log of written-out probabilities, -inf for 0."""
    with np.errstate(divide="ignore"):
        result: Floats = np.log(np.array(probs))
    return result


def collapse(path: Text) -> Text:
    """The text of a path: repeats merged, then blanks (class 0) dropped."""
    return tuple(c for c, _ in itertools.groupby(path) if c != 0)


@cache
def paths_and_texts(frames: int, classes: int) -> tuple[NDArray[np.int64], list[Text], NDArray[np.int64]]:
    """All C**T paths as (C**T, T), the distinct texts, and for each path the index of its text."""
    paths = np.array(list(itertools.product(range(classes), repeat=frames)), dtype=np.int64).reshape(-1, frames)
    collapsed = [collapse(tuple(path)) for path in paths.tolist()]
    texts = sorted(set(collapsed))
    index = {text: i for i, text in enumerate(texts)}
    return paths, texts, np.array([index[text] for text in collapsed])


def path_log_probs(log_probs: Floats) -> Floats:
    """(C**T,) log-probabilities of all paths."""
    paths, _, _ = paths_and_texts(*log_probs.shape)
    result: Floats = log_probs[np.arange(len(log_probs)), paths].sum(axis=1)
    return result


def text_probs(log_probs: Floats, spaces: Text = ()) -> dict[Text, float]:
    """The probability of every text there is: that of all its paths, summed."""
    _, texts, owner = paths_and_texts(*log_probs.shape)
    probs: defaultdict[Text, float] = defaultdict(float)
    for text, p in zip(texts, np.bincount(owner, np.exp(path_log_probs(log_probs))).tolist(), strict=True):
        probs[single_spaced(text, spaces)] += p
    return dict(probs)


def single_spaced(text: Text, spaces: Text) -> Text:
    """A text whose runs of spaces are their first, and that has none at its edges."""
    runs = [(is_space, list(run)) for is_space, run in itertools.groupby(text, key=lambda c: c in spaces)]
    while runs and runs[0][0]:
        runs.pop(0)
    while runs and runs[-1][0]:
        runs.pop()
    return tuple(c for is_space, run in runs for c in (run[:1] if is_space else run))


def small_cases(count: int) -> Iterator[Floats]:
    """Seeded cases of 1 to 6 frames and 2 to 4 classes, of which all paths can be counted."""
    rng = np.random.default_rng(987)
    for i in range(count):
        yield random_log_probs(rng, int(rng.integers(1, 7)), int(rng.integers(2, 5)), SHARPNESSES[i % len(SHARPNESSES)])


def best_path_frames(log_probs: Floats, text: Text) -> Text:
    """For each character its most probable frame along the most probable of all paths that read `text`."""
    paths, texts, owner = paths_and_texts(*log_probs.shape)
    reads_text = np.flatnonzero(owner == texts.index(text))
    path = paths[reads_text[path_log_probs(log_probs)[reads_text].argmax()]].tolist()
    runs = [list(run) for _, run in itertools.groupby(range(len(path)), key=path.__getitem__)]
    return tuple(max(run, key=lambda t: float(log_probs[t, path[t]])) for run in runs if path[run[0]] != 0)


NO_FRAMES = np.zeros((0, 3))
"""A line without a single frame."""


def log_prob(log_probs: LogProbs, text: Text, spaces: Text = ()) -> float:
    return float(text_log_probs([log_probs], [text], spaces)[0])


SPACES: tuple[Text, ...] = ((), (1,), (2,), (1, 3))
"""Which classes are spaces: none, one, or two kinds of them."""


def all_texts_of_small_cases(count: int, spaces: Text = ()) -> list[tuple[Floats, Text, float]]:
    """Lines that have such classes, with each of their texts and its probability."""
    lines = [line for line in small_cases(count) if line.shape[1] > max(spaces, default=0)]
    return [(line, text, p) for line in lines for text, p in text_probs(line, spaces).items()]


def mixed_lines(count: int) -> tuple[list[LogProbs], list[Text]]:
    """Seeded lines of 1 to 90 frames and their greedy texts."""
    rng = np.random.default_rng(4)
    lines = [random_log_probs(rng, int(rng.integers(1, 90)), 7, SHARPNESSES[i % 4]) for i in range(count)]
    return [*lines], [greedy(line).ids for line in lines]
