from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_classification
from sklearn.svm import LinearSVC

from pipeline.classifiers.linear_svm import Scaling, fit_linear_svm


def liblinear(x: np.ndarray, y: np.ndarray, c: float) -> tuple[np.ndarray, np.ndarray]:
    model = LinearSVC(C=c, dual=False, tol=1e-6, max_iter=20000).fit(x, y)
    return model.coef_, model.intercept_


def objective(x: np.ndarray, y: np.ndarray, weights: np.ndarray, bias: np.ndarray, c: float) -> np.ndarray:
    signs = np.where(y[:, None] == np.arange(len(weights))[None], 1, -1)
    slack = np.maximum(0, 1 - signs * (x @ weights.T + bias))
    return 0.5 * ((weights**2).sum(axis=1) + bias**2) + c * (slack**2).sum(axis=0)


@pytest.mark.parametrize("c", [0.001, 0.1, 10.0])
def test_reaches_liblinears_objective_for_every_class(c: float) -> None:
    digits = load_digits()
    x = Scaling.of(digits.data.astype(np.float32)).apply(digits.data.astype(np.float32))
    ours = fit_linear_svm(x, digits.target, 10, c)
    theirs = objective(x, digits.target, *liblinear(x, digits.target, c), c)
    mine = objective(x.astype(float), digits.target, ours.weights.astype(float), ours.bias.astype(float), c)
    np.testing.assert_allclose(mine, theirs, rtol=2e-3)
    np.testing.assert_allclose(mine, ours.objective, rtol=1e-4)


def test_more_dimensions_than_samples() -> None:
    x, y = make_classification(80, 300, n_informative=20, n_classes=4, random_state=0)
    x = x.astype(np.float32)
    ours = fit_linear_svm(x, y, 4, 1.0)
    theirs = objective(x, y, *liblinear(x, y, 1.0), 1.0)
    np.testing.assert_allclose(ours.objective, theirs, rtol=1e-2)
    assert (ours.scores(x).argmax(axis=1) == y).all()


def test_a_start_changes_the_way_but_not_the_end() -> None:
    digits = load_digits()
    x = Scaling.of(digits.data.astype(np.float32)).apply(digits.data.astype(np.float32))
    cold = fit_linear_svm(x, digits.target, 10, 1.0)
    warm = fit_linear_svm(x, digits.target, 10, 1.0, start=fit_linear_svm(x, digits.target, 10, 0.1))
    np.testing.assert_allclose(cold.objective, warm.objective, rtol=2e-3)
    again = fit_linear_svm(x, digits.target, 10, 1.0, start=cold)
    assert again.products < cold.products / 3


def test_a_class_without_examples_gets_no_vote() -> None:
    x = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    assert (fit_linear_svm(x, y, 3, 1.0).scores(x)[:, 2] < 0).all()


def test_scaling_gives_zero_mean_and_unit_length() -> None:
    x = np.random.default_rng(0).normal(3, 7, (500, 11)).astype(np.float32)
    scaled = Scaling.of(x).apply(x)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    assert (scaled**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)


def test_constant_vectors_do_not_divide_by_zero() -> None:
    x = np.ones((4, 3), np.float32)
    assert np.isfinite(Scaling.of(x).apply(x)).all()
