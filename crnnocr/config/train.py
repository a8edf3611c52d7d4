"""How a model is trained, and how training pictures are changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import ClassVar

from crnnocr.config.inference import Orientation, Pair
from crnnocr.config.model import PRESETS
from crnnocr.config.synth import check_seed
from crnnocr.errors import UsageError

SCRATCH = "scratch"
"""What `--from` takes for a training that begins anew."""

AUTO = "auto"
"""What `--from` takes for the shipped model of the preset, if there is one."""


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
    bfloat16: bool = False
    """Compute in bfloat16 on a CPU, too, which is quicker where the network is wide and the CPU has instructions for it."""
    held_out: float = 0.1
    """Share of the pictures that are kept for validation, where no data set is given for it."""
    learning_rate: float = 4e-3
    """Highest learning rate for `base_batch` pictures a step, half of it where some convolutions are not normalised; it grows
    with the root of their number, up to `rate_growth` times."""
    rate_growth: float = 2.0
    """Most that the learning rate grows by, however many pictures a step has."""
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
        self.augmentation.times(self.augment)  # which says where that is too much
        if not 0 < self.mix < 1:
            raise UsageError("--mix is the share of drawn pictures: more than 0 and less than 1")
        if self.freeze and self.start == SCRATCH:
            raise UsageError("--freeze keeps the convolutions of a start model: name one with --from")
        check_seed(self.seed)
