"""Speed of `synth`, compared with trdg 0.1.1's own generator in the same run: CPU time of one process, in turns.

trdg's `FakeTextDataGenerator` is adapted just enough to run on today's Pillow (`getsize`, `ANTIALIAS`, no handwriting). It
draws as with `--skew_angle 2 --random_skew --blur 1 --random_blur`, 32 pixels high, in one of its open fonts. All make images
of the same texts, three words each, in memory. The second part writes folders with one and two workers.

    python benchmarks/synth.py
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image, ImageFont

from crnnocr.config import Style, SynthConfig
from crnnocr.synth import trdg as trdg_adapter
from crnnocr.synth.dataset.folder import generate
from crnnocr.synth.sampler import Sampler

STYLES = (Style.CLEAN, Style.DOCUMENT, Style.SCENE, Style.RECEIPT, Style.DISPLAY, Style.MIXED)
TARGETS = {Style.CLEAN: 1.5, Style.MIXED: 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="turns of each style")
    parser.add_argument("--images", type=int, default=100, help="images a turn")
    parser.add_argument("--folder-count", type=int, default=6000, help="images of a folder; 0 for no folders")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    words = trdg_adapter.dictionary("en")
    lines = [" ".join(words[i] for i in rng.integers(len(words), size=3)) for _ in range(options.rounds * options.images)]
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "lines.txt"
        text.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        compare(lines, text, options.rounds, options.images)
        if options.folder_count:
            compare_workers(Path(folder), options.folder_count)


def compare(lines: list[str], text: Path, rounds: int, images: int) -> None:
    """Print milliseconds an image of trdg and of each style, and how many times as fast as trdg that is."""
    makers: dict[str, Callable[[int], object]] = {"trdg 0.1.1": trdg(lines)}
    for style in STYLES:
        sampler = Sampler(SynthConfig(style=style, text=str(text)))
        makers[style] = sampler.__getitem__
    times: dict[str, list[float]] = {name: [] for name in makers}
    for make in makers.values():
        for index in range(len(lines)):  # fonts are loaded and caches filled
            make(index)
    for turn in range(rounds):
        for name, make in makers.items():
            started = time.process_time()
            for index in range(turn * images, (turn + 1) * images):
                make(index)
            times[name].append((time.process_time() - started) / images * 1000)
    print(f"CPU milliseconds an image, median of {rounds} turns of {images} images")
    reference = times["trdg 0.1.1"]
    for name, values in times.items():
        ratio = statistics.median(ours / theirs for ours, theirs in zip(reference, values, strict=True))
        target = f"  (target: {TARGETS[Style(name)]})" if name in TARGETS else ""
        print(f"  {name:<10} {statistics.median(values):6.2f} ms   {ratio:5.2f} times trdg's speed{target}")


def compare_workers(folder: Path, count: int) -> None:
    """Print images per second of one worker and of two, in turns, without their start-up."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(2):
        for workers, measured in rates.items():
            measured.append(rate(folder / f"{turn}-{workers}", count, workers))
    one, two = (statistics.median(measured) for measured in rates.values())
    print(
        f"folders of {count} images, mixed: 1 worker {one:.0f}/s, 2 workers {two:.0f}/s, {two / one:.2f} times  (target: 1.8)"
    )


def rate(folder: Path, count: int, workers: int) -> float:
    """Images per second over the second half, when every worker has loaded its fonts."""
    started, before = 0.0, 0
    for there in generate(folder, SynthConfig(), count, workers=workers):
        if not before and there >= count / 2:
            started, before = time.perf_counter(), there
    return (count - before) / (time.perf_counter() - started)


def trdg(lines: list[str]) -> Callable[[int], object]:
    """trdg's own generator, adapted to today's Pillow."""
    sys.modules["trdg.handwritten_text_generator"] = ModuleType("trdg.handwritten_text_generator")
    pillow_font: Any = ImageFont.FreeTypeFont
    pillow_font.getsize = lambda font, text: (font.getbbox(text)[2] - font.getbbox(text)[0], font.getbbox(text)[3])
    pillow: Any = Image
    pillow.ANTIALIAS = Image.Resampling.LANCZOS
    from trdg.data_generator import FakeTextDataGenerator

    fonts = [str(path) for path in trdg_adapter.font_files("en")]
    rng = random.Random(0)
    random.seed(0)

    def make(index: int) -> object:
        return FakeTextDataGenerator.generate(
            index, lines[index], rng.choice(fonts), None, 32, "png", 2, True, 1, True,
            0, 0, 0, False, 0, -1, 1, "#282828", 0, 1.0, (5, 5, 5, 5), False,
        )  # fmt: skip

    return make


if __name__ == "__main__":
    main()
