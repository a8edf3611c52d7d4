"""The models that come with crnnocr, and the recipe that makes them."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import Levenshtein
import pytest
from cards import trained_card

from crnnocr.config import Precision
from crnnocr.inference.engines import DERIVED, OnnxEngine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.model import registry

ROOT = Path(__file__).parents[1]
REAL = ROOT / "tests/data/real"
FOLDERS = sorted(path for path in (Path(registry.__file__).parent / "pretrained").iterdir() if path.is_dir())
LIMITS = {"en": 6e6, "en-base": 20e6}
"""Maximum bytes of a model with its ONNX file."""


def test_the_small_one_is_there() -> None:
    assert "en" in [folder.name for folder in FOLDERS]
    assert {folder.name for folder in FOLDERS} <= set(registry.PRETRAINED.values())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_its_onnx_file_is_derived_from_its_weights(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {registry.WEIGHTS, DERIVED[Precision.INT8]}
    assert sum(path.stat().st_size for path in folder.iterdir()) <= LIMITS[folder.name]
    engine = OnnxEngine((folder / DERIVED[Precision.INT8]).read_bytes())
    assert engine.source_hash == hashlib.sha256((folder / registry.WEIGHTS).read_bytes()).hexdigest()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_reads_real_crops(folder: Path) -> None:
    rows = [json.loads(line) for line in (REAL / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    predictions = list(Recognizer.load(str(folder), "cpu").predict([REAL / row["file_name"] for row in rows]))
    distances = [Levenshtein.distance(row["text"], found.text) for row, found in zip(rows, predictions, strict=True)]
    assert sum(distances) < 0.05 * sum(len(row["text"]) for row in rows)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_its_card_gives_scores_on_real_crops_and_the_license(folder: Path) -> None:
    card, record = trained_card(folder / registry.WEIGHTS)
    about = record.about
    assert about
    assert card.name == folder.name
    assert about.licence == "Apache-2.0"
    for score in ("words: alnum %", "lines: CER %", "receipts: CER ci-ns %"):
        found = about.real_crops[score]
        assert 0 <= found.low < found.value < found.high <= 1
        assert found.pictures > 100


def test_texts_of_the_measured_protocol_are_never_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("recipes", "benchmarks"):
        monkeypatch.syspath_prepend(str(ROOT / folder))
    import shipped
    from protocol987 import MEASURE

    from crnnocr.synth.sampler import Sampler

    forbidden = Sampler(MEASURE).text(3)
    assert forbidden in shipped.protocol_texts()
    stream = shipped.Stream(shipped.STREAM)
    says = _Says(forbidden, shipped.REPLACEMENTS_FROM)
    monkeypatch.setattr(stream, "_samplers", dict.fromkeys(shipped.STYLES, says))
    assert [stream[index][1] for index in range(len(shipped.STYLES))] == ["another"] * len(shipped.STYLES)
    sys.modules.pop("shipped")


class _Says:
    """Draws one text for all samples up to one, and another for those beyond."""

    def __init__(self, text: str, others: int) -> None:
        self._text, self._others = text, others

    def __getitem__(self, index: int) -> tuple[None, str]:
        return None, self._text if index < self._others else "another"
