"""The options of a training; its recipe is in `config.recipe`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crnnocr.config.inference import Orientation
from crnnocr.config.model import DEFAULT_PRESET, PRESETS
from crnnocr.config.options import option, seed_option, validate
from crnnocr.config.recipe import Recipe
from crnnocr.errors import ConfigError

SCRATCH = "scratch"
"""A `start` from random weights."""

OFF = "off"
"""No synthetic images, as `synth`."""

AUTO = "auto"
"""A `start` from the pretrained model, or that of the preset if one is named; a batch size that fits the device."""


class CharsetChoice(StrEnum):
    """Which characters a model learns."""

    AUTO = "auto"
    """Those of the start model, if there is one, and those of the data."""
    DATA = "data"
    """Those of the data alone."""


def _batch_size(text: str) -> int | None:
    if text == AUTO:
        return None
    if not text.isdecimal():
        raise ValueError("give a number, or auto")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Recipe):
    """How a model is trained."""

    preset: str | None = option(
        None,
        f"Architecture of the model; by default the start model's, or {DEFAULT_PRESET} from scratch.",
        metavar="|".join(PRESETS),
        choices=tuple(PRESETS),
    )
    start: str = option(
        AUTO,
        "Where the weights start: the pretrained model, random, or a model of yours.",
        metavar="auto|scratch|NAME|PATH",
        flag="--from",
    )
    freeze: bool = option(False, "Keep the start model's layers before the LSTM as they are.")
    charset: CharsetChoice = option(CharsetChoice.AUTO, "Characters: the start model's and the data's, or the data's alone.")
    orientation: Orientation | None = option(
        None, "Which way the lines run; auto: by each image's shape.  [default: horizontal]"
    )
    """By default that of the start model, if there is one."""
    rows: int | None = option(
        None, "Rows of text in an image; 2 are read one after the other.  [default: 1]", metavar="1|2", min=1, max=2
    )
    """By default those of the start model, if there is one."""
    synth: str | None = option(
        None,
        "Train on synthetic images too, such as en:receipt; off: not even if there are few labels, and these are codes.",
        metavar="LANG[,LANG][:STYLE]|off",
    )
    mix: float = option(0.3, "Share of synthetic images beside those of DATA.", metavar="SHARE", above=0, below=1)
    augment: float = option(1.0, "How strongly images are changed at random; 0 for not.", metavar="STRENGTH", min=0, max=10)
    """Of what `augmentation` says."""
    min_confidence: float = option(
        0.98,
        "Least confidence per character for a prediction in --unlabelled images to be trained on.",
        metavar="P",
        above=0,
        below=1,
    )
    allow: str | None = option(
        None, "The only characters in --unlabelled images, such as 0123456789.", metavar="CHARACTERS", may_be_empty=False
    )
    lexicon: str | None = option(
        None, "The only words in --unlabelled images: a UTF-8 file, one a line.", metavar="FILE", may_be_empty=False
    )
    pattern: str | None = option(
        None,
        "Regular expression that texts in --unlabelled images match, such as [A-Z]{2}\\d{3,5}.",
        metavar="REGEX",
        may_be_empty=False,
    )
    epochs: int | None = option(
        None, "How often each image is seen; by default 10 to 400 times, more often if there are few.", metavar="N", min=1
    )
    steps: int | None = option(None, "Steps of the optimizer, in place of epochs.", metavar="N", min=1)
    minutes: float | None = option(None, "Wall time of the training, in place of epochs.", metavar="M", above=0, below=100_000)
    folds: int | None = option(
        None,
        "Folds of a cross-validation, in place of held-out images; 0 for none.  [default: 4 for up to 200 images]",
        metavar="N",
        min=0,
        max=20,
    )
    """By default `few_folds` for up to `few` images with a start model, else none."""
    batch_size: int | None = option(
        None,
        "Images per step, on average; auto fits the device.",
        metavar="N|auto",
        min=1,
        parse=_batch_size,
        typed_default=AUTO,
    )
    """On all devices together."""
    seed: int = seed_option()
    deterministic: bool = option(False, "Give the same bits each time on a GPU too, which is slower.")

    @property
    def synthetic(self) -> str:
        """The languages and style that `synth` asks for; empty if it asks for none."""
        return "" if self.synth in (None, OFF) else str(self.synth)

    def __post_init__(self) -> None:
        validate(self)
        budgets = [name for name in ("epochs", "steps", "minutes") if getattr(self, name) is not None]
        if len(budgets) > 1:
            raise ConfigError(
                budgets[0], f"and `{budgets[1]}` exclude each other: give only one of `epochs`, `steps` and `minutes`"
            )
        if self.folds == 1:
            raise ConfigError("folds", "1 leaves nothing to train on: give 2 or more, or 0 for held-out images")
        if self.freeze and self.start == SCRATCH:
            raise ConfigError("freeze", "keeps the layers of a start model before its LSTM: name one with `start`")
