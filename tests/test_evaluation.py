"""An evaluation from images to scores, and the groups of its analysis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from columns import recognizer_of_columns
from evaluations import draw, evaluation_of, outcome

from crnnocr.config import DecodeConfig
from crnnocr.datasets import Sample
from crnnocr.datasets.detection import load_datasets
from crnnocr.evaluation.evaluate import Evaluator
from crnnocr.evaluation.outcomes import System, score_samples
from crnnocr.inference.recognizer import Prediction
from crnnocr.text.normalization import Normalization


def test_an_evaluation_is_one_call(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", "ab")
    draw(tmp_path / "b.png", "ba")
    (tmp_path / "labels.tsv").write_text("a.png\tab\nb.png\tbb\n")
    recognizer = recognizer_of_columns()
    system = System("columns", recognizer, recognizer.decoder(DecodeConfig()))
    evaluation = Evaluator(load_datasets([tmp_path]), system).run()
    assert evaluation.analysis.scores["cer"].value == 0.25
    assert (evaluation.model, evaluation.comparison, evaluation.speed.images) == ("columns", None, 2)


def test_groups_hold_every_sample_once_and_add_up() -> None:
    rng = np.random.default_rng(6)
    outcomes = [outcome("x" * int(n), "x" * int(n - 1), name=f"{i}.png") for i, n in enumerate(rng.integers(1, 200, 300))]
    sources = {each.sample: f"part {i % 3}" for i, each in enumerate(outcomes)}
    analysis = evaluation_of(outcomes, sources=sources).analysis
    for groups in (analysis.by_length, analysis.by_width, analysis.by_source):
        assert sum(group.n for group in groups) == 300
        assert sum(group.characters for group in groups) == sum(len(each.reference) for each in outcomes)
        assert all(group.cer and group.cer.low <= group.cer.value <= group.cer.high for group in groups)
        assert sum(group.edits for group in groups) == 300
    assert [group.name for group in analysis.by_source] == ["part 0", "part 1", "part 2"]


def test_texts_are_normalized_before_they_are_compared() -> None:
    predictions = [(Sample(Path("x.png"), "Ab “c”"), Prediction("aB\u00a0'c'", 0.5))]
    plain, normalized = (score_samples(predictions, Normalization.parse(steps)) for steps in ([], ["case,quotes,spaces"]))
    assert plain.scores.exact_match == 0
    assert normalized.scores.exact_match == 0  # kinds of quotation marks are equal, single and double ones are not
    assert normalized.scores["mean_levenshtein"] == 2
    assert str(normalized.normalization) == "NFC, quotes and dashes alike, without case, without spaces"
