"""Whether characters are where they are said to be: lines drawn with known places of each glyph, read, and compared.

A character counts where it was read right, and is right where the middle of its span lies within its glyph's advance.

    python benchmarks/places.py MODEL --count 1000
"""

from __future__ import annotations

import argparse

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crnnocr.config import ReadConfig, Style, SynthConfig
from crnnocr.recognizer import Recognizer
from crnnocr.synth.sampler import Sampler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a name or a path")
    parser.add_argument("--count", type=int, default=1000, help="lines")
    options = parser.parse_args()
    recognizer = Recognizer.load(options.model, "cpu")
    sampler = Sampler(SynthConfig(seed=77, words=(1, 4), style=Style.CLEAN))
    texts = [sampler[i][1] for i in range(options.count)]
    fonts = sorted({str(face.path) for face in sampler.faces})
    drawn = [line(text, fonts[i % len(fonts)]) for i, text in enumerate(texts)]
    inside = characters = right = 0
    found = recognizer.predict((picture for picture, _ in drawn), read=ReadConfig(characters=True))
    for text, (_, edges), prediction in zip(texts, drawn, found, strict=True):
        if prediction.text != text:
            continue
        right += 1
        for one, start, end in zip(prediction.characters, edges[:-1], edges[1:], strict=True):
            inside += start <= (one.start + one.end) / 2 <= end
            characters += 1
    print(
        f"{right} of {options.count} lines read right; of their {characters} characters {inside / characters:.2%} are in place"
    )


def line(text: str, font: str) -> tuple[Image.Image, list[float]]:
    """A black line on white, and where each character begins, and the last ends, in pixels."""
    face = ImageFont.truetype(font, 40, layout_engine=ImageFont.Layout.BASIC)
    edges = [6 + face.getlength(text[:i]) for i in range(len(text) + 1)]
    top, bottom = face.getbbox(text)[1], face.getbbox(text)[3]
    image = Image.new("L", (round(edges[-1]) + 6, round(bottom - top) + 8), 255)
    ImageDraw.Draw(image).text((6, 4 - top), text, fill=0, font=face)
    return Image.fromarray(np.asarray(image)), edges


if __name__ == "__main__":
    main()
