"""The documentation agrees with the program."""

import importlib.util
import re
import runpy
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crnnocr.inference.recognizer import Recognizer

ROOT = Path(__file__).parents[1]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
HAS_RAY = importlib.util.find_spec("ray") is not None


def test_the_help_pages_are_those_of_the_commands() -> None:
    namespace = runpy.run_path(str(ROOT / "docs/examples/help_pages.py"))
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert namespace["page"](text) == text, "run `make help-pages`"


def test_readme_and_quickstart_give_the_same_lines_and_the_package_test_runs_them() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    whole_job = readme[readme.index("## The whole job") : readme.index("## Your own crops")]
    lines = re.findall(r"^(?:crnnocr|cp|ls) .*$", whole_job, flags=re.MULTILINE)
    quickstart = (ROOT / "docs/quickstart.md").read_text(encoding="utf-8")
    package = (ROOT / "tests/package.sh").read_text(encoding="utf-8")
    assert len(lines) == 7
    for line in lines:
        assert line in quickstart
        assert line.partition(" --count")[0] in package


def test_the_options_of_the_command_lines_in_the_documents_exist() -> None:
    commands = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    help_pages = dict(re.findall(r"^## crnnocr ([a-z ]+)\n\n```\n(.*?)^```", commands, flags=re.DOTALL | re.MULTILINE))
    known = {command: set(OPTION.findall(text)) for command, text in help_pages.items()}
    unknown = []
    for document in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        text = re.sub(r"\\\n|'[^'\n]*'", "", document.read_text(encoding="utf-8"))
        for command, line in re.findall(rf"\bcrnnocr ({'|'.join(sorted(known, reverse=True))})\b([^`|\n]*)", text):
            unknown += [
                f"{document.name}: {command} {option}" for option in OPTION.findall(line) if option not in known[command]
            ]
    assert not unknown


def test_links_between_the_documents_lead_somewhere() -> None:
    broken = []
    for document in (ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md")):
        for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
            name, _, anchor = link.partition("#")
            target = document.parent / name if name else document
            if not link.startswith("https://") and not (target.exists() and (not anchor or anchor in anchors(target))):
                broken.append(f"{document.name}: {link}")
    assert not broken


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page, repeated ones with a number."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} +(.+?) *$", text, flags=re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        found.append(re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-"))
    return {f"{anchor}-{count}" if (count := found[:n].count(anchor)) else anchor for n, anchor in enumerate(found)}


def test_anchors_are_those_of_github(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# The `987` protocol, twice!\n\n```\n# no heading\n```\n\n## [A link](b.md) – here\n\n## Here\n\n### Here\n"
    )
    assert anchors(page) == {"the-987-protocol-twice", "a-link--here", "here", "here-1"}


def test_the_examples_in_the_page_on_export_are_those_under_test() -> None:
    page = (ROOT / "docs/export.md").read_text(encoding="utf-8")
    code = (ROOT / "docs/examples/read_onnx.py").read_text(encoding="utf-8")
    function = code[code.index("def recognize(") : code.index("\n\nif __name__")].rstrip()
    assert function in page
    script = (ROOT / "docs/examples/read_onnx.mjs").read_text(encoding="utf-8")
    assert script[script.index("const [folder") :].rstrip() in page


def test_the_example_in_the_page_on_scaling_is_the_one_under_test() -> None:
    code = (ROOT / "docs/examples/ray_data.py").read_text(encoding="utf-8")
    part = code[code.index("class Predictor") : code.index("if __name__")].rstrip()
    assert f"```python\n{part}\n```" in (ROOT / "docs/scaling.md").read_text(encoding="utf-8")


def test_the_python_examples_import_what_there_is() -> None:
    imports = set()
    for document in ROOT.glob("docs/*.md"):
        for code in re.findall(r"^```python\n(.*?)^```", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE):
            imports.update(re.findall(r"^from crnnocr.*$", code, flags=re.MULTILINE))
    assert len(imports) > 5
    exec("\n".join(imports), {})


@pytest.fixture
def ray_example(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The example, which imports Ray for its datasets only."""
    if not HAS_RAY:
        monkeypatch.setitem(sys.modules, "ray", types.ModuleType("ray"))
    return runpy.run_path(str(ROOT / "docs/examples/ray_data.py"))


def test_the_example_for_ray_reads_batches(ray_example: dict[str, Any], tiny_model: Path, tiny_data: Path) -> None:
    files = sorted(tiny_data.glob("*.png"))[:5]
    batch = {
        "path": np.array(list(map(str, files))),
        "bytes": np.array([f.read_bytes() for f in files] + [b"no"], dtype=object),
    }
    batch["path"] = np.append(batch["path"], "broken")
    rows = ray_example["Predictor"](str(tiny_model))(batch)
    texts = [prediction.text for prediction in Recognizer.load(tiny_model, "cpu").predict(files)]
    assert rows["text"] == [*texts, ""]
    assert [bool(error) for error in rows["error"]] == [False] * 5 + [True]


@pytest.mark.skipif(not HAS_RAY, reason="needs the extra `ray`")
def test_the_example_for_ray_runs_on_ray(ray_example: dict[str, Any], tiny_model: Path, tiny_data: Path) -> None:
    rows = ray_example["predict_folder"](str(tiny_model), str(tiny_data), actors=1).take_all()
    assert {Path(row["path"]).name for row in rows} == {path.name for path in tiny_data.glob("*.png")}
    assert not any(row["error"] for row in rows)


def test_verification_images_are_real_crops() -> None:
    images = [path for path in (ROOT / "crnnocr/export/verification_images").iterdir() if path.suffix in (".png", ".jpg")]
    assert len(images) == 8
    for image in images:
        assert image.read_bytes() == (ROOT / "tests/data/real" / image.name).read_bytes()


def test_every_real_crop_has_its_label_and_its_source() -> None:
    folder = ROOT / "tests/data/real"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    images = sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg"))
    assert len(images) == 32
    labels = (folder / "metadata.jsonl").read_text(encoding="utf-8")
    for image in images:
        assert f'"{image.name}"' in labels
        assert f"`{image.stem.rsplit('-', 1)[0]}-" in readme


def test_the_architecture_names_what_there_is() -> None:
    """Modules and packages that the page names in backticks are in the tree."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py|[a-z_]+(?:/[a-z_]+)*/)`", text))
    assert len(named) > 20
    patterns = ("crnnocr/**/*.py", "recipes/*.py", "tests/*.py")
    files = {str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)}
    folders = {f"{path.relative_to(ROOT)}/" for path in ROOT.glob("**/") if ".venv" not in path.parts}
    missing = [name for name in named if not any(there.endswith(f"/{name}") or there == name for there in files | folders)]
    assert not missing
