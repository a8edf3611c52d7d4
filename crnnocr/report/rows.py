"""A row for each picture of an evaluation, for spreadsheets and shells."""

from __future__ import annotations

from collections.abc import Iterator

from crnnocr.evaluation import Outcome
from crnnocr.evaluation.evidence import Evidence

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def tsv(evidence: Evidence) -> Iterator[str]:
    r"""A header, then a line for each picture; backslash, tab and line ends stand as `\\`, `\t`, `\n`, `\r`.

    `truth` and `reading` are as they were compared. With another reader, what that one read follows.
    """
    others = {change.first.sample: change.second for change in evidence.comparison.changes} if evidence.comparison else {}
    columns = ["path", "truth", "reading", "confidence", "edits", "characters", "exact", "width", "height", "source"]
    yield "\t".join(columns + (["other_reading", "other_confidence", "other_edits"] if evidence.comparison else []))
    for outcome in evidence.analysis.outcomes:
        values = [outcome.sample.name, outcome.truth, *_read(outcome), str(outcome.counts.characters)]
        values += [str(int(outcome.is_right)), *map(str, outcome.prediction.size)]
        values.append(evidence.analysis.sources.get(outcome.sample, "."))
        if evidence.comparison:
            values += _read(others.get(outcome.sample, outcome))
        yield "\t".join(value.translate(_ESCAPES) for value in values)


def _read(outcome: Outcome) -> list[str]:
    return [outcome.reading, f"{outcome.prediction.confidence:.6f}", str(outcome.counts.edits)]
