"""The kinds of files that are fuzzed: for each, good files, how they are changed, and how crnnocr is given the result.

To add a label format, add a function to `LABELS` that makes a small data set and returns the files to change.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import fuzz_mutations as mutations
from networks import NORMED
from PIL import Image, ImageDraw

from crnnocr import images
from crnnocr.config import Conv, DecodeConfig, ExportConfig, LabelFormat, ModelConfig, Orientation, Pool, Precision
from crnnocr.errors import CrnnocrError, UsageError

Make: TypeAlias = "Callable[[Path], Iterable[Path]]"

CANARY = mutations.CANARY
TEXTS = ("Total 49.50", "AB-123", "naïve, “so”", "x", "A rather long text; it has parts", "0")
CONFIG = ModelConfig(
    "fuzz", 16, (Conv(4), Pool((2, 2), (2, 2)), Conv(8), Pool((2, 1), (2, 1)), Conv(8), Pool((4, 1), (4, 1))), 8
)


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    make: Make
    """Fills a folder with good files, and names those to change."""
    use: Callable[[Path], None]
    """Gives crnnocr a file. Whatever it raises, except a `CrnnocrError`, is a failure."""
    mutate: mutations.Mutator


def picture(index: int = 0, mode: str = "L") -> Image.Image:
    image = Image.new("RGB", (60 + 20 * index, 20), "white")
    ImageDraw.Draw(image).text((2, 4), TEXTS[index % len(TEXTS)], "black")
    return image.convert(mode)


def _images(suffix: str, folder: Path) -> Iterable[Path]:
    for mode in ("L", "RGB", "RGBA", "P", "1", "LA", "I;16", "CMYK"):
        image = picture(1, "I").point(lambda value: value * 256).convert("I;16") if mode == "I;16" else picture(1, mode)
        path = folder / f"{mode.replace(';', '')}{suffix}"
        try:
            image.save(path, exif=_turned() if mode == "RGB" and suffix in (".jpg", ".png", ".webp", ".tif") else b"")
        except (OSError, ValueError, KeyError):
            path.unlink(missing_ok=True)
            continue
        yield path
    if suffix in (".gif", ".tiff", ".webp", ".apng"):
        picture().save(folder / f"several{suffix}", save_all=True, append_images=[picture().rotate(180), picture()])
        yield folder / f"several{suffix}"
    if suffix == ".tif":
        for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "group4"):
            image = picture(2, "1" if compression == "group4" else "L")
            image.save(folder / f"{compression}.tif", compression=compression)
            yield folder / f"{compression}.tif"


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def _use_image(path: Path) -> None:
    lines = images.Preprocessor.for_model(CONFIG, Orientation.AUTO)
    for view in lines.views(path):
        assert view.line.shape[0] == CONFIG.height
        assert view.line.dtype.name == "uint8"


def _named(folder: Path) -> list[tuple[str, str]]:
    """Images in a folder, and their labels."""
    rows = [(f"{index}.png", text) for index, text in enumerate(TEXTS)]
    for index, (name, _) in enumerate(rows):
        picture(index).save(folder / name)
    return rows


def _written(name: str, content: Callable[[list[tuple[str, str]]], str], folder: Path) -> Iterable[Path]:
    (folder / name).write_text(content(_named(folder)), encoding="utf-8")
    return [folder / name]


def _table(separator: str, header: bool, rows: list[tuple[str, str]]) -> str:
    lines = [("file_name", "text")] * header + rows
    quoted = ((name, f'"{text}"' if separator in text else text) for name, text in lines)
    return "".join(f"{name}{separator}{text}\n" for name, text in quoted)


def _jsonl(rows: list[tuple[str, str]]) -> str:
    return "".join(json.dumps({"file_name": name, "text": text}) + "\n" for name, text in rows)


def _paddleocr(rows: list[tuple[str, str]]) -> str:
    box = [[1, 1], [50, 1], [50, 18], [1, 18]]
    return "".join(f"{name}\t{json.dumps([{'transcription': text, 'points': box}])}\n" for name, text in rows)


def _icdar(rows: list[tuple[str, str]]) -> str:
    return "".join(f'{name}, "{text}"\n' for name, text in rows)


def _doctr(rows: list[tuple[str, str]]) -> str:
    return json.dumps(dict(rows))


def _label_studio(rows: list[tuple[str, str]]) -> str:
    def task(index: int, name: str, text: str) -> dict[str, Any]:
        result = {"type": "textarea", "from_name": "t", "to_name": "i", "value": {"text": [text]}}
        box = {"x": 5.0, "y": 5.0, "width": 60.0, "height": 80.0, "rotation": 0}
        shape = {"id": "a", "type": "rectangle", "from_name": "b", "to_name": "i", "value": box}
        both = [{**result, "id": "a", "value": {**box, "text": [text]}}, shape]
        annotation = {"id": index, "result": both if index % 2 else [result], "was_cancelled": False}
        return {"id": index, "data": {"image": f"/data/upload/1/1a2b3c4d-{name}", "text": "old"}, "annotations": [annotation]}

    return json.dumps([task(index, *row) for index, row in enumerate(rows)])


def _label_studio_min(rows: list[tuple[str, str]]) -> str:
    return json.dumps([{"image": f"/data/local-files/?d=x/{name}", "id": 1, "transcription": text} for name, text in rows])


def _coco(rows: list[tuple[str, str]]) -> str:
    return json.dumps(
        {
            "images": [{"id": i, "file_name": name, "width": 60, "height": 20} for i, (name, _) in enumerate(rows)],
            "annotations": [
                {"id": i, "image_id": i, "bbox": [1, 1, 40, 15], "attributes": {"text": text}}
                for i, (_, text) in enumerate(rows)
            ],
            "categories": [{"id": 1, "name": "text"}],
        }
    )


def _mmocr(rows: list[tuple[str, str]]) -> str:
    listed = [{"img_path": name, "instances": [{"text": text}]} for name, text in rows]
    return json.dumps({"metainfo": {"dataset_type": "TextRecogDataset"}, "data_list": listed})


def _cvat(rows: list[tuple[str, str]]) -> str:
    def image(index: int, name: str, text: str) -> str:
        box = 'xtl="2.00" ytl="2.00" xbr="40.00" ybr="18.00"' if index % 2 else 'points="2,2;40,2;40,18;2,18"'
        shape = f'<{"box" if index % 2 else "polygon"} label="text" occluded="0" {box} z_order="0">'
        attribute = f'<attribute name="text">{text}</attribute></{"box" if index % 2 else "polygon"}>'
        return f'<image id="{index}" name="{name}" width="60" height="20">{shape}{attribute}</image>\n'

    images = "".join(image(index, *row) for index, row in enumerate(rows))
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n{images}</annotations>\n'


def _pages(folder: Path) -> Iterable[Path]:
    """Pages with a file of boxes and texts each."""
    for name, text in _named(folder):
        path = folder / f"gt_{name.replace('.png', '.txt')}"
        path.write_text(f"2,2,40,2,40,18,2,18,{text}\n3,3,30,3,30,17,3,17,###\n", encoding="utf-8")
        yield path


def _hugging_face(suffix: str, folder: Path) -> Iterable[Path]:
    import pyarrow
    import pyarrow.parquet

    rows = _named(folder)
    values = [{"bytes": (folder / name).read_bytes(), "path": name} for name, _ in rows]
    table = pyarrow.table({"image": values, "text": [text for _, text in rows]})
    for name, _ in rows:
        (folder / name).unlink()
    path = folder / f"data-00000-of-00001{suffix}"
    if suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return [path]


def _sidecars(ending: str, folder: Path) -> Iterable[Path]:
    for name, text in _named(folder):
        path = folder / name.replace(".png", ending)
        path.write_text(text + "\n", encoding="utf-8")
        yield path


def _lmdb(folder: Path) -> Iterable[Path]:
    import lmdb

    rows = _named(folder)
    with lmdb.open(str(folder), map_size=1 << 20) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"num-samples", str(len(rows)).encode())
        for index, (name, text) in enumerate(rows, start=1):
            transaction.put(b"image-%09d" % index, (folder / name).read_bytes())
            transaction.put(b"label-%09d" % index, text.encode())
            (folder / name).unlink()
    return [folder / "data.mdb"]


LABELS: Mapping[str, Make] = {
    "jsonl": partial(_written, "metadata.jsonl", _jsonl),
    "csv": partial(_written, "metadata.csv", partial(_table, ",", True)),
    "semicolons": partial(_written, "labels.csv", partial(_table, ";", True)),
    "tsv": partial(_written, "labels.tsv", partial(_table, "\t", False)),
    "txt": partial(_written, "labels.txt", partial(_table, " ", False)),
    "paddleocr": partial(_written, "Label.txt", _paddleocr),
    "icdar": partial(_written, "gt.txt", _icdar),
    "doctr": partial(_written, "labels.json", _doctr),
    "label-studio": partial(_written, "labels.json", _label_studio),
    "label-studio-min": partial(_written, "labels.json", _label_studio_min),
    "coco": partial(_written, "labels.json", _coco),
    "mmocr": partial(_written, "labels.json", _mmocr),
    "cvat": partial(_written, "annotations.xml", _cvat),
    "pages": _pages,
    "sidecars": partial(_sidecars, ".gt.txt"),
    "sidecar-texts": partial(_sidecars, ".txt"),
    "lmdb": _lmdb,
    **(
        {f"hugging-face{suffix}": partial(_hugging_face, suffix) for suffix in (".parquet", ".arrow")}
        if find_spec("pyarrow")
        else {}
    ),
}
"""By name: the label formats that have a file to damage."""


def _use_labels(path: Path) -> None:
    """Load the folder of a label file, then its images as training does."""
    from crnnocr.datasets.detection import load_dataset

    dataset = load_dataset(path.parent)
    preprocessor = images.Preprocessor.for_model(CONFIG)
    for sample in dataset.samples[:10]:
        try:
            preprocessor.line(sample.read())
        except (CrnnocrError, OSError):  # of one sample, which its caller excludes
            continue


def _use_lmdb(path: Path) -> None:
    """A process opens each database once: here each is at another place."""
    from crnnocr.datasets import lmdb_folder

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        shutil.copy(path, folder)
        try:
            _use_labels(Path(folder, path.name))
        finally:
            for opened in (lmdb_folder._opened, lmdb_folder._open):
                opened.cache_clear()


def _models() -> Iterable[tuple[str, Any, Any]]:
    """Names, cards and networks: plain convolutions, and every kind of layer."""
    import torch

    from crnnocr.metrics.scores import Scores
    from crnnocr.model.card import Card
    from crnnocr.model.crnn import CRNN
    from crnnocr.text.charset import Charset

    torch.manual_seed(0)
    torch.set_num_threads(1)
    charset = Charset.from_texts(TEXTS)
    scores = Scores(100, {"cer": 0.1, "exact": 0.5})
    for name, config in (("model", CONFIG), ("body", NORMED)):
        card = Card("fuzz", charset, config, scores=scores, activation_ranges=((-1.0, 3.0),) * config.activations)
        yield name, card, CRNN(config, charset.classes).eval()


def _weights(folder: Path) -> Iterable[Path]:
    from crnnocr.model import checkpoint

    for name, card, model in _models():
        checkpoint.save(folder / f"{name}.safetensors", card, model, [1, 2, 3])
        yield folder / f"{name}.safetensors"


def _graph(config: ExportConfig, folder: Path) -> Iterable[Path]:
    from crnnocr.export.folder import serialize_onnx

    for name, card, model in _models():
        (folder / f"{name}.onnx").write_bytes(serialize_onnx(card, model, config, [1, 2, 3], "0" * 64))
        yield folder / f"{name}.onnx"


def _use_model(path: Path) -> None:
    """Load a model and recognize an image, as `predict` does, and show what is known of it."""
    from crnnocr.inference.recognizer import Recognizer
    from crnnocr.model import registry

    registry.load_card(path)
    recognizer = Recognizer.load(path, "cpu")
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    for prediction in recognizer.predict([buffer.getvalue()]):
        assert 0 <= prediction.confidence <= 1
        assert prediction.error is None


def _words(folder: Path) -> Iterable[Path]:
    (folder / "words.txt").write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    return [folder / "words.txt"]


def _decode(make: Callable[[str], DecodeConfig], path: Path) -> None:
    import numpy as np

    from crnnocr.decoding import Decoder
    from crnnocr.text.charset import Charset

    charset = Charset.from_texts(TEXTS)
    decoder = Decoder(make(str(path)), charset, path.parent / "cache")
    probabilities = np.random.default_rng(0).dirichlet([0.3] * charset.classes, 12).astype(np.float32)
    decoder.decode([np.log(probabilities + 1e-9)])


def _pattern(path: str) -> DecodeConfig:
    text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
    return DecodeConfig(pattern=text[:2000] or "a")


def _patterns(folder: Path) -> Iterable[Path]:
    for index, pattern in enumerate((r"[A-Z]{2}-\d{3,5}", r"(Total|a) \d+\.\d", r"(a|t)*x?[^x-z]{0,9}", r"\w+[\s,]*(x+a?)+")):
        (folder / f"{index}.txt").write_text(pattern, encoding="utf-8")
        yield folder / f"{index}.txt"


def _language_models(folder: Path) -> Iterable[Path]:
    """Those in the cache: the text stays, what was made of it is changed."""
    (text,) = _words(folder)
    _decode(lambda path: DecodeConfig(lm=path), text)
    return (folder / "cache").glob("*.npz")


def _use_language_model(path: Path) -> None:
    _decode(lambda text: DecodeConfig(lm=text), path.parent.parent / "words.txt")


def _charset_text(path: Path) -> None:
    from crnnocr.files import read_text
    from crnnocr.text.charset import Charset

    Charset.from_texts([read_text(path)])


def _run(folder: Path) -> Iterable[Path]:
    """A run in the data directory, which is the folder."""
    import torch
    from safetensors.torch import save

    run = folder / "runs" / "fuzz"
    run.mkdir(parents=True)
    info = {"started": "2024-05-06T07:08:09+00:00", "model": "fuzz", "options": {"start": "auto", "seed": 7}, "digest": "5a"}
    (run / "run.json").write_text(json.dumps(info, indent=1), encoding="utf-8")
    values = {"step": 5, "stale": 0, "best": 0.5, "nested": {"a": [1, 2]}}
    (run / "state.safetensors").write_bytes(save({"a": torch.zeros(3, 4)}, metadata={"crnnocr": json.dumps(values)}))
    return [run / "run.json"]


def _state(folder: Path) -> Iterable[Path]:
    list(_run(folder))
    return [folder / "runs" / "fuzz" / "state.safetensors"]


def _use_run(path: Path) -> None:
    from crnnocr.training import resume

    os.environ["CRNNOCR_DATA_DIR"] = str(path.parents[2])
    identity = {"options": {"start": "auto", "seed": 8}, "digest": "5a"}
    for run in resume.interrupted_runs():
        assert isinstance(run.model, str)
        assert isinstance(run.stored_as, str)
        run.load()
    resume.find_interrupted(identity)
    with suppress(UsageError):
        resume.find_resumable(None, identity)


def _history(folder: Path) -> Iterable[Path]:
    from crnnocr.training.history import HistoryRow

    rows = (HistoryRow(step, 1, 64 * step, 3.5, 0.4, 1e-3, 0.1, 0.1, 0.5, 1.0, step == 20) for step in (10, 20, 30))
    (folder / "history.jsonl").write_text("".join(row.to_line() for row in rows), encoding="utf-8")
    return [folder / "history.jsonl"]


def _use_history(path: Path) -> None:
    from crnnocr.training.history import draw_curves, load_history

    draw_curves(path.parent / "curves.svg", tuple(load_history(path)))


def _set(folder: Path) -> Iterable[Path]:
    """A set of `synth`."""
    from crnnocr.config import SynthConfig
    from crnnocr.synth.dataset import manifest

    manifest.write(folder, manifest.create(SynthConfig(), []), 6, LabelFormat.IMAGEFOLDER)
    return [folder / manifest.MANIFEST]


def _use_set(path: Path) -> None:
    from crnnocr.config import SynthConfig
    from crnnocr.synth.dataset import manifest

    existing = manifest.load(path.parent)
    if existing.manifest is not None:
        assert isinstance(manifest.difference(existing.manifest, manifest.create(SynthConfig(seed=3), [])), str)


def _about_export(folder: Path) -> Iterable[Path]:
    about = {"export": {"format": "web", "precision": "fp32"}, "name": "fuzz"}
    (folder / "model.json").write_text(json.dumps(about), encoding="utf-8")
    return [folder / "model.json"]


def _use_about_export(path: Path) -> None:
    from crnnocr.export.folder import check_folder

    check_folder(path.parent, ExportConfig(), force=True)


def _rows(folder: Path) -> Iterable[Path]:
    rows = [json.dumps({"path": f"{i}.png", "text": text, "confidence": 0.9, "error": None}) for i, text in enumerate(TEXTS)]
    (folder / "rows.jsonl").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    (folder / "rows.tsv").write_text(
        "path\ttext\tconfidence\n" + "".join(f"{i}.png\tx\t0.9\n" for i in range(5)), encoding="utf-8"
    )
    (folder / "rows.txt").write_text("".join(f"{i}.png\tx\n" for i in range(5)), encoding="utf-8")
    return [folder / f"rows.{suffix}" for suffix in ("jsonl", "tsv", "txt")]


def _use_rows(path: Path) -> None:
    """The rows that an interrupted `predict` left, with `--resume`."""
    from crnnocr.cli.prediction_rows import Format, open_rows

    with open_rows(path, {"jsonl": Format.jsonl, "tsv": Format.tsv, "txt": Format.text}[path.suffix[1:]], resume=True) as rows:
        rows.has("3.png")


def _use_rows_once(path: Path) -> None:
    try:
        _use_rows(path)
    finally:
        path.with_name(f".{path.name}.part").unlink(missing_ok=True)


def _current(folder: Path) -> Iterable[Path]:
    (folder / "current-model").write_text("plates\n", encoding="utf-8")
    list(_weights(_made(folder / "models" / "plates")))
    return [folder / "current-model"]


def _use_current(path: Path) -> None:
    from crnnocr.model import registry

    os.environ["CRNNOCR_DATA_DIR"] = str(path.parent)
    registry.list_models()
    registry.find(None)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _image_suffixes() -> list[str]:
    Image.init()
    return sorted(suffix for suffix in images.SUFFIXES if Image.registered_extensions().get(suffix) in Image.SAVE)


KINDS: Mapping[str, Kind] = {
    **{
        f"image{suffix}": Kind(
            partial(_images, suffix), _use_image, mutations.mutate_png if suffix.endswith("png") else mutations.mutate_bytes
        )
        for suffix in _image_suffixes()
    },
    **{
        f"labels-{name}": Kind(make, _use_labels, mutations.mutate_bytes if "hugging" in name else mutations.mutate_text)
        for name, make in LABELS.items()
        if name != "lmdb"
    },
    "labels-lmdb": Kind(_lmdb, _use_lmdb, mutations.mutate_bytes),
    "model": Kind(_weights, _use_model, mutations.mutate_safetensors),
    "graph-fp32": Kind(partial(_graph, ExportConfig()), _use_model, mutations.mutate_onnx),
    "graph-int8": Kind(partial(_graph, ExportConfig(precision=Precision.INT8)), _use_model, mutations.mutate_onnx),
    "graph-self-contained": Kind(partial(_graph, ExportConfig(self_contained=True)), _use_model, mutations.mutate_onnx),
    "charset": Kind(_words, _charset_text, mutations.mutate_text),
    "lexicon": Kind(_words, partial(_decode, lambda path: DecodeConfig(lexicon=path)), mutations.mutate_text),
    "language-model": Kind(_words, partial(_decode, lambda path: DecodeConfig(lm=path)), mutations.mutate_text),
    "language-model-cache": Kind(_language_models, _use_language_model, mutations.mutate_bytes),
    "pattern": Kind(_patterns, partial(_decode, _pattern), mutations.mutate_text),
    "run-info": Kind(_run, _use_run, mutations.mutate_text),
    "run-state": Kind(_state, _use_run, mutations.mutate_safetensors),
    "history": Kind(_history, _use_history, mutations.mutate_text),
    "synth-set": Kind(_set, _use_set, mutations.mutate_text),
    "export-folder": Kind(_about_export, _use_about_export, mutations.mutate_text),
    "prediction-rows": Kind(_rows, _use_rows_once, mutations.mutate_text),
    "current-model": Kind(_current, _use_current, mutations.mutate_text),
}
"""By name. Those of images begin with `image`, those of label files with `labels`."""


@dataclass(frozen=True)
class Fault:
    """Something that the harness must find."""

    use: Callable[[], object]
    seen_as: str
    """Part of what is said of it."""

    @property
    def kind(self) -> Kind:
        """A kind of file whose changed form has this fault."""
        return Kind(lambda folder: _content(folder, b"good"), self._use_changed, lambda _data, _rng: b"changed")

    def _use_changed(self, path: Path) -> None:
        if path.read_bytes() == b"changed":
            self.use()


def _content(folder: Path, content: bytes) -> Iterable[Path]:
    (folder / "file").write_bytes(content)
    return [folder / "file"]


def _compute() -> None:
    for _ in range(10**9):
        pass


FAULTS: Mapping[str, Fault] = {
    "fault-traceback": Fault(lambda: 1 / 0, "ZeroDivisionError"),
    "fault-crash": Fault(os.abort, "the process ended with -6"),
    "fault-memory": Fault(lambda: bytearray(1 << 34), "MemoryError"),
    "fault-slow": Fault(_compute, "TooSlow"),
    "fault-read": Fault(lambda: Path("/etc/hostname").read_bytes(), "outside the folder: open '/etc/hostname'"),
    "fault-native": Fault(lambda: ctypes.CDLL(None).open(CANARY.encode(), os.O_RDONLY), f"outside the folder: {CANARY}"),
    "fault-write": Fault(lambda: Path("/var/tmp/crnnocr-fuzz").write_bytes(b""), "outside the folder: open '/var/tmp/crnn"),
    "fault-remove": Fault(lambda: Path("/var/tmp/crnnocr-fuzz").unlink(), "outside the folder: os.remove"),
    "fault-process": Fault(lambda: subprocess.run(["true"], check=True), "outside the folder: subprocess.Popen"),
    "fault-socket": Fault(lambda: socket.create_connection(("127.0.0.1", 9)), "outside the folder: socket."),
}
