"""Make labeled images of seven-segment displays in the DSEG fonts, to measure models that learned `synth --style display`.

They are drawn by Pillow alone, so nothing is shared with what `synth` draws. The fonts, under the OFL, are in the npm package
`dseg`: `npm pack dseg@0.46.0 && tar xzf dseg-0.46.0.tgz`.

    python benchmarks/segments.py package/fonts dseg/
    crnnocr eval dseg/ --model panel
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

Color = tuple[int, int, int]

LIGHTS: list[Color] = [(255, 40, 30), (80, 255, 80), (255, 180, 40), (90, 140, 255), (240, 240, 240)]
PAPERS: list[Color] = [(150, 165, 130), (190, 200, 180), (120, 140, 110), (200, 200, 200)]
WORDS = ("Err", "hELP", "FuLL", "PE", "AL")
SIZE = 60
"""Height of the digits in pixels, before an image is scaled down."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fonts", type=Path, help="folder of the package's fonts")
    parser.add_argument("folder", type=Path, help="where the images go")
    parser.add_argument("--count", type=int, default=500, help="images")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    fonts = sorted(options.fonts.glob("DSEG7-[CM]*/*.ttf"))
    rng = random.Random(1)
    with (options.folder / "metadata.jsonl").open("w", encoding="utf-8") as labels:
        for index in range(options.count):
            text = reading(rng)
            image = drawn(text, ImageFont.truetype(str(rng.choice(fonts)), SIZE), rng)
            name = f"{index:04}.jpg"
            image.save(options.folder / name, quality=rng.randint(40, 95))
            labels.write(json.dumps({"file_name": name, "text": text}) + "\n")


def reading(rng: random.Random) -> str:
    """A counter, a number, a time, a temperature or a word."""
    kind = rng.random()
    if kind < 0.4:
        return digits(rng.randint(4, 8), rng)
    if kind < 0.6:
        return f"{digits(rng.randint(2, 5), rng)}.{digits(rng.randint(1, 3), rng)}"
    if kind < 0.75:
        return f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
    if kind < 0.85:
        return f"-{digits(2, rng)}.{digits(1, rng)}"
    return str(rng.randint(0, 999)) if kind < 0.95 else rng.choice(WORDS)


def digits(count: int, rng: random.Random) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def drawn(text: str, font: ImageFont.FreeTypeFont, rng: random.Random) -> Image.Image:
    """The text as LEDs or liquid crystals, half of them with segments that are off; scaled, rotated, half of them blurred."""
    margin, glows = rng.randint(6, 30), rng.random() < 0.5
    paper = shade(0, 30, rng) if glows else rng.choice(PAPERS)
    ink = rng.choice(LIGHTS) if glows else shade(10, 60, rng)
    image = Image.new("RGB", (int(font.getlength(text)) + 2 * margin, SIZE + 2 * margin), paper)
    pencil = ImageDraw.Draw(image)
    if rng.random() < 0.5:
        strength = rng.uniform(0.05, 0.2)
        faint = tuple(round(p + strength * (i - p)) for p, i in zip(paper, ink, strict=True))
        pencil.text((margin, margin), "".join(c if c in ".:" else "8" for c in text), faint, font)
    pencil.text((margin, margin), text, ink, font)
    scale = rng.uniform(0.35, 1)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    image = image.rotate(rng.uniform(-3, 3), Image.Resampling.BICUBIC, fillcolor=paper)
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5))) if rng.random() < 0.5 else image


def shade(low: int, high: int, rng: random.Random) -> Color:
    return rng.randint(low, high), rng.randint(low, high), rng.randint(low, high)


if __name__ == "__main__":
    main()
