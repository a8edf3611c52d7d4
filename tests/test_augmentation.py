"""Augmentation: small random changes to training images that keep them readable."""

from __future__ import annotations

import math
from dataclasses import asdict, fields

import pytest
import torch
from torch import Tensor

from crnnocr.config import AugmentConfig
from crnnocr.training.augmentation import COLUMN_STEP, augment

HEIGHT = 32
"""Of the images, in pixels."""

NAMES = list(asdict(AugmentConfig()))
"""Of all reaches and probabilities."""

CHANCES = [name for name in NAMES if name.endswith("_chance")]

EFFECTS = [name for name in NAMES if name != "changed" and name not in CHANCES] + ["invert_chance"]

WILD = AugmentConfig(
    **{
        **dict.fromkeys(NAMES, 1.0),
        "stretch": 0.9,
        "elastic": 0.9,
        "scale": 0.5,
        "blur": 0.2,
        "contrast": 3,
        "brightness": 2,
        "noise": 2,
    }
)
"""Changes far beyond the defaults, to press against every bound."""


def only(**reaches: float) -> AugmentConfig:
    """These changes, each to every line, and no other."""
    chances = {f"{name}_chance": 1.0 for name in reaches if f"{name}_chance" in NAMES}
    return AugmentConfig(**{**dict.fromkeys(NAMES, 0.0), "changed": 1, **chances, **reaches})


def lines(*widths: int) -> tuple[Tensor, Tensor]:
    """A batch of noise images from -1 to 1, zero right of each one's width."""
    images = torch.rand((len(widths), 1, HEIGHT, max(widths)), generator=torch.Generator().manual_seed(0)) * 2 - 1
    for image, width in zip(images, widths, strict=True):
        image[:, :, width:] = 0
    return images, torch.tensor(widths)


def white(count: int, width: int) -> tuple[Tensor, Tensor]:
    """A batch of empty white images of one width."""
    return torch.ones((count, 1, HEIGHT, width)), torch.full((count,), width)


def changed(
    images: Tensor, widths: Tensor, config: AugmentConfig, seed: int = 0, min_width: int = 2, min_widths: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The batch, augmented with this seed, without the columns that round its width up."""
    images, widths = augment(images, widths, config, min_width, torch.Generator().manual_seed(seed), min_widths)
    assert images.shape[3] == -(-int(widths.max()) // COLUMN_STEP) * COLUMN_STEP
    assert not images[:, :, :, int(widths.max()) :].any()
    return images[:, :, :, : int(widths.max())], widths


def assert_near(images: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    """Resampling at the very pixels misses their centers by millionths of a pixel: the numbers are 32-bit."""
    torch.testing.assert_close(images, expected, rtol=0, atol=tolerance)


# Randomness


def test_the_same_seed_makes_the_same_change() -> None:
    batch = lines(40, 100, 7)
    first, first_widths = changed(*batch, AugmentConfig(), seed=3)
    again, again_widths = changed(*batch, AugmentConfig(), seed=3)
    assert torch.equal(first, again)
    assert torch.equal(first_widths, again_widths)


def test_random_numbers_come_from_the_generator_alone() -> None:
    batch = lines(40, 100)
    torch.manual_seed(1)
    first, _ = changed(*batch, AugmentConfig())
    state = torch.get_rng_state()
    torch.manual_seed(2)
    again, _ = changed(*batch, AugmentConfig())
    assert torch.equal(first, again)
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())  # and torch's own generator is untouched


def test_another_seed_makes_another_change() -> None:
    batch = lines(100)
    first, first_widths = changed(*batch, only(stretch=0.1, contrast=0.4), seed=3)
    other, other_widths = changed(*batch, only(stretch=0.1, contrast=0.4), seed=4)
    assert not torch.equal(first_widths, other_widths) or not torch.allclose(first, other, atol=0.1)


def test_each_line_of_a_batch_is_changed_by_itself() -> None:
    images, widths = lines(100)
    pair, _ = changed(images.repeat(2, 1, 1, 1), widths.repeat(2), only(contrast=0.4, noise=0.2))
    assert not torch.allclose(pair[0], pair[1], atol=0.1)


def test_the_input_is_not_changed() -> None:
    images, widths = lines(40, 100)
    before, widths_before = images.clone(), widths.clone()
    changed(images, widths, WILD)
    assert torch.equal(images, before)
    assert torch.equal(widths, widths_before)


def test_a_share_of_the_lines_is_left_alone() -> None:
    images, widths = lines(*[40] * 400)
    config = AugmentConfig(**{**asdict(only(contrast=0.4, noise=0.3, blur=0.04, shift=0.1)), "changed": 0.7})
    same = (changed(images, widths, config)[0] - images).abs().amax(dim=(1, 2, 3)) < 1e-3
    assert 0.2 < same.float().mean() < 0.4  # 0.3, and four times its deviation of 0.023


@pytest.mark.parametrize("name", CHANCES)
def test_a_probability_is_the_share_of_lines_that_are_changed(name: str) -> None:
    images, widths = lines(*[40] * 400)
    effect = name.removesuffix("_chance")
    config = AugmentConfig(**{**asdict(only(**({effect: 0.5} if effect in NAMES else {}))), name: 0.3})
    share = ((changed(images, widths, config)[0] - images).abs().amax(dim=(1, 2, 3)) > 1e-3).float().mean()
    assert 0.2 < share < 0.4  # 0.3, and four times its deviation of 0.023


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_images_on_a_gpu_are_changed_there() -> None:
    images, widths = lines(40, 100)
    new_images, new_widths = augment(images.cuda(), widths, WILD, 2, torch.Generator("cuda").manual_seed(0))
    assert new_images.device.type == "cuda"
    assert new_widths.device.type == "cpu"


# Strength


def test_at_strength_0_everything_stays_exactly_as_it_is() -> None:
    images, widths = lines(40, 100, 7)
    same, same_widths = changed(torch.nn.functional.pad(images, (0, 28)), widths, AugmentConfig().times(0))
    assert torch.equal(same, images)
    assert torch.equal(same_widths, widths)


def test_strength_1_is_the_usual() -> None:
    assert AugmentConfig().times(1) == AugmentConfig()


def test_reaches_and_probabilities_grow_with_the_strength_up_to_their_bounds() -> None:
    half, usual, double, wild = (asdict(AugmentConfig().times(strength)) for strength in (0.5, 1, 2, 10))
    assert half == pytest.approx({name: value / 2 for name, value in usual.items()})
    assert double["stretch"] == pytest.approx(2 * usual["stretch"])
    limits = {field.name: field.metadata["limit"] for field in fields(AugmentConfig)}
    assert all(usual[name] < double[name] <= wild[name] == limits[name] for name in NAMES)
    assert all(wild[name] < 1 for name in [*CHANCES, "changed"])


# All together


@pytest.mark.parametrize("config", [AugmentConfig(), WILD])
def test_all_is_zero_right_of_the_new_widths_and_nowhere_beyond_black_and_white(config: AugmentConfig) -> None:
    for seed in range(20):
        images, widths = changed(*lines(1, 5, 40, 100, 333), config, seed)
        assert images.shape == (5, 1, HEIGHT, int(widths.max()))
        assert widths.dtype == torch.int64
        assert images.abs().max() <= 1
        for image, width in zip(images, widths.tolist(), strict=True):
            assert not image[:, :, width:].any()
            assert image[:, :, :width].any()


def test_without_any_reach_the_image_stays_as_it_is() -> None:
    images, widths = lines(40, 100, 7)
    same, same_widths = changed(images, widths, only())
    assert torch.equal(same_widths, widths)
    assert_near(same, images)


@pytest.mark.parametrize("effect", EFFECTS)
def test_every_effect_changes_the_image_by_itself(effect: str) -> None:
    images, widths = lines(*[100] * 8)  # eight draws, of which some are not near nothing
    new_images, new_widths = changed(images, widths, only(**{effect: 0.5}))
    assert torch.equal(new_widths, widths) == (effect not in ("stretch", "shear", "loosen", "tighten"))
    assert new_images.shape != images.shape or not torch.allclose(new_images, images, atol=0.1)


@pytest.mark.parametrize("height", [16, 48])
def test_lines_of_other_heights_are_changed_too(height: int) -> None:
    images = torch.rand((4, 1, height, 60), generator=torch.Generator().manual_seed(0)) * 2 - 1
    new_images, _ = changed(images, torch.full((4,), 60), AugmentConfig().times(2))
    assert new_images.shape[2] == height


def test_what_comes_into_view_is_the_line_s_own_paper() -> None:
    # A line all of one gray stays so to its last column, whatever is beside it in the batch: no zero comes in.
    config = AugmentConfig(gamma=0, contrast=0, brightness=0, shade=0, invert_chance=0)
    images, widths = lines(5, 40, 100)
    for seed in range(20):
        new_images, new_widths = changed((images != 0) * 0.5, widths, config, seed)
        for image, width in zip(new_images, new_widths.tolist(), strict=True):
            assert_near(image[:, :, :width], torch.full((1, HEIGHT, width), 0.5), 1e-3)


@pytest.mark.parametrize("strength", [1, 2])
def test_a_full_stop_in_any_corner_stays_in_the_image(strength: float) -> None:
    images, widths = white(4, 60)
    for image, (row, column) in zip(images, [(0, 0), (0, 57), (29, 0), (29, 57)], strict=True):
        image[:, row : row + 3, column : column + 3] = -1
    every = AugmentConfig().times(strength)
    names = ("stretch", "elastic", "scale", "shear", "tilt", "wave", "shift", "loosen", "tighten")
    for seed in range(100):
        new_images, new_widths = changed(images, widths, only(**{name: getattr(every, name) for name in names}), seed)
        # At most 0.06 · 32 = 1.9 of its 3 rows and 0.04 · 32 = 1.3 of its 3 columns go: a pixel stays.
        for image, width in zip(new_images, new_widths.tolist(), strict=True):
            assert image[:, :, :width].min() < 0


# Width


def test_no_line_gets_narrower_than_the_least_width() -> None:
    # A stretch of 0.9 may leave a tenth of the 8 and 40 pixels, 1 and 4, both below 5.
    narrowest = [int(changed(*lines(8, 40), only(stretch=0.9), seed, min_width=5)[1].min()) for seed in range(50)]
    assert min(narrowest) == 5


def test_each_line_keeps_the_width_that_its_label_needs() -> None:
    min_widths = torch.tensor([3, 38, 60])
    config = only(stretch=0.5, tighten=0.03)
    widths = torch.stack(
        [changed(*lines(8, 40, 50), config, seed, min_width=5, min_widths=min_widths)[1] for seed in range(50)]
    )
    assert widths.amin(dim=0).tolist() == [5, 38, 60]
    assert widths.amax(dim=0)[1] > 50


def test_a_line_too_narrow_for_its_label_is_widened_at_any_strength() -> None:
    _, widths = changed(*lines(40, 100), AugmentConfig().times(0), min_widths=torch.tensor([50, 50]))
    assert widths.tolist() == [50, 100]


def test_widths_stay_within_the_stretch_and_use_it() -> None:
    widths = torch.cat([changed(*lines(100, 100, 100), only(stretch=0.12), seed)[1] for seed in range(100)])
    assert 88 <= widths.min() < 92  # 300 draws leave no outer sixth of the range empty
    assert 108 < widths.max() <= 112


# Geometry


def bar_centres(images: Tensor) -> Tensor:
    """(N,) mean column of what is dark on white, in pixels."""
    ink = (1 - images).sum(dim=(1, 2))
    return (ink * (torch.arange(images.shape[3]) + 0.5)).sum(dim=1) / ink.sum(dim=1)


def test_a_loose_or_tight_crop_moves_what_is_in_it_no_further_than_its_edges_move() -> None:
    images, widths = white(300, 80)
    images[:, :, :, 30:32] = -1
    cropped, new_widths = changed(images, widths, only(loosen=0.25, tighten=0.0625))
    for image, width in zip(cropped, new_widths.tolist(), strict=True):
        image[:, :, width:] = 1
    moved = bar_centres(cropped) - 31
    # Outwards 0.25 · 32 = 8 pixels, inwards 0.0625 · 32 = 2; the new width is rounded, which is half a pixel in 80.
    assert -2.4 < moved.min() < -1.6
    assert 7 < moved.max() < 8.4
    assert 76 <= new_widths.min() < 80 < new_widths.max() <= 96


def test_a_tight_crop_leaves_most_of_a_narrow_letter() -> None:
    images, widths = -white(50, 8)[0], white(50, 8)[1]
    _, new_widths = changed(images, widths, only(tighten=0.5))
    assert new_widths.min() == 7  # a sixteenth at each side


def test_a_slanted_line_grows_by_its_slant() -> None:
    images, widths = white(100, 80)
    _, new_widths = changed(images, widths, only(shear=0.25))
    assert new_widths.min() <= 81
    assert 86 <= new_widths.max() <= 88  # 0.25 · 32 = 8 pixels more


def test_elastic_leaves_the_ends_and_moves_the_middle_within_its_reach() -> None:
    images, widths = white(200, 96)
    images[:, :, :, 47:49] = -1
    moved = (bar_centres(changed(images, widths, only(elastic=0.3))[0]) - 48).abs()
    # Half a sine over the line, of slope 0.3 at its ends, is 0.3 · 96 / π = 9.2 pixels high; its slope moves what it shows.
    assert 4 < moved.max() < 9.2 * 1.1
    images, widths = white(200, 96)
    images[:, :, :, :2] = -1
    assert (bar_centres(changed(images, widths, only(elastic=0.3))[0]) - 1).abs().max() < 0.5


@pytest.mark.parametrize("effect", ["scale", "tilt", "wave", "shift"])
def test_what_moves_up_and_down_leaves_columns_where_they_are(effect: str) -> None:
    stripes = lines(64)[0][:, :, :1].expand(20, 1, HEIGHT, 64)
    same, _ = changed(stripes, torch.full((20,), 64), only(**{effect: 0.1}))
    middle = slice(HEIGHT // 4, -HEIGHT // 4)  # paper may come into view above and below
    assert_near(same[:, :, middle], stripes[:, :, middle])


@pytest.mark.parametrize("effect", ["stretch", "elastic", "shear"])
def test_what_moves_along_leaves_rows_where_they_are(effect: str) -> None:
    stripes = lines(64)[0][:, :, :, :1].expand(20, 1, HEIGHT, 64)
    same, widths = changed(stripes, torch.full((20,), 64), only(**{effect: 0.2}))
    for image, width in zip(same, widths.tolist(), strict=True):
        middle = slice(width // 4, -(width // 4) - 1)  # paper may come into view at the ends of a slanted line
        assert_near(image[:, :, :width][:, :, middle], stripes[0, :, :, :1].expand(1, HEIGHT, width)[:, :, middle])


@pytest.mark.parametrize(
    ("effect", "reach", "width", "pixels"),
    [
        ("tilt", 0.25, 400, 4),  # 0.25 · 32 = 8 from end to end, so half of it at each
        ("tilt", 0.25, 32, 4),
        ("tilt", 0.25, 8, 1),  # 8 over a width of 32 pixels
        ("wave", 0.125, 400, 4),  # 0.125 · 32
        ("shift", 0.125, 50, 4),
    ],
)
def test_a_line_rises_and_falls_by_no_more_than_its_share_of_the_height(
    effect: str, reach: float, width: int, pixels: int
) -> None:
    images, widths = white(50, width)
    images[:, :, : HEIGHT // 2] = -1  # an edge in the middle row
    moved, _ = changed(images, widths, only(**{effect: reach}))
    # The rows at the rim are left out, where paper comes into view; an edge between pixels is smoothed by half a pixel.
    rows = ((moved - images).abs() > 1e-4).any(dim=3).any(dim=0)[0, 8:-8].nonzero().flatten() + 8
    assert HEIGHT // 2 - pixels - 1 <= rows.min() <= HEIGHT // 2 - max(1, pixels - 1)
    assert HEIGHT // 2 + max(1, pixels - 1) <= rows.max() + 1 <= HEIGHT // 2 + pixels + 1


# Dirt


def test_erasing_covers_no_more_than_blots_and_scratches() -> None:
    images, widths = lines(*[100] * 50)
    size = 0.125 * HEIGHT  # 4 pixels: blots of 4 × 8 at most, scratches of ceil(4 / 3) = 2 rows or columns
    erased, _ = changed(images, widths, only(erase=0.125))
    covered = (erased - images).abs()[:, 0] > 1e-3
    assert covered.any(dim=(1, 2)).float().mean() > 0.9
    assert covered.sum(dim=(1, 2)).max() <= 3 * 2 * 100  # three spots, the largest a scratch of the whole length
    # Whole rows and columns are scratches only, and beside them there is nothing but three blots.
    assert (covered.float().mean(dim=2) > 0.9).sum(dim=1).max() <= 3 * math.ceil(size / 3)
    assert (covered.float().mean(dim=1) > 0.9).sum(dim=1).max() <= 3 * math.ceil(size / 3)


def test_what_is_erased_gets_a_gray_of_the_line_s_own() -> None:
    images, widths = white(200, 60)
    images[:, :, :, ::4] = 0.6  # mean 0.9, standard deviation 0.17
    erased, _ = changed(images, widths, only(erase=0.2))
    assert 0.55 - 1e-4 < erased.min() < 0.6  # two deviations below the mean is 0.55


# Sharpness


def test_blur_spreads_a_dot_and_keeps_its_ink() -> None:
    images, widths = -white(50, 41)[0], white(50, 41)[1]
    images[:, :, 16, 20] = 1
    blurred, _ = changed(images, widths, only(blur=0.0625))
    ink = (blurred + 1)[:, 0]
    assert_near(ink.sum(dim=(1, 2)), torch.full((50,), 2.0), 1e-3)
    assert ink.amax(dim=(1, 2)).min() < 0.5  # of 2, somewhere
    rows, columns = (ink > 1e-4).any(dim=0).nonzero().T
    reach = 4  # twice the longest standard deviation of 0.0625 · 32 = 2 pixels
    assert rows.min() >= 16 - reach
    assert rows.max() <= 16 + reach
    assert columns.min() >= 20 - reach
    assert columns.max() <= 20 + reach


def test_blur_is_longer_one_way_than_the_other() -> None:
    images, widths = -white(100, 41)[0], white(100, 41)[1]
    images[:, :, 16, 20] = 1
    ink = (changed(images, widths, only(blur=0.0625))[0] + 1)[:, 0] / 2
    y, x = torch.arange(HEIGHT)[:, None] - 16.0, torch.arange(41) - 20.0
    spread = [(ink * square).sum(dim=(1, 2)) for square in (x * x, y * y)]
    assert (spread[0] > 2 * spread[1]).any()
    assert (spread[1] > 2 * spread[0]).any()


def test_a_lower_resolution_loses_the_finest_stripes_and_keeps_broad_ones() -> None:
    fine, widths = white(40, 64)
    fine[:, :, :, ::2] = -1
    broad = white(40, 64)[0]
    broad[:, :, :, 32:] = -1
    inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    deviations = [changed(fine, widths, only(coarse=1), seed)[0][inner].std() for seed in range(10)]
    assert min(deviations) < 0.3
    assert max(deviations) <= 1.01
    result = changed(broad, widths, only(coarse=1))[0]
    assert_near(result[:, :, :, 4:26], broad[:, :, :, 4:26])
    assert_near(result[:, :, :, 38:60], broad[:, :, :, 38:60])


def test_what_is_blurred_keeps_its_resolution() -> None:
    batch = lines(60, 80)
    assert torch.equal(changed(*batch, only(blur=0.05, coarse=1))[0], changed(*batch, only(blur=0.05))[0])


# Noise


@pytest.mark.parametrize("effect", ["noise", "grain"])
def test_noise_is_in_proportion_to_the_contrast(effect: str) -> None:
    images, widths = lines(*[100] * 50)
    for contrast in (0.0, 0.1, 0.5):
        added = changed(images * contrast, widths, only(**{effect: 0.25}))[0] - images * contrast
        deviation = added.std(dim=(1, 2, 3))
        most = 0.25 * contrast * 0.577  # the deviation of the uniform noise images is 1 / √3
        assert deviation.max() <= most * 1.15 + 1e-5  # of 3200 pixels, or of 8 · 25 cells
        assert deviation.max() >= most * 0.5
        assert added.mean().abs() <= most * 0.05 + 1e-5


def test_noise_is_fine_and_grain_is_coarse() -> None:
    images, widths = lines(*[100] * 20)

    def similarity_of_neighbors(config: AugmentConfig) -> float:
        added = (changed(images * 0.3, widths, config)[0] - images * 0.3)[:, 0]
        pairs = torch.stack((added[:, :, 1:].flatten(), added[:, :, :-1].flatten()))
        return float(torch.corrcoef(pairs)[0, 1])

    assert abs(similarity_of_neighbors(only(noise=0.5))) < 0.05
    assert similarity_of_neighbors(only(grain=0.5)) > 0.8


# Tones


def test_a_negative_is_exact() -> None:
    images, widths = lines(40, 100)
    assert torch.equal(changed(images, widths, only(invert_chance=1))[0], -changed(images, widths, only())[0])


def test_gamma_moves_the_middle_and_keeps_black_and_white_and_their_order() -> None:
    ramp = torch.linspace(-1, 1, 65).expand(100, 1, HEIGHT, 65)
    bent, _ = changed(ramp, torch.full((100,), 65), only(gamma=0.25))
    assert_near(bent[..., [0, -1]], ramp[..., [0, -1]])
    assert (bent.diff(dim=3) > 0).all()
    assert -0.251 < bent[..., 32].min() < -0.2
    assert 0.2 < bent[..., 32].max() < 0.251


def test_contrast_scales_about_the_mean_of_the_line() -> None:
    images, widths = lines(*[50] * 200)
    images = images / 2 + 0.2  # so that nothing is clipped
    scaled, _ = changed(images, widths, only(contrast=0.4))
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    factor = scaled.std(dim=(1, 2, 3), keepdim=True) / images.std(dim=(1, 2, 3), keepdim=True)
    assert_near(scaled, mean + (images - mean) * factor)
    assert 0.6 - 1e-3 <= factor.min() < 0.66
    assert 1.34 < factor.max() <= 1.4 + 1e-3


def test_a_faint_line_gets_no_fainter_by_contrast_and_is_not_lost_in_black() -> None:
    images, widths = lines(*[50] * 50)
    images = images / 5 - 0.75  # a standard deviation of 0.115
    deviation = images.std(dim=(1, 2, 3))
    assert (changed(images, widths, only(contrast=0.6, gamma=0.3))[0].std(dim=(1, 2, 3)) / deviation).min() > 0.9
    # Its mean is brought to -1 by no more than half a deviation: less than two thirds are clipped.
    assert (changed(images, widths, only(brightness=1))[0].std(dim=(1, 2, 3)) / deviation).min() > 1 / 3


def test_brightness_moves_every_pixel_alike() -> None:
    images, widths = lines(50)
    image, _ = changed(images / 2, widths, only(brightness=0.5))  # halved, so that nothing is clipped
    shifts = image - images / 2
    assert 0 < shifts.abs().max() <= 0.5
    assert_near(shifts, shifts[:1, :1, :1, :1].expand_as(shifts))


def test_shadows_darken_smoothly_and_leave_the_stated_share_of_light() -> None:
    images, widths = white(100, 64)
    shaded, _ = changed(images, widths, only(shade=0.4))
    light = (shaded + 1) / 2
    assert light.max() <= 1
    assert 0.6 * 0.8 - 1e-4 <= light.min() < 0.6 * 0.9
    assert light.diff(dim=3).abs().max() < 0.4 * math.pi / 63 * 1.01  # one turn of a cosine of height 0.2 along the line
    assert light.diff(dim=2).abs().max() < 0.2 / 31 * 1.01
