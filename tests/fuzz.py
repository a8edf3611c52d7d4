"""Changes good files at random, and gives them to crnnocr: each is read, or is an error in one sentence.

`python tests/fuzz.py --count 2000` runs as many inputs of each kind, and ends with 1 if one of them gives a traceback, takes
too long or too much memory, ends the process, or has something opened outside its folder. Inputs are seeded:
`--kind model --show 17` writes that one to a file, and runs it alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from fuzz_child import mutated
from fuzz_kinds import KINDS

_CHUNK = 2000
"""Inputs of one process."""
_MAX_FAILURES = 50
"""Processes that may end early before a kind is given up."""


@dataclass
class Result:
    """Counts of the inputs of one kind by their outcome."""

    kind: str
    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    """CPU seconds of the slowest input."""
    memory: int = 0
    """Kilobytes of the largest process."""
    failures: list[dict[str, Any]] = field(default_factory=list)
    """Index and traceback of each input that failed."""

    def add(self, report: dict[str, Any], memory: int) -> None:
        self.read += report["counts"]["read"]
        self.refused += report["counts"]["refused"]
        self.slowest, self.memory = max(self.slowest, report["slowest"]), max(self.memory, memory)
        self.failures += report["failures"]

    @property
    def row(self) -> str:
        return (
            f"{self.kind:24} {self.read:>8,} read {self.refused:>8,} refused {len(self.failures):>4} failed "
            f"{self.slowest:>6.2f} s {self.memory / 1000:>5.0f} MB"
        )


@dataclass
class Ended:
    """A process that ended before it had run all inputs."""

    kind: str
    index: int
    """The input that it was at; -1 if it was at none yet."""
    what: str


def fuzz(kind: str, count: int, seed: int = 0, first: int = 0) -> Result:
    """Run inputs of one kind in processes of their own, past those that end the process."""
    result, index, end = Result(kind), first, first + count
    while index < end and len(result.failures) < _MAX_FAILURES:
        some = min(_CHUNK, end - index)
        report = _run([kind], seed, index, some)
        if not isinstance(report, Ended):
            result.add(report["kinds"][kind], report["memory"])
            index += some
            continue
        result.failures.append({"index": report.index, "what": report.what})
        if report.index < 0:
            break
        if report.index > index:  # those before it are not counted yet
            before = _run([kind], seed, index, report.index - index)
            if not isinstance(before, Ended):
                result.add(before["kinds"][kind], before["memory"])
        index = report.index + 1
    return result


def run(kinds: list[str], count: int, seed: int = 0) -> list[Result]:
    """Run inputs of several kinds in one process. If it ends, what was before is not counted."""
    report = _run(kinds, seed, 0, count)
    if isinstance(report, Ended):
        return [Result(report.kind, failures=[{"index": report.index, "what": report.what}])]
    results = [Result(kind) for kind in kinds]
    for result in results:
        result.add(report["kinds"][result.kind], report["memory"])
    return results


def _run(kinds: list[str], seed: int, first: int, count: int) -> dict[str, Any] | Ended:
    """The report of a process."""
    child, root = Path(__file__).with_name("fuzz_child.py"), Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        directories = {key: str(folder / f".{key}") for key in ("CRNNOCR_DATA_DIR", "CRNNOCR_CACHE_DIR", "TMPDIR", "HOME")}
        for path in directories.values():
            Path(path).mkdir()
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
        environment = {
            **os.environ,
            **directories,
            **threads,
            "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]),
            "PYTHONHASHSEED": "0",
        }
        command = [sys.executable, str(child), ",".join(kinds), *map(str, (seed, first, count)), str(folder)]
        done = subprocess.run(command, env=environment, capture_output=True, cwd=folder, check=False)
        if (folder / "report.json").is_file():
            report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
            return report
        at = (folder / "at").read_text(encoding="ascii").split() if (folder / "at").is_file() else []
        what = f"the process ended with {done.returncode}: {done.stderr.decode('utf-8', 'replace')[-3000:]}"
        return Ended(at[0], int(at[1]), what) if at else Ended(kinds[0], -1, what)


def show(kind: str, seed: int, index: int, folder: Path) -> Path:
    """Write one input to a folder, and run it alone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seeds = {path: path.read_bytes() for path in KINDS[kind].make(folder)}
    path, content = mutated(KINDS[kind], kind, seed, index, seeds)
    path.write_bytes(content)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200, help="inputs of each kind")
    parser.add_argument("--kind", action="append", help="only kinds that begin so; repeatable")
    parser.add_argument("--seed", type=int, default=0, help="other inputs")
    parser.add_argument("--first", type=int, default=0, help="index of the first input")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--json", action="store_true", help="results as JSON on stdout")
    parser.add_argument("--show", type=int, metavar="INDEX", help="write the input of this index of one kind, and run it")
    options = parser.parse_args()
    kinds = [name for name in KINDS if not options.kind or name.startswith(tuple(options.kind))]
    if options.show is not None:
        path = show(kinds[0], options.seed, options.show, Path("fuzz-input"))
        print(path, file=sys.stderr)
        KINDS[kinds[0]].use(path)
        return 0
    results = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(lambda kind: fuzz(kind, options.count, options.seed, options.first), kinds):
            results.append(result)
            print(result.row, file=sys.stderr, flush=True)
            for failure in result.failures[:3]:
                print(f"  {result.kind} {failure['index']}: {failure['what']}", file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps([vars(result) for result in results]))
    return any(result.failures for result in results)


if __name__ == "__main__":
    sys.exit(main())
