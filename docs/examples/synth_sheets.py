"""Make the contact sheets of docs/synth.md in docs/images, as `crnnocr synth --preview` makes them, with fewer colors.

Word lists hold rude words: read every text before you change a seed or count.
"""

import io
from pathlib import Path

from PIL import Image

from crnnocr.config import Orientation, Style, SynthConfig
from crnnocr.synth.dataset.preview import contact_sheet
from crnnocr.synth.sampler import Sampler

FOLDER = Path(__file__).parents[1] / "images"
STYLE_BYTES, SCRIPT_BYTES = 200_000, 150_000
STYLES = {
    "trdg": (SynthConfig(style=Style.TRDG, seed=2), 18),
    "clean": (SynthConfig(style=Style.CLEAN, seed=6), 30),
    "document": (SynthConfig(style=Style.DOCUMENT, seed=4), 24),
    "scene": (SynthConfig(style=Style.SCENE, seed=5), 36),
    "receipt": (SynthConfig(style=Style.RECEIPT, seed=4), 24),
    "display": (SynthConfig(style=Style.DISPLAY, seed=5), 40),
    "mixed": (SynthConfig(seed=10), 29),
}
SCRIPTS = {
    "latin": (SynthConfig(lang=("de", "fr", "es", "pt", "it", "pl", "cs", "sv", "tr", "vi"), seed=3), 24),
    "cyrillic": (SynthConfig(lang=("ru", "uk", "bg", "mk"), seed=7), 18),
    "greek": (SynthConfig(lang=("el",), seed=11), 20),
    "zh": (SynthConfig(lang=("zh",), seed=17), 18),
    "ja": (SynthConfig(lang=("ja",), seed=8), 24),
    "ar": (SynthConfig(lang=("ar",), seed=8), 23),
    "others": (SynthConfig(lang=("ko", "he", "hi", "th", "bn", "ta", "fa", "ur"), seed=8), 24),
    "vertical": (SynthConfig(lang=("ja",), orientation=Orientation.VERTICAL, seed=17), 18),
}


def small(sheet: Image.Image, max_bytes: int) -> bytes:
    """`sheet` as a PNG file of at most `max_bytes`, with as many colors as fit."""
    for colors in (256, 192, 128, 96, 64, 48, 32):
        file = io.BytesIO()
        sheet.quantize(colors, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        if file.tell() <= max_bytes:
            return file.getvalue()
    raise ValueError(f"the sheet takes more than {max_bytes} bytes: take fewer samples")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for sheets, max_bytes in ((STYLES, STYLE_BYTES), (SCRIPTS, SCRIPT_BYTES)):
        for name, (config, count) in sheets.items():
            (FOLDER / f"synth-{name}.png").write_bytes(small(contact_sheet(Sampler(config), count), max_bytes))
