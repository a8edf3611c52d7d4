"""Accuracy of character positions, on lines that synth renders and whose glyph positions it knows.

Only lines that are recognized exactly count, without their spaces. A character is in place if the center of its span lies
within the advance box of its glyph.

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
"""Font size in pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a name or a path")
    parser.add_argument("--count", type=int, default=1000, help="lines")
    options = parser.parse_args()
    recognizer = Recognizer.load(options.model, "cpu")
    sampler = Sampler(SynthConfig(seed=77, words=(1, 4), style=Style.CLEAN))
    samples = [sampler.render(i) for i in range(options.count)]
    rendered = [line(sample.text, sample.font) for sample in samples]
    inside = characters = exact = 0
    predictions = recognizer.predict((image for image, _ in rendered), read=ReadConfig(characters=True))
    for sample, (_, edges), prediction in zip(samples, rendered, predictions, strict=True):
        if prediction.text != sample.text:
            continue
        exact += 1
        for one, start, end in zip(prediction.characters, edges[:-1], edges[1:], strict=True):
            if one.character != " ":
                inside += start <= (one.start + one.end) / 2 <= end
                characters += 1
    in_place = f"{inside / characters:.2%} of their {characters} characters are in place"
    print(f"{exact} of {options.count} lines are exact matches; {in_place}")


def line(text: str, face: FontFace) -> tuple[Image.Image, list[float]]:
    """Render a black line on white, and measure in pixels where each character begins and the last one ends."""
    inked = ink.draw_text(text, face, SIZE, "en", False, RECIPES[Style.CLEAN], np.random.default_rng(0))
    box = inked.text.getbbox() or (0, 0, 1, 1)
    left, right = box[0] - SIZE // 8, box[2] + SIZE // 8
    image = ImageOps.invert(inked.text.crop((left, box[1] - SIZE // 8, right, box[3] + SIZE // 8)))
    return image, [inked.start[0] + inked.pen.length(text[:i]) - left for i in range(len(text) + 1)]


if __name__ == "__main__":
    main()
