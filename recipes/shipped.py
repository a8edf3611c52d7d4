"""Train a pretrained model on an endless stream of synthetic English, and nothing else.

A training that was stopped or killed is resumed when this is called again with the same options. The texts of the images that
`benchmarks/protocol987.py` measures with never occur in the stream.

    python recipes/fonts.py fonts/
    python recipes/shipped.py small --samples 4_000_000 --fonts fonts/
    python recipes/shipped.py base --samples 40_000_000 --fonts fonts/ --batch-size 256   # on a GPU

The run and the model are stored in the data directory of crnnocr (`CRNNOCR_DATA_DIR`); `history.jsonl` beside the model has the
error on synthetic images that it has not seen, over the number of images it has.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from crnnocr import runtime
from crnnocr.config import PRESETS, SCRATCH, Style, SynthConfig, TrainConfig
from crnnocr.model import registry
from crnnocr.synth.sampler import Sampler

if TYPE_CHECKING:
    from PIL import Image

ASCII = "".join(map(chr, range(32, 127)))
COMMON = ASCII + "€£§‘’“”–—…"
"""The characters of most texts. Typographic quotes and dashes are characters of their own: they can be folded later, but not
unfolded.
"""
LATIN_1 = "".join(map(chr, (*range(0xC0, 0xD7), *range(0xD8, 0xF7), *range(0xF8, 0x100))))
"""Its letters beyond ASCII."""
CHARSET = COMMON + LATIN_1 + "¥¢«»¡¿•·°±×÷™®©№µ²³¼½¾"

STREAM = SynthConfig(lang=("en",), style=Style.MIXED, charset=COMMON, seed=20_261, height=48)
VALIDATION = replace(STREAM, seed=20_262)

NEIGHBORS = ("en", "de", "fr", "es", "it", "pt", "sv")
"""Languages whose words hold the letters beyond ASCII; names and loanwords bring them into English."""

REPLACEMENTS_FROM = 2**31
"""A sample whose text is one of the protocol's is replaced by that of an index higher by this."""

KINDS = ("trdg", *["scene"] * 4, "receipt", *["mixed"] * 3, "neighbors")
"""The kinds of every ten samples: mixed, more of the hardest, one like that of `synth --style trdg`, and one in other languages
and with all characters."""


class Stream:
    """Makes samples whose texts are not among those that the 987 protocol measures with."""

    def __init__(self, config: SynthConfig) -> None:
        self._config = config
        configs = {
            "trdg": replace(config, style=Style.TRDG, fonts=None, words=(1, 3), height=32),
            "neighbors": replace(config, lang=NEIGHBORS, charset=CHARSET),
            **{style.value: replace(config, style=style) for style in (Style.SCENE, Style.RECEIPT, Style.MIXED)},
        }
        self._samplers = {kind: Sampler(each) for kind, each in configs.items()}
        self.charset = self._samplers["neighbors"].charset

    def __reduce__(self) -> tuple[type[Stream], tuple[SynthConfig]]:
        return Stream, (self._config,)

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        image, text = self._samplers[KINDS[index % len(KINDS)]][index]
        return self[index + REPLACEMENTS_FROM] if text in protocol_texts() else (image, text)


@cache
def protocol_texts() -> frozenset[str]:
    """The texts of the images that the protocol measures with."""
    from protocol987 import COUNT, MEASURE

    sampler = Sampler(MEASURE)
    return frozenset(sampler[i][1] for i in range(COUNT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", choices=PRESETS)
    parser.add_argument("--samples", type=int, required=True, help="images to train on, each seen once")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--fonts", help="the folder that recipes/fonts.py made; by default what is installed")
    parser.add_argument("--learning-rate", type=float, default=TrainConfig.learning_rate, help="the highest, for batches of 16")
    parser.add_argument("--bfloat16", action="store_true", help="compute in it on a CPU, too")
    parser.add_argument("--from", dest="start", default=SCRATCH, help="the model to start from")
    parser.add_argument("--seed", type=int, default=STREAM.seed, help="of the stream: another one makes other images")
    parser.add_argument("--name", help="name of the model; by default en, or en-PRESET")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    runtime.prepare_to_train()
    from crnnocr.training.finalize import Finished
    from crnnocr.training.prepare import inspect, prepare
    from crnnocr.training.resume import interrupted_runs
    from crnnocr.training.run import Order, run
    from crnnocr.training.schedule import Progress
    from crnnocr.training.validation import Validation

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
    stream, validation = (
        Stream(replace(synth_config, fonts=options.fonts)) for synth_config in (replace(STREAM, seed=options.seed), VALIDATION)
    )
    order = Order(
        prepared=prepare(inspect((), (), config), config, name, stream, validation),
        config=config,
        sources=(),
        synthetic=stream,
        force=not registry.path_of(name).exists(),  # the name of a pretrained model counts as taken; own models stay
        device=options.device,
        resume=any(name in (each.name, each.model) for each in interrupted_runs()),
        named=True,
    )
    for event in run(order):
        if isinstance(event, Validation):
            stats, cer = event.progress, event.scores.cer
            where = f"{stats.samples_seen} images, {stats.seconds / 60:.1f} min"
            print(f"{where}: loss {stats.loss:.3f}, CER {cer:.2%}", flush=True)
        elif isinstance(event, Progress) and event.step % 500 == 0:
            print(f"  step {event.step}: {event.images_per_second:.0f} images/s, waiting {event.data_wait:.0%}", flush=True)
        elif isinstance(event, Finished):
            print(f"{event.path}: {event.scores}")


if __name__ == "__main__":
    main()
