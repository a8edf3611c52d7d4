"""The training of a shipped model: an endless stream of drawn English, and nothing else.

It may be stopped at any time, also by a kill, and goes on where it stood when it is called again with the same options. The
texts of the pictures that `benchmarks/protocol987.py` measures with never occur in the stream.

    python recipes/fonts.py fonts/
    python recipes/shipped.py small --samples 4_000_000 --fonts fonts/
    python recipes/shipped.py base --samples 40_000_000 --fonts fonts/ --batch-size 256   # on a GPU

The run and the model are kept in the data directory of crnnocr (`CRNNOCR_DATA_DIR`); `history.jsonl` beside the model has the
error on drawn pictures that it has not seen, against the number that it has.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from crnnocr.runtime import prepare_to_train

prepare_to_train()  # before torch is loaded

from crnnocr.config import PRESETS, SCRATCH, Style, SynthConfig, TrainConfig
from crnnocr.model import registry
from crnnocr.synth.sampler import Sampler
from crnnocr.training import resume as runs
from crnnocr.training.prepare import inspect, prepare
from crnnocr.training.run import Finished, Order, run
from crnnocr.training.trainer import Progress
from crnnocr.training.validation import Validation

if TYPE_CHECKING:
    from PIL import Image

ASCII = "".join(map(chr, range(32, 127)))
CHARSET = ASCII + "€£§‘’“”–—…"
"""Typographic quotes and dashes are characters of their own: who wants them folded can do that, the reverse cannot be done."""

STREAM = SynthConfig(lang=("en",), style=Style.MIXED, charset=CHARSET, seed=20_261, height=48)
CHECK = replace(STREAM, seed=20_262)
"""What it is validated on."""

FIRST_OF_OTHERS = 2**31
"""Where a text is one of the protocol's, the sample of the index that lies so much further takes its place."""


STYLES = (Style.TRDG, *[Style.SCENE] * 3, Style.RECEIPT, *[Style.MIXED] * 5)
"""What every ten samples are drawn in: mixed, more of what is hardest to read, and one as `synth --style trdg` draws it."""


class Stream:
    """Draws samples whose texts are none of those that the 987 protocol measures with."""

    def __init__(self, config: SynthConfig) -> None:
        self._config = config
        as_trdg_draws = replace(config, style=Style.TRDG, fonts=None, words=(1, 3), height=32)
        configs = {style: replace(config, style=style) for style in STYLES} | {Style.TRDG: as_trdg_draws}
        self._samplers = {style: Sampler(each) for style, each in configs.items()}
        self.charset = self._samplers[Style.MIXED].charset

    def __reduce__(self) -> tuple[type[Stream], tuple[SynthConfig]]:
        return Stream, (self._config,)

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        picture, text = self._samplers[STYLES[index % len(STYLES)]][index]
        return self[index + FIRST_OF_OTHERS] if text in measured_with() else (picture, text)


@cache
def measured_with() -> frozenset[str]:
    """The texts of the pictures that the protocol measures with."""
    from protocol987 import COUNT, MEASURE

    sampler = Sampler(MEASURE)
    return frozenset(sampler[i][1] for i in range(COUNT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", choices=PRESETS)
    parser.add_argument("--samples", type=int, required=True, help="pictures to learn from, each seen once")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--fonts", help="the folder that recipes/fonts.py made; by default what is installed")
    parser.add_argument("--learning-rate", type=float, default=TrainConfig.learning_rate, help="the highest, for batches of 16")
    parser.add_argument("--bfloat16", action="store_true", help="compute in it on a CPU, too")
    parser.add_argument("--from", dest="start", default=SCRATCH, help="a model to go on from")
    parser.add_argument("--seed", type=int, default=STREAM.seed, help="of the stream: another one draws other pictures")
    parser.add_argument("--name", help="what to call the model; by default en, or en-PRESET")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    config = TrainConfig(
        preset=options.preset,
        start=options.start,
        synth="en",
        steps=options.samples // options.batch_size,
        batch_size=options.batch_size,
        validations=200,
        patience=10**6,
        warmup_steps=500,
        seed=options.seed,
        learning_rate=options.learning_rate,
        bfloat16=options.bfloat16,
    )
    name = options.name or ("en" if options.preset == "small" else f"en-{options.preset}")
    stream, check = (Stream(replace(drawn, fonts=options.fonts)) for drawn in (replace(STREAM, seed=options.seed), CHECK))
    prepared = prepare(inspect((), (), config), config, name, stream, check)
    resume = any(name in (left.name, left.model) for left in runs.interrupted())
    force = not registry.path_of(name).exists()  # a shipped model's name counts as taken; what was trained here stays
    order = Order(prepared, config, (), stream, force, device=options.device, resume=resume, named=True)
    for event in run(order):
        if isinstance(event, Validation):
            print(
                f"{event.pictures} pictures, {event.seconds / 60:.1f} min: loss {event.loss:.3f}, CER {event.scores.cer:.2%}",
                flush=True,
            )
        elif isinstance(event, Progress) and event.step % 500 == 0:
            print(f"  step {event.step}: {event.rate:.0f} pictures/s, waiting {event.waiting:.0%}", flush=True)
        elif isinstance(event, Finished):
            print(f"{event.path}: {event.scores}")


if __name__ == "__main__":
    main()
