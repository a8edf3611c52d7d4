"""The training recipe: what is tuned once and no option of the command line."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from crnnocr.config.options import Range


def _strength(usual: float, limit: float) -> float:
    """A strength of 1 is `usual`; it grows to `limit`, past which texts would be illegible."""
    return field(default=usual, metadata={"limit": limit})


@dataclass(frozen=True)
class AugmentConfig:
    """How strongly training images are changed.

    Each value is the largest change; that of a line is drawn between it and nothing. All lines are changed, unless a field
    `…_chance` beside it says how many are.
    """

    changed: float = _strength(0.9, limit=0.95)
    """Share of the lines that anything happens to; the shares below are of these."""
    stretch: float = _strength(0.12, limit=0.3)
    """Width of the line, as a share of it."""
    elastic: float = _strength(0.12, limit=0.3)
    """Width of each part of a line against that of the others, as a share of it."""
    scale: float = _strength(0.08, limit=0.2)
    """Height of the text, as a share of it."""
    shear: float = _strength(0.15, limit=0.4)
    """Slant: pixels along for each pixel down."""
    tilt: float = _strength(0.08, limit=0.25)
    """Rotation: rise over the line (over its height, if it is shorter than high), as a share of the height."""
    wave: float = _strength(0.03, limit=0.08)
    """Waves of the baseline, as a share of the height."""
    shift: float = _strength(0.05, limit=0.12)
    """Shift up or down, as a share of the height."""
    loosen: float = _strength(0.15, limit=0.3)
    """How far each edge of the crop moves outwards, into background, as a share of the height."""
    tighten: float = _strength(0.03, limit=0.04)
    """How far each edge of the crop moves inwards, as a share of the height."""
    erase: float = _strength(0.12, limit=0.15)
    """Width of blots, as a share of the height; they are up to twice as high, and three times as wide as scratches."""
    erase_chance: float = _strength(0.2, limit=0.5)
    """Share of the lines with blots or scratches."""
    blur: float = _strength(0.04, limit=0.05)
    """Standard deviation of the blur along its longer axis, as a share of the height."""
    blur_chance: float = _strength(0.4, limit=0.7)
    """Share of the lines that are blurred."""
    coarse: float = _strength(0.8, limit=1.0)
    """Loss of resolution: it is divided by up to 1 + this."""
    coarse_chance: float = _strength(0.2, limit=0.4)
    """Share of the lines that lose resolution, among those that are not blurred."""
    noise: float = _strength(0.2, limit=0.35)
    """Standard deviation of the noise per pixel, as a share of that of the line."""
    noise_chance: float = _strength(0.5, limit=0.8)
    """Share of the lines with such noise."""
    grain: float = _strength(0.25, limit=0.35)
    """Standard deviation of the noise per patch, as a share of that of the line."""
    grain_chance: float = _strength(0.25, limit=0.6)
    """Share of the lines with such noise."""
    invert_chance: float = _strength(0.1, limit=0.3)
    """Share of the lines whose black and white are exchanged."""
    gamma: float = _strength(0.2, limit=0.35)
    """Change of middle gray, on a scale where black to white is 2; black and white stay."""
    contrast: float = _strength(0.4, limit=0.6)
    """Contrast, as a share of it."""
    brightness: float = _strength(0.2, limit=0.4)
    """Brightness, on a scale where black to white is 2."""
    shade: float = _strength(0.4, limit=0.6)
    """Light that a shadow takes away along the line, as a share of it; half as much from top to bottom."""
    shade_chance: float = _strength(0.25, limit=0.6)
    """Share of the lines in shadow."""

    def times(self, strength: float) -> AugmentConfig:
        """These changes and chances times `strength`: 0 leaves images as they are."""
        values = ((each.name, getattr(self, each.name), each.metadata["limit"]) for each in fields(self))
        return AugmentConfig(**{name: min(value * strength, max(value, limit)) for name, value, limit in values})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the weights are trained."""

    bfloat16: bool | None = None
    """Convolutions in bfloat16 on a CPU too; by default if a start model gives the weights, and the CPU has
    instructions for it: 1.2 to 2 times as fast."""
    held_out: float = 0.1
    """Share of the images in the validation split, if no validation data is given."""
    few: int = 200
    """Most images that a start model is cross-validated on by default, so that none is kept from the training."""
    unlabeled_limit: int = 3_000
    """Most unlabeled images that are used: all are recognized in each round of pseudo-labels."""
    few_codes: int = 40
    """Most images of codes beside which a start model is by default trained on synthetic ones of the same form, too."""
    few_folds: int = 4
    """Parts of this cross-validation."""
    learning_rate: float = 4e-3
    """Highest learning rate for `base_batch` images per step. It grows with the root of the batch size, up to `rate_growth`
    times."""
    bare_rate: float = 0.5
    """Share of it for networks with convolutions that are not normalized."""
    bare_start_rate: float = 0.05
    """The same if a start model gives the weights: what these know does not survive more."""
    rate_growth: float = 2.0
    """Limit of that growth."""
    base_batch: int = 16
    """Batch size that `learning_rate` is for."""
    total_samples: int = 30_000
    """Samples seen in the whole training, each as often as it is seen, if no budget is given."""
    epoch_limits: Range = (10, 400)
    """Fewest and most epochs, if no budget is given."""
    warmup_steps: int = 200
    """Steps over which the learning rate rises; at most a tenth of a budget in steps."""
    decay_share: float = 0.5
    """Share of the training, at its end, over which the learning rate falls to zero."""
    patience: int = 6
    """Validations without a better CER after which the decay starts early."""
    validations: int = 20
    """Validations in the whole training."""
    validation_limit: int = 2000
    """Most images of the validation split that each validation recognizes; the kept weights are scored on all at the end."""
    weight_decay: float = 0.02
    """Of AdamW, on matrices and kernels."""
    clip_norm: float = 2.0
    """Norm to which a longer gradient is clipped."""
    auxiliary_weight: float = 0.5
    """Weight of the auxiliary CTC loss on the convolutional features."""
    ema: float = 0.998
    """Decay of the exponential moving average of the weights, per step."""
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)
    """Changes at strength 1."""
