"""Make the two images of the README: readme_images.py docs/images (needs tmux, and crnnocr on the path).

`predictions.png` has real crops with the text that the pretrained model reads, `training.svg` the screen of a short training.
"""

import io
import itertools
import os
import re
import shlex
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.text import Text

from crnnocr import Recognizer
from crnnocr.synth.trdg import font_files

REAL = Path(__file__).parents[2] / "tests/data/real"
CROPS = (
    *("caption-01.jpg", "trenches-02.png", "patent-02.png", "typewriter-01.png"),
    *("news1914-01.png", "lucasta-01.png", "skpage-01.png", "wikiprint-02.png"),
)
WIDTH, ROW, GAP = 1100, 44, 14
COLUMNS, LINES = 100, 30
PLATES = (f"{a}{b} {number % 9000 + 1000}" for number, (a, b) in enumerate(itertools.product(string.ascii_uppercase, repeat=2)))
COMMANDS = (
    "crnnocr synth plates --text plates.txt --style document --count 676 --quiet",
    "clear",
    "crnnocr train plates --minutes 3",
)


def predictions(crops: Sequence[Path]) -> Image.Image:
    """Each crop in the left half, and in the right one what the model reads in it, without any training."""
    sheet = Image.new("RGB", (WIDTH, GAP + len(crops) * (ROW + GAP)), "white")
    pen, font_file = ImageDraw.Draw(sheet), next(path for path in font_files("en") if path.name == "Roboto-Regular.ttf")
    for row, (crop, prediction) in enumerate(zip(crops, Recognizer.load("en", "cpu").predict(crops), strict=True)):
        top = GAP + row * (ROW + GAP)
        image = Image.open(crop).convert("RGB")
        scale = min(ROW / image.height, (WIDTH / 2 - 2 * GAP) / image.width)
        image = image.resize(
            (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.LANCZOS
        )
        sheet.paste(image, (GAP, top + (ROW - image.height) // 2))
        font = ImageFont.truetype(font_file, 20)
        room = WIDTH / 2 - 3 * GAP - 60
        if (length := pen.textlength(prediction.text, font)) > room:
            font = ImageFont.truetype(font_file, 20 * room / length)
        pen.text((WIDTH // 2 + GAP, top + ROW // 2), prediction.text, "black", font, "lm")
        confidence = f"{prediction.confidence:.2f}"
        pen.text((WIDTH - GAP, top + ROW // 2), confidence, "#777777", ImageFont.truetype(font_file, 16), "rm")
    return sheet


def training(output: Path) -> None:
    """Type the commands in a terminal of tmux, and write its last screen as SVG."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "plates.txt").write_text("\n".join(PLATES), encoding="utf-8")
        server = ("tmux", "-L", "readme-images")
        shell = f"cd {shlex.quote(folder)} && exec env PS1='$ ' CRNNOCR_DATA_DIR=store bash --norc --noprofile"
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        subprocess.run([*server, "-f", os.devnull, "new-session", "-d", *size, shell], check=True, env=environment)
        try:
            for command in COMMANDS:
                subprocess.run([*server, "send-keys", f"{command}; touch done", "Enter"], check=True)
                while not (Path(folder) / "done").exists():
                    time.sleep(0.5)
                (Path(folder) / "done").unlink()
            time.sleep(1)
            screen = subprocess.run([*server, "capture-pane", "-e", "-p"], check=True, capture_output=True, text=True).stdout
        finally:
            subprocess.run([*server, "kill-server"], check=False)
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(screen.rstrip().replace("; touch done", "").removesuffix("\n$")))
    svg = console.export_svg(title="crnnocr train plates", unique_id="training")
    output.write_text(re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL), encoding="utf-8")  # loads nothing from elsewhere


if __name__ == "__main__":
    target = Path(sys.argv[1])
    predictions([REAL / name for name in CROPS]).save(target / "predictions.png", optimize=True)
    training(target / "training.svg")
