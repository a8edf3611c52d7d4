"""Measure speed and accuracy from image files to text, beside other recognizers on the same files.

Reported are the CPU time of the whole process, which other work on the machine changes little, and the wall time. Each
recognizer is used through its public interface on one file after the other, as its documentation shows, with its models loaded
and warmed up before. Tesseract reads words as words and lines as lines, RapidOCR's PP-OCRv6-small without detection. For two
threads each of them is loaded twice. Peers that are not installed are left out; Tesseract finds `eng.traineddata` by
TESSDATA_PREFIX:

    pip install tesserocr rapidocr onnxruntime
    python benchmarks/predict.py --data words=scene_words lines=printed_lines --models small=model.safetensors
    python benchmarks/predict.py --parts scaling memory beam --models small=NAME --data words=scene_words
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from transfer import plain

from crnnocr import images
from crnnocr.config import DecodeConfig, EngineChoice, ReadConfig
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.scores import Scorer

Reader = Callable[[Sequence[Path]], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["peers"])
    parser.add_argument("--data", nargs="+", required=True, help="KIND=FOLDER with labels.tsv; KIND is words or lines")
    parser.add_argument("--models", nargs="+", required=True, help="NAME=MODEL, such as small=model.safetensors")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), help="other recognizers")
    parser.add_argument("--limit", type=int, default=400, help="images of each folder")
    parser.add_argument("--rounds", type=int, default=3, help="times that each recognizer reads all images, in turns")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--count", type=int, default=100_000, help="memory: files to read")
    options = parser.parse_args()
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")  # Tesseract's own threads cost more than they bring
    for part in options.parts:
        PARTS[part](options)


def peers(options: argparse.Namespace) -> None:
    """Images per CPU second, and errors, of crnnocr and its peers."""
    for kind, files, references in sets(options):
        readers: dict[str, Reader] = {}
        for (name, model), threads in itertools.product(models(options), options.threads):
            readers[f"crnnocr {name}, {threads} threads"] = ours(model, threads)
            readers[f"crnnocr {name} --quick, {threads} threads"] = ours(model, threads, quick=True)
        for peer, threads in itertools.product(options.peers, options.threads):
            try:
                readers[f"{peer}, {threads} threads"] = side_by_side([PEERS[peer](kind) for _ in range(threads)])
            except ImportError as error:
                print(f"{peer} is left out: {error}", file=sys.stderr)
        texts = {name: read(files) for name, read in readers.items()}  # warms up, too
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in readers}
        for _ in range(options.rounds):
            for name, read in readers.items():
                started, wall = time.process_time(), time.monotonic()
                read(files)
                seconds[name].append((time.process_time() - started, time.monotonic() - wall))
        for name, times in seconds.items():
            cpu, wall = (statistics.median(column) for column in zip(*times, strict=True))
            report(
                part="peers", kind=kind, reader=name, per_cpu_second=len(files) / cpu, per_second=len(files) / wall,
                **scores(references, texts[name]),
            )  # fmt: skip


def scaling(options: argparse.Namespace) -> None:
    """Images/s with one thread and with two, in turns."""
    for (kind, files, _), (name, model) in itertools.product(sets(options), models(options)):
        ratios = []
        for _ in range(options.rounds):
            rates = []
            for threads in (1, 2):
                read = ours(model, threads)
                read(files[:64])
                wall = time.monotonic()
                read(files)
                rates.append(len(files) / (time.monotonic() - wall))
            ratios.append(rates[1] / rates[0])
        report(part="scaling", kind=kind, model=name, two_to_one=statistics.median(ratios), all=[round(r, 2) for r in ratios])


def stages(options: argparse.Namespace) -> None:
    """CPU time of each stage, in one thread."""
    for (kind, files, _), (name, model) in itertools.product(sets(options), models(options)):
        recognizer, decode = Recognizer.load(model, "cpu"), DecodeConfig()
        decoder, preprocessor = recognizer.decoder(decode), recognizer.preprocessor()
        spent = dict.fromkeys(("reading", "resizing", "network", "decoding"), 0.0)
        for start in range(0, len(files), 256):
            window = files[start : start + 256]
            before = time.process_time()
            grays = [images.load_gray(file) for file in window]
            spent["reading"] += time.process_time() - before
            before = time.process_time()
            lines = [preprocessor.line(gray) for gray in grays]
            spent["resizing"] += time.process_time() - before
            before = time.process_time()
            log_probs = recognizer.log_probs(lines)
            spent["network"] += time.process_time() - before
            before = time.process_time()
            for part in range(0, len(log_probs), 16):
                decoder.decode(log_probs[part : part + 16])
            spent["decoding"] += time.process_time() - before
        each = {stage: round(1000 * seconds / len(files), 3) for stage, seconds in spent.items()}
        report(part="stages", kind=kind, model=name, milliseconds_a_picture=each)


def beam(options: argparse.Namespace) -> None:
    """The CPU time with `--beam 5` relative to that of greedy decoding, in turns."""
    for (kind, files, _), (name, model) in itertools.product(sets(options), models(options)):
        recognizer, ratios = Recognizer.load(model, "cpu"), []
        for _ in range(options.rounds):
            seconds = []
            for width in (0, 5):
                started = time.process_time()
                for _ in recognizer.predict(files, DecodeConfig(beam=width)):
                    pass
                seconds.append(time.process_time() - started)
            ratios.append(seconds[1] / seconds[0])
        report(part="beam", kind=kind, model=name, beam_to_greedy=statistics.median(ratios), all=[round(r, 2) for r in ratios])


def equal(options: argparse.Namespace) -> None:
    """Number of texts that differ from those of one image after the other in one thread."""
    for (kind, files, _), (name, model) in itertools.product(sets(options), models(options)):
        recognizer = Recognizer.load(model, "cpu")
        alone = [next(recognizer.predict(file, read=ReadConfig(threads=1))).text for file in files]
        others = {f"{threads} threads": ours(model, threads)(files) for threads in (1, 2, 4)}
        command = [sys.executable, "-m", "crnnocr", "predict", "--model", model, "--files-from", "-", "--format", "jsonl"]
        listed = "\n".join(map(str, files))
        rows = subprocess.run(command, input=listed, check=True, capture_output=True, encoding="utf-8").stdout.splitlines()
        others["piped"] = [json.loads(row)["text"] for row in rows]
        for engine in (EngineChoice.ONNXRUNTIME, EngineChoice.TORCH):
            others[f"engine {engine}"] = [p.text for p in Recognizer.load(model, "cpu", engine).predict(files)]
        differ = {how: sum(a != b for a, b in zip(alone, texts, strict=True)) for how, texts in others.items()}
        report(part="equal", kind=kind, model=name, engine=recognizer.engine.description, pictures=len(files), differ=differ)


def memory(options: argparse.Namespace) -> None:
    """Speed and memory over time of the command on a list of many files."""
    (_, files, _), (_, model) = next(iter(sets(options))), next(iter(models(options)))
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder) / "list"
        names = itertools.islice(itertools.cycle(map(str, files)), options.count)
        listing.write_text("\n".join(names) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "crnnocr", "predict", "--model", model, "--files-from", str(listing), "--quick"]
        started, seen = time.monotonic(), []
        with subprocess.Popen([*command, "--quiet", "--output", f"{folder}/rows"]) as process:
            while process.poll() is None:
                status = Path(f"/proc/{process.pid}/status")
                if status.exists() and (
                    found := [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
                ):
                    seen.append(int(found[0].split()[1]) / 1024)
                time.sleep(1)
        seconds = time.monotonic() - started
        tenths = [round(seen[len(seen) * i // 10]) for i in range(10)]
        rows = sum(1 for _ in (Path(folder) / "rows").open("rb"))
        report(part="memory", files=rows, per_second=rows / seconds, megabytes_over_time=tenths, most=round(max(seen)))


def start(options: argparse.Namespace) -> None:
    """CPU time of the command from the shell to the text of one image, its modules compiled as in an installation."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for (kind, files, _), (name, model) in itertools.product(sets(options), models(options)):
        times = []
        for file in files[: max(9, options.rounds)]:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, "-m", "crnnocr", "predict", "--model", model, str(file)]
            subprocess.run(command, check=True, capture_output=True, env=environment)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        report(part="start", kind=kind, model=name, cpu_seconds=statistics.median(times))


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "peers": peers,
    "scaling": scaling,
    "stages": stages,
    "beam": beam,
    "equal": equal,
    "memory": memory,
    "start": start,
}


def sets(options: argparse.Namespace) -> Iterator[tuple[str, list[Path], list[str]]]:
    """The kind, files and references of each folder."""
    for entry in options.data:
        kind, _, folder = entry.partition("=")
        if kind not in ("words", "lines", "receipts"):
            raise SystemExit(f"--data {entry}: KIND=FOLDER, with a KIND of words, lines, receipts")
        rows = [line.split("\t") for line in (Path(folder) / "labels.tsv").read_text(encoding="utf-8").splitlines()]
        rows = rows[: options.limit]
        yield kind, [Path(folder) / name for name, _ in rows], [text for _, text in rows]


def models(options: argparse.Namespace) -> list[tuple[str, str]]:
    return [(name, model) for name, _, model in (entry.partition("=") for entry in options.models)]


def ours(model: str, threads: int, quick: bool = False) -> Reader:
    recognizer, config = Recognizer.load(model, "cpu"), ReadConfig(threads=threads, quick=quick)
    return lambda files: [prediction.text for prediction in recognizer.predict(files, read=config)]


def side_by_side(readers: Sequence[Reader]) -> Reader:
    """Several readers that divide the files, each in a thread of its own."""
    if len(readers) == 1:
        return readers[0]

    def read(files: Sequence[Path]) -> list[str]:
        shares = [files[i :: len(readers)] for i in range(len(readers))]
        with ThreadPoolExecutor(len(readers)) as pool:
            parts = list(pool.map(lambda reader, share: reader(share), readers, shares))
        texts = [""] * len(files)
        for i, part in enumerate(parts):
            texts[i :: len(readers)] = part
        return texts

    return read


def tesseract(kind: str) -> Reader:
    import tesserocr

    mode = tesserocr.PSM.SINGLE_WORD if kind == "words" else tesserocr.PSM.SINGLE_LINE
    api = tesserocr.PyTessBaseAPI(psm=mode)

    def read(files: Sequence[Path]) -> list[str]:
        texts = []
        for file in files:
            api.SetImageFile(str(file))
            texts.append(api.GetUTF8Text().strip())
        return texts

    return read


def rapidocr(kind: str) -> Reader:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    from rapidocr import ModelType, OCRVersion, RapidOCR

    engine = RapidOCR(
        params={
            "Global.log_level": "error",
            "Rec.ocr_version": OCRVersion.PPOCRV6,
            "Rec.model_type": ModelType.SMALL,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        }
    )

    def read(files: Sequence[Path]) -> list[str]:
        texts = []
        for file in files:
            result = engine(str(file), use_det=False, use_cls=False, use_rec=True)
            texts.append(" ".join(result.txts or ()))
        return texts

    return read


PEERS: dict[str, Callable[[str], Reader]] = {"tesseract": tesseract, "rapidocr": rapidocr}


def scores(references: Sequence[str], texts: Sequence[str]) -> dict[str, float]:
    """The CER without case and spaces, and the accuracy of letters and digits alone."""
    scorer = Scorer()
    for reference, text in zip(references, texts, strict=True):
        scorer.update(*("".join(plain(one).casefold().split()) for one in (reference, text)))
    summary = scorer.summary()
    return {"cer_ci_ns": summary.cer, "alnum_accuracy": summary["alnum_accuracy"]}


def report(**values: object) -> None:
    print(
        json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}), flush=True
    )


if __name__ == "__main__":
    main()
