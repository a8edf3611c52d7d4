"""Size and speed of each form of an export on one thread of a CPU, and how near its texts are to those of single precision.

Every form runs on the same images one by one, from gray values to class ids: for graphs that take lines, Pillow's resize
and the best path are counted too, as a host has to do both. The page runs in headless Chromium, where the time is the
page's own, from the file's bytes to the text. Errors are counted without case and spaces (ci-ns). Nothing is verified here:
`crnnocr export` does that.

    python benchmarks/export.py --models small=model.safetensors --data words=scene_words lines=printed_lines
    python benchmarks/export.py --models small=NAME --data words=scene_words --forms web --runtime node_modules/onnxruntime-web
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from predict import models, report, scores, sets

from crnnocr import images
from crnnocr.config import ExportConfig, ExportFormat, Orientation, Precision
from crnnocr.export import web
from crnnocr.export.folder import load_source, serialize_onnx, with_activation_ranges
from crnnocr.export.verify import LineBackend, VerificationImage
from crnnocr.graph import end_to_end
from crnnocr.inference.engines import OnnxEngine
from crnnocr.model import registry

Gray = NDArray[np.uint8]

FORMS = {
    **{precision.value: ExportConfig(precision=precision) for precision in Precision},
    **{f"self-contained {precision}": ExportConfig(precision=precision, self_contained=True) for precision in Precision},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="KIND=FOLDER with labels.tsv")
    parser.add_argument("--models", nargs="+", required=True, help="NAME=MODEL, such as small=model.safetensors")
    parser.add_argument("--forms", nargs="+", default=[*FORMS], choices=[*FORMS, "web"], help="of the export")
    parser.add_argument("--runtime", help="web: a copy of onnxruntime-web")
    parser.add_argument("--limit", type=int, default=10_000, help="images of each folder")
    parser.add_argument("--rounds", type=int, default=3, help="times that each form runs on all of them, in turns")
    options = parser.parse_args()
    for (name, model), (kind, files, references) in ((m, s) for m in models(options) for s in sets(options)):
        file = registry.find(model).path
        chosen = [VerificationImage(path.name, path) for path in files]
        graphs = {
            form: graph_of(file, FORMS[form], chosen) for form in dict.fromkeys(["fp32", *options.forms]) if form != "web"
        }
        readers = {form: reader(graph) for form, graph in graphs.items()}
        grays = [np.asarray(images.load_gray(path)) for path in files]
        texts = {form: [read(gray) for gray in grays] for form, read in readers.items()}  # warms up, too
        seconds: dict[str, list[float]] = {form: [] for form in readers}
        for _ in range(options.rounds):
            for form, read in readers.items():
                started = time.process_time()
                for gray in grays:
                    read(gray)
                seconds[form].append(time.process_time() - started)
        for form in readers:
            each = 1000 * statistics.median(seconds[form]) / len(grays)
            row(name, kind, form, len(graphs[form]), each, texts[form], texts["fp32"], references)
        if "web" in options.forms:
            size, milliseconds, found = in_browser(file, files, options.runtime)
            row(name, kind, "web", size, milliseconds, found, texts["fp32"], references)


def row(
    model: str,
    kind: str,
    form: str,
    size: int,
    each: float,
    texts: Sequence[str],
    exact: Sequence[str],
    references: Sequence[str],
) -> None:
    equal = sum(ours == theirs for ours, theirs in zip(texts, exact, strict=True)) / len(texts)
    found = scores(references, texts)
    report(
        model=model, kind=kind, images=len(texts), form=form, megabytes=size / 1e6, milliseconds=each, equal_to_fp32=equal,
        cer_ci_ns=found["cer_ci_ns"],
    )  # fmt: skip


def graph_of(file: Path, config: ExportConfig, chosen: Sequence[VerificationImage]) -> bytes:
    """A graph. Activation ranges that the card lacks are measured on the first of the images."""
    card, model, _ = load_source(file)
    if config.precision is Precision.INT8 and not card.activation_ranges:
        card = with_activation_ranges(card, model, chosen)
    if config.self_contained:
        card = replace(card, orientation=Orientation.HORIZONTAL)
    return serialize_onnx(card, model, config)


def reader(graph: bytes) -> Callable[[Gray], str]:
    """A function from gray values to a text."""
    engine = OnnxEngine(graph)
    if not engine.is_self_contained:
        lines = LineBackend(engine.card, engine)
        return lambda gray: lines.run([gray])[0].text
    return lambda gray: engine.card.charset.decode(end_to_end.run(engine, [gray])[0].ids)


def in_browser(file: Path, files: Sequence[Path], runtime: str | None) -> tuple[int, float, list[str]]:
    """Bytes of the page, milliseconds an image, and texts."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from chromium import Chromium

    graph = graph_of(file, ExportConfig(format=ExportFormat.WEB), ())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "page"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(graph)
        web.write_page(folder, OnnxEngine(graph).card, folder / "model.onnx", web.find_runtime(runtime))
        with Chromium(Path(place) / "profile") as browser:
            browser.open((folder / "index.html").as_uri(), "document.body?.dataset.ready")
            results = [result for start in range(0, len(files), 100) for result in browser.readings(files[start : start + 100])]
        size = sum(path.stat().st_size for path in folder.iterdir())
    return size, statistics.median(r["milliseconds"] for r in results), [r["text"] for r in results]


if __name__ == "__main__":
    main()
