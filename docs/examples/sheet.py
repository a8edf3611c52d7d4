"""Draw pictures next to what was read in them: sheet.py READINGS.jsonl SHEET.png (from `crnnocr predict --format jsonl`)."""

import json
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROW, GAP, COLUMN = 44, 6, 640


def draw(readings: list[dict[str, str]]) -> Image.Image:
    """One row a picture: the picture, and right of it what was read and how surely."""
    sheet = Image.new("RGB", (2 * COLUMN, len(readings) * (ROW + GAP) + GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for number, reading in enumerate(readings):
        top = GAP + number * (ROW + GAP)
        picture = Image.open(reading["path"]).convert("RGB")
        picture.thumbnail((COLUMN - 2 * GAP, ROW))
        sheet.paste(picture, (GAP, top + (ROW - picture.height) // 2))
        pen.text((COLUMN, top + ROW // 2), f"{reading['text']}   ({reading['confidence']:.2f})", "black", font, "lm")
        pen.line((0, top + ROW + GAP // 2, 2 * COLUMN, top + ROW + GAP // 2), "lightgrey")
    return sheet


if __name__ == "__main__":
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    draw([json.loads(line) for line in lines]).save(sys.argv[2])
