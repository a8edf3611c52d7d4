"""Training on 20 to 400 labeled crops of one's own: crnnocr and other tools that can be trained, on the same crops.

Each tool trains on one thread for so many CPU minutes at most, and holds out what it validates with from the crops it is given.
A peer goes on to the limit, where it is stopped, and the best weights that it has stored are used. A smaller set is a part of a
larger one. Results are added to WORK/results.jsonl one by one, and an interrupted benchmark goes on where it stopped. Texts are
compared after NFKC, with quotes and dashes alike; those of `receipts` without case and spaces, too (ci-ns). A folder of crops
holds images and `labels.tsv` (`file<TAB>text`). Of a single folder the last crops are measured with, and others trained on.

    python benchmarks/own_crops.py --data fraktur=fraktur receipts=receipts_train:receipts --envs envs --work work --table

Each peer is installed in a virtual environment of its own, ENVS/NAME, except Tesseract, which comes from the system's packages:

    pip install torch==2.14.1 torchvision==0.29.1  # kraken, which asks for torch 2.14.0 at most, and runs with 2.14.1
    pip install --no-deps kraken==7.1.1            # and then all else that it requires
    pip install calamari-ocr==2.3.1 'tensorflow<2.16'
    apt-get install tesseract-ocr tesseract-ocr-eng tesseract-ocr-frk

Those that cannot take part are listed in LEFT_OUT, with the reason. No peer starts from trained weights: those of kraken and
Calamari are not in their packages, and Debian's of Tesseract are integer models ("is an integer (fast) model, cannot continue
training", says `lstmtraining`).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accuracy import error_rate, exact_match
from PIL import Image
from transfer import plain

CRNNOCR = (sys.executable, "-m", "crnnocr")
ONE_THREAD = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
ENDLESS = "100000"
"""Epochs of a training that the limit ends."""

LEFT_OUT = {
    "PaddleOCR 3.7.0, 2.10.0": "its trainer is in no package: 3.7.0 has none, PaddleX 3.7.2 clones a repository to train, and "
    "tools/train.py of 2.10.0 ends in \"No module named 'ppocr.modeling'\"",
    "fast-plate-ocr 1.1.0": "reads codes of a fixed number of characters, such as plates, and no lines of text",
}

Crop = tuple[Path, str]
Row = dict[str, Any]


@dataclass
class Job:
    """A training of one tool on some crops, and what it may use."""

    data: str
    train: Path
    """Folder of images to train on, each with its text in a `.gt.txt` file, and `labels.tsv`."""
    unlabelled: Sequence[Path]
    """The other images of the set that are not measured with."""
    test: Sequence[Path]
    folder: Path
    """Where the tool writes."""
    bin: Path
    """Programs of the tool's virtual environment."""
    limit: float
    """CPU seconds of the training."""
    minutes: float
    """Of crnnocr's `--minutes`; 0 for its own number of epochs."""
    start: str
    """The model that crnnocr starts from."""
    spent: float = 0.0
    """CPU seconds of the training so far."""
    stopped: bool = False
    """Whether it was stopped at the limit."""

    def images(self) -> list[Path]:
        """Images to train on."""
        return sorted(path for path in self.train.iterdir() if path.suffix not in (".txt", ".tsv"))

    def listed(self, name: str, paths: Sequence[Path]) -> Path:
        """Write a list of paths, one a line."""
        (self.folder / name).write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
        return self.folder / name

    def run(self, *command: str | Path) -> str:
        """Run a command without a limit; its stdout."""
        with (self.folder / "log.txt").open("a", encoding="utf-8") as log:
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=log, text=True, env=self._environment())
        return output.stdout

    def learn(self, *command: str | Path) -> None:
        """Run a command of the training; it is stopped when the time for all of them is spent."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with (self.folder / "log.txt").open("a", encoding="utf-8") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment(), start_new_session=True)
            try:
                self._wait(process)
            finally:  # if it did not stop by itself, and if this benchmark is interrupted
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.spent += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if process.returncode and not self.stopped:
            raise subprocess.CalledProcessError(process.returncode, [str(part) for part in command])

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        while not self.stopped:
            try:
                process.wait(timeout=1)
                return
            except subprocess.TimeoutExpired:
                self.stopped = self.spent + cpu_seconds(process.pid) > self.limit
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)

    def _environment(self) -> dict[str, str]:
        own = {f"CRNNOCR_{kind}_DIR": str(self.folder / kind.lower()) for kind in ("DATA", "CACHE")}
        return {**os.environ, **dict.fromkeys(ONE_THREAD, "1"), **own, "PYTHONPATH": str(Path(__file__).parents[1])}


def cpu_seconds(group: int) -> float:
    """CPU time so far of the processes of a group, and of those that they have waited for (proc(5))."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[2]) == group:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def ours(job: Job, *more: str | Path) -> list[str]:
    minutes = ("--minutes", f"{job.minutes:g}") if job.minutes else ()
    options = ("--name", "own", "--from", job.start, "--device", "cpu", *minutes, *more)
    job.learn(*CRNNOCR, "train", job.train / "labels.tsv", *options)
    return ours_read(job, "own")


def ours_with_unlabelled(job: Job) -> list[str]:
    folder = job.folder / "unlabelled"
    folder.mkdir()
    for path in job.unlabelled:
        shutil.copy(path, folder / path.name)
    return ours(job, "--unlabelled", folder)


def ours_read(job: Job, model: str = "") -> list[str]:
    model = model or ("en" if job.start == "auto" else job.start)
    lines = job.run(*CRNNOCR, "predict", *job.test, "--model", model, "--format", "jsonl", "--device", "cpu").splitlines()
    return [json.loads(line)["text"] for line in lines]


def kraken(job: Job) -> list[str]:
    """See kraken's manual, "Recognition Model Training"; a tenth of the crops is held out."""
    job.learn(
        job.bin / "ketos", "--device", "cpu", "--workers", "0", "--seed", "0",
        "train", "-f", "path", "-t", job.listed("train.lst", job.images()), "--augment", "-q", "fixed", "-N", ENDLESS,
        "-o", job.folder / "model",
    )  # fmt: skip
    best = max((job.folder / "model").glob("checkpoint_*-*.ckpt"), key=lambda path: float(path.stem.rpartition("-")[2]))
    weights = job.folder / "best.safetensors"
    job.run(job.bin / "ketos", "convert", "-o", weights, best)
    texts = [job.folder / f"{path.stem}.txt" for path in job.test]
    pairs = [part for pair in zip(job.test, texts, strict=True) for part in ("-i", *pair)]
    job.run(job.bin / "kraken", "--device", "cpu", *pairs, "ocr", "-s", "--num-line-workers", "0", "-m", weights)
    return [path.read_text(encoding="utf-8") if path.exists() else "" for path in texts]


def calamari(job: Job) -> list[str]:
    """See Calamari's manual, "Command-Line Usage"; a tenth of the crops is held out, and each has five augmented copies."""
    job.learn(
        job.bin / "calamari-train", "--trainer.gen", "SplitTrain", "--trainer.gen.validation_split_ratio=0.1",
        "--train.images", *job.images(), "--n_augmentations=5", "--trainer.data_aug_retrain_on_original", "False",
        "--trainer.epochs", ENDLESS, "--early_stopping.n_to_go", "-1", "--trainer.random_seed", "0",
        "--trainer.output_dir", job.folder / "model",
    )  # fmt: skip
    output = ("--output_dir", job.folder, "--verbose", "False")
    job.run(job.bin / "calamari-predict", "--checkpoint", job.folder / "model/best.ckpt", "--data.images", *job.test, *output)
    return [(job.folder / f"{path.stem}.pred.txt").read_text(encoding="utf-8") for path in job.test]


def tesseract(job: Job) -> list[str]:
    """See the Makefile of tesstrain, of which these are the commands and the network; a tenth of the crops is held out."""
    lines = [tesseract_line(job, path) for path in job.images()]
    held_out = max(1, len(lines) // 10)
    (job.folder / "radical-stroke.txt").write_text("\n", encoding="utf-8")  # it says how Chinese characters are written
    unicharset, traineddata = job.folder / "unicharset", job.folder / "own/own.traineddata"
    job.learn("unicharset_extractor", "--output_unicharset", unicharset, "--norm_mode", "2", *job.train.glob("*.gt.txt"))
    folders = ("--script_dir", job.folder, "--output_dir", job.folder)
    job.learn("combine_lang_model", "--input_unicharset", unicharset, *folders, "--lang", "own")
    classes = unicharset.read_text(encoding="utf-8").split("\n", 1)[0]
    job.learn(
        "lstmtraining", "--traineddata", traineddata, "--learning_rate", "0.002",
        "--net_spec", f"[1,36,0,1 Ct3,3,16 Mp3,3 Lfys48 Lfx96 Lrx96 Lfx192 O1c{classes}]",
        "--model_output", job.folder / "own", "--train_listfile", job.listed("train.lst", lines[:-held_out]),
        "--eval_listfile", job.listed("eval.lst", lines[-held_out:]), "--max_iterations", "1000000",
    )  # fmt: skip
    named = {path: re.fullmatch(r"own_([\d.]+)_\d+_\d+\.checkpoint", path.name) for path in job.folder.glob("own_*.checkpoint")}
    errors = {path: float(match[1]) for path, match in named.items() if match}
    best = min(errors, key=errors.__getitem__) if errors else job.folder / "own_checkpoint"
    model = job.folder / "best.traineddata"
    job.run("lstmtraining", "--stop_training", "--continue_from", best, "--traineddata", traineddata, "--model_output", model)
    return tesseract_read(job, "--tessdata-dir", str(job.folder), "-l", "best")


def tesseract_line(job: Job, image: Path) -> Path:
    """Make Tesseract's training file of one crop."""
    line = job.folder / image.stem
    with Image.open(image) as opened:
        width, height = opened.size
    text = image.with_suffix(".gt.txt").read_text(encoding="utf-8").strip()
    box = f"WordStr 0 0 {width} {height} 0 #{text}\n\t {width} {height} {width + 1} {height + 1} 0\n"
    line.with_suffix(".box").write_text(box, encoding="utf-8")
    shutil.copy(image, line.with_suffix(image.suffix))
    job.learn("tesseract", line.with_suffix(image.suffix), line, "--psm", "13", "lstm.train")
    return line.with_suffix(".lstmf")


def tesseract_read(job: Job, *options: str) -> list[str]:
    pages = job.run("tesseract", job.listed("test.lst", job.test), "-", *options, "--psm", "13").split("\f")
    return [" ".join(page.split()) for page in pages[: len(job.test)]]


def untrained_tesseract(job: Job) -> list[str]:
    return tesseract_read(job, "-l", "frk" if job.data == "fraktur" else "eng")


@dataclass(frozen=True)
class Tool:
    title: str
    read: Callable[[Job], list[str]]
    """Trains, and then predicts the texts of the test images."""
    program: str = ""
    """What must be installed for it: in ENVS/NAME/bin, or on the path."""
    learns: bool = True


TOOLS = {
    "ours": Tool("crnnocr", ours),
    "ours-unlabelled": Tool("crnnocr, with the other crops unlabeled", ours_with_unlabelled),
    "ours-untrained": Tool("crnnocr, its start model as it comes", ours_read, learns=False),
    "kraken": Tool("kraken 7.1.1, from scratch", kraken, "ketos"),
    "calamari": Tool("Calamari 2.3.1, from scratch", calamari, "calamari-train"),
    "tesseract": Tool("Tesseract 5.3.0, from scratch", tesseract, "lstmtraining"),
    "tesseract-untrained": Tool("Tesseract 5.3.0, `frk` or `eng` as it comes", untrained_tesseract, "tesseract", learns=False),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="NAME=FOLDER, or NAME=TRAIN_FOLDER:TEST_FOLDER")
    parser.add_argument("--labels", type=int, nargs="+", default=[20, 50, 100, 400], help="how many crops to train on")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--last", type=int, default=100, help="crops to measure with, from the end of the label file")
    parser.add_argument("--cpu-minutes", type=float, default=15.0, help="limit of each training")
    parser.add_argument(
        "--minutes", type=float, help="--minutes of crnnocr; 0: its own number of epochs; else the limit less 2, or half of it"
    )
    parser.add_argument("--start", default="auto", help="model that crnnocr starts from")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of crops")
    parser.add_argument("--envs", type=Path, default=Path(".work/envs"), help="folder of the peers' virtual environments")
    parser.add_argument(
        "--work", type=Path, default=Path(".work/own-crops"), help="crops, models, results of one set of options"
    )
    parser.add_argument("--table", action="store_true", help="print a Markdown table of all results in WORK, too")
    options = parser.parse_args()
    if options.minutes is None:
        options.minutes = max(options.cpu_minutes - 2, options.cpu_minutes / 2)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    results = options.work.absolute() / "results.jsonl"
    for data in options.data:
        name, _, folders = data.partition("=")
        train, test = crops(folders, options.last, options.seed)
        for key, tool in ((key, TOOLS[key]) for key in options.tools):
            if tool.program and not (shutil.which(tool.program, path=options.envs / key / "bin") or shutil.which(tool.program)):
                print(f"{key} is left out: no {tool.program} in {options.envs / key / 'bin'} or on the path")
                continue
            for labels in options.labels if tool.learns else (0,):
                done = [(row["data"], row["labels"], row["tool"]) for row in rows(results) if "failed" not in row]
                if (name, labels, key) not in done and labels <= len(train):
                    add(results, measured(options, name, key, train[:labels], train[labels:], test))
    if options.table:
        print(table(rows(results)))


def crops(folders: str, last: int, seed: int) -> tuple[list[Crop], list[Crop]]:
    """Crops to train on, in an order that is theirs alone, and those to measure with."""
    *train, test = (labeled(Path(folder).absolute()) for folder in folders.split(":"))
    learn = train[0] if train else test[:-last]
    return sorted(learn, key=lambda crop: hashlib.sha256(f"{seed} {crop[0].name}".encode()).digest()), test[-last:]


def labeled(folder: Path) -> list[Crop]:
    lines = (folder / "labels.tsv").read_text(encoding="utf-8").splitlines()
    return [(folder / file, text) for file, text in (line.split("\t")[:2] for line in lines)]


def measured(
    options: argparse.Namespace, data: str, key: str, train: Sequence[Crop], rest: Sequence[Crop], test: Sequence[Crop]
) -> Row:
    """Train a tool, and score what it reads."""
    work = options.work.absolute() / f"{data}-{len(train)}"
    written(train, work / "train")
    folder = work / key
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files, references = [path for path, _ in test], [text for _, text in test]
    bin = options.envs.absolute() / key / "bin"
    unlabelled = [path for path, _ in rest]
    limit = 60 * options.cpu_minutes
    job = Job(data, work / "train", unlabelled, files, folder, bin, limit, options.minutes, options.start)
    row: Row = {"data": data, "labels": len(train), "tool": key, "title": TOOLS[key].title}
    try:
        predictions = TOOLS[key].read(job)
    except (subprocess.CalledProcessError, OSError, ValueError) as error:
        print(f"{key} failed, see {folder / 'log.txt'}: {error}")
        row["failed"] = type(error).__name__
    else:
        pairs = zip((path.name for path in files), references, predictions, strict=True)
        (folder / "predictions.tsv").write_text("".join("\t".join(pair).strip() + "\n" for pair in pairs), encoding="utf-8")
        row |= scores(data, references, predictions)
    return row | {"cpu_minutes": job.spent / 60, "limit": options.cpu_minutes, "stopped": job.stopped, "test": len(test)}


def written(train: Sequence[Crop], folder: Path) -> None:
    """Write crops in the two forms that all tools read."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for path, text in train:
        shutil.copy(path, folder / path.name)
        (folder / path.with_suffix(".gt.txt").name).write_text(text + "\n", encoding="utf-8")
        lines.append(f"{path.name}\t{text}\n")
    (folder / "labels.tsv").write_text("".join(lines), encoding="utf-8")


def scores(data: str, references: Sequence[str], predictions: Sequence[str]) -> dict[str, dict[str, float]]:
    """CER and exact match with their intervals."""
    texts = [[normalized(data, text) for text in column] for column in (references, predictions)]
    return {name: vars(score(*texts)) for name, score in (("cer", error_rate(str)), ("exact", exact_match))}


def normalized(data: str, text: str) -> str:
    words = plain(text).split()
    return "".join(words).casefold() if data == "receipts" else " ".join(words)


def rows(results: Path) -> list[Row]:
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()] if results.exists() else []


def add(results: Path, row: Row) -> None:
    print(json.dumps(row), flush=True)
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def table(results: Sequence[Row]) -> str:
    """Write a row for each tool and a column for each number of labels, in Markdown, and who was left out."""
    lines = []
    for data in dict.fromkeys(row["data"] for row in results):
        found = [row for row in results if row["data"] == data]
        columns = sorted({row["labels"] for row in found if row["labels"]}) or [0]
        lines += [f"| {data} | {' | '.join(f'{labels} labels' for labels in columns)} |", "| --- " * (len(columns) + 1) + "|"]
        for title in dict.fromkeys(row["title"] for row in found):
            of_tool = {row["labels"]: cell(row) for row in found if row["title"] == title}
            lines.append(f"| {title} | {' | '.join(of_tool.get(n, of_tool.get(0, '–')) for n in columns)} |")
        lines.append("")
    lines.append("CER with its 95 % interval, exact match, and CPU minutes of the training; *: stopped at the limit.\n")
    return "\n".join([*lines, *(f"- {name} is left out: {reason}" for name, reason in LEFT_OUT.items())])


def cell(row: Row) -> str:
    if "failed" in row:
        return "failed"
    value, low, high = (100 * row["cer"][key] for key in ("value", "low", "high"))
    text = f"{value:.1f} % ({low:.1f} – {high:.1f}), {100 * row['exact']['value']:.0f} %"
    return f"{text}, {row['cpu_minutes']:.0f} min{'*' if row['stopped'] else ''}" if row["labels"] else text


if __name__ == "__main__":
    main()
