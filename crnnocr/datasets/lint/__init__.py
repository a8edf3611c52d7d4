"""Checks of a data set before a training begins. Each issue has all its locations and the fix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress

from crnnocr.config import ModelConfig, Orientation
from crnnocr.datasets.issues import Issue, Severity, with_counts
from crnnocr.datasets.lint import blank, duplicates, labels, sizes
from crnnocr.datasets.lint.sample import LintSample
from crnnocr.formatting import plural
from crnnocr.text.charset import Charset

_KEEP_TOGETHER = "if they show the same things, hold these out together with `group`, or the scores are too good"
_VALIDATE_ELSEWHERE = "if they show the same things, validate on others, or the scores are too good"


def lint(
    train: Sequence[LintSample],
    validation: Sequence[LintSample] | None,
    issues: Iterable[Issue],
    model_config: ModelConfig,
    orientation: Orientation = Orientation.HORIZONTAL,
    start: Charset | None = None,
    held_out: Sequence[bool] | None = None,
) -> list[Issue]:
    """Find everything that is or looks wrong with a data set, the gravest issues first.

    It is fatal if nothing is left to train on, or nothing of a validation set. Excluded are labels that do not fit their
    images, and what the loaders left out. All else is a warning or a note.

    Args:
        train: the samples to train on.
        validation: those to validate on; None if some of `train` are held out.
        issues: what was found when the data were loaded.
        model_config: the model to be trained.
        orientation: which way the lines are taken to run.
        start: the charset of the start model, if there is one; its characters may be rare here.
        held_out: for each of `train` whether it will be held out, if `validation` is None.
    """
    samples = [*train, *(validation or ())]
    fits = sizes.fit(samples, model_config)
    trained = list(compress(train, fits))
    contents = {sample.content_id for sample in trained}
    fitting = compress(validation or (), fits[len(train) :])
    groups = {sample.sample.group for sample in trained} - {""}
    validated = [sample for sample in fitting if sample.content_id not in contents and sample.sample.group not in groups]
    split = trained, validated
    if validation is None and held_out is not None:
        flags = list(compress(held_out, fits))
        split = list(compress(trained, [not flag for flag in flags])), list(compress(trained, flags))
    found = [
        *_nothing_left(trained, train, None if validation is None else validated),
        *(labels.new_characters(samples, start) if start else ()),
        *with_counts(issues),
        *sizes.too_long_labels(list(compress(samples, [not fit for fit in fits])), model_config, orientation),
        *blank.blank_images(samples),
        *sizes.tall_images(samples, orientation),
        *sizes.odd_widths([sample for sample in compress(samples, fits) if not sizes.is_tall(sample)]),
        *duplicates.two_labels(samples),
        *duplicates.images_in_both(trained, validation or ()),
        *duplicates.duplicates(train, validation or ()),
        *duplicates.groups_in_both(trained, validation or ()),
        *duplicates.texts_in_both(*split),
        *duplicates.similar_in_both(*split, _KEEP_TOGETHER if validation is None else _VALIDATE_ELSEWHERE),
        *labels.characters(samples, trained, validated, start.characters if start else ""),
    ]
    return sorted(found, key=lambda issue: list(Severity).index(issue.severity))


def _nothing_left(
    trained: Sequence[LintSample], train: Sequence[LintSample], validated: Sequence[LintSample] | None
) -> Iterator[Issue]:
    if not trained:
        why = f"{plural(len(train), 'label does', 'labels do')} not fit" if train else "none could be read"
        yield Issue("nothing-to-learn", Severity.FATAL, f"no image is left to train on ({why})", "fix what is excluded")
    if validated is not None and not validated:
        fix = "fix what is excluded, or give other images"
        yield Issue("nothing-to-validate", Severity.FATAL, "no image is left to validate on", fix)
