"""Shared by the tests: an own registry for each, a tiny data set and model made once, and two ways to run the command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from crnnocr.cli import app
from crnnocr.config import PRESETS, Conv, ModelConfig, Pool, Style, SynthConfig, TrainConfig
from crnnocr.model import registry

if TYPE_CHECKING:
    from chromium import Chromium

# Networks this small are faster on one thread, in this process and in those that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests that import onnxruntime themselves send nothing either.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Modules beside the tests can be imported, also by worker processes.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the pretrained models, or the models of whoever runs it. Returns the data directory, not there yet."""
    data = tmp_path / "store"
    monkeypatch.setenv("CRNNOCR_DATA_DIR", str(data))
    monkeypatch.setenv("CRNNOCR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "PRETRAINED_FOLDER", tmp_path / "pretrained")
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR", "CRNNOCR_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    return data


@pytest.fixture(scope="session")
def tiny_config() -> ModelConfig:
    """A CRNN that overfits to eight words within three seconds."""
    layers = (Conv(12), Pool((2, 2), (2, 2)), Conv(24), Pool((2, 1), (2, 1)), Conv(48), Pool((4, 1), (4, 1)))
    return ModelConfig(preset="tiny", height=16, backbone=layers, hidden=48)


@pytest.fixture
def tiny_preset(tiny_config: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a preset that is the tiny config in this test."""
    monkeypatch.setitem(PRESETS, "tiny", tiny_config)
    return "tiny"


@pytest.fixture(scope="session")
def overfit_config() -> TrainConfig:
    """Options under which a tiny model overfits to a few images."""
    return TrainConfig(
        start="scratch", epochs=130, batch_size=8, warmup_steps=10, learning_rate=4e-2, validations=4, ema=0.95, augment=0
    )


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 images in trdg's style, of one English word each. Not to be written to."""
    from crnnocr.synth.dataset.folder import generate

    folder = tmp_path_factory.mktemp("tiny") / "data"
    assert list(generate(folder, SynthConfig(style=Style.TRDG, words=(1, 1)), 40))[-1] == 40
    return folder


@pytest.fixture(scope="session")
def tiny_model(
    tiny_data: Path, tiny_config: ModelConfig, overfit_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The file of a model that is overfitted to the first 8 images of the tiny data set. Not to be written to."""
    import numpy as np
    import torch

    from crnnocr.datasets.detection import load_dataset
    from crnnocr.datasets.lines import load_lines
    from crnnocr.images import Preprocessor
    from crnnocr.model import checkpoint
    from crnnocr.model.card import Card
    from crnnocr.model.crnn import CRNN
    from crnnocr.text.charset import Charset
    from crnnocr.training.batching import BatchSampler
    from crnnocr.training.loader import Loader
    from crnnocr.training.prepare import fitting
    from crnnocr.training.schedule import Budget
    from crnnocr.training.trainer import Trainer

    samples = load_dataset(tiny_data).samples
    charset = Charset.from_texts(sample.text for sample in samples)
    lines = fitting(load_lines(samples[:8], Preprocessor.for_model(tiny_config))[0], charset, tiny_config)
    none = lines.subset(np.zeros(len(lines), dtype=bool))
    torch.manual_seed(0)
    card, model = Card("tiny", charset, tiny_config), CRNN(tiny_config, charset.classes)
    sampler = BatchSampler(len(lines), 8, overfit_config.seed)
    budget = Budget(overfit_config, sampler.samples_per_epoch, sampler.steps_per_epoch)
    trainer = Trainer(model, card, none, overfit_config, budget, torch.device("cpu"), sampler.batch_size)
    with Loader(
        sampler, lines, iter(()), charset, tiny_config, overfit_config.augmentation.times(overfit_config.augment)
    ) as loader:
        for _ in trainer.train(loader):
            pass
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    checkpoint.save(path, card, model, lines.content_ids.tolist())
    return path


@pytest.fixture
def current_model(tiny_model: Path, own_registry: Path) -> str:
    """The name of the tiny model, which is the current one in the test's own registry."""
    path = registry.path_of("tiny")
    path.parent.mkdir(parents=True)
    path.write_bytes(tiny_model.read_bytes())
    registry.make_current("tiny")
    return "tiny"


@pytest.fixture(scope="session")
def plain_synth(tmp_path_factory: pytest.TempPathFactory) -> SynthConfig:
    """Clean images of ten lines in two fonts: quick to set up and to render."""
    from synthetic_sets import LINES, lines_of

    from crnnocr.synth.trdg import font_files

    folder = tmp_path_factory.mktemp("plain")
    lines_of(folder / "lines.txt", *LINES)
    (folder / "fonts").mkdir()
    for path in font_files("en"):
        if path.name in ("Roboto-Regular.ttf", "OpenSans-Italic.ttf"):
            shutil.copy(path, folder / "fonts")
    return SynthConfig(style=Style.CLEAN, text=str(folder / "lines.txt"), fonts=str(folder / "fonts"))


@pytest.fixture
def plain_options(plain_synth: SynthConfig) -> list[str]:
    """The command line options of `plain_synth`."""
    return ["--style", "clean", "--text", str(plain_synth.text), "--fonts", str(plain_synth.fonts)]


@pytest.fixture(scope="session")
def run_cli() -> Callable[..., Result]:
    """Runs `crnnocr ARGUMENTS` in this process: `run_cli("predict", path, stdin=b"")`."""

    def run(*arguments: object, stdin: bytes = b"") -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture(scope="session")
def run_process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python ARGUMENTS` in a fresh process: `run_process("-m", "crnnocr", "--version")`."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *(str(argument) for argument in arguments)]
        given = {"input": "", **options} if "stdin" not in options else options
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=120, **given)

    return run


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser with a page."""
    import chromium

    if chromium.PROGRAM is None:
        pytest.skip("needs Chromium")
    with chromium.Chromium(tmp_path_factory.mktemp("profile")) as one:
        yield one
