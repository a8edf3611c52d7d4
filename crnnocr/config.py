"""Every option of the library as a frozen dataclass. Defaults live here and nowhere else."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, cast

from crnnocr.errors import ModelError, UsageError

MAX_PIXELS = 50_000_000
"""Pictures of more pixels are refused, unread."""

MAX_WIDTH = 32_768
"""Lines that would be wider than this at the model's height are squeezed to it, in pixels."""

NORM_EPSILON = 1e-5
"""What batch normalisation adds to the variance."""

Size = TypeVar("Size")
"""An `int`, or an integer array or tensor of sizes."""

Pair: TypeAlias = tuple[int, int]


def _output_size(size: Size, kernel: int, stride: int, padding: int) -> Size:
    given: Any = size
    # Nothing in gives nothing out, though padding alone would fill a window.
    return cast("Size", ((given + 2 * padding - kernel) // stride + 1) * (given > 0))


@dataclass(frozen=True)
class Conv:
    """A convolution over the picture, its normalisation and a ReLU."""

    channels: int
    """Output channels."""
    kernel: Pair = (3, 3)
    """Height and width of the kernel."""
    padding: Pair = (1, 1)
    """Zero padding above and below, and left and right, in pixels of its input."""
    norm: bool = True
    """Batch normalisation before the ReLU."""

    stride: ClassVar[Pair] = (1, 1)

    def output_size(self, size: Size, axis: Literal[0, 1]) -> Size:
        """Rows (axis 0) or columns (axis 1) that this layer makes of `size`."""
        return _output_size(size, self.kernel[axis], self.stride[axis], self.padding[axis])


@dataclass(frozen=True)
class Pool:
    """Maximum pooling."""

    kernel: Pair
    """Height and width of the window."""
    stride: Pair
    """Steps down and along, in pixels of its input."""
    padding: Pair = (0, 0)
    """Padding above and below, and left and right; padding never wins the maximum."""

    def output_size(self, size: Size, axis: Literal[0, 1]) -> Size:
        """Rows (axis 0) or columns (axis 1) that this layer makes of `size`."""
        return _output_size(size, self.kernel[axis], self.stride[axis], self.padding[axis])


Layer: TypeAlias = Conv | Pool


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a CRNN: everything that is needed to build it again, but for its charset."""

    preset: str
    """The name this shape goes by."""
    height: int
    """Height in pixels that every line is brought to."""
    backbone: tuple[Layer, ...]
    """The layers over the picture, from first to last."""
    hidden: int
    """Units of each direction of each LSTM layer."""
    projection: int = 0
    """Width of a linear layer between the two LSTM layers; 0 for none."""
    dropout: float = 0.0
    """Share of the sequence features dropped in training, before each LSTM layer and the head."""

    def __post_init__(self) -> None:
        sizes = (self.height, self.hidden, len(self.backbone))
        if not all(isinstance(size, int) and size > 0 for size in sizes) or not 0 <= self.dropout < 1:
            raise ModelError(f"no network has this shape: {self}")

    @functools.cache  # noqa: B019 (there are few shapes)
    def least_width(self, frames: int) -> int:
        """The narrowest line in pixels that gives that many frames."""
        low, high = self.min_width, self.min_width
        while self.frames(high) < frames:
            low, high = high, 2 * high
        return next(width for width in range(low, high + 1) if self.frames(width) >= frames)

    def frames(self, width: Size) -> Size:
        """Number of output frames T for a line of `width` pixels; below 1 where it is too narrow."""
        for layer in self.backbone:
            width = layer.output_size(width, axis=1)
        return width

    def centre(self, frame: float) -> float:
        """Where the middle of what a frame sees lies in the line, in pixels from its left edge."""
        for layer in reversed(self.backbone):
            frame = frame * layer.stride[1] - layer.padding[1] + (layer.kernel[1] - 1) / 2
        return frame + 0.5

    @property
    def min_width(self) -> int:
        """The narrowest line in pixels that gives a frame."""
        return next(width for width in range(1, 1000) if self.frames(width) >= 1)

    @property
    def features(self) -> int:
        """Features of a frame that the backbone hands to the first LSTM layer: channels × remaining height."""
        height, channels = self.height, 1
        for layer in self.backbone:
            height = layer.output_size(height, axis=0)
            channels = layer.channels if isinstance(layer, Conv) else channels
        return channels * height

    def to_json(self) -> dict[str, Any]:
        """This shape as values that JSON can hold; `from_json` reads it back."""
        layers = [{"layer": type(layer).__name__.lower(), **asdict(layer)} for layer in self.backbone]
        return {**asdict(self), "backbone": layers}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ModelConfig:
        """The shape that `to_json` wrote. Raises `ModelError` where it is none."""
        try:
            return cls(**{**data, "backbone": tuple(map(_layer, data["backbone"]))})
        except (KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"the model's shape cannot be read: {error}") from error


def _layer(data: dict[str, Any]) -> Layer:
    kinds: dict[str, Any] = {"conv": Conv, "pool": Pool}
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key != "layer"}
    layer: Layer = kinds[data["layer"]](**values)
    return layer


_HALVE = Pool((2, 2), (2, 2))
_HALVE_HEIGHT = Pool((2, 1), (2, 1))
_PADDED_POOL = Pool((2, 2), (2, 1), (0, 1))

DEFAULT_PRESET = "small"

SCRATCH = "scratch"
"""What `--from` takes for a training that begins anew."""

AUTO = "auto"
"""What `--from` takes for the shipped model of the preset, if there is one."""


def _slim(preset: str, first: tuple[int, int], middle: tuple[int, ...], last: tuple[int, int], hidden: int) -> ModelConfig:
    """A CRNN for lines 40 pixels high, with a frame every 4 pixels, given the channels of its convolutions: two halvings of
    the whole picture, then two of its height alone.
    """
    backbone: list[Layer] = []
    for channels, pool in ((first[:1], _HALVE), (first[1:], _HALVE), (middle, _HALVE_HEIGHT), (last, _HALVE_HEIGHT)):
        backbone += [*map(Conv, channels), pool]
    return ModelConfig(preset=preset, height=40, backbone=tuple(backbone), hidden=hidden, dropout=0.1)


PRESETS: dict[str, ModelConfig] = {
    "tiny": _slim("tiny", (12, 28), (48, 48), (80, 96), hidden=64),
    "small": _slim("small", (16, 40), (72, 72), (112, 144), hidden=96),
    "base": _slim("base", (24, 64), (128, 128, 128), (208, 208), hidden=176),
    # Shi, Bai, Yao 2015 (arXiv 1507.05717), table 1; the linear layer between the LSTM layers is that of the authors' own
    # code, and brings the parameters to the 8.3 million of their table 3.
    "classic": ModelConfig(
        preset="classic",
        height=32,
        backbone=(
            Conv(64, norm=False),
            _HALVE,
            Conv(128, norm=False),
            _HALVE,
            Conv(256, norm=False),
            Conv(256, norm=False),
            _PADDED_POOL,
            Conv(512),
            Conv(512),
            _PADDED_POOL,
            Conv(512, kernel=(2, 2), padding=(0, 0), norm=False),
        ),
        hidden=256,
        projection=256,
    ),
}


DEFAULT_COUNT = 1000
"""Pictures that `synth` draws."""


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**31:
        raise UsageError("--seed takes 0 to 2147483647")


class Style(StrEnum):
    """Looks of drawn pictures."""

    TRDG = "trdg"
    """trdg's own: one grey ink on noisy paper, words of its dictionary."""
    CLEAN = "clean"
    """Dark on light or light on dark, straight, as a screen shows it; blurred and turned by a little."""
    DOCUMENT = "document"
    """Printed pages, scanned, photocopied, thresholded or faxed."""
    SCENE = "scene"
    """Signs, labels and packages, photographed: colours, textures, shadows, slants, curves."""
    RECEIPT = "receipt"
    """Thermal and dot-matrix print."""
    MIXED = "mixed"
    """All of these but trdg's, in turns of chance."""


class Precision(StrEnum):
    """The numbers that a network computes with."""

    FP32 = "fp32"
    """Single precision, as it was trained."""
    INT8 = "int8"
    """Bytes in the convolutions, single precision elsewhere: twice as fast, and hardly less accurate."""


class Invert(StrEnum):
    """Whether black and white are exchanged before reading."""

    NEVER = "never"
    """Pictures are read as they are."""
    AUTO = "auto"
    """Those that are light on dark become dark on light."""
    ALWAYS = "always"
    """All are exchanged."""


class EngineChoice(StrEnum):
    """What runs the network."""

    AUTO = "auto"
    """torch on a GPU, onnxruntime on a CPU."""
    ONNXRUNTIME = "onnxruntime"
    """onnxruntime, on the CPU."""
    TORCH = "torch"
    """torch, on the device."""


class Orientation(StrEnum):
    """Which way a line of text runs. A vertical one is turned against the clock, so that its top becomes its left."""

    HORIZONTAL = "horizontal"
    """Along the picture, in the direction of its script."""
    VERTICAL = "vertical"
    """From the picture's top to its bottom."""
    AUTO = "auto"
    """Of pictures to learn from or to read: vertical where they are much taller than wide."""


class LabelFormat(StrEnum):
    """How the labels of drawn pictures are written for other tools, beside `metadata.jsonl`, which is always there."""

    IMAGEFOLDER = "imagefolder"
    """`metadata.jsonl` alone."""
    CSV = "csv"
    """`labels.csv` with the header `file_name,text`."""
    TSV = "tsv"
    """`labels.tsv`: path, tab, text, without a header."""
    GT_TXT = "gt.txt"
    """`000000.gt.txt` beside each picture."""


@dataclass(frozen=True)
class SynthConfig:
    """What `synth` draws. The picture of an index depends on these and the environment alone."""

    lang: tuple[str, ...] = ("en",)
    """Codes of the languages of the texts; each text is of one of them."""
    seed: int = 0
    """Start of all chance."""
    style: Style = Style.MIXED
    """Looks of the pictures."""
    words: Pair | None = None
    """Fewest and most words of a text; by default as the style has them."""
    chars: Pair | None = None
    """Fewest and most characters of a text; by default as the style has them."""
    text: str | None = None
    """A UTF-8 text file to draw in place of texts made up: its lines as they are or, with `words` or `chars`, its running
    text cut into pieces of that length."""
    charset: str | None = None
    """The characters that texts may hold; by default those of the languages."""
    fonts: str | None = None
    """A folder of font files to draw with, in place of trdg's and those of installed font packages."""
    system_fonts: bool = False
    """Draw with the fonts of this system too."""
    height: int = 32
    """Height of the pictures in pixels; the width, of vertical lines."""
    orientation: Orientation = Orientation.HORIZONTAL
    """Which way the lines run."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "style", Style(self.style))
        object.__setattr__(self, "orientation", Orientation(self.orientation))
        _check_seed(self.seed)
        if self.orientation is Orientation.AUTO:
            raise UsageError("--orientation auto is for pictures that are there: draw horizontal or vertical ones")
        if not self.lang:
            raise UsageError("--lang needs at least one language")
        if self.words and not 1 <= self.words[0] <= self.words[1] <= 50:
            raise UsageError("--words takes a number or a range such as 1-3, of 1 to 50 words")
        if self.chars and not 1 <= self.chars[0] <= self.chars[1] <= 500:
            raise UsageError("--chars takes a number or a range such as 4-12, of 1 to 500 characters")
        if self.charset is not None and not self.charset.strip():
            raise UsageError("--charset needs at least one character that is no space")
        if not 16 <= self.height <= 512:
            raise UsageError("--height must lie between 16 and 512 pixels")
        if self.style is Style.TRDG and self.orientation is Orientation.VERTICAL:
            raise UsageError("--style trdg draws horizontal lines only: choose another style for --orientation vertical")


@dataclass(frozen=True)
class AugmentConfig:
    """How strongly training pictures are changed.

    Each reach is the largest change, drawn for each line between it and nothing; all lines are changed, but where a field
    `…_chance` beside it says how many are.
    """

    changed: float = 0.9
    """Share of the lines that anything happens to; what is said below is of these."""
    stretch: float = 0.12
    """Width, as a share of it."""
    elastic: float = 0.12
    """Width of each part of a line against that of the others, as a share of it."""
    scale: float = 0.08
    """Height of the text, as a share of it."""
    shear: float = 0.15
    """Slant: pixels along for each pixel down."""
    tilt: float = 0.08
    """Rotation: rise over the line (over its height, if it is shorter than high), as a share of the height."""
    wave: float = 0.03
    """Waves of the line's course, as a share of the height."""
    shift: float = 0.05
    """Shift up or down, as a share of the height."""
    loosen: float = 0.15
    """How far each edge of the crop moves outwards, into paper, as a share of the height."""
    tighten: float = 0.03
    """How far each edge of the crop moves inwards, as a share of the height."""
    erase: float = 0.12
    """Width of blots, which are up to twice as high, and three times that of scratches, as a share of the height."""
    erase_chance: float = 0.2
    """Share of the lines with blots or scratches."""
    blur: float = 0.04
    """Standard deviation of the blur the way it is longest, as a share of the height."""
    blur_chance: float = 0.4
    """Share of the lines that are blurred."""
    coarse: float = 0.8
    """Loss of resolution: it is divided by up to 1 more than this."""
    coarse_chance: float = 0.2
    """Share of the lines that lose resolution, of those that are not blurred."""
    noise: float = 0.2
    """Standard deviation of the noise of each pixel, as a share of that of the line."""
    noise_chance: float = 0.5
    """Share of the lines with such noise."""
    grain: float = 0.25
    """Standard deviation of the noise of patches, as a share of that of the line."""
    grain_chance: float = 0.25
    """Share of the lines with such noise."""
    invert_chance: float = 0.1
    """Share of the lines whose black and white are exchanged."""
    gamma: float = 0.2
    """Change of middle grey, with black and white left as they are, where black to white is 2."""
    contrast: float = 0.4
    """Contrast, as a share of it."""
    brightness: float = 0.2
    """Brightness, where black to white is 2."""
    shade: float = 0.4
    """Light that shadows take away along the line, and half as much from top to bottom, as a share of it."""
    shade_chance: float = 0.25
    """Share of the lines in shadow."""

    MOST: ClassVar[dict[str, float]] = {
        "changed": 0.95,
        "stretch": 0.3,
        "elastic": 0.3,
        "scale": 0.2,
        "shear": 0.4,
        "tilt": 0.25,
        "wave": 0.08,
        "shift": 0.12,
        "loosen": 0.3,
        "tighten": 0.04,
        "erase": 0.15,
        "erase_chance": 0.5,
        "blur": 0.05,
        "blur_chance": 0.7,
        "coarse": 1.0,
        "coarse_chance": 0.4,
        "noise": 0.35,
        "noise_chance": 0.8,
        "grain": 0.35,
        "grain_chance": 0.6,
        "invert_chance": 0.3,
        "gamma": 0.35,
        "contrast": 0.6,
        "brightness": 0.4,
        "shade": 0.6,
        "shade_chance": 0.6,
    }
    """Where each of them stops growing, so that texts stay readable."""

    def times(self, strength: float) -> AugmentConfig:
        """These reaches and chances `strength` times: 0 leaves pictures as they are."""
        if not 0 <= strength <= 10:
            raise UsageError("--augment takes 0 (nothing) to 10, where 1 is the usual")
        grown = {name: min(value * strength, max(value, self.MOST[name])) for name, value in asdict(self).items()}
        return AugmentConfig(**grown)


@dataclass(frozen=True)
class DecodeConfig:
    """How texts are found in log-probabilities, and which are possible."""

    beam: int = 0
    """Prefixes that the beam search keeps; 0 takes the best path (greedy), or 10 where something else asks for a search."""
    top_k: int = 1
    """Texts that are found for each line, the best ones."""
    allow: str | None = None
    """The only characters that texts may hold; by default all that the model knows."""
    block: str | None = None
    """Characters that texts may not hold."""
    lexicon: str | None = None
    """A UTF-8 file of the words that texts are made of, one a line."""
    pattern: str | None = None
    """A regular expression that the whole text fits."""
    lm: str | None = None
    """A UTF-8 file of text such as the lines hold; a language model of it makes likely texts more probable."""
    lm_weight: float = 0.5
    """How much the language model counts against the picture."""

    _SEARCH: ClassVar[int] = 10
    """Prefixes that are kept where only other options ask for a search."""

    def __post_init__(self) -> None:
        if not 0 <= self.beam <= 10_000:
            raise UsageError("--beam takes 0 (greedy) to 10000 prefixes")
        if not 1 <= self.top_k <= 10_000:
            raise UsageError("--top-k takes 1 to 10000 texts")
        for name in ("allow", "block", "lexicon", "pattern", "lm"):
            if getattr(self, name) == "":
                raise UsageError(f"--{name} is empty: leave it out to restrict nothing")
        if not 0 <= self.lm_weight <= 10:
            raise UsageError("--lm-weight takes 0 (the picture alone) to 10")

    @property
    def width(self) -> int:
        """Prefixes that the search keeps; 0 where there is none to do."""
        searches = self.beam or self.top_k > 1 or self.lexicon or self.pattern or self.lm
        return max(self.beam or self._SEARCH, self.top_k) if searches else 0


@dataclass(frozen=True)
class ReadConfig:
    """What is done with pictures that are read, and what is said of them."""

    orientation: Orientation | None = None
    """Which way the lines run; by default what the model was trained for. With `auto`, a tall picture is read both ways."""
    invert: Invert = Invert.NEVER
    """Whether black and white are exchanged."""
    characters: bool = False
    """Say of each character where it is and how sure."""
    threads: int | None = None
    """How many threads work; by default one a core."""

    def __post_init__(self) -> None:
        if self.orientation is not None:
            object.__setattr__(self, "orientation", Orientation(self.orientation))
        object.__setattr__(self, "invert", Invert(self.invert))
        if self.threads is not None and self.threads < 1:
            raise UsageError("--threads must be at least 1")


class CharsetChoice(StrEnum):
    """Which characters a model learns."""

    AUTO = "auto"
    """Those of the start model, if there is one, and those of the data."""
    DATA = "data"
    """Those of the data alone."""


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained."""

    preset: str | None = None
    """The model's shape: a name in `PRESETS`; by default that of the start model, else `DEFAULT_PRESET`."""
    start: str = AUTO
    """Where the weights come from: `auto` (the shipped model of the preset, if there is one), `scratch`, or a model's name or
    path."""
    charset: CharsetChoice = CharsetChoice.AUTO
    """Which characters it learns."""
    orientation: Orientation | None = None
    """Which way the lines run; by default that of the start model, else horizontal."""
    freeze: bool = False
    """Leave the convolutions of the start model as they are."""
    synth: str | None = None
    """Draw pictures to learn from beside the data: languages and a style, such as `en` or `en,de:receipt`."""
    mix: float = 0.3
    """Share of drawn pictures among those shown."""
    epochs: int | None = None
    """Times every picture is seen; by default as many as make about `presentations` pictures, within `epoch_limits`."""
    steps: int | None = None
    """Steps of the optimiser, in place of epochs."""
    minutes: float | None = None
    """Wall time of the training, in place of epochs."""
    batch_size: int | None = None
    """Pictures a step, on average, on all devices together; by default what the device is fastest with."""
    augment: float = 1.0
    """How strongly pictures are changed, from 0 (not at all); what is changed, is in `augmentation`."""
    seed: int = 0
    """Start of all chance."""
    deterministic: bool = False
    """Take only kernels that give the same bits each time, also on a GPU."""
    held_out: float = 0.1
    """Share of the pictures that are kept for validation, where no data set is given for it."""
    learning_rate: float = 2e-3
    """Highest learning rate for `base_batch` pictures a step; it grows with the root of their number."""
    base_batch: int = 16
    """Pictures a step that `learning_rate` is for."""
    presentations: int = 30_000
    """Pictures shown in all, each as often as it is seen, when the budget is left to itself."""
    epoch_limits: Pair = (10, 400)
    """Fewest and most epochs when the budget is left to itself."""
    warmup_steps: int = 200
    """Steps over which the learning rate rises; at most a tenth of all, where the budget is in steps."""
    decay_share: float = 0.5
    """Share of the whole training, at its end, over which the learning rate falls to zero."""
    patience: int = 6
    """Validations without a better CER after which the decay starts early."""
    validations: int = 20
    """Validations over the whole training."""
    validation_limit: int = 2000
    """Most held-out pictures that are read at each validation; the kept weights read all of them at the end."""
    weight_decay: float = 0.02
    """Of AdamW, on matrices and kernels."""
    clip_norm: float = 2.0
    """Longest gradient that is taken as it is."""
    auxiliary_weight: float = 0.5
    """Weight of the auxiliary CTC loss on the convolutional features."""
    ema: float = 0.998
    """Share of the averaged weights that a step keeps."""
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)
    """What is changed in pictures at strength 1."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "charset", CharsetChoice(self.charset))
        if self.orientation is not None:
            object.__setattr__(self, "orientation", Orientation(self.orientation))
        if self.preset is not None and self.preset not in PRESETS:
            raise UsageError(f"--preset {self.preset}: choose one of {', '.join(PRESETS)}")
        if sum(budget is not None for budget in (self.epochs, self.steps, self.minutes)) > 1:
            raise UsageError("give one of --epochs, --steps and --minutes")
        for option, value in (("--epochs", self.epochs), ("--steps", self.steps), ("--batch-size", self.batch_size)):
            if value is not None and value < 1:
                raise UsageError(f"{option} must be at least 1")
        if self.minutes is not None and not 0 < self.minutes < 100_000:
            raise UsageError("--minutes must be more than 0")
        if not 0 <= self.augment <= 10:
            raise UsageError("--augment takes 0 (none) to 10, where 1 is usual")
        if not 0 < self.mix < 1:
            raise UsageError("--mix is the share of drawn pictures: more than 0 and less than 1")
        if self.freeze and self.start == SCRATCH:
            raise UsageError("--freeze keeps the convolutions of a start model: name one with --from")
        _check_seed(self.seed)
