"""Pseudo-labels: what the network in training recognizes confidently in unlabeled images, to be trained on too.

Lee 2013, "Pseudo-Label", with the consistency of FixMatch (Sohn et al. 2020, arXiv 2001.07685): the averaged weights recognize
the image as it is, and the network is trained to recognize the same in the changed image.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from crnnocr.config import DecodeConfig, TrainConfig
from crnnocr.datasets.lines import LineDataset
from crnnocr.errors import CrnnocrError
from crnnocr.evaluation.outcomes import EvalResult
from crnnocr.files import atomic_write
from crnnocr.inference.recognizer import Recognizer
from crnnocr.training.improvement import calibrated_on
from crnnocr.training.validation import recognize_lines

_MAX_SHARE = 2
"""Pseudo-labeled images for each labeled one in an epoch; of fewer labeled ones each is seen several times."""


def decoding(config: TrainConfig) -> DecodeConfig:
    """How pseudo-labels are found, and which texts they can be."""
    return DecodeConfig(allow=config.allow, pattern=config.pattern, lexicon=config.lexicon)


def pseudo_labeled(recognizer: Recognizer, unlabeled: LineDataset, config: TrainConfig, measured: EvalResult) -> LineDataset:
    """The unlabeled lines that are recognized confidently, with what was recognized as labels, and its confidence as weights.

    The confidence is per character (geometric mean), after the calibration on `measured`: what such a network recognized in
    labeled images that it was not trained on.
    """
    calibration = calibrated_on(measured)
    _, found = recognize_lines(recognizer, unlabeled, decode=decoding(config))
    texts = [each.prediction for each in found]
    lengths = np.maximum(1, [len(text) for text in texts])
    confidences = calibration.apply([each.log_prob for each in found]) ** (1 / lengths)
    labeled = unlabeled.with_labels(texts, confidences.tolist())
    return labeled.subset((confidences >= config.min_confidence) & np.array([bool(text) for text in texts]))


def mixed(labeled: LineDataset, pseudo: LineDataset) -> LineDataset:
    """Both together. Labeled lines come several times if there are far more of the others."""
    return labeled.joined(pseudo, times=max(1, -(-len(pseudo) // max(1, _MAX_SHARE * len(labeled)))))


def save(pseudo: LineDataset, path: Path) -> None:
    """Write pseudo-labels, to be loaded if the training is resumed."""
    rows = [
        [content, each.text, each.weight] for content, each in zip(pseudo.content_ids.tolist(), pseudo.samples, strict=True)
    ]
    with atomic_write(path, durable=True) as part:
        part.write_text(json.dumps(rows))


def load(path: Path, unlabeled: LineDataset) -> LineDataset:
    """Load what `save` wrote for lines of the same images. Raises `CrnnocrError` if it is missing or damaged."""
    try:
        found = {content: (str(text), float(weight)) for content, text, weight in json.loads(path.read_text())}
    except (OSError, ValueError, TypeError) as error:
        raise CrnnocrError(f"{path} cannot be read ({error}): begin again without `resume`") from error
    kept = unlabeled.subset(np.isin(unlabeled.content_ids, list(found)))
    labels = [found[content] for content in kept.content_ids.tolist()]
    return kept.with_labels([text for text, _ in labels], [weight for _, weight in labels])
