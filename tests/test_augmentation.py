"""Augmentation: small random changes to training pictures that keep them readable."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from torch import Tensor

from crnnocr.config import AugmentConfig
from crnnocr.training.augmentation import COLUMN_STEP, augment

HEIGHT = 32
"""Of the pictures, in pixels."""

UNCHANGED = AugmentConfig(**dict.fromkeys(asdict(AugmentConfig()), 0.0))
"""A reach of nothing in every direction."""

WILD = AugmentConfig(stretch=0.9, scale=0.5, shear=1, tilt=1, shift=0.5, blur=1, contrast=3, brightness=2, noise=2)
"""Changes far beyond the defaults, to press against every bound."""


def lines(*widths: int) -> tuple[Tensor, Tensor]:
    """A batch of noise pictures from -1 to 1, zero right of each one's width."""
    images = torch.rand((len(widths), 1, HEIGHT, max(widths)), generator=torch.Generator().manual_seed(0)) * 2 - 1
    for image, width in zip(images, widths, strict=True):
        image[:, :, width:] = 0
    return images, torch.tensor(widths)


def changed(images: Tensor, widths: Tensor, config: AugmentConfig, seed: int = 0, min_width: int = 2) -> tuple[Tensor, Tensor]:
    """The batch, augmented with chance that starts at `seed`, without the columns that round its width up."""
    images, widths = augment(images, widths, config, min_width, torch.Generator().manual_seed(seed))
    assert images.shape[3] == -(-int(widths.max()) // COLUMN_STEP) * COLUMN_STEP
    assert not images[:, :, :, int(widths.max()) :].any()
    return images[:, :, :, : int(widths.max())], widths


def test_the_same_seed_makes_the_same_change() -> None:
    batch = lines(40, 100, 7)
    first, first_widths = changed(*batch, AugmentConfig(), seed=3)
    again, again_widths = changed(*batch, AugmentConfig(), seed=3)
    assert torch.equal(first, again)
    assert torch.equal(first_widths, again_widths)


def test_chance_comes_from_the_generator_alone() -> None:
    batch = lines(40, 100)
    torch.manual_seed(1)
    first, _ = changed(*batch, AugmentConfig())
    state = torch.get_rng_state()
    torch.manual_seed(2)
    again, _ = changed(*batch, AugmentConfig())
    assert torch.equal(first, again)
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())  # and torch's own chance was left as it was


def test_another_seed_makes_another_change() -> None:
    batch = lines(100)
    first, first_widths = changed(*batch, AugmentConfig(), seed=3)
    other, other_widths = changed(*batch, AugmentConfig(), seed=4)
    assert not torch.equal(first_widths, other_widths) or not torch.allclose(first, other, atol=0.1)


def test_each_line_of_a_batch_is_changed_by_itself() -> None:
    images, widths = lines(100)
    twins, _ = changed(images.repeat(2, 1, 1, 1), widths.repeat(2), AugmentConfig(stretch=0))
    assert not torch.allclose(twins[0], twins[1], atol=0.1)


def test_the_pictures_that_came_in_are_left_as_they_were() -> None:
    images, widths = lines(40, 100)
    before, widths_before = images.clone(), widths.clone()
    changed(images, widths, WILD)
    assert torch.equal(images, before)
    assert torch.equal(widths, widths_before)


@pytest.mark.parametrize("config", [AugmentConfig(), WILD])
def test_all_is_zero_right_of_the_new_widths_and_nowhere_beyond_black_and_white(config: AugmentConfig) -> None:
    for seed in range(20):
        images, widths = changed(*lines(5, 40, 100, 333), config, seed)
        assert images.shape == (4, 1, HEIGHT, int(widths.max()))
        assert widths.dtype == torch.int64
        assert images.abs().max() <= 1
        for image, width in zip(images, widths.tolist(), strict=True):
            assert not image[:, :, width:].any()
            assert image[:, :, :width].any()


def test_no_line_gets_narrower_than_the_least_width() -> None:
    # A stretch of 0.9 may leave a tenth of the 8 and 40 pixels, 1 and 4, both below 5.
    narrowest = [int(changed(*lines(8, 40), WILD, seed, min_width=5)[1].min()) for seed in range(50)]
    assert min(narrowest) == 5


def test_widths_stay_within_the_stretch_and_use_it() -> None:
    widths = torch.cat([changed(*lines(100, 100, 100), AugmentConfig(stretch=0.12), seed)[1] for seed in range(100)])
    assert 88 <= widths.min() < 92  # 300 draws leave no outer sixth of the range empty
    assert 108 < widths.max() <= 112


def test_without_any_reach_the_picture_stays_as_it_is() -> None:
    images, widths = lines(40, 100, 7)
    same, same_widths = changed(images, widths, UNCHANGED)
    assert torch.equal(same_widths, widths)
    # Sampling places are 32-bit numbers: on 100 columns they miss a pixel's centre by some millionths of a pixel.
    torch.testing.assert_close(same, images, rtol=0, atol=1e-5)


def test_without_any_reach_padding_beyond_the_widest_line_goes() -> None:
    images, widths = lines(40, 100)
    same, _ = changed(torch.nn.functional.pad(images, (0, 28)), widths, UNCHANGED)
    torch.testing.assert_close(same, images, rtol=0, atol=1e-5)


@pytest.mark.parametrize("reach", list(asdict(AugmentConfig())))
def test_every_reach_changes_the_picture_by_itself(reach: str) -> None:
    images, widths = lines(*[100] * 8)  # eight draws, of which some are not near nothing
    config = AugmentConfig(**{**asdict(UNCHANGED), reach: 0.5})
    new_images, new_widths = changed(images, widths, config)
    assert torch.equal(new_widths, widths) == (reach != "stretch")
    assert new_images.shape != images.shape or not torch.allclose(new_images, images, atol=0.1)


def test_brightness_moves_every_pixel_alike() -> None:
    images, widths = lines(50)
    config = AugmentConfig(**{**asdict(UNCHANGED), "brightness": 0.5})
    image, _ = changed(images / 2, widths, config)  # halved, so that nothing is clipped
    shifts = image - images / 2
    assert 0 < shifts.abs().max() <= 0.5
    torch.testing.assert_close(shifts, shifts[:1, :1, :1, :1].expand_as(shifts), rtol=0, atol=1e-5)


def test_what_comes_into_view_repeats_the_line_s_own_edge() -> None:
    # A line all of one grey stays so to its last column, whatever is beside it in the batch: no zero comes in.
    config = AugmentConfig(contrast=0, brightness=0, noise=0)
    images, widths = lines(5, 40, 100)
    for seed in range(20):
        new_images, new_widths = changed((images != 0) * 0.5, widths, config, seed)
        for image, width in zip(new_images, new_widths.tolist(), strict=True):
            torch.testing.assert_close(image[:, :, :width], torch.full((1, HEIGHT, width), 0.5), rtol=0, atol=1e-5)


@pytest.mark.parametrize("width", [8, 32, 400])
def test_a_tilt_lifts_the_ends_of_a_line_by_no_more_than_its_share_of_the_height(width: int) -> None:
    images = torch.full((50, 1, HEIGHT, width), -1.0)
    images[:, :, HEIGHT // 2 :] = 1  # an edge in the middle row
    config = AugmentConfig(**{**asdict(UNCHANGED), "tilt": 0.25})
    tilted, _ = changed(images, torch.full((50,), width), config)
    # From end to end 0.25 · 32 = 8 pixels, so 4 at each end; half a pixel more, as an edge between pixels is smoothed.
    rows = ((tilted - images).abs() > 1e-4).any(dim=3).any(dim=0)[0].nonzero().flatten()
    assert rows.min() >= HEIGHT // 2 - 5
    assert rows.max() < HEIGHT // 2 + 5
