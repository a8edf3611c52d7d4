"""Faults of a data set, looked for before a training begins: each kind with all its places and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress

from crnnocr.config import ModelConfig, Orientation
from crnnocr.datasets import Fault
from crnnocr.datasets.lint import duplicates, labels, sizes
from crnnocr.datasets.lint.finding import Finding, LintSample, Place, Severity, left_out, trimmed
from crnnocr.formatting import counted
from crnnocr.text.charset import Charset

__all__ = ["Finding", "LintSample", "Place", "Severity", "lint"]


def lint(
    train: Sequence[LintSample],
    val: Sequence[LintSample] | None,
    faults: Sequence[Fault],
    shape: ModelConfig,
    orientation: Orientation = Orientation.HORIZONTAL,
    start: Charset | None = None,
    spaced: Sequence[Fault] = (),
    held_out: Sequence[bool] | None = None,
) -> list[Finding]:
    """Everything that is wrong with a data set, or looks so: the gravest first.

    Fatal are: nothing left to learn from; a validation set of which nothing is left. Set aside are labels that do not fit
    their pictures, and what the readers left out. All else is a warning or a note.

    Args:
        train: the samples to learn from.
        val: those to validate on; None where some of the others are held out.
        faults: what was left out when the data were read.
        shape: the model to be trained.
        orientation: which way the lines are taken to run.
        start: the characters of the model that training goes on from, if it does; they are learnt, however rare they are here.
        spaced: labels that had white space at their ends.
        held_out: for each of `train` whether it will be held out, where `val` is None.
    """
    seen = [*train, *(val or ())]
    fits = sizes.fit(seen, shape)
    learned = list(compress(train, fits))
    contents = {one.content_id for one in learned}
    validated = [one for one in compress(val or (), fits[len(train) :]) if one.content_id not in contents]
    apart = learned, validated
    if val is None and held_out is not None:
        fitting = [(one, out) for one, out, is_fit in zip(train, held_out, fits, strict=True) if is_fit]
        apart = [one for one, out in fitting if not out], [one for one, out in fitting if out]
    findings = [
        *_nothing_left(learned, train, None if val is None else validated),
        *(labels.unknown_characters(seen, start.characters) if start else ()),
        *left_out(faults),
        *trimmed(spaced),
        *sizes.too_long_labels([one for one, is_fit in zip(seen, fits, strict=True) if not is_fit], shape, orientation),
        *sizes.tall_pictures(seen, orientation),
        *sizes.odd_widths([one for one in compress(seen, fits) if not sizes.is_tall(one)]),
        *duplicates.two_labels(seen),
        *duplicates.in_both(learned, val or ()),
        *duplicates.duplicates(train, val or ()),
        *duplicates.texts_in_both(*apart),
        *labels.of_labels(seen, learned, validated, start.characters if start else ""),
    ]
    return sorted(findings, key=lambda finding: list(Severity).index(finding.severity))


def _nothing_left(
    learned: Sequence[LintSample], train: Sequence[LintSample], validated: Sequence[LintSample] | None
) -> Iterator[Finding]:
    if not learned:
        why = f"{counted(len(train), 'label does', 'labels do')} not fit" if train else "none could be read"
        message = f"no picture is left to learn from ({why}): mend what is set aside"
        yield Finding("nothing-to-learn", Severity.FATAL, message)
    if validated is not None and not validated:
        message = "no picture is left to validate on: mend what is set aside, or give other pictures"
        yield Finding("nothing-to-validate", Severity.FATAL, message)
