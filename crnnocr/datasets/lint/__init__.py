"""Issues of a data set that are looked for before a training begins, each with all its locations and the fix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress

from crnnocr.config import ModelConfig, Orientation
from crnnocr.datasets.issues import Issue, Severity, with_counts
from crnnocr.datasets.lint import duplicates, labels, sizes
from crnnocr.datasets.lint.sample import LintSample
from crnnocr.formatting import plural
from crnnocr.text.charset import Charset


def lint(
    train: Sequence[LintSample],
    val: Sequence[LintSample] | None,
    issues: Iterable[Issue],
    shape: ModelConfig,
    orientation: Orientation = Orientation.HORIZONTAL,
    start: Charset | None = None,
    held_out: Sequence[bool] | None = None,
) -> list[Issue]:
    """Find everything that is wrong with a data set, or looks so: the gravest first.

    Fatal are: nothing left to train on; a validation set of which nothing is left. Excluded are labels that do not fit
    their images, and what the loaders left out. All else is a warning or a note.

    Args:
        train: the samples to train on.
        val: those to validate on; None if some of the others are held out.
        issues: what was found when the data were loaded.
        shape: the model to be trained.
        orientation: which way the lines are taken to run.
        start: the characters of the start model, if there is one; they are trained, however rare they are here.
        held_out: for each of `train` whether it will be held out, if `val` is None.
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
    found = [
        *_nothing_left(learned, train, None if val is None else validated),
        *(labels.unknown_characters(seen, start.characters) if start else ()),
        *with_counts(issues),
        *sizes.too_long_labels([one for one, is_fit in zip(seen, fits, strict=True) if not is_fit], shape, orientation),
        *sizes.tall_pictures(seen, orientation),
        *sizes.odd_widths([one for one in compress(seen, fits) if not sizes.is_tall(one)]),
        *duplicates.two_labels(seen),
        *duplicates.in_both(learned, val or ()),
        *duplicates.duplicates(train, val or ()),
        *duplicates.texts_in_both(*apart),
        *labels.of_labels(seen, learned, validated, start.characters if start else ""),
    ]
    return sorted(found, key=lambda issue: list(Severity).index(issue.severity))


def _nothing_left(
    learned: Sequence[LintSample], train: Sequence[LintSample], validated: Sequence[LintSample] | None
) -> Iterator[Issue]:
    if not learned:
        why = f"{plural(len(train), 'label does', 'labels do')} not fit" if train else "none could be read"
        yield Issue("nothing-to-learn", Severity.FATAL, f"no picture is left to learn from ({why})", "fix what is excluded")
    if validated is not None and not validated:
        fix = "fix what is excluded, or give other pictures"
        yield Issue("nothing-to-validate", Severity.FATAL, "no picture is left to validate on", fix)
