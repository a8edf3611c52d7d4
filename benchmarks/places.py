"""Whether characters are where they are said to be: lines of synth's ink, whose glyphs' places it knows, read, and compared.

The characters of lines that were read right count, without spaces, and are in place where the middle of their span lies within
their glyph's box: its advance.

    python benchmarks/places.py MODEL --count 1000
"""

from __future__ import annotations

import argparse

import numpy as np
from PIL import Image, ImageOps

from crnnocr.config import ReadConfig, Style, SynthConfig
from crnnocr.inference.recognizer import Recognizer
from crnnocr.synth.fonts import FontFace
from crnnocr.synth.render import ink
from crnnocr.synth.render.recipe import RECIPES
from crnnocr.synth.sampler import Sampler

SIZE = 40
"""Pixels an em."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a name or a path")
    parser.add_argument("--count", type=int, default=1000, help="lines")
    options = parser.parse_args()
    recognizer = Recognizer.load(options.model, "cpu")
    sampler = Sampler(SynthConfig(seed=77, words=(1, 4), style=Style.CLEAN))
    samples = [sampler.draw(i) for i in range(options.count)]
    drawn = [line(sample.text, sample.font) for sample in samples]
    inside = characters = right = 0
    found = recognizer.predict((picture for picture, _ in drawn), read=ReadConfig(characters=True))
    for sample, (_, edges), prediction in zip(samples, drawn, found, strict=True):
        if prediction.text != sample.text:
            continue
        right += 1
        for one, start, end in zip(prediction.characters, edges[:-1], edges[1:], strict=True):
            if one.character != " ":
                inside += start <= (one.start + one.end) / 2 <= end
                characters += 1
    print(
        f"{right} of {options.count} lines read right; of their {characters} characters {inside / characters:.2%} are in place"
    )


def line(text: str, face: FontFace) -> tuple[Image.Image, list[float]]:
    """A black line on white, and where each character begins, and the last ends, in pixels."""
    drawn = ink.draw(text, face, SIZE, "en", False, RECIPES[Style.CLEAN], np.random.default_rng(0))
    box = drawn.text.getbbox() or (0, 0, 1, 1)
    left, right = box[0] - SIZE // 8, box[2] + SIZE // 8
    image = ImageOps.invert(drawn.text.crop((left, box[1] - SIZE // 8, right, box[3] + SIZE // 8)))
    return image, [drawn.start[0] + drawn.pen.length(text[:i]) - left for i in range(len(text) + 1)]


if __name__ == "__main__":
    main()
