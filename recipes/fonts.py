"""Collect the fonts that crnnocr's models were trained on in one folder: those of trdg and of `crnnocr[fonts]`, and the 481
families of `fonts.txt`, which come from npm. All are under OFL-1.1 or Apache-2.0.

    python recipes/fonts.py FOLDER
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from fontTools.ttLib import TTFont

from crnnocr.synth.fonts import files

PACKAGES = Path(__file__).with_name("fonts.txt")
VARIANTS = ("400-normal", "400-italic", "700-normal")
"""Weight and slope of the files that are taken of a family; another file if it has none of these."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for path in files.installed():
        shutil.copyfile(path, folder / path.name)
    packages = [line for line in PACKAGES.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    with tempfile.TemporaryDirectory() as temporary:
        fetched = fetch(packages, Path(temporary))
        for family in fetched:
            for path in latin(family):
                font = TTFont(path)
                font.flavor = None  # no longer compressed for the web
                font.save(folder / f"{path.stem}.ttf")
    print(f"{folder}: {len(list(folder.iterdir()))} files, of {len(fetched)} packages and of those that are installed")


def fetch(packages: list[str], folder: Path) -> list[Path]:
    """Install packages below `folder`. Returns the folder of each."""
    (folder / "package.json").write_text("{}", encoding="utf-8")
    subprocess.run(["npm", "install", "--silent", "--no-package-lock", "--ignore-scripts", *packages], cwd=folder, check=True)
    return [folder / "node_modules" / package.rpartition("@")[0] for package in packages]


def latin(family: Path) -> list[Path]:
    """The files of a family that are taken."""
    found = sorted((family / "files").glob(f"{family.name}-latin-[0-9]*.woff"))
    return [path for path in found if path.stem.endswith(VARIANTS)] or found[:1]


if __name__ == "__main__":
    main()
