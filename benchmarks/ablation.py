"""The worth of each part of the recipe: the same training, each time with one thing changed.

Every training starts from scratch on the same folder of images and gets the same CPU time of one process with one thread, so
that other work on the machine changes little. Each is measured on other folders, as in `transfer.py`. With the images of
`protocol987.py`:

    python benchmarks/ablation.py --learn .work/protocol987/learn --minutes 8 --data .work/protocol987/measure
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transfer import measure

from crnnocr import runtime
from crnnocr.config import PRESETS, SCRATCH, TrainConfig
from crnnocr.datasets.detection import load_dataset
from crnnocr.datasets.lines import LineDataset, held_out, load_lines
from crnnocr.images import Preprocessor
from crnnocr.inference.engines import TorchEngine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN
from crnnocr.text.charset import Charset
from crnnocr.training.batching import BatchSampler
from crnnocr.training.loader import Loader
from crnnocr.training.prepare import fitting
from crnnocr.training.schedule import Budget
from crnnocr.training.trainer import Trainer, ctc_loss
from crnnocr.training.validation import Validation

RECIPE = TrainConfig(start=SCRATCH, patience=10**6, validations=6)  # the whole time is used
VARIANTS: dict[str, TrainConfig] = {
    "the recipe": RECIPE,
    "no auxiliary head": replace(RECIPE, auxiliary_weight=0.0),
    "auxiliary head at 1": replace(RECIPE, auxiliary_weight=1.0),
    "no averaging of weights": replace(RECIPE, ema=0.0),
    "no augmentation": replace(RECIPE, augment=0.0),
    "half the augmentation": replace(RECIPE, augment=0.5),
    "twice the augmentation": replace(RECIPE, augment=2.0),
    "8 images a step": replace(RECIPE, batch_size=8),
    "32 images a step": replace(RECIPE, batch_size=32),
    "batches of any widths": RECIPE,
    "self-distillation": RECIPE,
    "learning rate halved": replace(RECIPE, learning_rate=2e-3),
    "learning rate 1.5 times": replace(RECIPE, learning_rate=6e-3),
    "learning rate doubled": replace(RECIPE, learning_rate=8e-3),
    "decay over the whole time": replace(RECIPE, decay_share=0.95),
    "decay over a quarter": replace(RECIPE, decay_share=0.25),
}
HELD_OUT = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learn", type=Path, required=True, help="folder of synthetic images")
    parser.add_argument("--data", type=Path, nargs="+", default=[], help="folders of real crops")
    parser.add_argument("--minutes", type=float, default=12.0, help="CPU time of each training")
    parser.add_argument("--preset", choices=PRESETS, nargs="+", default=["small"], help="networks")
    parser.add_argument("--variants", choices=VARIANTS, nargs="+", default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(".work/ablation.jsonl"), help="where results are added")
    options = parser.parse_args()
    runtime.prepare_to_train()
    torch.set_num_threads(1)
    samples = load_dataset(options.learn).samples
    charset = Charset.from_texts(sample.text for sample in samples)
    for preset in options.preset:
        lines = fitting(load_lines(samples, Preprocessor.for_model(PRESETS[preset]))[0], charset, PRESETS[preset])
        first = np.array(held_out(lines.content_ids.tolist(), HELD_OUT))
        for name in options.variants:
            config = replace(VARIANTS[name], minutes=options.minutes, seed=options.seed)
            recognizer, about = trained(lines.subset(~first), lines.subset(first), charset, preset, config, name)
            result = {"preset": preset, "variant": name, "seed": options.seed, **about}
            result |= {folder.name: measure(recognizer, folder) for folder in options.data}
            print(json.dumps(result), flush=True)
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")


def distilled(log_probs: Tensor, frames: Tensor, ids: Tensor, lengths: Tensor, weights: Tensor, device: torch.device) -> Tensor:
    """The CTC loss, and a tenth of the cross-entropy to the most probable class of each frame given the label.

    As DCTC (Zhang et al. 2023, arXiv 2308.08806), for both heads. The gradient of the CTC loss is the probability of each class
    in each frame without the label, less that with it (Graves et al. 2006, equation 16).
    """
    leaf = log_probs.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(ctc_loss(leaf, frames, ids, lengths, weights, device), leaf)
    best = (leaf.detach().exp() - gradient).argmax(2, keepdim=True)
    inside = torch.arange(log_probs.shape[1]) < frames[:, None]
    cross_entropy = -(log_probs.gather(2, best)[..., 0] * inside).sum()
    return ctc_loss(log_probs, frames, ids, lengths, weights, device) + 0.1 * cross_entropy


def trained(
    train: LineDataset, validation: LineDataset, charset: Charset, preset: str, config: TrainConfig, variant: str
) -> tuple[Recognizer, dict[str, float]]:
    """Train a variant of the recipe. Returns its recognizer, and how many samples it saw."""
    model_config, device = PRESETS[preset], torch.device("cpu")
    size = config.batch_size or config.base_batch
    batches_per_bucket = 1 if variant == "batches of any widths" else BatchSampler.batches_per_bucket
    sampler = BatchSampler(len(train), size, config.seed, batches_per_bucket=batches_per_bucket)
    budget = Budget(config, sampler.samples_per_epoch, sampler.steps_per_epoch, clock=time.process_time)
    torch.manual_seed(config.seed)
    model, card = CRNN(model_config, charset.classes), Card(preset, charset, model_config)
    loss = distilled if variant == "self-distillation" else ctc_loss
    trainer = Trainer(model, card, validation, config, budget, device, size, loss=loss)
    seen, cer = 0, 1.0
    with Loader(sampler, train, iter(()), charset, model_config, config.augmentation.times(config.augment)) as loader:
        for event in trainer.train(loader):
            if isinstance(event, Validation):
                seen, cer = event.progress.samples_seen, event.scores.cer
    return Recognizer(card, TorchEngine(model, device)), {"images": seen, "CER synthetic": cer}


if __name__ == "__main__":
    main()
