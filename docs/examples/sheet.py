"""Draw pictures next to what was read in them: sheet.py SHEET.png TITLE=READINGS.jsonl ...

The readings are those of `crnnocr predict --format jsonl`, the truth that of metadata.jsonl beside the pictures.
"""

import json
import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from crnnocr.synth.trdg import font_files

FONT = next(path for path in font_files("en") if path.name == "Roboto-Regular.ttf")
WIDTH, ROW, GAP = 1200, 40, 8
PAPER, INK, WRONG, QUIET = "white", "black", "#b00020", "#777777"


def draw(groups: list[tuple[str, list[dict[str, Any]]]]) -> Image.Image:
    """A title for each group, and a row for each picture: the picture, what was read, and the truth where it differs."""
    rows = sum(len(readings) for _, readings in groups)
    sheet = Image.new("RGB", (WIDTH, GAP + (rows + len(groups)) * (ROW + GAP)), PAPER)
    top = GAP
    for title, readings in groups:
        write(sheet, GAP, top, title, INK, WIDTH - 2 * GAP, 22)
        top += ROW + GAP
        for reading in readings:
            draw_row(sheet, top, reading)
            top += ROW + GAP
    return sheet


def draw_row(sheet: Image.Image, top: int, reading: dict[str, Any]) -> None:
    """The picture in the left half, what was read in the right one."""
    path = Path(reading["path"])
    picture = Image.open(path).convert("RGB")
    scale = min(ROW / picture.height, (WIDTH / 2 - 2 * GAP) / picture.width)
    picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    sheet.paste(picture, (GAP, top + (ROW - picture.height) // 2))
    rows = map(json.loads, (path.parent / "metadata.jsonl").read_text(encoding="utf-8").splitlines())
    truth = next(row["text"] for row in rows if row["file_name"] == path.name)
    right, half = truth == reading["text"], (WIDTH // 2 - 3 * GAP) // 2
    write(sheet, WIDTH // 2, top, f"{reading['text']}  ({reading['confidence']:.2f})", INK if right else WRONG, half, 18)
    write(sheet, WIDTH // 2 + half + GAP, top, "" if right else truth, QUIET, half, 18)


def write(sheet: Image.Image, x: int, top: int, text: str, colour: str, room: int, size: int) -> None:
    """One line of text, made smaller where it would not fit."""
    pen, font = ImageDraw.Draw(sheet), ImageFont.truetype(FONT, size)
    if (length := pen.textlength(text, font)) > room:
        font = ImageFont.truetype(FONT, size * room / length)
    pen.text((x, top + ROW // 2), text, colour, font, "lm")


if __name__ == "__main__":
    pages = [argument.split("=", 1) for argument in sys.argv[2:]]
    draw(
        [(title, [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]) for title, file in pages]
    ).save(sys.argv[1])
