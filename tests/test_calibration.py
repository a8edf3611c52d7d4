"""Calibration: of predictions with confidence 0.9, nine in ten are correct."""

from __future__ import annotations

import json
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from crnnocr.errors import DataError, ModelError
from crnnocr.metrics.calibration import (
    Calibration,
    RiskCoverage,
    brier_score,
    expected_calibration_error,
    fit,
    reliability,
    wilson_interval,
)

Array = NDArray[np.float64]


def samples(n: int, temperature: float, bias: float, seed: int = 0) -> tuple[Array, NDArray[np.bool_]]:
    """Log-probabilities of a model that needs this temperature and bias, and whether each prediction is correct."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(2, 3, n)
    correct = rng.random(n) < 1 / (1 + np.exp(-(odds / temperature + bias)))
    return -np.log1p(np.exp(-odds)), correct


def penalty(log_temperature: float, bias: float, log_probs: Array, correct: NDArray[np.bool_]) -> float:
    """The negative log posterior, in plain probabilities: deviations of 0.25 and 0.5 around no change."""
    odds = np.log(np.exp(log_probs) / (1 - np.exp(log_probs)))
    p = 1 / (1 + np.exp(-(odds / math.exp(log_temperature) + bias)))
    return float(-np.log(np.where(correct, p, 1 - p)).sum() + (log_temperature / 0.25) ** 2 / 2 + (bias / 0.5) ** 2 / 2)


class TestApply:
    def test_the_default_changes_nothing(self) -> None:
        probabilities = np.array([1e-9, 0.01, 0.5, 0.9, 0.999])
        assert Calibration().apply(np.log(probabilities)) == pytest.approx(probabilities)

    def test_log_odds_are_divided_by_the_temperature_and_shifted_by_the_bias(self) -> None:
        # 0.9 has odds of 9: their root is 3, so 3/4. And 0.5 has log-odds of 0: shifted by log 3, again 3/4.
        assert Calibration(temperature=2).apply(math.log(0.9)) == pytest.approx(0.75)
        assert Calibration(bias=math.log(3)).apply(math.log(0.5)) == pytest.approx(0.75)

    @given(st.floats(0.02, 50), st.floats(-10, 10), st.lists(st.floats(-1000, 0), min_size=2))
    def test_it_grows_with_the_probability_and_stays_between_0_and_1(
        self, temperature: float, bias: float, log_probs: list[float]
    ) -> None:
        confidences = Calibration(temperature, bias).apply([-math.inf, *sorted(log_probs), 0.0])
        assert (np.diff(confidences) >= 0).all()
        assert (confidences > 0).all()
        assert (confidences < 1).all()

    def test_it_tells_probabilities_close_to_1_apart(self) -> None:
        # 1 - 1e-5 and 1 - 1e-4 differ by log 10 in log-odds; through a rounded 1 - p they would lose that.
        higher, lower = Calibration(temperature=4).apply([math.log1p(-1e-5), math.log1p(-1e-4)])
        assert math.log(higher / (1 - higher)) - math.log(lower / (1 - lower)) == pytest.approx(math.log(10) / 4, rel=1e-3)

    def test_one_number_gives_a_float(self) -> None:
        assert isinstance(Calibration().apply(-0.1), float)


class TestFit:
    @pytest.mark.parametrize(("temperature", "bias"), [(1, 0), (2, 0), (0.6, 0.5), (3, -1), (1, 0.9)])
    def test_it_finds_the_parameters_of_simulated_samples(self, temperature: float, bias: float) -> None:
        # 20,000 samples: the standard errors are about 0.02, and the prior moves it by less than that.
        found = fit(*samples(20_000, temperature, bias))
        assert found.temperature == pytest.approx(temperature, rel=0.08)
        assert found.bias == pytest.approx(bias, abs=0.08)
        assert found.is_calibrated

    @pytest.mark.parametrize(("n", "temperature", "bias"), [(5, 2, 0), (40, 3, -1), (200, 0.5, 1)])
    def test_it_is_the_maximum_of_a_grid_search(self, n: int, temperature: float, bias: float) -> None:
        log_probs, correct = samples(n, temperature, bias, seed=1)
        grid = product(np.linspace(-1, 1.5, 251), np.linspace(-1.5, 1.5, 301))
        best = min(grid, key=lambda point: penalty(point[0], point[1], log_probs, correct))
        found = fit(log_probs, correct)
        assert (math.log(found.temperature), found.bias) == pytest.approx(best, abs=0.006)  # half the grid's 0.01

    def test_confidences_of_an_overconfident_model_become_calibrated(self) -> None:
        found = fit(*samples(2000, 3, -0.5, seed=2))
        log_probs, correct = samples(20_000, 3, -0.5, seed=3)
        assert expected_calibration_error(np.exp(log_probs), correct) > 0.15
        assert expected_calibration_error(found.apply(log_probs), correct) < 0.03

    def test_a_calibrated_model_hardly_changes(self) -> None:
        log_probs, correct = samples(1000, 1, 0, seed=4)
        assert np.abs(fit(log_probs, correct).apply(log_probs) - np.exp(log_probs)).max() < 0.04

    @pytest.mark.parametrize("correct", [[True] * 5, [False] * 5, [True, True, False, True, False]])
    def test_few_samples_change_little(self, correct: list[bool]) -> None:
        log_probs = np.log([0.99, 0.6, 0.4, 0.9, 0.2])
        found = fit(log_probs, correct)
        assert not found.is_calibrated
        assert abs(math.log(found.temperature)) < 2 * 0.25  # deviations of the prior
        assert abs(found.bias) < 2 * 0.5
        assert (found.samples, found.errors) == (5, correct.count(False))

    def test_no_samples_change_nothing(self) -> None:
        assert fit([], []) == Calibration()

    @pytest.mark.parametrize("correct", [True, False])
    @pytest.mark.parametrize("log_prob", [0.0, -1e-9, -3.0, -1000.0, -math.inf])
    def test_all_correct_or_all_wrong_gives_finite_numbers(self, log_prob: float, correct: bool) -> None:
        found = fit([log_prob] * 2000, [correct] * 2000)
        assert math.isfinite(found.bias)
        assert 0 < found.temperature < math.inf
        assert 0 < found.apply(log_prob) < 1

    def test_one_wrong_label_hardly_matters(self) -> None:
        log_probs, correct = samples(1000, 1, 0, seed=5)
        before = fit(log_probs, correct)
        after = fit([*log_probs, 0.0], [*correct, False])
        assert np.abs(after.apply(log_probs) - before.apply(log_probs)).max() < 0.04

    def test_thirty_errors_make_a_calibration(self) -> None:
        assert not fit([-0.1] * 100, [False] * 29 + [True] * 71).is_calibrated
        assert fit([-0.1] * 100, [False] * 30 + [True] * 70).is_calibrated

    def test_arguments_of_different_lengths_are_rejected(self) -> None:
        with pytest.raises(ValueError, match="differ in shape"):
            fit([-0.1, -0.2], [True])


class TestJson:
    def test_it_survives_json(self) -> None:
        found = fit(*samples(50, 2, 0.3))
        assert Calibration.from_json(json.loads(json.dumps(found.to_json()))) == found

    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"temperature": 1.0},
            {"temperature": "hot", "bias": 0, "readings": 1, "errors": 0},
            {"temperature": 0, "bias": 0, "readings": 1, "errors": 0},
            {"temperature": 1, "bias": math.nan, "readings": 1, "errors": 0},
            {"temperature": None, "bias": 0, "readings": 1, "errors": 0},
        ],
    )
    def test_other_json_is_rejected(self, data: dict[str, object]) -> None:
        with pytest.raises(ModelError, match="calibration"):
            Calibration.from_json(data)


class TestExpectedCalibrationError:
    def test_it_is_the_mean_gap_of_the_bins_weighted_by_their_size(self) -> None:
        # Lower bin: 0.2, 0.4, so 0.3 on average, none correct. Upper bin: 0.6, 0.8, 1.0, so 0.8, two of three correct.
        error = expected_calibration_error([0.2, 0.8, 0.4, 0.6, 1.0], [False, True, False, False, True], bins=2)
        assert error == pytest.approx((2 * 0.3 + 3 * (0.8 - 2 / 3)) / 5)

    def test_bins_are_closed_above(self) -> None:
        # 0.5 belongs to (0, 0.5] with 0.3: (0.8 - 1) of 2. In a bin with 0.9 the gaps would be 0.3 and 0.6 of 3.
        error = expected_calibration_error([0.3, 0.5, 0.9], [True, False, True], bins=2)
        assert error == pytest.approx((0.2 + 0.1) / 3)

    @pytest.mark.parametrize("equal_mass", [False, True])
    def test_perfect_confidence_has_none_and_the_opposite_has_all(self, equal_mass: bool) -> None:
        confidences = [0.0, 1.0, 1.0, 0.0]
        assert expected_calibration_error(confidences, [False, True, True, False], equal_mass=equal_mass) == 0
        assert expected_calibration_error(confidences, [True, False, False, True], equal_mass=equal_mass) == 1

    def test_bins_of_equal_mass_hold_equally_many_predictions(self) -> None:
        # In the upper bin of equal width the gaps cancel. By halves: 0.7 and 0.75, both correct; 0.8 and 0.95, both wrong.
        confidences, correct = [0.95, 0.7, 0.8, 0.75], [False, True, False, True]
        assert expected_calibration_error(confidences, correct, bins=2) == pytest.approx(abs(2 - 3.2) / 4)
        assert expected_calibration_error(confidences, correct, bins=2, equal_mass=True) == pytest.approx((0.55 + 1.75) / 4)

    def test_fifteen_bins_of_a_calibrated_model_show_little(self) -> None:
        log_probs, correct = samples(50_000, 1, 0, seed=6)
        assert expected_calibration_error(np.exp(log_probs), correct) < 0.01  # random variation alone: about 0.003

    def test_no_predictions_have_none(self) -> None:
        with pytest.raises(DataError, match="nothing to score"):
            expected_calibration_error([], [])
        with pytest.raises(ValueError, match="differ in shape"):
            expected_calibration_error([0.5], [])


def test_the_wilson_interval_by_its_formula_and_at_the_ends() -> None:
    # 8 of 10, as in Newcombe 1998's way: 0.490 to 0.943.
    assert list(wilson_interval(0.8, 10)) == pytest.approx([0.490, 0.943], abs=5e-4)
    assert wilson_interval(1.0, 20)[1] == pytest.approx(1)
    assert wilson_interval(1.0, 20)[0] == pytest.approx(0.839, abs=5e-4)


def test_bins_are_closed_above_and_empty_ones_are_left_out() -> None:
    first, last = reliability([0.1, 0.2, 0.2001, 1.0], [0, 1, 1, 1], 5)[:2], reliability([1.0], [1], 5)[-1]
    assert [(each.n, each.accuracy) for each in first] == [(2, 0.5), (1, 1)]
    assert (last.n, last.confidence) == (1, 1)


def test_rejecting_the_least_confident_by_hand() -> None:
    curve = RiskCoverage([0.9, 0.1, 0.8, 0.5], [0, 4, 1, 1], [10, 10, 10, 10], [1, 0, 0, 0])
    assert [each.cer for each in curve.table((0, 0.25, 0.5, 0.75))] == pytest.approx([6 / 40, 2 / 30, 1 / 20, 0])
    assert curve.at(0.25).threshold == 0.5
    assert curve.area() == pytest.approx((0 + 1 / 2 + 2 / 3 + 3 / 4) / 4)


def test_samples_of_equal_confidence_are_rejected_in_equal_parts() -> None:
    curve = RiskCoverage([0.5] * 4, [0, 0, 4, 4], [10] * 4, [1, 1, 0, 0])
    assert {each.cer for each in curve.table((0, 0.25, 0.5, 0.75))} == {0.2}


def test_the_brier_score_by_hand() -> None:
    assert brier_score([0.9, 0.2], [1, 0]) == pytest.approx((0.01 + 0.04) / 2)
