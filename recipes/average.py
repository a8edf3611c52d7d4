"""Average two models of one training, weight by weight (Wortsman et al. 2022, "Model soups: averaging weights of multiple
fine-tuned models improves accuracy without increasing inference time").

    python recipes/average.py before.safetensors after.safetensors mean.safetensors --share 0.65 --fonts fonts/
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from shipped import VALIDATION, Stream

from crnnocr.graph import quantization
from crnnocr.images import Preprocessor
from crnnocr.model import checkpoint

LINES = 256
"""Synthetic lines for the activation ranges, which the int8 engine file needs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="the model that the training started from")
    parser.add_argument("after", type=Path, help="the model that it ended with; its card is kept")
    parser.add_argument("output", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="weight of the second one")
    parser.add_argument("--fonts", help="the folder that recipes/fonts.py made; by default what is installed")
    options = parser.parse_args()
    (old_card, old), (card, new) = checkpoint.load(options.before), checkpoint.load(options.after)
    if (old_card.config, old_card.charset.characters) != (card.config, card.charset.characters):
        raise SystemExit(f"{options.before} and {options.after} do not have the same layers and charset")
    weights = old.state_dict()
    for name, value in new.state_dict().items():
        if value.is_floating_point():  # the others are counters
            value.lerp_(weights[name], 1 - options.share)
    stream = Stream(replace(VALIDATION, fonts=options.fonts))
    preprocessor = Preprocessor.for_model(card.config)
    lines = [preprocessor.line(stream[i][0]) for i in range(LINES)]
    card = replace(card, activation_ranges=quantization.activation_ranges(new.eval(), lines))
    checkpoint.save(options.output, card, new, ())
    print(f"{options.output}: {options.share:.2f} of {options.after}, the rest of {options.before}")


if __name__ == "__main__":
    main()
