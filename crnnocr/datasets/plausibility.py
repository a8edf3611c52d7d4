"""Labels that are probably something else than what the images say: marks for illegible text, numbers of another file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.issues import DO_NOT_CARE, Issue, Location, Severity, merged
from crnnocr.formatting import enumerated, plural, quoted

_DO_NOT_CARE = re.compile("#{3,}")
"""How ICDAR and those after it mark text that nobody could read."""

_PLACEHOLDERS = frozenset(
    [
        *(
            "?",
            "??",
            "???",
            "????",
            "[?]",
            "(?)",
            "…?",
            "nan",
            "NaN",
            "N/A",
            "n/a",
            "#N/A",
            "#REF!",
            "#VALUE!",
            "#NAME?",
            "<NA>",
            "None",
            "NULL",
            "null",
            "undefined",
        ),
        *(
            "illegible",
            "Illegible",
            "ILLEGIBLE",
            "[illegible]",
            "(illegible)",
            "<illegible>",
            "[unreadable]",
            "unreadable",
            "[unclear]",
            "unclear",
        ),
        *("unknown", "UNKNOWN", "<unk>", "[UNK]", "UNK", "TODO", "TBD", "待识别", "TEMPORARY"),
    ]
)
"""Texts that people and programs write where there is no label."""

_QUOTES = ('""', "''", "“”", "„“", "«»", "‘’")
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e-?\d+)?"
_BOX = re.compile(rf"[\[(]?{_NUMBER}(?:[,;\s]+{_NUMBER}){{3,}}[\])]?")
_GROUPS = re.compile(r"(\d+)(?: \d+)*")
_SCORE = re.compile(r"0?\.\d+|[01]\.\d+(?:e-?\d+)?")
_SCORE_DIGITS = 3
"""Decimals that at least half of all confidence scores have, and few prices or meter values."""
_FIX = "name the column of the texts with `text_column`, or the file that holds them"
_MIN_SAMPLES = 3
_MIN_RUN = 5
"""So many labels do not count up by chance."""


def checked(dataset: Dataset) -> Dataset:
    """Leave out the samples whose label says that nobody could read them, and add an issue for each kind of doubtful label."""
    kept: list[Sample] = []
    left_out: list[Issue] = []
    for sample in dataset.samples:
        if _DO_NOT_CARE.fullmatch(sample.text):
            left_out.append(DO_NOT_CARE.at(sample.path, f"{sample.name}, {sample.text}"))
        else:
            kept.append(sample)
    return replace(dataset, samples=tuple(kept), issues=merged((*dataset.issues, *left_out, *_doubts(kept))))


def _doubts(samples: Sequence[Sample]) -> Iterator[Issue]:
    if placeholders := [sample for sample in samples if sample.text in _PLACEHOLDERS]:
        stand = plural(len(placeholders), "label is a placeholder", "labels are placeholders")
        which = enumerated([repr(text) for text in dict.fromkeys(sample.text for sample in placeholders)])
        yield _warning("placeholder-label", f"{stand} ({which})", "write what the image says, or take it out", placeholders)
    marked = [sample for sample in samples if _is_quoted(sample.text)]
    if len(marked) > max(1, len(samples) / 2):
        are = plural(len(marked), "label is in quotes", "labels are in quotes")
        yield _warning("quoted-label", f"{are}, and the model will learn to write these", "take them out", marked)
    if len(samples) > 1:
        yield from _same(samples)
    if len(samples) >= _MIN_SAMPLES and (what := _kind_of_numbers(samples)):
        message = f"all {len(samples):,} labels look like {what}"
        yield _warning("number-label", message, _FIX, samples[:1])


def _same(samples: Sequence[Sample]) -> Iterator[Issue]:
    if len({sample.text for sample in samples}) == 1:
        message = f"all {len(samples):,} labels are {quoted(samples[0].text)}"
        yield _warning("same-label", message, _FIX, samples[:1])


def _warning(code: str, message: str, fix: str, samples: Sequence[Sample]) -> Issue:
    return Issue(code, Severity.WARNING, message, fix, tuple(Location(each.name, quoted(each.text)) for each in samples))


def _is_quoted(text: str) -> bool:
    return len(text) > 2 and text[0] + text[-1] in _QUOTES


def _kind_of_numbers(samples: Sequence[Sample]) -> str | None:
    """The kind of numbers that all labels are; None if they are texts."""
    texts = [sample.text for sample in samples]
    if all(map(_is_box, texts)):
        return "coordinates of boxes"
    if all(map(_SCORE.fullmatch, texts)):
        long = sum(len(text.partition(".")[2]) >= _SCORE_DIGITS for text in texts)
        return "confidence scores" if long >= len(texts) / 2 else None
    if not all(text.isascii() and text.isdecimal() and len(text) < 10 for text in texts):
        return None
    numbers = list(map(int, texts))
    if len(numbers) >= _MIN_RUN and all(second - first == 1 for first, second in pairwise(numbers)):
        return "numbers that count the images"
    if len(set(texts)) == len(texts) and all(_is_number_of_name(sample) for sample in samples):
        return "the numbers in the file names"
    return None


def _is_box(text: str) -> bool:
    """Whether a label is four numbers or more, and no number in groups of digits."""
    if not _BOX.fullmatch(text):
        return False
    return not _GROUPS.fullmatch(text) or len({len(group) for group in text.split()[:-1]}) > 1


def _is_number_of_name(sample: Sample) -> bool:
    """Whether a label is the number at the end of its image's name, which does not consist of it."""
    found = re.search(r"\D(\d+)$", sample.path.stem)
    return found is not None and int(found[1]) == int(sample.text)
