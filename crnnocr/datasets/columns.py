"""Which columns of a table, or keys of JSON records, hold the image's name and the label."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from typing import Literal

from crnnocr import images
from crnnocr.config import PREDICTION_COLUMNS, LabelConfig
from crnnocr.datasets.issues import Issue, Severity
from crnnocr.errors import ConfigError, DataError
from crnnocr.text.charset import nfc

DOUBT, READING, REGION = "doubt", "reading", "region"
"""Columns that only lists of suspected label errors have. Whoever has corrected one may have kept the second alone."""
SUSPECT_COLUMNS = ("file_name", "text", READING, DOUBT, "confidence", "label_log_prob", "reading_log_prob")
"""Columns of such a list."""

CONFIDENCE = PREDICTION_COLUMNS[2]
"""The column by which labels are weighted."""
READ_BY = "read_by"
"""A column of tables of images to be labeled: the model that has read their texts."""
WEIGHTED = f", weighted by {CONFIDENCE}"
"""Says so in the format of a data set."""

_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])|[^\W_A-Za-z0-9]+")
_IN_BRACKETS = re.compile(r"\([^)]*\)|\[[^]]*\]")

_IMAGE_ORDER = ("file_name", "filename", "file", "image_path", "image", "path", "img", "name")
"""Names of the image's column, the most specific first. Others that are made of `_IMAGE_WORDS` come between file and image."""
_IMAGE_WORDS = frozenset(
    [
        *("image", "images", "img", "imgs", "file", "filename", "filepath", "picture", "photo", "crop", "path", "name", "url"),
        *("bild", "datei", "dateiname", "fichier", "imagen", "archivo", "immagine", "изображение", "файл"),
        *("图片", "图像", "文件", "文件名", "画像", "ファイル", "ファイル名", "이미지", "파일"),
    ]
)
_BESIDE_IMAGE = frozenset(["line", "word", "plate", "text", "relative", "rel", "full", "local", "page"])

_TEXT_RANKS = (
    frozenset(
        [
            *("transcription", "transcriptions", "transcript", "transcripts", "groundtruth", "truth", "gt"),
            *("corrected", "correction", "verified"),
        ]
    ),
    frozenset(
        [
            *("text", "texts", "word", "words", "sentence", "string", "content", "utf8"),
            *(
                "texte",
                "texto",
                "testo",
                "tekst",
                "wort",
                "transkription",
                "текст",
                "слово",
                "文本",
                "文字",
                "テキスト",
                "텍스트",
            ),
        ]
    ),
    frozenset(
        [
            *("label", "labels", "value", "values", "ocr", "target", "caption", "identity"),
            *("beschriftung", "etiqueta", "etichetta", "метка", "标签", "标注", "ラベル", "라벨"),
        ]
    ),
)
"""Words in names of the text's column, the unmistakable ones first. The last ones are often names of a class or a
prediction."""
_BESIDE_TEXT = frozenset(
    ["ground", "plate", "image", "img", "line", "crop", "license", "new", "final", "clean", "cleaned", "normalized", "the"]
)
_CORRECTIONS = frozenset(["corrected", "correction"])
_OLD = frozenset(["old", "original", "previous", "raw"])

_UNKNOWN_RANK = 1
"""Of a column whose name tells nothing among those that may hold the label."""

_SAMPLED = 50
"""Rows whose values say whether a column holds images."""


@dataclass(frozen=True)
class Columns:
    """The columns that matter."""

    images: tuple[int, ...]
    """Those that name the image; the first that leads to one counts."""
    text: int
    """The one that holds the label."""
    issues: tuple[Issue, ...] = ()
    """Warnings about the choice."""
    group: int | None = None
    """The one that tells groups of images."""
    uncorrected: int | None = None
    """The one that holds the label where that for it is empty, because nothing was to be corrected."""
    confidence: int | None = None
    """The one that holds how sure a model was of the label."""

    def label(self, cells: Sequence[str]) -> str:
        """Return the label in a row."""
        return cells[self.text if self._is_corrected(cells) or self.uncorrected is None else self.uncorrected]

    def confidence_of(self, cells: Sequence[str]) -> str:
        """Return how sure a model was of the label in a row; empty if a person gave it."""
        return "" if self.confidence is None or self._is_corrected(cells) else cells[self.confidence]

    def _is_corrected(self, cells: Sequence[str]) -> bool:
        return self.uncorrected is not None and bool(cells[self.text].strip())


def _index(header: Sequence[str], name: str) -> int | None:
    return next((i for i, each in enumerate(header) if each.strip().lower() == name), None)


def is_image(cell: str) -> bool:
    """Whether a cell is an image's name, path or address."""
    return PurePath(cell.strip().partition("?")[0]).suffix.lower() in images.SUFFIXES or (
        "?" in cell and PurePath(cell.strip()).suffix.lower() in images.SUFFIXES
    )


def known(header: Iterable[str]) -> set[Literal["image", "text"]]:
    """Return which of the two columns the names of a header tell."""
    names = list(header)
    found: set[Literal["image", "text"]] = set()
    if any(image_rank(name) is not None for name in names):
        found.add("image")
    if any(text_rank(name) is not None for name in names):
        found.add("text")
    return found


def are_for_spreadsheets(header: Iterable[str]) -> bool:
    """Whether columns are those of a list that crnnocr has written for spreadsheets."""
    names = {name.strip().lower() for name in header}
    return are_of_label_errors(names) or READ_BY in names


def are_of_label_errors(header: Iterable[str]) -> bool:
    """Whether columns are those of a list of suspected label errors."""
    return not {DOUBT, READING}.isdisjoint(name.strip().lower() for name in header)


def image_rank(name: str) -> int | None:
    """How clearly a column names the image, from 0; None for any other column."""
    if (plain := name.strip().lower()) in _IMAGE_ORDER:
        rank = _IMAGE_ORDER.index(plain)
        return rank if rank < 3 else rank + 1
    words = _words(name)
    is_image_name = bool(words) and words[-1] in _IMAGE_WORDS and set(words) <= _IMAGE_WORDS | _BESIDE_IMAGE
    return 3 if is_image_name else None


def text_rank(name: str) -> int | None:
    """How clearly a column holds the label, from 0; None for any other column."""
    words = set(_words(name))
    ranks = [rank for rank, names in enumerate(_TEXT_RANKS) if words & names]
    if not ranks or not words <= frozenset().union(*_TEXT_RANKS) | _BESIDE_TEXT | _OLD or words <= _BESIDE_TEXT:
        return None
    if words & _OLD:
        return len(_TEXT_RANKS)
    return ranks[-1] if "ocr" in words else ranks[0]


def choose(
    source: object,
    header: Sequence[str],
    rows: Callable[[], Iterable[Sequence[str]]],
    config: LabelConfig,
    texts: Collection[str] | None = None,
) -> Columns:
    """Choose the columns of the image and of the label by their names; of several for the label, the most specific.

    Args:
        source: the label file, for messages.
        header: the name of each column.
        rows: gives the cells of each row, every time it is called.
        config: may name the columns.
        texts: the columns that may hold the label, if the tool that wrote them tells, under whatever names; then the image may
            have any name, too.

    Raises:
        ConfigError: there is no column that it names.
        DataError: the header does not tell the columns, or several with different texts could be the label.
    """
    sample = _sample(header, rows)
    holding = _holding_images(sample)
    if config.image_column is None:
        ranked = sorted((rank, i) for i, name in enumerate(header) if (rank := image_rank(name)) is not None)
        image_columns = sorted((i for _, i in ranked), key=lambda i: i not in holding)
        if texts is not None:
            image_columns += [i for i in sorted(holding) if i not in image_columns]
    else:
        image_columns = [index_of(source, header, config.image_column, "image_column")]
    text, issues = _text(source, header, rows, config, texts)
    image_columns = [i for i in image_columns if i != text]
    if not image_columns or text is None:
        named = [header[i] for i in sorted(holding)] if not image_columns else []
        raise DataError(_not_understood(source, header, bool(image_columns), text is not None, named))
    others = [i for i in range(len(header)) if i not in (text, *holding) and text_rank(header[i]) is not None]
    is_correction = config.text_column is None and not _CORRECTIONS.isdisjoint(_words(header[text]))
    uncorrected = min(others, key=lambda i: text_rank(header[i]) or 0) if is_correction and others else None
    predicted = text if uncorrected is None else uncorrected  # of a text in any other column it says nothing
    is_predicted = header[predicted].strip().lower() == PREDICTION_COLUMNS[1] and not are_of_label_errors(header)
    confidence = _index(header, CONFIDENCE) if is_predicted else None
    return Columns(tuple(image_columns), text, issues, find(header, config.group), uncorrected, confidence)


def choose_text(
    source: object, rows: Sequence[Mapping[str, str]], config: LabelConfig, texts: Collection[str] | None = None
) -> tuple[str, tuple[Issue, ...]]:
    """Choose the attribute that holds the label, as `choose` does, where the images are known.

    Returns its name, and warnings about the choice.

    Raises:
        ConfigError: there is none that `config` names.
        DataError: there is none, or several with different texts could be the label.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[row.get(name, "") for name in names] for row in rows]
    text, issues = _text(source, names, lambda: cells, config, texts)
    if text is None:
        has = f"the attributes {_listed(names)}" if names else "no attributes"
        raise DataError(f"{source}: its boxes have {has}, and no text: add an attribute text, or name it with `text_column`")
    return names[text], issues


def find(header: Sequence[str], column: str | None) -> int | None:
    """Return the index of a column by its name, or its number from 1; None if there is none, or several."""
    if column is None:
        return None
    named = [i for i, name in enumerate(header) if name.strip().lower() == column.strip().lower()]
    if not named and column.isdecimal() and 1 <= int(column) <= len(header):
        return int(column) - 1
    return named[0] if len(named) == 1 else None


def index_of(source: object, header: Sequence[str], column: str, field: str) -> int:
    """Return the index of the column that a user names, or numbers from 1. Raises `ConfigError` of `field` if there is none."""
    found = [i for i, name in enumerate(header) if name == column]
    found = found or [i for i, name in enumerate(header) if name.strip().lower() == column.strip().lower()]
    if not found and column.isdecimal() and 1 <= int(column) <= len(header):
        return int(column) - 1
    if len(found) != 1:
        why = "several columns are called so, give a number" if found else "no column is called so"
        raise ConfigError(field, f"{column}: of {source} {why}: {_listed(header)}")
    return found[0]


def _sample(header: Sequence[str], rows: Callable[[], Iterable[Sequence[str]]]) -> list[Sequence[str]]:
    return [cells for cells in islice(rows(), _SAMPLED) if len(cells) == len(header)]


def _holding_images(sample: Sequence[Sequence[str]]) -> set[int]:
    """The columns in which images stand, and nothing else."""
    return {
        i
        for i, cells in enumerate(zip(*sample, strict=True))
        if any(cells) and all(is_image(cell) or not cell for cell in cells)
    }


def _text(
    source: object,
    header: Sequence[str],
    rows: Callable[[], Iterable[Sequence[str]]],
    config: LabelConfig,
    texts: Collection[str] | None,
) -> tuple[int | None, tuple[Issue, ...]]:
    """The column of the label, and warnings about the choice."""
    if config.text_column is not None:
        return index_of(source, header, config.text_column, "text_column"), ()
    sample = _sample(header, rows)
    holding = _holding_images(sample)
    could_be = [text_rank(name) is not None if texts is None else name in texts for name in header]
    candidates = [i for i in range(len(header)) if i not in holding and could_be[i] and not _is_json(sample, i)]
    return _most_specific(source, header, candidates, rows)


def _most_specific(
    source: object, header: Sequence[str], candidates: Sequence[int], rows: Callable[[], Iterable[Sequence[str]]]
) -> tuple[int | None, tuple[Issue, ...]]:
    """The most specific of the columns that could hold the label, and a warning if the others differ."""

    def rank(i: int) -> int:
        found = text_rank(header[i])
        return _UNKNOWN_RANK if found is None else found

    ranked = sorted(candidates, key=rank)
    if len(ranked) < 2:
        return (ranked[0] if ranked else None), ()
    filled, differing = _compared(ranked, rows())
    ranked = [i for i in ranked if i in filled] or ranked
    first = ranked[0]
    equals = [i for i in ranked[1:] if rank(i) == rank(first)]
    if asked := [i for i in equals if (first, i) in differing]:
        names = [header[i] if header.count(header[i]) == 1 else str(i + 1) for i in (first, asked[0])]
        raise DataError(
            f"{source}: the columns {' and '.join(header[i] for i in (first, *asked))} could both be the label, and differ: "
            f"name the one to read with `text_column={names[0]}` or `text_column={names[1]}`"
        )
    others = [header[i] for i in ranked[1:] if (first, i) in differing and text_rank(header[i]) is not None]
    if not others:
        return first, ()
    return first, (
        Issue(
            "several-text-columns",
            Severity.WARNING,
            f"the label is read from the column {header[first]}; {', '.join(others)} differ{'s' * (len(others) == 1)} from it",
            f"name another with `text_column={others[0]}` if that is the label",
        ),
    )


def _compared(columns: Sequence[int], rows: Iterable[Sequence[str]]) -> tuple[set[int], set[tuple[int, int]]]:
    """The columns that are not empty, and which pairs of them differ in a row where both have something."""
    filled: set[int] = set()
    differing: set[tuple[int, int]] = set()
    for cells in rows:
        if len(cells) <= max(columns):
            continue
        texts = {i: text for i in columns if (text := nfc(cells[i]).strip())}
        filled |= texts.keys()
        differing |= {(i, j) for i in texts for j in texts if i != j and texts[i] != texts[j]}
    return filled, differing


def _is_json(sample: Sequence[Sequence[str]], column: int) -> bool:
    """Whether a column holds JSON, such as boxes or parsed documents, and no text."""
    values = [value for cells in sample if (value := cells[column].strip())]
    return bool(values) and all(value.startswith(('{"', "[{")) for value in values)


def _not_understood(source: object, header: Sequence[str], has_image: bool, has_text: bool, holding: Sequence[str]) -> str:
    if has_image:
        missing, fix = "a column for the text, such as text", "name it with `text_column`"
    elif has_text:
        column = f"={holding[0]}" if len(holding) == 1 else ""
        missing, fix = "a column for the image, such as file_name", f"name it with `image_column{column}`"
    else:
        missing, fix = "the columns file_name and text", "name them with `image_column` and `text_column`"
    return f"{source}: the header {_listed(header)} lacks {missing}: {fix}"


def _listed(header: Sequence[str]) -> str:
    return ", ".join(header)


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(_IN_BRACKETS.sub("", name))]
