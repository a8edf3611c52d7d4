"""`crnnocr models show`: all that is known of a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from crnnocr.cli import ui

if TYPE_CHECKING:
    from crnnocr.model.checkpoint import Card
    from crnnocr.model.store import FoundModel

_SCORES = {
    "cer": "character error rate (CER) {:.2%}",
    "wer": "word error rate (WER) {:.2%}",
    "exact": "exact match {:.1%}",
    "mean_levenshtein": "mean Levenshtein distance {:.3f}",
}


@ui.boundary
def show_cli(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|PATH", help="Name of a model, model folder or file, export; else the current, or shipped one."
        ),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the model's card as JSON on stdout.")] = False,
    quiet: ui.Quiet = False,
    debug: ui.Debug = False,
) -> None:
    """Say all that is known of a model: what it reads, how it was trained, how well it reads, and its files."""
    from crnnocr.engines import card_of
    from crnnocr.model import store

    found = store.find(model)
    card = card_of(found.path)
    if json_output:
        typer.echo(json.dumps(card.to_json()))
        return
    rows = [("model", found.told), *_about(card), *_training(card), *_reading(card), *_published(card), *_files(found)]
    width = max(len(title) for title, _ in rows)
    for title, told in rows:
        typer.echo(f"{title:{width}}  {ui.on_one_line(told)}".rstrip())


def _about(card: Card) -> Iterator[tuple[str, str]]:
    from crnnocr.config import Conv

    shape = card.config
    layers = sum(isinstance(layer, Conv) for layer in shape.backbone)
    yield "characters", f"{len(card.charset.characters)}: {card.charset.characters}"
    yield "preset", shape.preset
    yield "shape", f"lines {shape.height} pixels high, {layers} convolutions, LSTM of {shape.hidden} units a direction"
    yield "orientation", card.orientation.value


def _training(card: Card) -> Iterator[tuple[str, str]]:
    training = card.training
    data, config = training.get("data", {}), training.get("config", {})
    if "date" in training:
        yield "trained", f"{training['date']} by crnnocr {training.get('versions', {}).get('crnnocr', 'of an unknown version')}"
    if data:
        sources = [f"{source['name']} ({source['samples']:,}, {source['format']})" for source in data.get("sources", [])]
        drawn = [f"drawn ({config['synth']})"] if config.get("synth") else []
        yield "data", ", ".join([*sources, *drawn]) or "unknown"
        if not card.saw_drawings_only:
            yield "", f"{data.get('learned', 0):,} pictures to learn from, {data.get('held_out', 0):,} held out"
    if "steps" in training:
        shown = f", {training['pictures_shown']:,} pictures shown" if "pictures_shown" in training else ""
        minutes = f", {training['seconds'] / 60:.0f} min on {training.get('device', '?')}" if "seconds" in training else ""
        yield "steps", f"{training['steps']:,}{shown}{minutes}, from {training.get('start') or 'scratch'}"


def _reading(card: Card) -> Iterator[tuple[str, str]]:
    scores, calibration = card.scores, card.calibration
    told = [words.format(scores[name]) for name, words in _SCORES.items() if name in scores]
    kind = "drawn" if card.saw_drawings_only else "held-out"
    yield "reads", ", ".join([*told, f"on {scores.get('n', 0):,} {kind} pictures"]) if told else "not measured"
    fitted = f"fitted on {calibration.readings:,} held-out readings, {calibration.errors:,} of them wrong"
    few = "" if calibration.is_calibrated else ", too few to count as calibrated"
    yield "confidences", f"temperature {calibration.temperature:.3f}, bias {calibration.bias:+.3f}, {fitted}{few}"
    yield "precision", f"{card.precision} on a CPU"


def _published(card: Card) -> Iterator[tuple[str, str]]:
    """What the card of a shipped model says besides."""
    about = card.training.get("about", {})
    title = "real crops"
    for name, score in about.get("real_crops", {}).items():
        value, low, high = (100 * score[key] for key in ("value", "low", "high"))
        yield title, f"{name.removesuffix(' %')} {value:.1f} % ({low:.1f} – {high:.1f}), {score['pictures']:,} pictures"
        title = ""
    for name in ("pictures", "before", "limits", "licence", "reproduce"):
        if name in about:
            yield name, about[name]


def _files(found: FoundModel) -> Iterator[tuple[str, str]]:
    from crnnocr.files import sha256_of
    from crnnocr.model import catalogue

    yield "sha256", f"{sha256_of(found.path)} ({found.path.name})"
    yield "folder", str(found.path.parent)
    for file in catalogue.files(found):
        yield "", f"{file.name}, {file.stat().st_size:,} bytes"
