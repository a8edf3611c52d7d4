"""An evaluation as one HTML page for people: scores, samples, confusions and plots, without any other file.

Everything passes through the template's escaping (jinja2 with autoescape). The samples are JSON that the page's own script
shows as text, never as markup, and the page's content security policy lets a browser run only this script and load nothing.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import Levenshtein
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from PIL import Image

from crnnocr import __version__, images
from crnnocr.datasets.issues import Severity
from crnnocr.errors import ConfigError, ImageError
from crnnocr.evaluation.comparison import Comparison
from crnnocr.evaluation.evaluate import Evaluation
from crnnocr.evaluation.outcomes import Outcome, System
from crnnocr.files import check_output, is_device
from crnnocr.formatting import escape_controls, plural, printable_name
from crnnocr.inference.recognizer import Prediction
from crnnocr.metrics.confusions import Confusions, Edit
from crnnocr.metrics.scores import METRICS
from crnnocr.report import plots, terminal
from crnnocr.text.bidi import in_logical_order
from crnnocr.text.charset import visible
from crnnocr.text.normalization import Normalization

_FILES = Path(__file__).parent / "html_files"
_GENERATOR = "crnnocr eval"
_HEAD_BYTES = 200
"""A page names its generator within these first bytes."""

_MAX_CHARACTERS = 400
"""Rows of the table of characters: those with the most errors."""
_MAX_FREQUENT = 40
_MAX_GROUPS = 200
"""Rows of a table of groups: those with the most samples."""
_MAX_NAMES = 100
"""Data sets and unknown characters that are named."""

_HEATMAP_SIZE = 22
"""Rows and columns of the heatmap."""
_HEATMAP_EDITS = 150
"""The most frequent edits, from which the heatmap takes its rows and columns."""

_MAX_IMAGES = 300
_MIN_IMAGES = 40
"""If fewer predictions are wrong, the least confident of the correct ones have images too."""
_MAX_CHANGED = 50
"""Samples with images on which a comparison's first system is better, and as many on which it is worse."""
_MAX_IMAGE_BYTES = 5_000_000
_MAX_ROW_BYTES = 11_000_000
"""Bytes of images and rows in a page, which keep all of it below 20 MB."""
_MAX_HEIGHT, _MAX_WIDTH = 96, 1200
"""Size of an image in the page, in pixels."""
_JPEG_QUALITY = 80
_EDIT_CODES = {"replace": 0, "delete": 1, "insert": 2}


def render_page(evaluation: Evaluation, system: System | None = None, max_row_bytes: int = _MAX_ROW_BYTES) -> str:
    """Render the page. The evaluated system recognizes the worst samples again, to show their images with confidences.

    Args:
        evaluation: what the page shows.
        system: the evaluated system; without it the page has no images.
        max_row_bytes: size of the samples without their images, beyond which the best samples are left out.
    """
    environment = Environment(
        loader=FileSystemLoader(_FILES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=terminal.percent,
        printable=_shown,
        count="{:,}".format,
        plural=plural,
        rate=terminal.error_rate,
        largest=partial(terminal.largest, limit=_MAX_GROUPS),
    )
    script, style = ((_FILES / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    analysis, comparison = evaluation.analysis, evaluation.comparison
    samples = page_samples(evaluation, system, max_row_bytes)
    text = environment.get_template("page.html").render(
        evaluation=evaluation,
        analysis=analysis,
        result=analysis.result,
        comparison=comparison,
        generator=_GENERATOR,
        title=f"{evaluation.model} on {_names(evaluation.data)}",
        data_names=_names(evaluation.data),
        version=__version__,
        style=style,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        headlines=list(_headlines(evaluation)),
        heatmap=heatmap(analysis.confusions),
        characters=_characters(analysis.confusions),
        plots={
            "reliability": plots.reliability(analysis.reliability),
            "risk": plots.risk_coverage(analysis.risk_coverage),
            "length": plots.by_size(analysis.by_length, "CER by the length of the label", "characters in the label, from"),
            "width": plots.by_size(analysis.by_width, "CER by the width of the image", "pixels along the line, from"),
        },
        frame=plots,
        comparison_rows=list(terminal.comparison_rows(comparison)) if comparison else [],
        summary=list(_data_summary(evaluation)),
        data=samples.to_html(comparison.second_name if comparison else None),
        left_out=samples.left_out,
    )
    return text.encode("utf-8", "replace").decode()


def check_page(path: Path, field: str = "report") -> None:
    """Check before a long evaluation that a page can be written.

    It replaces a page of an earlier evaluation, but no other file.

    Raises:
        ConfigError: of `field`, if the path is not that of a page, or another file is there.
        CrnnocrError: the folder cannot be written to.
    """
    check_output(field, path)
    if path.is_file() and path.stat().st_size and not _is_page(path):
        raise ConfigError(field, f"{path} is there already, and no page of eval's: name another file")
    if path.suffix.lower() not in (".html", ".htm") and not is_device(path):
        raise ConfigError(field, f"{path} is a page for browsers: call it {path.stem or 'report'}.html")


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return f'name="generator" content="{_GENERATOR}"'.encode() in file.read(_HEAD_BYTES)


def _headlines(evaluation: Evaluation) -> Iterator[tuple[str, str, str]]:
    """Yield title, value and interval of each metric."""
    bound = evaluation.analysis.errors_below
    perfect = "no error seen" + (f": fewer than {terminal.percent(bound)} of such images have one" if bound else "")
    for key, estimate in evaluation.analysis.scores.items():
        metric = METRICS[key]
        yield metric.title, metric.format(estimate.value), terminal.interval(metric, estimate, perfect)


def _characters(confusions: Confusions) -> list[tuple[Any, ...]]:
    """List the cells of each character's row, those with the most errors first."""
    scores = confusions.characters()
    scores.sort(key=lambda each: (2 * each.correct - each.references - each.predictions, each.character))
    return [
        (
            visible(each.character),
            f"U+{ord(each.character):04X}",
            each.references,
            each.predictions,
            each.recall,
            each.precision,
            each.f1,
        )
        for each in scores[:_MAX_CHARACTERS]
    ]


def _data_summary(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    """Yield name and value of each fact about the data."""
    result, outcomes = evaluation.analysis.result, evaluation.analysis.outcomes
    yield "data", _names(evaluation.data)
    yield "format", ", ".join(dict.fromkeys(evaluation.formats))
    yield "images scored", f"{len(outcomes):,}"
    if evaluation.trained_on:
        yield f"left out, because {' or '.join(evaluation.models)} was trained on them", f"{evaluation.trained_on:,}"
    if result.unreadable:
        yield "images that could not be read", f"{len(result.unreadable):,}"
    for issue in evaluation.issues:
        if issue.severity is Severity.EXCLUDED:
            yield "excluded", f"{issue.count:,} {issue.message} (first: {printable_name(issue.locations[0].detail)})"
    characters = Counter(character for outcome in outcomes for character in outcome.reference)
    yield "characters in the labels", f"{characters.total():,}, {len(characters):,} different ones"
    frequent = characters.most_common(_MAX_FREQUENT)
    yield "most frequent", "  ".join(f"{visible(character)}\u00a0{count:,}" for character, count in frequent)
    yield "characters in a label", _spread([len(outcome.reference) for outcome in outcomes])
    yield "width of an image", _spread([outcome.prediction.size[0] for outcome in outcomes], " pixels")
    yield "height of an image", _spread([outcome.prediction.size[1] for outcome in outcomes], " pixels")
    if evaluation.unknown:
        yield "unknown to the model", _names(evaluation.unknown, "; ")


def _shown(name: str) -> str:
    """Return a file name as text in which nothing is invisible or changes the direction of what follows."""
    return escape_controls(printable_name(name))


def _harmless(value: object) -> object:
    """A value as a template writes it: controls in a text are escapes."""
    return escape_controls(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _names(names: Sequence[str], separator: str = ", ") -> str:
    """Join the first names, and count the others."""
    more = f"{separator}and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    return separator.join(map(printable_name, names[:_MAX_NAMES])) + more


def _spread(values: Sequence[int], unit: str = "") -> str:
    low, quarter, median, three_quarters, high = np.percentile(values, [0, 25, 50, 75, 100]).round().astype(int).tolist()
    return f"{low:,} to {high:,}{unit}, half of them {quarter:,} to {three_quarters:,}, median {median:,}"


@dataclass(frozen=True)
class Cell:
    """How often one edit occurs."""

    edit: Edit
    count: int
    heat: int
    """0 to 100, growing with the logarithm of the count."""


@dataclass(frozen=True)
class Heatmap:
    """The most frequent edits as a table: a row for a character of the reference, a column for one of the prediction."""

    columns: tuple[str, ...]
    """Title of each column."""
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    """Title and cells of each row."""
    shown: int
    """Edits in the table."""
    total: int
    """Edits in all."""


def heatmap(confusions: Confusions) -> Heatmap:
    """Tabulate the most frequent edits, the most frequent characters first."""
    counts = dict(confusions.most_common())
    common = dict(confusions.most_common(_HEATMAP_EDITS))
    references, predictions = Counter[str](), Counter[str]()
    for edit, count in common.items():
        references[edit.reference] += count
        predictions[edit.prediction] += count
    rows, columns = _most_frequent(references), _most_frequent(predictions)
    log_max = math.log1p(max(common.values(), default=1))

    def cell(edit: Edit) -> Cell | None:
        return Cell(edit, counts[edit], round(100 * math.log1p(counts[edit]) / log_max)) if edit in counts else None

    table = [
        (visible(reference) if reference else "added", tuple(cell(Edit(reference, prediction)) for prediction in columns))
        for reference in rows
    ]
    titles = tuple(visible(prediction) if prediction else "lost" for prediction in columns)
    return Heatmap(titles, tuple(table), sum(each.count for _, cells in table for each in cells if each), sum(counts.values()))


def _most_frequent(counts: Counter[str]) -> list[str]:
    """List the most frequent characters, and the empty text of insertions and deletions last."""
    frequent = [character for character, _ in counts.most_common() if character][:_HEATMAP_SIZE]
    return [*frequent, ""] if "" in counts else frequent


@dataclass(frozen=True)
class PageSamples:
    """The samples as the page's script takes them."""

    rows: list[list[Any]]
    """The worst first. Each row: file name within the common folder; reference; prediction (0: same as the reference);
    confidence in 1/10000; width and height in pixels; index of the source; edits as a flat list of code, index in the reference
    and index in the prediction (0: none); prediction of the other system (0: same as this one's)."""
    images: dict[int, tuple[str, list[int]]]
    """Of some rows the image as a data URI, and the confidence of each predicted character in percent."""
    sources: list[str]
    left_out: int
    """Samples for which the page has no room."""

    def to_html(self, other: str | None) -> Markup:
        """Write the samples as JSON within HTML, with the name of the other system."""
        shown_images = {str(i): image for i, image in self.images.items()}
        return _html_json({"rows": self.rows, "images": shown_images, "sources": self.sources, "other": other})


def page_samples(evaluation: Evaluation, system: System | None = None, max_row_bytes: int = _MAX_ROW_BYTES) -> PageSamples:
    """Take as many samples as a page has room for, the worst first, and of the very worst the images if there is a system."""
    ordered = _worst_first(evaluation.analysis.outcomes)
    comparison = evaluation.comparison
    others = {change.first.sample: change.second.predicted for change in comparison.changes} if comparison else {}
    folder = _common_folder(ordered)
    sources: dict[str, int] = {}
    rows: list[list[Any]] = []
    size = 0
    for outcome in ordered:
        source = _shown(evaluation.analysis.sources.get(outcome.sample, "."))
        name = _shown(outcome.sample.name.removeprefix(folder))
        row = _row(outcome, name, sources.get(source, len(sources)), others.get(outcome.sample, 0))
        size += _html_size(row) + (0 if source in sources else _html_size(source))
        if size > max_row_bytes:
            break
        rows.append(row)
        sources.setdefault(source, len(sources))
    shown_images = {}
    if system:
        chosen = _with_images(ordered[: len(rows)], comparison)
        found = _images([ordered[i] for i in chosen], system, evaluation.analysis.result.normalization)
        shown_images = {i: image for i, image in zip(chosen, found, strict=False) if image}
    return PageSamples(rows, shown_images, list(sources), left_out=len(ordered) - len(rows))


def _worst_first(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Order by edits; among as many edits, wrong predictions by falling and correct ones by rising confidence."""

    def badness(each: Outcome) -> tuple[int, bool, float]:
        confidence = each.prediction.confidence
        return -each.counts.edits, each.is_correct, confidence if each.is_correct else -confidence

    return sorted(outcomes, key=badness)


def _common_folder(outcomes: Sequence[Outcome]) -> str:
    """Find the folder that holds all images, with a separator at its end; empty if there is none."""
    folders = {str(outcome.sample.path.parent) for outcome in outcomes}
    if len({Path(folder).is_absolute() for folder in folders}) > 1:
        return ""
    folder = os.path.commonpath(folders)
    return f"{folder}{os.sep}" if folder not in ("", os.sep) else folder


def _row(outcome: Outcome, name: str, source: int, other: str | int) -> list[Any]:
    reference, predicted = outcome.reference, outcome.predicted
    edits = [value for kind, i, j in Levenshtein.editops(reference, predicted) for value in (_EDIT_CODES[kind], i, j)]
    return [
        name,
        reference,
        0 if outcome.is_correct else predicted,
        round(outcome.prediction.confidence * 10_000),
        *outcome.prediction.size,
        source,
        edits or 0,
        other,
    ]


def _html_json(value: Any) -> Markup:
    """Write a value as JSON that is safe within HTML."""
    return htmlsafe_json_dumps(value, ensure_ascii=False, separators=(",", ":"))


def _html_size(value: Any) -> int:
    """Count the bytes of a value in the page, with the comma after it."""
    return len(_html_json(value).encode(errors="replace")) + 1


def _with_images(ordered: Sequence[Outcome], comparison: Comparison | None) -> list[int]:
    """Choose the rows that get an image: the worst, and those that a comparison changed most."""
    wrong = sum(not outcome.is_correct for outcome in ordered)
    chosen = list(range(min(max(wrong, _MIN_IMAGES), _MAX_IMAGES, len(ordered))))
    if comparison:
        changes = (*comparison.better[:_MAX_CHANGED], *comparison.worse[:_MAX_CHANGED])
        changed = {each.first.sample for each in changes}
        chosen += [i for i in range(len(chosen), len(ordered)) if ordered[i].sample in changed]
    return chosen


def _images(
    outcomes: Sequence[Outcome], system: System, normalization: Normalization
) -> Iterator[tuple[str, list[int]] | None]:
    """Yield image and character confidences of each sample until there is no room; None if the image is gone."""
    with_characters = replace(system, read_config=replace(system.read_config, characters=True))
    predictions = with_characters.predict([outcome.sample for outcome in outcomes])
    room = _MAX_IMAGE_BYTES
    for outcome, (sample, prediction) in zip(outcomes, predictions, strict=True):
        try:
            uri = _data_uri(images.seen(images.load_gray(sample), prediction.view))
        except ImageError:  # it was there when it was scored
            yield None
            continue
        image = uri, _character_confidences(prediction, outcome.predicted, normalization)
        room -= _html_size(image)
        if room < 0:
            return
        yield image


def _character_confidences(prediction: Prediction, predicted: str, normalization: Normalization) -> list[int]:
    """List the confidence of each character of the normalized text in percent; empty if normalization changed too much."""
    found = prediction.characters
    ordered = in_logical_order("".join(each.character for each in found))
    pieces = [(normalization(character), round(found[i].confidence * 100) if i >= 0 else 100) for character, i in ordered]
    if "".join(piece for piece, _ in pieces) == predicted:
        return [confidence for piece, confidence in pieces for _ in piece]
    return []


def _data_uri(gray: Image.Image) -> str:
    scale = min(1.0, _MAX_HEIGHT / gray.height, _MAX_WIDTH / gray.width)
    size = max(1, round(gray.width * scale)), max(1, round(gray.height * scale))
    file = io.BytesIO()
    (gray if scale == 1 else gray.resize(size, Image.Resampling.BILINEAR)).save(file, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
