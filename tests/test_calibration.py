from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies
from hypothesis.extra.numpy import arrays
from scipy.special import expit, softmax

from pipeline.evaluation import calibration
from pipeline.evaluation.calibration import FOLDS, KINDS, Calibration, Kind, calibrate, cross_fitted, folds
from pipeline.evaluation.confidence import AT_LEAST, described, measure
from pipeline.evaluation.metrics import ranks, top_k_error, wilson_interval
from pipeline.evaluation.reliability import (
    BINS,
    POINTS,
    answered_at,
    expected_calibration_error,
    reliability_table,
    risk_coverage,
)
from tests.conftest import ROOT

FITTED: dict[str, float] = {"temperature": 0.5, "platt": 0.5}


def drawn(count: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of probabilities, and labels that were drawn by them."""
    random = np.random.default_rng(seed)
    true = softmax(random.normal(0, 1.5, (count, classes)), axis=1)
    labels = (true.cumsum(axis=1) < random.random((count, 1))).sum(axis=1)
    return np.log(true), np.minimum(labels, classes - 1)


# ---------------------------------------------------------------------------------------------------- fitting


@pytest.mark.parametrize("factor", [0.05, 1.0, 40.0])
def test_the_temperature_of_scaled_logarithms_is_the_factor(factor: float) -> None:
    logarithms, labels = drawn(20_000, 6)
    found = calibrate((factor * logarithms).astype(np.float32), labels)
    assert found.kind == "temperature"
    assert 1 / found.slope == pytest.approx(factor, rel=0.03)
    assert found.ece < 0.015
    assert found.log_loss["temperature"] < found.log_loss["platt"]


def saturated(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of which high ones mean no more than less high ones, and labels by sigmoids shared out over classes."""
    random = np.random.default_rng(0)
    scores = random.normal(0, 1, (count, 5))
    sigmoids = expit(3 * scores + 1)
    true = sigmoids / sigmoids.sum(axis=1, keepdims=True)
    return scores, np.minimum((true.cumsum(axis=1) < random.random((count, 1))).sum(axis=1), 4)


def test_platts_slope_and_shift_are_the_most_likely_ones() -> None:
    scores, labels = saturated(3000)
    slope, shift = calibration._fit_platt(scores, labels)
    excess = expit(slope * scores + shift) - np.eye(5)[labels]
    # There the mean of the excess, and of its product with the scores, is zero.
    assert abs(excess.mean()) < 1e-3
    assert abs((excess * scores).mean()) < 1e-3


@pytest.mark.parametrize(("make", "expected"), [(saturated, "platt"), (lambda n: drawn(n, 5), "temperature")])
def test_the_kind_that_predicts_held_out_images_better_is_kept(make: Any, expected: Kind) -> None:
    scores, labels = make(5000)
    found = calibrate(scores, labels)
    assert found.kind == expected == min(KINDS, key=lambda kind: found.log_loss[kind])
    for kind in KINDS:
        by_hand = -cross_fitted(scores, labels, kind)[np.arange(5000), labels].mean()
        assert found.log_loss[kind] == pytest.approx(by_hand)


def test_no_image_is_scored_by_numbers_that_saw_its_fold() -> None:
    logarithms, labels = drawn(100, 4)
    fold_of = folds(labels)
    planted = logarithms.copy()
    outlier = 17
    planted[outlier] = -500.0
    planted[outlier, (labels[outlier] + 1) % 4] = 500.0
    same_fold = fold_of == fold_of[outlier]
    same_fold[outlier] = False
    for kind in KINDS:
        before, after = (cross_fitted(scores, labels, kind) for scores in (logarithms, planted))
        np.testing.assert_array_equal(before[same_fold], after[same_fold])
        other = fold_of != fold_of[outlier]
        assert np.abs(before[other] - after[other]).max(axis=1).min() > 1e-4


@given(strategies.lists(strategies.integers(0, 6), min_size=1, max_size=80))
def test_folds_are_even_in_all_and_in_each_class(labels: list[int]) -> None:
    fold_of = folds(np.array(labels))
    for chosen in (np.ones(len(labels), bool), *(np.array(labels) == label for label in set(labels))):
        counts = np.bincount(fold_of[chosen], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9, 60])
@pytest.mark.parametrize("gain", [0.0, 1.0, -1.0, 1e-30, 1e30])
def test_tiny_val_sets_and_perfect_separation_stay_finite(count: int, gain: float) -> None:
    labels = np.arange(count) % 3
    scores = (gain * np.eye(3)[labels]).astype(np.float32)
    found = calibrate(scores, labels)
    for other in (scores, -scores, 1e3 * scores):
        probabilities = found.probabilities(other)
        assert np.isfinite(probabilities).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert np.isfinite([found.slope, found.shift, found.ece, *found.log_loss.values()]).all()
    assert found.slope > 0


def test_a_method_without_errors_is_not_called_certain() -> None:
    labels = np.arange(60) % 3
    random = np.random.default_rng(0)
    scores = 10 * np.eye(3)[labels] + random.normal(0, 0.1, (60, 3))
    for kind in KINDS:
        slope, shift = calibration._FITS[kind](scores, labels)
        top = calibration.probabilities(scores, kind, slope, shift).max(axis=1)
        assert 0.95 < top.mean() < 0.9999


@pytest.mark.parametrize("factor", [1e-20, 1e-3, 1e3, 1e20])
def test_the_scale_of_scores_does_not_matter(factor: float) -> None:
    logarithms, labels = drawn(300, 5)
    plain, scaled = calibrate(logarithms, labels), calibrate(factor * logarithms, labels)
    np.testing.assert_allclose(
        plain.probabilities(logarithms), scaled.probabilities(factor * logarithms), rtol=1e-5, atol=1e-9
    )


def test_many_scores_are_thinned_and_every_class_keeps_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    logarithms, labels = drawn(4000, 5)
    whole = calibrate(logarithms, labels)
    seen: list[np.ndarray] = []
    original = calibration.cross_fitted
    monkeypatch.setattr(calibration, "MOST", 5000)

    def watched(scores: np.ndarray, labels: np.ndarray, kind: Kind) -> np.ndarray:
        seen.append(labels)
        return original(scores, labels, kind)

    monkeypatch.setattr(calibration, "cross_fitted", watched)
    thinned = calibrate(logarithms, labels)
    assert len(seen[0]) == 1000
    assert np.abs(np.bincount(seen[0]) - np.bincount(labels) / 4).max() <= 1
    assert thinned.slope == pytest.approx(whole.slope, rel=0.15)


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        (np.zeros((0, 3)), np.zeros(0, int)),
        (np.zeros((2, 3)), np.array([0])),
        (np.zeros((2, 3)), np.array([0, 3])),
        (np.zeros((2, 3)), np.array([-1, 0])),
        (np.zeros(3), np.array([0, 1, 2])),
        (np.array([[0.0, np.nan]]), np.array([0])),
    ],
)
def test_what_cannot_be_calibrated_is_refused(scores: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"calibrate by|labels from|of the shape|NaN"):
        calibrate(scores, labels)


# ---------------------------------------------------------------------------------------------- probabilities

FLOATS = strategies.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(deadline=None)
@given(
    arrays(np.float32, strategies.tuples(strategies.integers(1, 5), strategies.integers(1, 6)), elements=FLOATS),
    strategies.sampled_from(KINDS),
    strategies.floats(1e-9, 1e9),
    strategies.floats(-1e4, 1e4),
)
def test_the_order_of_guesses_never_changes(scores: np.ndarray, kind: Kind, slope: float, shift: float) -> None:
    found = Calibration(kind, slope, shift, FITTED, 0.0).probabilities(scores)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    order = np.argsort(scores, axis=1)
    assert (np.diff(np.take_along_axis(found, order, axis=1), axis=1) >= 0).all()


@settings(deadline=None, max_examples=10)
@given(strategies.integers(0, 2**32 - 1), strategies.integers(2, 6), strategies.integers(1, 40))
def test_the_guesses_of_fitted_probabilities_are_those_of_the_scores(seed: int, classes: int, count: int) -> None:
    random = np.random.default_rng(seed)
    scores = (10.0 ** random.integers(-6, 6) * random.normal(0, 1, (count, classes))).astype(np.float32)
    found = calibrate(scores, random.integers(0, classes, count)).probabilities(scores)
    np.testing.assert_array_equal(found[np.arange(count), scores.argmax(axis=1)], found.max(axis=1))


def test_probabilities_by_hand() -> None:
    scores = np.log(np.array([[1.0, 2.0, 5.0]]))
    np.testing.assert_allclose(
        Calibration("temperature", 1, 0, FITTED, 0).probabilities(scores), [[0.125, 0.25, 0.625]]
    )
    np.testing.assert_allclose(
        Calibration("temperature", 2, 0, FITTED, 0).probabilities(scores), [[1 / 30, 4 / 30, 25 / 30]]
    )
    sigmoids = np.array([[1 / 2, 2 / 3, 5 / 6]])  # of ln x: x / (1 + x)
    np.testing.assert_allclose(Calibration("platt", 1, 0, FITTED, 0).probabilities(scores), sigmoids / 2)


def test_classes_that_all_score_low_still_share_one() -> None:
    found = Calibration("platt", 1.0, -2000.0, FITTED, 0.0).probabilities(np.array([[0.0, 1.0]]))
    np.testing.assert_allclose(found, softmax([[0.0, 1.0]], axis=1))


# -------------------------------------------------------------------------------------------------- what is stored


def test_a_calibration_comes_back_from_json() -> None:
    logarithms, labels = drawn(50, 4)
    found = calibrate(logarithms, labels)
    assert Calibration.of_dict(json.loads(json.dumps(found.as_dict()))) == found


WHOLE: dict[str, Any] = {"kind": "platt", "slope": 2.0, "shift": -1, "log_loss": dict(FITTED), "ece": 0.1}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "isotonic"}, {"kind": ["platt"]}, {"slope": 0.0}, {"slope": -1.0}, {"slope": float("nan")},
        {"slope": "2"}, {"slope": True}, {"shift": float("inf")}, {"shift": None}, {"log_loss": {}},
        {"log_loss": {"platt": 1.0}}, {"log_loss": {"platt": 1.0, "temperature": None}}, {"ece": None},
        {"slope": 1e300},
    ],
)  # fmt: skip
def test_a_malformed_calibration_is_refused(change: dict[str, Any]) -> None:
    assert Calibration.of_dict(WHOLE).shift == -1.0
    with pytest.raises(ValueError, match="of a calibration"):
        Calibration.of_dict(WHOLE | change)


@pytest.mark.parametrize("stored", [None, [], "platt", {}])
def test_what_is_no_calibration_is_refused(stored: Any) -> None:
    with pytest.raises(ValueError, match="calibration"):
        Calibration.of_dict(stored)


def test_calibration_needs_numpy_and_scipy_alone() -> None:
    heavy = "{'torch', 'cv2', 'numba', 'pandas', 'sklearn', 'altair', 'pydantic', 'yaml'}"
    code = f"import sys, pipeline.evaluation.calibration; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------------------------------------------- reliability


def test_calibration_error_is_small_where_probabilities_hold_and_known_where_they_don_t() -> None:
    random = np.random.default_rng(0)
    top = random.uniform(0.3, 1, 100_000)
    assert expected_calibration_error(top, random.random(100_000) < top) < 0.01
    # Sure by 0.95 and right three times in four.
    right = np.arange(400) % 4 > 0
    assert expected_calibration_error(np.full(400, 0.95), right) == pytest.approx(0.2)
    # Errors in different bins don't cancel: 0.2 too sure in one, 0.3 too unsure in another of a third of the images.
    top, right = np.array([0.7] * 4 + [0.5] * 2), np.array([True, True, False, False, True, True])
    assert expected_calibration_error(top, right) == pytest.approx(4 / 6 * 0.2 + 2 / 6 * 0.5)


def test_the_reliability_table_by_hand() -> None:
    top = np.array([1.0, 0.95, 0.2, 1 / 15])
    table = reliability_table(top, np.array([True, False, True, False]), 0.95)
    assert len(table) == BINS
    assert [one.count for one in table] == [1, 0, 1, *[0] * 11, 2]  # 1/15 closes the first bin, 3/15 the third
    last = table[-1]
    assert (last.confidence, last.accuracy) == pytest.approx((0.975, 0.5))
    assert (last.low, last.high) == wilson_interval(1, 2, 0.95)
    assert table[1].accuracy is None
    assert (table[0].start, table[-1].end) == (0, 1)


def test_risk_and_coverage_by_hand_and_equals_go_together() -> None:
    top = np.array([0.9, 0.8, 0.8, 0.5])
    right = np.array([True, True, False, False])
    curve = risk_coverage(top, right)
    assert curve.threshold.tolist() == [0.9, 0.8, 0.5]
    assert curve.answered.tolist() == [0.25, 0.75, 1.0]
    assert curve.error.tolist() == pytest.approx([0, 1 / 3, 0.5])
    assert curve.area == pytest.approx(0.25 * 0 + 0.5 / 3 + 0.25 * 0.5)
    swapped = risk_coverage(top[::-1], right[::-1])
    assert (swapped.error == curve.error).all()


@given(strategies.integers(1, 700), strategies.integers(1, 900), strategies.integers(0, 99))
def test_answering_everything_errs_as_top_1_does(count: int, levels: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    top, right = random.integers(0, levels, count) / levels, random.random(count) < 0.6
    curve = risk_coverage(top, right)
    thinned = curve.thinned()
    for one in (curve, thinned):
        assert one.answered[-1] == 1
        assert one.error[-1] == pytest.approx((~right).mean())
        assert (np.diff(one.answered) > 0).all()
    assert len(thinned.answered) <= POINTS
    if len(curve.answered) == 1:
        assert curve.area == pytest.approx((~right).mean())


def test_what_is_answered_at_a_threshold_by_hand() -> None:
    top, right = np.array([0.95, 0.9, 0.89, 0.99]), np.array([True, False, False, True])
    found = answered_at(top, right, 0.9, 0.95)
    assert (found.share, found.count, found.wrong, found.error) == (0.75, 3, 1, 1 / 3)
    assert (found.low, found.high) == wilson_interval(1, 3, 0.95)
    nothing = answered_at(top, right, 0.999, 0.95)
    assert (nothing.share, nothing.count, nothing.error, nothing.low) == (0, 0, None, None)


# ---------------------------------------------------------------------------------------------------- on val and test


def test_test_is_measured_and_changes_nothing_that_was_fitted() -> None:
    val, labels_of_val = drawn(400, 5)
    test, labels_of_test = drawn(3000, 5, seed=1)
    labels = {"val": labels_of_val, "test": labels_of_test}
    found = measure({"val": 9 * val, "test": 9 * test}, labels, 0.95)
    other = measure({"val": 9 * val, "test": -9 * test}, labels | {"test": labels_of_test[::-1]}, 0.95)
    assert found.calibration == other.calibration == calibrate(9 * val, labels_of_val)
    assert found.ece_after < 0.05 < found.ece_before
    assert other.ece_after > 0.3
    assert found.curve.error[-1] == pytest.approx(top_k_error(test, labels_of_test, 1))


def test_metrics_are_in_percent_and_nothing_answered_has_no_error() -> None:
    scores, labels = drawn(500, 5)
    blind = 0 * scores
    found = described(measure({"val": blind, "test": blind}, {"val": labels, "test": labels}, 0.95))
    assert found[AT_LEAST] == {"answered": 0, "error": None, "low": None, "high": None}
    right = 100 * (ranks(blind, labels) == 0).mean()
    assert found["ece_after"] == pytest.approx(abs(right - 20), abs=1e-3)
    assert found["aurc"] == pytest.approx(100 - right, abs=1e-3)
