"""Calibration: a confidence of 0.9 is right nine times of ten."""

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
from crnnocr.metrics.calibration import Calibration, expected_calibration_error, fit

Array = NDArray[np.float64]


def readings(n: int, temperature: float, bias: float, seed: int = 0) -> tuple[Array, NDArray[np.bool_]]:
    """Log-probabilities by a model, and whether each reading is right, where the truth is this temperature and bias."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(2, 3, n)
    right = rng.random(n) < 1 / (1 + np.exp(-(odds / temperature + bias)))
    return -np.log1p(np.exp(-odds)), right


def penalty(log_temperature: float, bias: float, log_probs: Array, right: NDArray[np.bool_]) -> float:
    """The negative log posterior, in plain probabilities: deviations of 0.25 and 0.5 around no change."""
    odds = np.log(np.exp(log_probs) / (1 - np.exp(log_probs)))
    p = 1 / (1 + np.exp(-(odds / math.exp(log_temperature) + bias)))
    return float(-np.log(np.where(right, p, 1 - p)).sum() + (log_temperature / 0.25) ** 2 / 2 + (bias / 0.5) ** 2 / 2)


class TestApply:
    def test_nothing_is_changed_by_default(self) -> None:
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

    def test_near_1_it_still_tells_probabilities_apart(self) -> None:
        # 1 - 1e-5 and 1 - 1e-4 differ by log 10 in log-odds; through a rounded 1 - p they would lose that.
        surer, sure = Calibration(temperature=4).apply([math.log1p(-1e-5), math.log1p(-1e-4)])
        assert math.log(surer / (1 - surer)) - math.log(sure / (1 - sure)) == pytest.approx(math.log(10) / 4, rel=1e-3)

    def test_one_number_gives_a_float(self) -> None:
        assert isinstance(Calibration().apply(-0.1), float)


class TestFit:
    @pytest.mark.parametrize(("temperature", "bias"), [(1, 0), (2, 0), (0.6, 0.5), (3, -1), (1, 0.9)])
    def test_it_finds_what_the_readings_were_made_with(self, temperature: float, bias: float) -> None:
        # 20,000 readings: the standard errors are about 0.02, and the prior moves it by less than that.
        found = fit(*readings(20_000, temperature, bias))
        assert found.temperature == pytest.approx(temperature, rel=0.08)
        assert found.bias == pytest.approx(bias, abs=0.08)
        assert found.is_calibrated

    @pytest.mark.parametrize(("n", "temperature", "bias"), [(5, 2, 0), (40, 3, -1), (200, 0.5, 1)])
    def test_it_is_the_most_probable_by_trying_all(self, n: int, temperature: float, bias: float) -> None:
        log_probs, right = readings(n, temperature, bias, seed=1)
        grid = product(np.linspace(-1, 1.5, 251), np.linspace(-1.5, 1.5, 301))
        best = min(grid, key=lambda point: penalty(point[0], point[1], log_probs, right))
        found = fit(log_probs, right)
        assert (math.log(found.temperature), found.bias) == pytest.approx(best, abs=0.006)  # half the grid's 0.01

    def test_confidences_of_an_overconfident_model_are_right_as_often_as_they_say(self) -> None:
        found = fit(*readings(2000, 3, -0.5, seed=2))
        log_probs, right = readings(20_000, 3, -0.5, seed=3)
        assert expected_calibration_error(np.exp(log_probs), right) > 0.15
        assert expected_calibration_error(found.apply(log_probs), right) < 0.03

    def test_a_calibrated_model_is_left_as_it_is(self) -> None:
        log_probs, right = readings(1000, 1, 0, seed=4)
        assert np.abs(fit(log_probs, right).apply(log_probs) - np.exp(log_probs)).max() < 0.04

    @pytest.mark.parametrize("right", [[True] * 5, [False] * 5, [True, True, False, True, False]])
    def test_few_readings_change_little(self, right: list[bool]) -> None:
        log_probs = np.log([0.99, 0.6, 0.4, 0.9, 0.2])
        found = fit(log_probs, right)
        assert not found.is_calibrated
        assert abs(math.log(found.temperature)) < 2 * 0.25  # deviations of the prior
        assert abs(found.bias) < 2 * 0.5
        assert (found.readings, found.errors) == (5, right.count(False))

    def test_nothing_read_changes_nothing(self) -> None:
        assert fit([], []) == Calibration()

    @pytest.mark.parametrize("right", [True, False])
    @pytest.mark.parametrize("log_prob", [0.0, -1e-9, -3.0, -1000.0, -math.inf])
    def test_all_right_or_all_wrong_at_any_probability_gives_numbers(self, log_prob: float, right: bool) -> None:
        found = fit([log_prob] * 2000, [right] * 2000)
        assert math.isfinite(found.bias)
        assert 0 < found.temperature < math.inf
        assert 0 < found.apply(log_prob) < 1

    def test_one_wrong_label_hardly_matters(self) -> None:
        log_probs, right = readings(1000, 1, 0, seed=5)
        before = fit(log_probs, right)
        after = fit([*log_probs, 0.0], [*right, False])
        assert np.abs(after.apply(log_probs) - before.apply(log_probs)).max() < 0.04

    def test_thirty_errors_make_a_calibration(self) -> None:
        assert not fit([-0.1] * 100, [False] * 29 + [True] * 71).is_calibrated
        assert fit([-0.1] * 100, [False] * 30 + [True] * 70).is_calibrated

    def test_readings_without_a_verdict_are_refused(self) -> None:
        with pytest.raises(ValueError, match="as many verdicts as readings"):
            fit([-0.1, -0.2], [True])


class TestJson:
    def test_it_survives_json(self) -> None:
        found = fit(*readings(50, 2, 0.3))
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
    def test_what_is_no_calibration_is_refused(self, data: dict[str, object]) -> None:
        with pytest.raises(ModelError, match="calibration"):
            Calibration.from_json(data)


class TestExpectedCalibrationError:
    def test_it_is_the_mean_gap_of_the_bins_weighted_by_their_readings(self) -> None:
        # Lower bin: 0.2, 0.4, so 0.3 on average, none right. Upper bin: 0.6, 0.8, 1.0, so 0.8, two of three right.
        error = expected_calibration_error([0.2, 0.8, 0.4, 0.6, 1.0], [False, True, False, False, True], bins=2)
        assert error == pytest.approx((2 * 0.3 + 3 * (0.8 - 2 / 3)) / 5)

    def test_bins_are_closed_above(self) -> None:
        # 0.5 belongs to (0, 0.5] with 0.3: (0.8 - 1) of 2. In a bin with 0.9 the gaps would be 0.3 and 0.6 of 3.
        error = expected_calibration_error([0.3, 0.5, 0.9], [True, False, True], bins=2)
        assert error == pytest.approx((0.2 + 0.1) / 3)

    @pytest.mark.parametrize("equal_mass", [False, True])
    def test_perfect_confidence_has_none_and_the_opposite_has_all(self, equal_mass: bool) -> None:
        sure = [0.0, 1.0, 1.0, 0.0]
        assert expected_calibration_error(sure, [False, True, True, False], equal_mass=equal_mass) == 0
        assert expected_calibration_error(sure, [True, False, False, True], equal_mass=equal_mass) == 1

    def test_bins_of_equal_mass_hold_as_many_readings_each(self) -> None:
        # In the upper bin of equal width the gaps cancel. By halves: 0.7 and 0.75, both right; 0.8 and 0.95, both wrong.
        confidences, right = [0.95, 0.7, 0.8, 0.75], [False, True, False, True]
        assert expected_calibration_error(confidences, right, bins=2) == pytest.approx(abs(2 - 3.2) / 4)
        assert expected_calibration_error(confidences, right, bins=2, equal_mass=True) == pytest.approx((0.55 + 1.75) / 4)

    def test_fifteen_bins_of_a_calibrated_model_show_little(self) -> None:
        log_probs, right = readings(50_000, 1, 0, seed=6)
        assert expected_calibration_error(np.exp(log_probs), right) < 0.01  # chance alone: about 0.003

    def test_of_nothing_there_is_none(self) -> None:
        with pytest.raises(DataError, match="nothing to score"):
            expected_calibration_error([], [])
        with pytest.raises(ValueError, match="as many verdicts"):
            expected_calibration_error([0.5], [])
