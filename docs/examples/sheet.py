"""Show images next to their predictions: sheet.py SHEET.png TITLE=PREDICTIONS.jsonl ...

The predictions are those of `crnnocr predict --format jsonl`, the references those of metadata.jsonl beside the images.
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
    """A title for each group, and a row for each image: the image, the prediction, and the reference if that differs."""
    rows = sum(len(predictions) for _, predictions in groups)
    sheet = Image.new("RGB", (WIDTH, GAP + (rows + len(groups)) * (ROW + GAP)), PAPER)
    top = GAP
    for title, predictions in groups:
        write(sheet, GAP, top, title, INK, WIDTH - 2 * GAP, 22)
        top += ROW + GAP
        for prediction in predictions:
            draw_row(sheet, top, prediction)
            top += ROW + GAP
    return sheet


def draw_row(sheet: Image.Image, top: int, prediction: dict[str, Any]) -> None:
    """The image in the left half, the prediction in the right one."""
    path = Path(prediction["path"])
    image = Image.open(path).convert("RGB")
    scale = min(ROW / image.height, (WIDTH / 2 - 2 * GAP) / image.width)
    image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    sheet.paste(image, (GAP, top + (ROW - image.height) // 2))
    records = map(json.loads, (path.parent / "metadata.jsonl").read_text(encoding="utf-8").splitlines())
    reference = next(record["text"] for record in records if record["file_name"] == path.name)
    is_right, room = reference == prediction["text"], (WIDTH // 2 - 3 * GAP) // 2
    label = f"{prediction['text']}  ({prediction['confidence']:.2f})"
    write(sheet, WIDTH // 2, top, label, INK if is_right else WRONG, room, 18)
    write(sheet, WIDTH // 2 + room + GAP, top, "" if is_right else reference, QUIET, room, 18)


def write(sheet: Image.Image, x: int, top: int, text: str, color: str, room: int, size: int) -> None:
    """Write one line of text, smaller if it would not fit."""
    pen, font = ImageDraw.Draw(sheet), ImageFont.truetype(FONT, size)
    if (length := pen.textlength(text, font)) > room:
        font = ImageFont.truetype(FONT, size * room / length)
    pen.text((x, top + ROW // 2), text, color, font, "lm")


if __name__ == "__main__":
    named = [argument.split("=", 1) for argument in sys.argv[2:]]
    draw(
        [(title, [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]) for title, file in named]
    ).save(sys.argv[1])
