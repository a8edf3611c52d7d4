"""The description of an exported graph, for programs (`model.json`) and for people (`README.md`)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import crnnocr
from crnnocr.config import ExportConfig, ExportFormat, Orientation, Precision
from crnnocr.export.verify import Verification
from crnnocr.formatting import escape_controls, plural
from crnnocr.graph import end_to_end, network
from crnnocr.metrics.scores import headline
from crnnocr.model.card import Card

DIRECTION = "visual"
"""Class ids follow each other as the characters do on paper, from left to right."""

_MARKUP = frozenset("\\`*_{}[]<>()#+-.!|~&$:@\"'")
"""Characters that Markdown, HTML or a viewer could read as markup."""

_LINES = {
    Orientation.HORIZONTAL: "horizontal",
    Orientation.VERTICAL: "vertical, turned counter-clockwise first",
    Orientation.UPWARD: "upward, turned clockwise first",
    Orientation.UPSIDE_DOWN: "upside down, turned by half first",
    Orientation.AUTO: "horizontal; tall images are tried in all orientations",
}

_NETWORK = (
    ("in", "images", "(batch, 1, {height}, width) float32", "lines at the left, black −1, white 1, zero past their widths"),
    ("in", "widths", "(batch) int64", "width of each line in pixels, at least {min_width}"),
    ("out", "log_probs", "(batch, frames, {classes}) float32", "natural-log probabilities"),
    ("out", "frames", "(batch) int64", "frames of each line; those past them are meaningless"),
)
_SELF_CONTAINED = (
    ("in", "pictures", "(batch, height, width) uint8", "gray images of any size, black 0, white 255, each at the upper left"),
    ("in", "sizes", "(batch, 2) int64", "height and width of each in pixels"),
    ("out", "ids", "(batch, characters) int64", "class ids of each text, from left to right; 0 after its end"),
    ("out", "lengths", "(batch) int64", "characters of each text"),
    ("out", "confidences", "(batch) float32", "how likely each text is right, calibrated"),
    ("out", "character_confidences", "(batch, characters) float32", "highest probability of each character among its frames"),
    *(row for row in _NETWORK if row[0] == "out"),
)  # fmt: skip


@dataclass(frozen=True)
class ModelCard:
    """An exported graph, and all that its card says."""

    card: Card
    """The model's."""
    config: ExportConfig
    verification: Verification
    """The comparison of model and export."""
    graph: bytes
    """The content of the graph's file."""
    source_hash: str
    """SHA-256 of the model's file."""
    file: str
    """Name of the file to start with."""

    @property
    def opset(self) -> int:
        """Version of ONNX's operators."""
        return end_to_end.OPSET if self.config.self_contained else network.OPSET

    @property
    def graph_hash(self) -> str:
        """SHA-256 of the graph."""
        return hashlib.sha256(self.graph).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The content of `model.json`: the model's card, and how it was exported."""
        tensors = _tensors(self.card, self.config)
        return {
            **self.card.to_json(),
            "direction": DIRECTION,
            "export": {
                "file": self.file,
                "format": self.config.format.value,
                "precision": self.config.precision.value,
                "self_contained": self.config.self_contained,
                "opset": self.opset,
                "bytes": len(self.graph),
                "sha256": self.graph_hash,
                "source_sha256": self.source_hash,
                "crnnocr": crnnocr.__version__,
                "tensors": [dict(zip(("way", "name", "type", "what"), row, strict=True)) for row in tensors],
                "proof": self.verification.to_json(),
            },
        }

    def readme(self) -> str:
        """The content of `README.md`."""
        card, config = self.card, self.config
        parts = [
            f"# {_as_text(card.name)}",
            f"Recognizes images of one line or word of text. Made by crnnocr {crnnocr.__version__}.",
            _facts(self),
            "## Accuracy",
            accuracy(card),
            _verification(self.verification),
            "## Use",
            _page_use() if config.format is ExportFormat.WEB else _graph_use(card, config),
            "## Limits",
            _limits(card),
        ]
        return "\n\n".join(parts) + "\n"


def _as_text(text: str) -> str:
    """Return a text as Markdown that shows it, whatever it holds."""
    if text.replace("-", "").replace(".", "").isalnum():
        return text
    return "".join(f"\\{c}" if c in _MARKUP else c for c in escape_controls(text))


def _facts(about: ModelCard) -> str:
    card = about.card
    characters = card.charset.characters
    listed = _as_text(characters[:200]).strip()
    rows = {
        "characters": f"{len(characters)}: {listed}{' …' if len(characters) > 200 else ''}",
        "lines": _LINES[card.orientation],
        "network": f"{card.config.preset}: a CRNN for lines {card.config.height} pixels high",
        "precision": about.config.precision.value,
        "graph": f"{len(about.graph):,} bytes, opset {about.opset}, sha256 `{about.graph_hash}`",
        "made from": f"`model.safetensors`, sha256 `{about.source_hash}`",
    }
    return "\n".join(("| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())))


def accuracy(card: Card) -> str:
    """The scores of a model and how its confidences are calibrated, as sentences for `README.md`."""
    if not card.scores:
        return "It was not scored on held-out images."
    calibration = card.calibration
    confidences = (
        f"Confidences are calibrated on {calibration.samples:,} of these predictions."
        if calibration.is_calibrated
        else "Too few of them were right, or wrong, to calibrate confidences: these are the model's own."
    )
    return f"On the {card.scores.n:,} images of the validation split: {headline(card.scores.values)}. {confidences}"


def _verification(found: Verification) -> str:
    summary = (
        f"Compared with the model it was made from on {plural(found.images, 'image')} ({found.widths:,} different widths), in "
        f"batches of {', '.join(map(str, found.batch_sizes))}: {found.equal_texts:.2%} of the texts are the same"
    )
    if found.log_prob_difference is not None:
        ties = f"; texts that tie: {', '.join(found.ties)}" if found.ties else ""
        return f"{summary}, log-probabilities within {found.log_prob_difference:.1e}{ties}."
    return f"{summary}, {found.as_many_right:.2%} as many are right, CER {found.cer:.2%} against {found.model_cer:.2%}."


def _page_use() -> str:
    return (
        "Open `index.html` in a browser, and drop images on it or paste them. Everything it needs is in this folder: it sends "
        "nothing anywhere, and needs no server. Programs call `recognizeImage(blob)` of `reader.js`. onnxruntime-web runs the "
        "graph; its license is in `LICENSE-onnxruntime-web.txt`."
    )


def _graph_use(card: Card, config: ExportConfig) -> str:
    table = ["| | name | shape and type | what |", "| --- | --- | --- | --- |"]
    table += [f"| {way} | `{name}` | {kind} | {what} |" for way, name, kind, what in _tensors(card, config)]
    runtimes = (
        "onnxruntime runs it, on every platform and in browsers; other runtimes lack its LSTM, which computes with bytes."
        if config.precision is Precision.INT8
        else "Any runtime for ONNX runs it."
    )
    steps = (
        "The image goes in as it is, in gray; the character of class *i* is character *i* − 1 of `charset` in `model.json`."
        if config.self_contained
        else "Convert the image to gray and resize it to the model's height with antialiased bilinear "
        "weights, as `preprocessing` in `model.json` says. Take the best class of each frame of `log_probs`, merge repeats and "
        "drop class 0, the blank; the character of class *i* is character *i* − 1 of `charset`. Several spaces in a row are "
        "one, and those at the edges none."
    )
    own = "`crnnocr predict --model` takes this folder, too."
    return "\n".join(table) + f"\n\n{runtimes} {steps} {own}"


def _limits(card: Card) -> str:
    limits = (
        "An image shows one line, cut out. Characters that are not in `charset` cannot be recognized. Class ids follow each "
        "other as the characters do on paper, from left to right"
    )
    if any("\u0590" <= c <= "\u08ff" for c in card.charset.characters):
        return f"{limits}: `crnnocr.text.bidi.visual_to_logical` brings them into the order in which they are typed."
    return f"{limits}."


def _tensors(card: Card, config: ExportConfig) -> list[tuple[str, str, str, str]]:
    """Way, name, shape and type, and meaning of each input and output."""
    sizes = {"height": card.config.height, "min_width": card.config.min_width, "classes": card.charset.classes}
    if not config.self_contained:
        return [(way, name, kind.format(**sizes), what.format(**sizes)) for way, name, kind, what in _NETWORK]
    assert {row[1] for row in _SELF_CONTAINED} >= set(end_to_end.OUTPUTS)
    return [(way, name, kind.format(**sizes), what) for way, name, kind, what in _SELF_CONTAINED]
