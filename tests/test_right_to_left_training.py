"""A model trained on right-to-left lines with European digits beside signs reads its own training set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crnnocr.config import ReadConfig, Style, SynthConfig, TrainConfig
from crnnocr.config.model import Conv, ModelConfig, Pool
from crnnocr.datasets.detection import load_dataset
from crnnocr.datasets.lines import load_lines
from crnnocr.images import Preprocessor
from crnnocr.inference.recognizer import Recognizer
from crnnocr.model import checkpoint
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN
from crnnocr.synth.dataset.folder import generate
from crnnocr.synth.fonts.glyphs import has_raqm
from crnnocr.text.charset import Charset
from crnnocr.training.batching import BatchSampler
from crnnocr.training.loader import Loader
from crnnocr.training.prepare import fitting
from crnnocr.training.schedule import Budget
from crnnocr.training.trainer import Trainer

LABELS = ("خصم 50%", "حرارة -12°", "سعر $49", "رقم #7", "وزن 10-20", "سعر 35$", "طول %80", "رقم #318")
CONFIG = ModelConfig(
    preset="tiny",
    height=24,
    backbone=(Conv(16), Pool((2, 2), (2, 2)), Conv(32), Pool((2, 1), (2, 1)), Conv(64), Pool((6, 1), (6, 1))),
    hidden=64,
)


@pytest.mark.skipif(not has_raqm(), reason="needs raqm")
def test_arabic_labels_with_digits_and_signs_are_learned_and_read_in_one_order(
    tmp_path: Path, overfit_config: TrainConfig
) -> None:
    listed, folder, path = tmp_path / "labels.txt", tmp_path / "set", tmp_path / "model.safetensors"
    listed.write_text("\n".join(LABELS), encoding="utf-8")
    list(generate(folder, SynthConfig(style=Style.CLEAN, lang=("ar",), text=str(listed)), len(LABELS)))
    samples = load_dataset(folder).samples
    charset = Charset.from_texts(sample.text for sample in samples)
    lines = fitting(load_lines(samples, Preprocessor.for_model(CONFIG))[0], charset, CONFIG)
    config = replace(overfit_config, epochs=260, learning_rate=3e-2)
    torch.manual_seed(0)
    card, model = Card("tiny", charset, CONFIG), CRNN(CONFIG, charset.classes)
    sampler = BatchSampler(len(lines), len(lines), config.seed)
    budget = Budget(config, sampler.samples_per_epoch, sampler.steps_per_epoch)
    none = lines.subset(np.zeros(len(lines), dtype=bool))
    trainer = Trainer(model, card, none, config, budget, torch.device("cpu"), sampler.batch_size)
    with Loader(sampler, lines, iter(()), charset, CONFIG, config.augmentation.times(0)) as loader:
        list(trainer.train(loader))
    checkpoint.save(path, card, model, [])
    read = Recognizer.load(path, "cpu").predict([sample.path for sample in samples], read=ReadConfig(quick=True))
    assert [prediction.text for prediction in read] == [sample.text for sample in samples]
