"""What lies beside an export: all that there is to know about it, for programs (`model.json`) and for people (`README.md`)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import crnnocr
from crnnocr.config import ExportConfig, ExportFormat, Orientation, Precision
from crnnocr.export import end_to_end, onnx_graph
from crnnocr.export.onnx_file import DIRECTION
from crnnocr.export.verify import Proof
from crnnocr.formatting import plural
from crnnocr.metrics.scores import headline
from crnnocr.model.card import Card

_NETWORK = (
    (
        "in",
        "images",
        "(batch, 1, {height}, width) float32",
        "lines at the left, black −1, white 1, zero right of each one's width",
    ),
    ("in", "widths", "(batch) int64", "width of each line in pixels, at least {min_width}"),
    ("out", "log_probs", "(batch, frames, {classes}) float32", "natural-log probabilities"),
    ("out", "frames", "(batch) int64", "frames of each line; what is past them means nothing"),
)
_SELF_CONTAINED = (
    ("in", "pictures", "(batch, height, width) uint8", "grey pictures of any size, black 0, white 255, each at the upper left"),
    ("in", "sizes", "(batch, 2) int64", "height and width of each in pixels"),
    ("out", "ids", "(batch, characters) int64", "class ids of each text, from left to right; 0 after its end"),
    ("out", "lengths", "(batch) int64", "characters of each text"),
    ("out", "confidences", "(batch) float32", "how likely each text is right, calibrated"),
    ("out", "character_confidences", "(batch, characters) float32", "highest probability of each character among its frames"),
    *(row for row in _NETWORK if row[0] == "out"),
)  # fmt: skip


def data(card: Card, config: ExportConfig, proof: Proof, graph: Path, source_hash: str, name: str) -> dict[str, Any]:
    """What `model.json` says: the model's card, and how it was exported.

    Args:
        card: the model's.
        config: what was asked for.
        proof: that it reads as the model does.
        graph: the file of the graph.
        source_hash: of the model's file, sha256.
        name: of the file to begin with.
    """
    content = graph.read_bytes()
    return {
        **card.to_json(),
        "direction": DIRECTION,
        "export": {
            "file": name,
            "format": config.format.value,
            "precision": config.precision.value,
            "self_contained": config.self_contained,
            "opset": end_to_end.OPSET if config.self_contained else onnx_graph.OPSET,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "source_sha256": source_hash,
            "crnnocr": crnnocr.__version__,
            "tensors": [dict(zip(("way", "name", "type", "what"), row, strict=True)) for row in _tensors(card, config)],
            "proof": proof.to_json(),
        },
    }


def readme(card: Card, config: ExportConfig, said: dict[str, Any]) -> str:
    """The card for people, in Markdown."""
    parts = [
        f"# {card.name}",
        f"Reads pictures of one line or word of text. Made by crnnocr {crnnocr.__version__}.",
        _facts(card, config, said),
        "## How well it reads",
        _scores(card),
        _proof(said["export"]["proof"], config),
        "## How it is used",
        _page_use() if config.format is ExportFormat.WEB else _graph_use(card, config, said),
        "## Limits",
        _limits(card),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(card: Card, config: ExportConfig, said: dict[str, Any]) -> str:
    characters = card.charset.characters
    shown = "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-.!|~" else c for c in characters[:200]).strip()
    rows = {
        "characters": f"{len(characters)}: {shown}{' …' if len(characters) > 200 else ''}",
        "lines": "vertical, turned against the clock before reading"
        if card.orientation is Orientation.VERTICAL
        else "horizontal; tall pictures are looked at in all ways"
        if card.orientation is Orientation.AUTO
        else "upward, turned with the clock before reading"
        if card.orientation is Orientation.UPWARD
        else "horizontal",
        "shape": f"{card.config.preset}: a CRNN for lines {card.config.height} pixels high",
        "precision": config.precision.value,
        "graph": f"{said['export']['bytes']:,} bytes, opset {said['export']['opset']}, sha256 `{said['export']['sha256']}`",
        "made from": f"`model.safetensors`, sha256 `{said['export']['source_sha256']}`",
    }
    return "\n".join(("| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())))


def _scores(card: Card) -> str:
    if not card.scores:
        return "It was not scored on held-out pictures."
    calibration = card.calibration
    sure = (
        f"Confidences are calibrated on {calibration.samples:,} of their readings."
        if calibration.is_calibrated
        else "Too few of them were right, or wrong, to calibrate confidences: take these as the model's own."
    )
    return f"On the {card.scores.n:,} pictures that were held out from its training: {headline(card.scores.values)}. {sure}"


def _proof(proof: dict[str, Any], config: ExportConfig) -> str:
    told = (
        f"Compared with the model it was made from on {plural(proof['pictures'], 'picture')} ({proof['widths']:,} different "
        f"widths), in batches of {', '.join(map(str, proof['batch_sizes']))}: {proof['equal_texts']:.2%} of the texts are the "
        "same"
    )
    if config.is_exact:
        ties = f"; texts that tie: {', '.join(proof['ties'])}" if proof["ties"] else ""
        return f"{told}, log-probabilities within {proof['max_log_prob_difference']:.1e}{ties}."
    return f"{told}, CER {proof['cer']:.2%} against {proof['model_cer']:.2%}."


def _page_use() -> str:
    return (
        "Open `index.html` in a browser, and drop pictures on it or paste them. All that it needs is in this folder: it sends "
        "nothing anywhere, and needs no server. A program calls `readPicture(blob)` of `reader.js`. onnxruntime-web runs the "
        "graph; its licence is in `LICENSE-onnxruntime-web.txt`."
    )


def _graph_use(card: Card, config: ExportConfig, said: dict[str, Any]) -> str:
    table = ["| | name | shape and type | what |", "| --- | --- | --- | --- |"]
    table += [f"| {way} | `{name}` | {kind} | {what} |" for way, name, kind, what in _tensors(card, config)]
    runtimes = (
        "onnxruntime runs it, on every platform and in browsers; other runtimes lack its LSTM, which computes with bytes."
        if config.precision is Precision.INT8
        else "Any runtime for ONNX runs it."
    )
    steps = (
        "The picture goes in as it is, in grey; the character of class *i* is character *i* − 1 of `charset` in `model.json`."
        if config.self_contained
        else "Bring the picture to grey and to the model's height with antialiased bilinear "
        "weights, as `preprocessing` in `model.json` says. Take the best class of each frame of `log_probs`, merge repeats and "
        "drop class 0, the blank; the character of class *i* is character *i* − 1 of `charset`."
    )
    own = "`crnnocr predict --model` takes this folder, too."
    return "\n".join(table) + f"\n\n{runtimes} {steps} {own}"


def _limits(card: Card) -> str:
    told = (
        "A picture shows one line, cut out. Characters that are not in `charset` cannot be read. Class ids follow each other "
        "as the characters stand on paper, from left to right"
    )
    if any("\u0590" <= c <= "\u08ff" for c in card.charset.characters):
        return f"{told}: the order of reading is `crnnocr.text.bidi.visual` of the text."
    return f"{told}."


def _tensors(card: Card, config: ExportConfig) -> list[tuple[str, str, str, str]]:
    """Way, name, shape and type, and meaning of each input and output."""
    sizes = {"height": card.config.height, "min_width": card.config.min_width, "classes": card.charset.classes}
    if not config.self_contained:
        return [(way, name, kind.format(**sizes), what.format(**sizes)) for way, name, kind, what in _NETWORK]
    assert {row[1] for row in _SELF_CONTAINED} >= set(end_to_end.OUTPUTS)
    return [(way, name, kind.format(**sizes), what) for way, name, kind, what in _SELF_CONTAINED]
