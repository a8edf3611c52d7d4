"""Shared by tests of sets of synthetic images: lines, and how to make, load and compare sets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from crnnocr.config import LabelFormat, SynthConfig
from crnnocr.datasets import imagefolder
from crnnocr.datasets.detection import load_dataset
from crnnocr.synth.dataset.folder import generate
from crnnocr.synth.render.image import RenderedLine
from crnnocr.synth.sampler import Sampler

LINES = (
    "eins",
    "Größe 12,50",
    'ein "Wort"',
    "a, b",
    "naïve (x)",
    "#7 100 %",
    "drei vier fünf",
    "x\\y/z",
    "'s ist",
    "Zoë & Co.",
)
TABLES = {LabelFormat.CSV: "labels.csv", LabelFormat.TSV: "labels.tsv"}


class FailingSampler(Sampler):
    """A sampler that raises an error in place of one image."""

    def __init__(self, config: SynthConfig, index: int, error: BaseException) -> None:
        super().__init__(config)
        self._index, self._error = index, error

    def render(self, index: int) -> RenderedLine:
        if index == self._index:
            raise self._error
        return super().render(index)


def lines_of(path: Path, *lines: str) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def made(
    folder: Path,
    count: int,
    config: SynthConfig,
    *,
    force: bool = False,
    workers: int | None = None,
    sampler: Sampler | None = None,
) -> int:
    """The number of new images."""
    return len(list(generate(folder, config, count, force=force, workers=workers, sampler=sampler)))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names(numbers: Iterable[int]) -> list[str]:
    return [f"{number:06d}.png" for number in numbers]


def records(folder: Path) -> list[tuple[str, str]]:
    return [(record["file_name"], record["text"]) for _, record in imagefolder.records(folder / "metadata.jsonl")]


def assert_whole(folder: Path, count: int) -> None:
    """The folder holds the first `count` images, a label for each, and nothing half-written."""
    assert sorted(path.name for path in folder.iterdir()) == [*names(range(count)), "metadata.jsonl", "synth.json"]
    dataset = load_dataset(folder)
    assert [sample.path.name for sample in dataset.samples] == names(range(count))
    assert not dataset.issues


def foreign_folder(folder: Path, name: str = "mine.png") -> Path:
    """Somebody's own labeled image."""
    folder.mkdir()
    Image.new("L", (9, 9), 7).save(folder / name)
    (folder / "metadata.jsonl").write_text(json.dumps({"file_name": name, "text": "mein", "by": "hand"}) + "\n")
    return folder


def few(source: Path, folder: Path, start: int, end: int) -> Path:
    """Some images of an imagefolder, in a folder of their own."""
    folder.mkdir()
    rows = (source / "metadata.jsonl").read_text(encoding="utf-8").splitlines()[start:end]
    for row in rows:
        shutil.copy(source / json.loads(row)["file_name"], folder)
    (folder / "metadata.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder
