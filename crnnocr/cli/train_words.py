"""What `crnnocr train` says on stderr about its data, its plan and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crnnocr.cli import ui
from crnnocr.config import AUTO, TrainConfig

if TYPE_CHECKING:
    from crnnocr.datasets import Dataset
    from crnnocr.datasets.lint.finding import Finding
    from crnnocr.training.preparation import Prepared
    from crnnocr.training.run import Begun, Finished

_HARDLY_READS = 0.5
_PLACES_SHOWN = 3


def say_data(datasets: tuple[Dataset, ...], purpose: str) -> None:
    """How many pictures there are, and for what."""
    from crnnocr.plurals import counted

    for dataset in datasets:
        pictures = counted(len(dataset.samples), "labelled picture", "labelled pictures")
        ui.say(f"{dataset.source}: {pictures}{purpose} ({dataset.format})")


def say_finding(finding: Finding) -> None:
    """A fault in the data, with the first of its places."""
    from crnnocr.datasets.lint.finding import Severity

    if finding.severity is Severity.NOTE:
        ui.say(f"note: {finding.message}")
    else:
        ui.warn(finding.message)
    for place in finding.places if ui.is_verbose() else finding.places[:_PLACES_SHOWN]:
        ui.say(f"  {place.detail if place.detail.startswith(place.path) else f'{place.path}: {place.detail}'}")
    if len(finding.places) > _PLACES_SHOWN and not ui.is_verbose():
        ui.say(f"  … and {len(finding.places) - _PLACES_SHOWN:,} more (--verbose names all)")


def say_plan(prepared: Prepared, config: TrainConfig, begun: Begun) -> None:
    """What is about to be trained, on what."""
    from crnnocr.plurals import counted

    card, found = prepared.card, prepared.start.found
    origin = found.told if found else "scratch" + " (no model was shipped)" * (config.start == AUTO)
    drawn = f" and {config.synth} drawn ({config.mix:.0%})" if config.synth and len(prepared.examples) else ""
    learnt = counted(len(prepared.examples), "picture", "pictures")
    pictures = f"{learnt}{drawn}" if len(prepared.examples) else f"pictures drawn ({config.synth})"
    ui.say(
        f"training {card.name} ({card.config.preset}, from {origin}) for {begun.budget} on {begun.device}: {pictures} to "
        f"learn from, {len(prepared.held_out):,} held out, {len(card.charset.characters)} characters, "
        f"{begun.batch_size} pictures a step"
    )
    if begun.interrupted:
        ui.say(f"an interrupted run of the same data and options, {begun.interrupted}, is left alone: --resume goes on with it")
    if begun.resumed_at:
        ui.say(f"going on with the run {begun.run} at step {begun.resumed_at:,}")
    if prepared.new_characters:
        ui.say(f"new to {origin}: {prepared.new_characters}")
    if prepared.known:
        ui.say(f"{prepared.known:,} pictures that {origin} has learnt from are not validated on")
    if not len(prepared.held_out):
        why = f"{origin} has learnt from what would be" if prepared.known else "there is too little data"
        ui.warn(f"nothing is held out to measure with: {why} (--val names other pictures)")
    if begun.device == "mps":
        ui.say("the loss is computed on the CPU, since MPS has no CTC loss")
    ui.detail(f"  characters: {card.charset.characters}")


def say_end(finished: Finished) -> None:
    """What came of it."""
    from crnnocr.model import store
    from crnnocr.plurals import counted

    if finished.name != finished.wanted:
        why = "a shipped model's" if finished.wanted in store.SHIPPED.values() else "taken (--force would replace it)"
        ui.say(f"the name {finished.wanted} was {why}: stored as {finished.name}")
    minutes, seconds = divmod(round(finished.seconds), 60)
    measured = (
        f"CER {finished.scores.cer:.2%}, exact {finished.scores.exact:.1%} on "
        + counted(finished.scores.n, "held-out picture", "held-out pictures")
        if finished.scores
        else "not measured"
    )
    ui.say(f"{finished.name} is now the current model: {measured}, after {minutes}:{seconds:02d} min")
    if finished.scores and finished.scores.cer > _HARDLY_READS:
        ui.warn(f"{finished.name} hardly reads yet: train for longer (--minutes), or with more pictures")
    if finished.precision:
        ui.say(f"on a CPU it is read by onnxruntime, {finished.precision}")
    else:
        ui.warn(f"{finished.name} reads otherwise when it is exported, so that it is read with torch")
    ui.detail(f"  {finished.path}")
