"""What `crnnocr train` says on stderr about its data, its plan and its end.

What `crnnocr train` shows while it goes on: figures that are renewed in place, and lines that stay.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Self

from crnnocr.cli import console
from crnnocr.config import AUTO, TrainConfig
from crnnocr.formatting import clock, plural
from crnnocr.metrics.confusions import Confusions, differing
from crnnocr.text.charset import nfc

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import RenderableType
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    from crnnocr.datasets import Dataset
    from crnnocr.datasets.issues import Issue
    from crnnocr.training.prepare import Prepared
    from crnnocr.training.run import Begun, Finished
    from crnnocr.training.trainer import Progress
    from crnnocr.training.validation import Reading, Validation

_HARDLY_READS = 0.5
_MAX_LOCATIONS = 3


def say_data(datasets: tuple[Dataset, ...], purpose: str) -> None:
    """How many pictures there are, and for what."""
    for dataset in datasets:
        pictures = plural(len(dataset.samples), "labelled picture", "labelled pictures")
        console.info(f"{dataset.source}: {pictures}{purpose} ({dataset.format})")


def say_issue(issue: Issue) -> None:
    """Show an issue of the data, with its first locations."""
    from crnnocr.datasets.issues import Severity

    if issue.severity is Severity.NOTE:
        console.info(f"note: {issue}")
    else:
        console.warn(str(issue))
    for location in issue.locations if console.is_verbose() else issue.locations[:_MAX_LOCATIONS]:
        told = location.detail if location.detail.startswith(location.path) else f"{location.path}: {location.detail}"
        console.info(f"  {told}")
    if issue.count > _MAX_LOCATIONS and not console.is_verbose():
        console.info(f"  … and {issue.count - _MAX_LOCATIONS:,} more (--verbose names all)")


def say_plan(prepared: Prepared, config: TrainConfig, begun: Begun) -> None:
    """What is about to be trained, on what."""
    card, found = prepared.card, prepared.start.found
    origin = found.label if found else "scratch" + " (no model was shipped)" * (config.start == AUTO)
    drawn = f" and {config.synth} drawn ({config.mix:.0%})" if config.synth and len(prepared.train) else ""
    learnt = plural(len(prepared.train), "picture", "pictures")
    pictures = f"{learnt}{drawn}" if len(prepared.train) else f"pictures drawn ({config.synth})"
    console.info(
        f"training {card.name} ({card.config.preset}, from {origin}) for {begun.budget} on {begun.device}: {pictures} to "
        f"learn from, {len(prepared.validation):,} held out, {len(card.charset.characters)} characters, "
        f"{begun.batch_size} pictures a step"
    )
    if begun.interrupted:
        console.info(
            f"an interrupted run of the same data and options, {begun.interrupted}, is left alone: --resume goes on with it"
        )
    if begun.resumed_at:
        console.info(f"going on with the run {begun.run} at step {begun.resumed_at:,}")
    if prepared.new_characters:
        console.info(f"new to {origin}: {prepared.new_characters}")
    if prepared.known:
        console.info(f"{prepared.known:,} pictures that {origin} has learnt from are not validated on")
    if not len(prepared.validation):
        why = f"{origin} has learnt from what would be" if prepared.known else "there is too little data"
        console.warn(f"nothing is held out to measure with: {why} (--val names other pictures)")
    if begun.device == "mps":
        console.info("the loss is computed on the CPU, since MPS has no CTC loss")
    console.verbose(f"  characters: {card.charset.characters}")


def say_end(finished: Finished) -> None:
    """What came of it."""
    from crnnocr.formatting import plural
    from crnnocr.model import registry

    if finished.name != finished.wanted:
        why = "a shipped model's" if finished.wanted in registry.PRETRAINED.values() else "taken (--force would replace it)"
        console.info(f"the name {finished.wanted} was {why}: stored as {finished.name}")
    minutes, seconds = divmod(round(finished.seconds), 60)
    measured = (
        f"CER {finished.scores.cer:.2%}, exact {finished.scores.exact_match:.1%} on "
        + plural(finished.scores.n, "held-out picture", "held-out pictures")
        if finished.scores
        else "not measured"
    )
    console.info(f"{finished.name} is now the current model: {measured}, after {minutes}:{seconds:02d} min")
    if finished.scores and finished.scores.cer > _HARDLY_READS:
        console.warn(f"{finished.name} hardly reads yet: train for longer (--minutes), or with more pictures")
    if finished.precision:
        console.info(f"on a CPU it is read by onnxruntime, {finished.precision}")
    else:
        console.warn(f"{finished.name} reads otherwise when it is exported, so that it is read with torch")
    console.verbose(f"  {finished.path}")


_READINGS = 4
"""Held-out pictures that are shown at each validation."""
_CONFUSIONS = 5
_STEPS_BEFORE_A_PACE = 20
_UNKNOWN = "–"
_NARROWEST_BAR = 4
_WIDEST = 78
"""Columns that the figures take at most."""

_TRUTH_STYLE, _READING_STYLE = "bold underline green", "bold underline red"
_LEFT_TO_RIGHT = "\u200e"
"""An invisible letter (LRM) that keeps what is beside a right-to-left text on its side."""


class TrainView:
    """Shows a training on stderr. On a terminal the figures stand below the lines and are renewed; elsewhere lines are all.

    Example::

        with TrainView() as view:
            view.progress(event)
            view.validation(another)
    """

    def __init__(self) -> None:
        self._live: Live | None = None
        self._last: Progress | None = None
        self._scores: list[tuple[float, float]] = []
        self._next = 0

    def __enter__(self) -> Self:
        if console.shows_progress():
            from rich.live import Live

            self._live = Live(console=console.console(), auto_refresh=False, transient=True, redirect_stdout=False)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def progress(self, event: Progress) -> None:
        """Renew the figures."""
        self._last = event
        self._renew()

    def validation(self, event: Validation) -> None:
        """Say how the held-out pictures are read: the scores, some of the readings, and the most frequent confusions."""
        from rich.text import Text

        scores = event.scores
        self._scores.append((scores.cer, scores.exact_match))
        self._say(
            Text(
                f"step {event.step:>6,}  loss {event.loss:.3f}  CER {scores.cer:7.2%}  exact {scores.exact_match:6.1%}  "
                f"Levenshtein {scores['mean_levenshtein']:.2f}"
            ).append("  kept" if event.is_best else "", "green")
        )
        if not any(reading.text for reading in event.readings):
            self._say(Text("  nothing is read yet", "dim"))
            self._renew()
            return
        pairs = [(_shown(reading.truth), _shown(reading.text)) for reading in self._chosen(event.readings)]
        for line in _side_by_side(pairs, console.console().width if self._live else None):
            self._say(line)
        if confusions := _most_confused(event.readings):
            self._say(Text(f"  often: {confusions}", "dim"))
        self._renew()

    def _renew(self) -> None:
        if self._live and self._last:
            self._live.update(self._figures(self._last), refresh=True)

    def _say(self, line: Text) -> None:
        if self._live:
            console.console().print(line, soft_wrap=False, no_wrap=True, overflow="ellipsis")
        else:
            console.info(line.plain)

    def _chosen(self, readings: Sequence[Reading]) -> list[Reading]:
        """Some readings, wrong ones if there are, going round from one validation to the next."""
        around = [(self._next + i) % len(readings) for i in range(len(readings))]
        wrong = [i for i in around if nfc(readings[i].truth) != nfc(readings[i].text)]
        chosen = (wrong + [i for i in around if i not in set(wrong)])[:_READINGS]
        if chosen:
            self._next = chosen[min(len(wrong), len(chosen)) - 1] + 1
        return [readings[i] for i in chosen]

    def _figures(self, event: Progress) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        width = min(_WIDEST, console.console().width - 1)
        left = f"{clock(event.seconds_left)} left" if event.step >= _STEPS_BEFORE_A_PACE else ""
        bar_width = width - len("training  100%  ") - len(left)
        if bar_width < _NARROWEST_BAR:
            bar_width, left = _NARROWEST_BAR, ""
        head = Table.grid(padding=(0, 1))
        head.add_row("training", ProgressBar(1.0, event.done, bar_width), f"{event.done:4.0%}", left)
        return Group(head, self._table(event, width))

    def _table(self, event: Progress, width: int) -> Table:
        """The figures in columns, as many from the first as fit `width`."""
        from rich.table import Table

        cers, exacts = [cer for cer, _ in self._scores], [exact for _, exact in self._scores]
        columns = (
            ("epoch", f"{event.epoch}", 5),
            ("step", f"{event.step:,}", 9),
            ("loss", f"{event.loss:.3f}", 6),
            ("CER", f"{cers[-1]:.2%}" if cers else _UNKNOWN, 7),
            ("best", f"{min(cers):.2%}" if cers else _UNKNOWN, 7),
            ("exact", f"{exacts[-1]:.1%}" if exacts else _UNKNOWN, 6),
            ("best", f"{max(exacts):.1%}" if exacts else _UNKNOWN, 6),
            ("images/s", f"{event.rate:,.0f}" if event.step >= _STEPS_BEFORE_A_PACE else _UNKNOWN, 8),
            ("waiting", f"{event.waiting:.0%}", 7),
        )
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        values = []
        for name, value, least in columns:
            needed = max(least, len(value))
            width -= needed + 2
            if width < -2:
                break
            table.add_column(name, justify="right", width=needed, no_wrap=True)
            values.append(value)
        table.add_row(*values)
        return table


def _side_by_side(pairs: Sequence[tuple[str, str]], width: int | None) -> Iterator[Text]:
    """A line for each pair of truth and reading. In a `width` they are cut to fit, the readings one below the other."""
    from rich.text import Text

    left, right = (None, None) if width is None else _columns([pair for pair in pairs if pair[0] != pair[1]], width)
    for truth, reading in pairs:
        steer = _LEFT_TO_RIGHT if _is_right_to_left(truth + reading) else ""
        if truth == reading:
            room = None if width is None else width - len("  ✓ ")
            yield Text.assemble("  ", ("✓", "green"), " ", steer, _cut(Text(truth), 0, room))
            continue
        lost, added = differing(truth, reading)
        told = _cut(_highlighted(truth, lost, _TRUTH_STYLE), min(lost, default=0), left)
        told.pad_right(max(0, (left or 0) - told.cell_len))
        read = _cut(_highlighted(reading, added, _READING_STYLE), min(added, default=0), right)
        yield Text.assemble("  ", ("✗", "red"), " ", steer, told, steer, " → ", steer, read or ("(nothing)", "dim"))


def _columns(pairs: Sequence[tuple[str, str]], width: int) -> tuple[int, int]:
    """Cells for the truths and for the readings: what the truths need, but half of the width if the readings need theirs."""
    from rich.cells import cell_len

    truth, reading = (max((cell_len(pair[side]) for pair in pairs), default=0) for side in (0, 1))
    room = width - len("  ✗  → ")
    left = min(truth, max(room // 2, room - reading))
    return left, room - left


def _highlighted(text: str, indices: set[int], style: str) -> Text:
    from rich.text import Text

    told = Text(text)
    for i in indices:
        told.stylize(style, i, i + 1)
    return told


def _cut(text: Text, first: int, cells: int | None) -> Text:
    """The text in at most so many cells, with … for what is left out, and character `first` in sight."""
    from rich.cells import cell_len
    from rich.text import Text

    if cells is None or text.cell_len <= cells:
        return text
    start = first
    while start and cell_len(text.plain[start - 1 : first + 1]) <= cells // 2:
        start -= 1
    shown = Text.assemble("…", text[start:]) if start else text.copy()
    shown.truncate(max(1, cells), overflow="ellipsis")
    return shown


def _most_confused(readings: Sequence[Reading]) -> str:
    confusions = Confusions()
    for reading in readings:
        confusions.update(reading.truth, reading.text)
    return "   ".join(f"{edit} ×{count:,}" for edit, count in confusions.most_common(_CONFUSIONS))


def _shown(text: str) -> str:
    """The text after NFC as it can be shown: for a character that steers the terminal or its direction stands another."""
    return "".join(map(_tamed, nfc(text)))


def _tamed(character: str) -> str:
    if unicodedata.category(character) == "Cc":
        return chr(0x2400 + ord(character)) if ord(character) < 0x20 else "\ufffd"
    return "\ufffd" if "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069" else character


def _is_right_to_left(text: str) -> bool:
    return any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
