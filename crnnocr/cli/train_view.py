"""The output of `crnnocr train` on stderr: its data and plan, figures and validations while it runs, and its result."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Self

from crnnocr.cli import console
from crnnocr.config import AUTO, TrainConfig
from crnnocr.formatting import clock, duration, plural
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
    from crnnocr.metrics.scores import Scores
    from crnnocr.training.finalize import Finished
    from crnnocr.training.improvement import StartMeasured
    from crnnocr.training.prepare import Prepared
    from crnnocr.training.run import Begun
    from crnnocr.training.schedule import Progress
    from crnnocr.training.stages import FoldMeasured, PseudoLabelsMeasured, StageBegun
    from crnnocr.training.validation import Validation, ValidationSample

_HIGH_CER = 0.5
_MAX_LOCATIONS = 3

_SAMPLES_SHOWN = 4
"""Validation samples that are shown at each validation."""
_CONFUSIONS = 5
_STEPS_BEFORE_SPEED = 20
_UNKNOWN = "–"
_NARROWEST_BAR = 4
_MAX_WIDTH = 78
"""Columns that the figures take at most."""

_REFERENCE_STYLE, _PREDICTION_STYLE = "bold underline green", "bold underline red"
_LEFT_TO_RIGHT = "\u200e"
"""An invisible letter (LRM) that keeps what is beside a right-to-left text on its side."""


def show_data(datasets: tuple[Dataset, ...], purpose: str) -> None:
    """Show how many images each data set has, and their `purpose`."""
    for dataset in datasets:
        console.info(f"{dataset.source}: {plural(len(dataset.samples), 'labeled image')}{purpose} ({dataset.format})")


def show_issue(issue: Issue) -> None:
    """Show an issue of the data, with its code and its first locations."""
    from crnnocr.datasets.issues import Severity

    message = f"{console.spell(str(issue))} [{issue.code}]"
    if issue.severity is Severity.NOTE:
        console.info(f"note: {message}")
    else:
        console.warn(message)
    for location in issue.locations if console.is_verbose() else issue.locations[:_MAX_LOCATIONS]:
        text = location.detail if location.detail.startswith(location.path) else f"{location.path}: {location.detail}"
        console.info(f"  {text}")
    if issue.count > _MAX_LOCATIONS and not console.is_verbose():
        console.info(f"  … and {issue.count - _MAX_LOCATIONS:,} more (--verbose names all)")


def show_plan(prepared: Prepared, config: TrainConfig, begun: Begun) -> None:
    """Show what is about to be trained, on what."""
    card, found = prepared.card, prepared.start.found
    origin = found.label if found else "scratch" + " (there is no pretrained model)" * (config.start == AUTO)
    synthetic = f" and {config.synthetic} synthetic ({config.mix:.0%})" if config.synthetic and len(prepared.train) else ""
    images = (
        f"{plural(len(prepared.train), 'image')}{synthetic}"
        if len(prepared.train)
        else f"synthetic images ({config.synthetic})"
    )
    measured = f"{len(prepared.validation):,} held out"
    if prepared.folds:
        measured = f"measured in {prepared.folds}-fold cross-validation"
    unlabeled = f" and {len(prepared.unlabeled):,} unlabeled ones" if prepared.unlabeled else ""
    console.info(
        f"training {card.name!r} ({card.config.preset}, from {origin}) for {begun.budget} on {begun.device}: {images} to "
        f"train on{unlabeled}, {measured}, {len(card.charset.characters)} characters, "
        f"{begun.batch_size} images a step"
    )
    if begun.interrupted:
        console.info(
            f"an interrupted run of the same data and options, {begun.interrupted!r}, stays as it is: --resume resumes it"
        )
    if begun.resumed_at:
        console.info(f"resuming the run {begun.run!r} at step {begun.resumed_at:,}")
    if prepared.new_characters:
        console.info(f"new to {origin}: {prepared.new_characters}")
    if prepared.already_seen:
        images = plural(prepared.already_seen, "image is", "images are")
        console.info(f"{images} not measured on, because {origin} was trained on them")
    if not len(prepared.measured):
        why = f"{origin} was trained on all images that could be" if prepared.already_seen else "there is too little data"
        if len({sample.group for sample in prepared.train.samples}) == 1 and prepared.train.samples[0].group:
            why = f"all images are of one group, {prepared.train.samples[0].group!r}"
        console.warn(f"nothing is held out to measure with: {why} (--val names other images)")
    elif any(sample.weight < 1 for sample in prepared.measured.samples):
        console.warn(
            "the held-out labels are a model's predictions, so the scores say how well these are imitated (--val names others)"
        )
    if begun.device == "mps":
        console.info("the loss is computed on the CPU, since MPS has no CTC loss")
    console.verbose(f"  characters: {card.charset.characters}")


def show_start(start: StartMeasured, folds: int) -> None:
    """Show how good the start model is."""
    images = plural(start.scores.n, "image" if folds else "held-out image")
    console.info(f"before training: {_in_words(start.scores)} on {images} ({start.name})")


def _in_words(scores: Scores) -> str:
    return f"CER {scores.cer:.2%}, exact {scores.exact_match:.1%}"


def _images(number: int, folds: int) -> str:
    return f"{plural(number, 'image')} in {folds}-fold cross-validation" if folds else plural(number, "held-out image")


def show_result(finished: Finished) -> None:
    """Show the name of the model and how good it is."""
    from crnnocr.model import registry

    if finished.name != finished.wanted:
        taken = "taken (--force replaces it by a better one)"
        why = "that of a pretrained model" if finished.wanted in registry.PRETRAINED else taken
        console.info(f"the name {finished.wanted!r} was {why}: stored as {finished.name!r}")
    measured = "not measured"
    if finished.scores:
        measured = f"{_in_words(finished.scores)} on {_images(finished.scores.n, finished.folds)}"
    if gained := finished.improvement:
        before, after = gained.before, gained.after
        measured = (
            f"CER {before.cer:.2%} → {after.cer:.2%}, exact {before.exact_match:.1%} → {after.exact_match:.1%} on "
            f"{_images(gained.comparison.n, finished.folds)}: {gained.verdict} ({gained.start} → {finished.name})"
        )
    stored = "is now the current model" if finished.is_current else "is stored"
    console.info(f"{finished.name!r} {stored}, after {duration(finished.seconds)}: {measured}")
    if finished.cer:
        console.info(f"95% interval of the CER: {finished.cer.low:.2%} to {finished.cer.high:.2%}")
    if gained and not finished.is_current:
        console.warn(
            f"its CER is not lower than that of {gained.start}, so the current model stays what it was; to use this one: "
            f"crnnocr models use {finished.name}"
        )
    if finished.scores and finished.scores.cer > _HIGH_CER:
        console.warn(f"{finished.name!r} recognizes little yet: train for longer (--minutes), or with more images")
    if finished.precision:
        console.info(f"on a CPU it is run by onnxruntime, {finished.precision}")
    if not finished.is_exportable:
        torch = "" if finished.precision else ", and torch runs it here"
        console.warn(f"{finished.name!r} gives other results when it is exported: `crnnocr export` would not keep it{torch}")
    console.verbose(f"  {finished.path}")


class TrainView:
    """Shows a running training. On a terminal figures below the lines are renewed in place; elsewhere there are only lines.

    Example::

        with TrainView() as view:
            view.progress(event)
            view.validation(another)
    """

    def __init__(self) -> None:
        self._live: Live | None = None
        self._last: Progress | None = None
        self._scores: list[tuple[float, float]] = []
        self._stage = "training"
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

    def begin_stage(self, event: StageBegun) -> None:
        """Name the stage that the figures are of."""
        from rich.text import Text

        is_last = event.number == event.stages
        self._stage = "training" if event.stages == 1 else "all" if is_last else f"fold {event.number}/{event.stages - 1}"
        if event.unlabeled:
            found = f"{event.pseudo_labeled:,} of {plural(event.unlabeled, 'unlabeled image')}"
            self._print(Text(f"{self._stage}: {found} recognized confidently, to train on"), wrap=True)
            self._stage += f", round {event.round}"

    def fold(self, event: FoldMeasured) -> None:
        """Show how good a network is that was trained without a fold."""
        from rich.text import Text

        images = plural(event.scores.n, "held-out image") + f", round {event.round} of pseudo-labels" * (event.round > 0)
        self._print(Text(f"fold {event.number} of {event.folds}: {_in_words(event.scores)} on {images}"), wrap=True)

    def pseudo_labels(self, event: PseudoLabelsMeasured) -> None:
        """Show what pseudo-labels gave."""
        from rich.text import Text

        labels, *rounds = (f"{scores.cer:.2%}" for scores in event.scores)
        change = f"CER {labels} without, {', '.join(rounds)} after each round, on {plural(event.scores[0].n, 'held-out image')}"
        use = f"{plural(event.best, 'round is', 'rounds are')} used" if event.best else "they do not help, and are not used"
        if not event.found:
            change, use = "no image was recognized confidently enough", "label more, or lower --min-confidence"
        self._print(Text(f"pseudo-labels: {change}: {use}"), wrap=True)

    def progress(self, event: Progress) -> None:
        """Renew the figures."""
        self._last = event
        self._renew()

    def validation(self, event: Validation) -> None:
        """Show the scores, some predictions, and the most frequent confusions."""
        from rich.text import Text

        progress, scores = event.progress, event.scores
        self._scores.append((scores.cer, scores.exact_match))
        self._print(
            Text(
                f"step {progress.step:>6,}  loss {progress.loss:.3f}  CER {scores.cer:7.2%}  exact {scores.exact_match:6.1%}  "
                f"Levenshtein {scores['mean_levenshtein']:.2f}"
            ).append("  kept" if event.is_best else "", "green")
        )
        if not any(sample.prediction for sample in event.samples):
            self._print(Text("  nothing is recognized yet", "dim"))
            self._renew()
            return
        pairs = [(_printable(sample.reference), _printable(sample.prediction)) for sample in self._chosen(event.samples)]
        for line in _side_by_side(pairs, console.console().width if self._live else None):
            self._print(line)
        if confusions := _most_confused(event.samples):
            self._print(Text(f"  often: {confusions}", "dim"))
        self._renew()

    def _renew(self) -> None:
        if self._live and self._last:
            self._live.update(self._figures(self._last), refresh=True)

    def _print(self, line: Text, wrap: bool = False) -> None:
        if self._live and wrap:
            console.console().print(line)
        elif self._live:
            console.console().print(line, soft_wrap=False, no_wrap=True, overflow="ellipsis")
        else:
            console.info(line.plain)

    def _chosen(self, samples: Sequence[ValidationSample]) -> list[ValidationSample]:
        """Some samples, wrong ones if there are any, taking turns from one validation to the next."""
        around = [(self._next + i) % len(samples) for i in range(len(samples))]
        wrong = [i for i in around if nfc(samples[i].reference) != nfc(samples[i].prediction)]
        chosen = (wrong + [i for i in around if i not in set(wrong)])[:_SAMPLES_SHOWN]
        if chosen:
            self._next = chosen[min(len(wrong), len(chosen)) - 1] + 1
        return [samples[i] for i in chosen]

    def _figures(self, event: Progress) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        width = min(_MAX_WIDTH, console.console().width - 1)
        left = f"{clock(event.seconds_left)} left" if event.step >= _STEPS_BEFORE_SPEED else ""
        bar_width = width - len(f"{self._stage}  100%  ") - len(left)
        if bar_width < _NARROWEST_BAR:
            bar_width, left = _NARROWEST_BAR, ""
        head = Table.grid(padding=(0, 1))
        head.add_row(self._stage, ProgressBar(1.0, event.done, bar_width), f"{event.done:4.0%}", left)
        return Group(head, self._table(event, width))

    def _table(self, event: Progress, width: int) -> Table:
        """The figures in as many columns as fit `width`."""
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
            ("images/s", f"{event.images_per_second:,.0f}" if event.step >= _STEPS_BEFORE_SPEED else _UNKNOWN, 8),
            ("waiting", f"{event.data_wait:.0%}", 7),
        )
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        values = []
        for name, value, min_width in columns:
            column_width = max(min_width, len(value))
            width -= column_width + 2
            if width < -2:
                break
            table.add_column(name, justify="right", width=column_width, no_wrap=True)
            values.append(value)
        table.add_row(*values)
        return table


def _side_by_side(pairs: Sequence[tuple[str, str]], width: int | None) -> Iterator[Text]:
    """A line for each pair of reference and prediction. They are cut to fit `width`, with the predictions in one column."""
    from rich.text import Text

    left, right = (None, None) if width is None else _columns([pair for pair in pairs if pair[0] != pair[1]], width)
    for reference, prediction in pairs:
        mark = _LEFT_TO_RIGHT if _is_right_to_left(reference + prediction) else ""
        if reference == prediction:
            available = None if width is None else width - len("  ✓ ")
            yield Text.assemble("  ", ("✓", "green"), " ", mark, _cut(Text(reference), 0, available))
            continue
        lost, added = differing(reference, prediction)
        first = _cut(_highlighted(reference, lost, _REFERENCE_STYLE), min(lost, default=0), left)
        first.pad_right(max(0, (left or 0) - first.cell_len))
        second = _cut(_highlighted(prediction, added, _PREDICTION_STYLE), min(added, default=0), right)
        yield Text.assemble("  ", ("✗", "red"), " ", mark, first, mark, " → ", mark, second or ("(nothing)", "dim"))


def _columns(pairs: Sequence[tuple[str, str]], width: int) -> tuple[int, int]:
    """Cells for the references and for the predictions: as the references need, or half if the predictions need the rest."""
    from rich.cells import cell_len

    reference, prediction = (max((cell_len(pair[side]) for pair in pairs), default=0) for side in (0, 1))
    available = width - len("  ✗  → ")
    left = min(reference, max(available // 2, available - prediction))
    return left, available - left


def _highlighted(text: str, indices: set[int], style: str) -> Text:
    from rich.text import Text

    highlighted = Text(text)
    for i in indices:
        highlighted.stylize(style, i, i + 1)
    return highlighted


def _cut(text: Text, first: int, cells: int | None) -> Text:
    """The text in at most so many cells, with … for the rest, so that character `first` is visible."""
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


def _most_confused(samples: Sequence[ValidationSample]) -> str:
    confusions = Confusions()
    for sample in samples:
        confusions.update(sample.reference, sample.prediction)
    return "   ".join(f"{edit} ×{count:,}" for edit, count in confusions.most_common(_CONFUSIONS))


def _printable(text: str) -> str:
    """The text in NFC, with a visible character in place of each that controls the terminal or its direction."""
    return "".join(map(_tame, nfc(text)))


def _tame(character: str) -> str:
    if unicodedata.category(character) == "Cc":
        return chr(0x2400 + ord(character)) if ord(character) < 0x20 else "\ufffd"
    return "\ufffd" if "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069" else character


def _is_right_to_left(text: str) -> bool:
    return any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
