"""Collect pairs of colors that stand side by side in photographs, for `crnnocr/synth/render/color_pairs.py`.

The photographs are those of trdg (MIT), and those that scikit-image's wheel holds under CC0 (chelsea, by Stefan van der Walt;
coffee, by Rachel Michetti) or in the public domain (astronaut, by NASA; rocket, by SpaceX). Of small random windows, those are
kept that two colors fill, with enough contrast between them; of pairs that are nearly the same, one.

    pip install --no-deps scikit-image==0.26.0
    python recipes/colors.py > pairs.txt
"""

from __future__ import annotations

from importlib.metadata import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crnnocr.images import open_image
from crnnocr.synth import trdg
from crnnocr.synth.render.background import LUMINANCE

NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
REACH = 512
"""The longer side to which photographs are reduced, in pixels."""
WINDOWS = 12_000
"""Windows of a photograph."""
SIDES = (10, 32)
"""Smallest and largest side of a window, in pixels."""
MIN_CONTRAST = 95.0
"""In luminance: a bit more than the styles that take these colors ask for."""
MIN_SHARE = 0.2
"""Of the window, for the rarer color."""
MIN_EXPLAINED = 0.75
"""Share of the window's variance that lies between its two colors."""
MIN_DISTANCE = 24.0
"""Between pairs, in six dimensions."""
MOST = 40
"""Pairs of a photograph."""


def two_colors(pixels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], bool]:
    """The dark and the light color of (N, 3) pixels, by two-means, and whether these fill them with enough contrast."""
    gray = pixels @ LUMINANCE
    is_light = gray > gray.mean()
    for _ in range(5):
        if not 0 < is_light.sum() < len(pixels):
            return pixels[0], pixels[0], False
        dark, light = pixels[~is_light].mean(axis=0), pixels[is_light].mean(axis=0)
        is_light = ((pixels - light) ** 2).sum(axis=1) < ((pixels - dark) ** 2).sum(axis=1)
    share = is_light.mean()
    between = share * (1 - share) * ((light - dark) ** 2).sum()
    fills = MIN_SHARE <= share <= 1 - MIN_SHARE and between >= MIN_EXPLAINED * pixels.var(axis=0).sum()
    return dark, light, bool(fills and (light - dark) @ LUMINANCE >= MIN_CONTRAST)


def pairs_of(path: Path, rng: np.random.Generator) -> list[NDArray[Any]]:
    """Pairs of a photograph, each (6,): red, green and blue of the darker color, then of the lighter."""
    with path.open("rb") as file:
        photo = open_image(file).convert("RGB")
    factor = REACH / max(photo.size)
    values = np.asarray(photo.resize((round(photo.width * factor), round(photo.height * factor))), np.float32)
    found: list[NDArray[Any]] = []
    for _ in range(WINDOWS):
        side = int(rng.integers(*SIDES))
        top, left = (int(rng.integers(length - side)) for length in values.shape[:2])
        dark, light, counts = two_colors(values[top : top + side, left : left + side].reshape(-1, 3))
        pair = np.concatenate([dark, light])
        if counts and all(np.linalg.norm(pair - other) >= MIN_DISTANCE for other in found):
            found.append(pair)
            if len(found) == MOST:
                break
    return found


def main() -> None:
    rng = np.random.default_rng(0)
    paths = [Path(str(file.locate())) for file in files("scikit-image") or () if file.name in NAMES and "data" in file.parts]
    pairs = [pair for path in (*sorted(paths), *trdg.photographs()) for pair in pairs_of(path, rng)]
    words = ["-".join(bytes(np.rint(color).astype(np.uint8)).hex() for color in pair.reshape(2, 3)) for pair in pairs]
    print("\n".join(" ".join(words[start : start + 8]) for start in range(0, len(words), 8)))


if __name__ == "__main__":
    main()
