"""The documentation says what is there."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_help_pages_are_those_of_the_commands() -> None:
    namespace = runpy.run_path(str(ROOT / "docs/examples/help_pages.py"))
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert namespace["page"](text) == text, "run `make help-pages`"


def test_readme_and_quickstart_give_the_same_lines_and_the_package_test_runs_them() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(?:crnnocr|cp|ls) .*$", readme, flags=re.MULTILINE)
    quickstart = (ROOT / "docs/quickstart.md").read_text(encoding="utf-8")
    package = (ROOT / "tests/package.sh").read_text(encoding="utf-8")
    assert len(lines) == 7
    for line in lines:
        assert line in quickstart
        assert line.partition(" --count")[0] in package


def test_links_between_the_documents_lead_somewhere() -> None:
    for document in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (document.parent / target).exists(), f"{document}: {target}"


def test_the_example_in_the_page_on_export_is_the_one_under_test() -> None:
    code = (ROOT / "docs/examples/read_onnx.py").read_text(encoding="utf-8")
    function = code[code.index("def read(") : code.index("\n\nif __name__")].rstrip()
    assert function in (ROOT / "docs/export.md").read_text(encoding="utf-8")


def test_the_pictures_that_prove_an_export_are_of_the_real_crops() -> None:
    pictures = [path for path in (ROOT / "crnnocr/exporting/pictures").iterdir() if path.suffix in (".png", ".jpg")]
    assert len(pictures) == 8
    for picture in pictures:
        assert picture.read_bytes() == (ROOT / "tests/data/real" / picture.name).read_bytes()


def test_every_real_crop_has_its_label_and_its_source() -> None:
    folder = ROOT / "tests/data/real"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    pictures = sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg"))
    assert len(pictures) == 32
    labels = (folder / "metadata.jsonl").read_text(encoding="utf-8")
    for picture in pictures:
        assert f'"{picture.name}"' in labels
        assert f"`{picture.stem.rsplit('-', 1)[0]}-" in readme
