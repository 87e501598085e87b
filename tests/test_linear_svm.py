from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits, make_classification
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from pipeline import layout, room
from pipeline.classifiers import linear_svm, products
from pipeline.classifiers.linear_svm import LinearSVM, Solver
from pipeline.classifiers.preconditioner import fit_preconditioner
from pipeline.classifiers.selection import Selection
from pipeline.classifiers.vectors import TILE, Coded, Dense, Scaling, finite
from pipeline.encoding.product_quantization import fit_product_quantizer
from pipeline.errors import PipelineError
from tests.conftest import DEVICES


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return found.data.astype(np.float32), found.target


def scaled(x: np.ndarray, scaling: Scaling) -> np.ndarray:
    return (x.astype(np.float64) - scaling.mean) * scaling.scale


def liblinear(x: np.ndarray, y: np.ndarray, c: float, weight: float = 1.0) -> np.ndarray:
    """Its objective for every class."""
    found = []
    for k in range(y.max() + 1):
        model = LinearSVC(C=c, dual=False, tol=1e-6, max_iter=20000, class_weight={True: weight, False: 1.0})
        model.fit(x, y == k)
        found.append(objective(x, np.where(y == k, 1, -1), model.coef_[0], model.intercept_[0], c, weight))
    return np.array(found)


def objective(x: np.ndarray, signs: np.ndarray, w: np.ndarray, b: float, c: float, weight: float = 1.0) -> float:
    slack = np.maximum(0, 1 - signs * (x @ w + b))
    return float(0.5 * (w @ w + b * b) + (np.where(signs > 0, weight * c, c) * slack**2).sum())


@pytest.mark.parametrize(("c", "weight"), [(0.001, 1.0), (0.1, 1.0), (10.0, 1.0), (0.1, 5.0)])
def test_reaches_liblinears_objective_for_every_class(
    digits: tuple[np.ndarray, np.ndarray], c: float, weight: float
) -> None:
    x, y = digits
    ours = Solver(Dense(x), y, 10).solve(c, weight, tolerance=1e-3)
    real = scaled(x, ours.scaling)
    mine = [
        objective(real, np.where(y == k, 1, -1), ours.weights[k].astype(float), float(ours.bias[k]), c, weight)
        for k in range(10)
    ]
    theirs = liblinear(real, y, c, weight)
    np.testing.assert_allclose(mine, theirs, rtol=1.5e-3)
    np.testing.assert_allclose(mine, ours.objective, rtol=1e-4)
    assert (ours.gap <= 1e-3).all()
    # The gap is a promise: the minimum is no lower than it says.
    assert (ours.objective * (1 - ours.gap) <= theirs * (1 + 1e-6)).all()


def test_more_dimensions_than_samples() -> None:
    x, y = make_classification(80, 300, n_informative=20, n_classes=4, random_state=0)
    x = x.astype(np.float32)
    ours = Solver(Dense(x), y, 4).solve(1.0)
    np.testing.assert_allclose(ours.objective, liblinear(scaled(x, ours.scaling), y, 1.0), rtol=1e-2)
    assert (ours.scores(Dense(x)).argmax(axis=1) == y).all()


def test_going_on_from_another_c_changes_the_way_but_not_the_end(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = digits
    cold = Solver(Dense(x), y, 10).solve(1.0, tolerance=1e-3)
    solver = Solver(Dense(x), y, 10)
    solver.solve(0.1, tolerance=1e-3)
    warm = solver.solve(1.0, tolerance=1e-3)
    np.testing.assert_allclose(cold.objective, warm.objective, rtol=2e-3)
    assert solver.solve(1.0, tolerance=1e-3).passes < cold.passes / 3


def test_a_class_without_examples_gets_no_vote() -> None:
    x = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    assert (Solver(Dense(x), y, 3).solve(1.0).scores(Dense(x))[:, 2] < 0).all()


def test_constant_vectors_do_not_divide_by_zero() -> None:
    x = np.ones((4, 3), np.float32)
    assert np.isfinite(Solver(Dense(x), np.array([0, 1, 0, 1]), 2).solve(1.0).scores(Dense(x))).all()


def test_scaling_gives_zero_mean_and_unit_length() -> None:
    x = np.random.default_rng(0).normal(3, 7, (1500, 11)).astype(np.float32)
    found = scaled(x, Scaling.of(Dense(x), workers=2))
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    assert (found**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)


# ------------------------------------------------------------------------------------------ where vectors come from


def sources() -> dict[str, tuple[Dense | Coded, np.ndarray]]:
    """Vectors in every form, and what they decode to."""
    x = np.random.default_rng(0).normal(size=(300, 72)).astype(np.float32)
    x[0, :5] = [0, -0.0, 6e-8, -3e-5, 60000]  # half precision's zero, subnormals and largest
    half = x.astype(np.float16)
    quantizer = fit_product_quantizer(x, 8, seed=0)
    codes = quantizer.encode(x)
    return {
        "float32": (Dense(x), x),
        "float16": (Dense(half), half.astype(np.float32)),
        "codes": (Coded(codes, quantizer.centroids), quantizer.decode(codes)),
    }


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("k", [4, products.FEW + 4])
@pytest.mark.parametrize("form", ["float32", "float16", "codes"])
def test_products_are_those_of_the_decoded_vectors(
    form: str, k: int, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoded tile by tile; for codes these are the asymmetric dot products of product quantisation."""
    vectors, x = sources()[form]
    monkeypatch.setattr(products, "TILE", 32)
    monkeypatch.setattr(products, "ROWS", 16)
    monkeypatch.setattr(products, "SMALL_PRODUCT", 4 * products.FEW_ROWS * 32)
    assert products.Tiles.of(72, k).count == 3  # the last with zeros behind
    scaling = Scaling(x.mean(axis=0), 0.5)
    rng = np.random.default_rng(1)
    directions, weights = rng.normal(size=(k, 72)).astype(np.float32), rng.random((k, 300)).astype(np.float32)
    bias = rng.normal(size=(k, 1)).astype(np.float32)
    real = (x.astype(np.float64) - scaling.mean) * scaling.scale
    forward = directions @ real.T
    for made in (products.CpuProducts(vectors, scaling, 2), products.DeviceProducts(vectors, scaling, device)):
        size = np.abs(forward).max()
        np.testing.assert_allclose(made.forward(directions), forward, atol=1e-5 * size)
        np.testing.assert_allclose(made.backward(weights), weights @ real, rtol=1e-3, atol=1e-4 * size)
        u, sums = made.normal(directions, weights, bias)
        np.testing.assert_allclose(u, forward + bias, atol=1e-5 * size)
        expected = (weights * (forward + bias)) @ real
        np.testing.assert_allclose(sums, expected, atol=1e-5 * np.abs(expected).max())


@given(st.integers(1, 100_000), st.integers(1, 1200))
def test_tiles_hold_all_columns_and_products_stay_small(dimension: int, k: int) -> None:
    tiles = products.Tiles.of(dimension, k)
    assert tiles.width % products.WIDTHS == 0
    assert (tiles.count - 1) * tiles.width < dimension <= tiles.count * tiles.width
    assert tiles.width <= TILE
    if k <= products.FEW:
        assert k * tiles.rows * tiles.width <= products.SMALL_PRODUCT


def test_stacked_rows_come_back() -> None:
    rows = np.arange(3 * 5000, dtype=np.float32).reshape(3, 5000)
    tiles = products.Tiles.of(5000, 12)
    stacked = tiles.stack(rows)
    assert tiles.count > 1
    np.testing.assert_array_equal(stacked[1, 2, :3], rows[2, tiles.width : tiles.width + 3])
    np.testing.assert_array_equal(tiles.unstack(stacked), rows)


@pytest.mark.parametrize("kind", [np.float16, np.float32])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_found(kind: type, bad: float) -> None:
    x: np.ndarray = np.full((600, 7), -60000, kind)
    assert finite(Dense(x))
    assert Scaling.of(Dense(x)).finite
    x[550, 3] = bad
    assert not finite(Dense(x))
    assert not Scaling.of(Dense(x)).finite
    x[10, 3] = -bad  # both infinities leave no number either
    assert not Scaling.of(Dense(x)).finite


def test_the_number_of_threads_changes_no_bit(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = digits
    found: list[LinearSVM] = [Solver(Dense(x), y, 10, workers=workers).solve(0.1) for workers in (1, 3)]
    np.testing.assert_array_equal(found[0].weights, found[1].weights)


def test_the_number_of_threads_of_matrix_products_changes_no_bit() -> None:
    """A worker of Dask has one, and the machine that would fit else has many."""
    x = np.random.default_rng(0).normal(size=(220, 1764)).astype(np.float32)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            found.append(Solver(Dense(x), np.arange(220) % 20, 20, workers=1).solve(3.0, tolerance=1e-3))
    np.testing.assert_array_equal(found[0].weights, found[1].weights)


def test_classes_whose_direction_is_found_are_left_out(
    digits: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others go on alone, and everybody ends where they would have ended in company."""
    x, y = digits
    normal, multiplied = Solver._normal, []

    def counted(solver: Solver, points: np.ndarray, curvature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        multiplied.append(len(points))
        return normal(solver, points, curvature)

    monkeypatch.setattr(Solver, "_normal", counted)
    found, products_of = {}, {}
    for left in (0.0, 1.0):
        multiplied.clear()
        monkeypatch.setattr(linear_svm, "LEFT", left)
        found[left], products_of[left] = Solver(Dense(x), y, 10).solve(1.0, tolerance=1e-3), list(multiplied)
    np.testing.assert_allclose(found[1.0].objective, found[0.0].objective, rtol=1e-5)
    np.testing.assert_allclose(found[1.0].weights, found[0.0].weights, atol=1e-3 * np.abs(found[0.0].weights).max())
    assert len(products_of[1.0]) == len(products_of[0.0])  # as many passes, over fewer classes
    assert sum(products_of[1.0]) < 0.9 * sum(products_of[0.0])


@pytest.mark.parametrize("device", DEVICES)
def test_half_precision_and_the_device_path_reach_the_same_solution(
    digits: tuple[np.ndarray, np.ndarray], device: torch.device
) -> None:
    x, y = digits
    half = Dense(x.astype(np.float16))
    on_cpu = Solver(half, y, 10).solve(0.1, tolerance=1e-3)
    solver = Solver(half, y, 10)
    solver._products = products.DeviceProducts(half, solver._scaling, device)
    np.testing.assert_allclose(solver.solve(0.1, tolerance=1e-3).objective, on_cpu.objective, rtol=2e-3)


@pytest.mark.parametrize("on_disk", [False, True])
def test_classes_in_parts_reach_the_same_solution(
    digits: tuple[np.ndarray, np.ndarray], on_disk: bool, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three steps of four, four and two classes, their state in memory or in a file without a name."""
    x, y = digits
    whole = Solver(Dense(x), y, 10)
    expected = [whole.solve(c, 2.0, tolerance=1e-3) for c in (0.1, 1.0)]
    monkeypatch.setattr(linear_svm, "TOGETHER", 4 * (linear_svm.BY_IMAGE * len(x) + linear_svm.BY_NUMBER * x.shape[1]))
    if on_disk:
        monkeypatch.setattr(room, "IN_MEMORY", 100)
    parts = Solver(Dense(x), y, 10)
    assert isinstance(parts._margins, np.memmap) == on_disk
    assert [len(part) for part in parts._parts(np.arange(10))] == [4, 4, 2]
    for c, before in zip((0.1, 1.0), expected, strict=True):
        found = parts.solve(c, 2.0, tolerance=1e-3)
        np.testing.assert_allclose(found.objective, before.objective, rtol=2e-3)
        np.testing.assert_allclose(found.weights, before.weights, atol=0.02 * np.abs(before.weights).max())
        assert found.passes > before.passes
    assert not list(layout.WORK.glob("*"))  # nothing is left of the file, though the process goes on


def test_scores_of_classes_in_parts_are_those_of_all(
    digits: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = digits
    model = Solver(Dense(x), y, 10).solve(0.1)
    expected = scaled(x, model.scaling) @ model.weights.T + model.bias
    np.testing.assert_allclose(model.scores(Dense(x)), expected, atol=1e-4)
    monkeypatch.setattr(linear_svm, "SCORED_BYTES", 4 * 4 * x.shape[1])  # four classes, four, and two
    np.testing.assert_allclose(model.scores(Dense(x)), expected, atol=1e-4)


def test_room_that_a_disk_does_not_have_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room, "IN_MEMORY", 100)
    monkeypatch.setattr(room, "reserve", full)
    with pytest.raises(PipelineError, match=r"4e-06 GB are needed there for a while \(No space left"):
        room.zeros((1000,), np.float32)


# ------------------------------------------------------------------------------------------ preconditioner


def decaying(count: int = 400, dimension: int = 60) -> np.ndarray:
    """Vectors that vary ever less from one direction to the next."""
    rng = np.random.default_rng(2)
    rotation, _ = np.linalg.qr(rng.normal(size=(dimension, dimension)))
    return (rng.normal(size=(count, dimension)) / np.arange(1, dimension + 1) ** 1.5 @ rotation).astype(np.float32)


@pytest.mark.parametrize("device", DEVICES)
def test_the_preconditioner_finds_the_strongest_directions(device: torch.device) -> None:
    x = decaying()
    scaling = Scaling.of(Dense(x))
    found = fit_preconditioner(Dense(x), scaling, device, 1)
    real = scaled(x, scaling)
    strengths, directions = np.linalg.eigh(real.T @ real / len(x))
    np.testing.assert_allclose(found.strengths[:8], strengths[::-1][:8], rtol=1e-3)
    overlap = np.abs(np.einsum("rd,dr->r", found.directions[:5], directions[:, ::-1][:, :5]))
    np.testing.assert_allclose(overlap, 1, atol=1e-3)


def test_the_preconditioner_undoes_the_strong_curvatures() -> None:
    """(I + ρ Xᵀ X / N) times what it gives is nearly the same in all strong directions and the bias."""
    x = decaying()
    scaling = Scaling.of(Dense(x))
    found = fit_preconditioner(Dense(x), scaling, torch.device("cpu"), 1)
    real = np.hstack([scaled(x, scaling), np.ones((len(x), 1))])
    rho = 50.0
    hessian = np.eye(61) + rho * real.T @ real / len(x)
    rows = np.vstack([np.pad(found.directions[:6], ((0, 0), (0, 1))), np.eye(61)[-1]])
    gains = np.einsum("kd,kd->k", rows, found.apply(rows, np.full(7, rho)) @ hessian)
    np.testing.assert_allclose(gains, gains[0], rtol=1e-2)


@pytest.mark.parametrize("form", ["float32", "float16", "codes"])
def test_every_other_row_is_every_other_row(form: str) -> None:
    vectors, x = sources()[form]
    some = vectors.every(2)
    out = np.empty((3, 16), np.float32)
    some.tile(slice(5, 8), slice(8, 24), np.zeros(72, np.float32), out)
    np.testing.assert_array_equal(out, x[10:16:2, 8:24])
    np.testing.assert_array_equal(some.rows(slice(5, 8), torch.device("cpu")).numpy(), x[10:16:2])


def test_a_tolerance_beyond_float32_ends_with_the_gap_that_was_reached(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = digits
    found = Solver(Dense(x), y, 10).solve(0.1, tolerance=1e-15, max_steps=40)
    assert 1e-15 < found.gap.max() < 1e-3


def test_the_last_step_is_evaluated(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = digits
    found = Solver(Dense(x), y, 10).solve(1.0, tolerance=1e-6, max_steps=2)
    real = scaled(x, found.scaling)
    mine = [
        objective(real, np.where(y == k, 1, -1), found.weights[k].astype(float), float(found.bias[k]), 1.0)
        for k in range(10)
    ]
    np.testing.assert_allclose(mine, found.objective, rtol=1e-4)


def test_biases_are_at_their_minimum(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = digits
    found = Solver(Dense(x), y, 10).solve(1.0, tolerance=0.5)
    real = scaled(x, found.scaling)
    for k in range(10):
        signs, w = np.where(y == k, 1, -1), found.weights[k].astype(float)
        here, *around = (objective(real, signs, w, float(found.bias[k]) + move, 1.0) for move in (0, 0.01, -0.01))
        assert here < min(around)


def model_with_bias(number: float) -> LinearSVM:
    nothing = np.zeros(1)
    return LinearSVM(np.zeros((1, 1)), np.array([number]), Scaling(nothing, 1.0), nothing, nothing, 0.0)


def test_val_chooses_candidate_and_step() -> None:
    errors = {0: 0.9, 1: 0.3, 2: 0.2, 3: 0.4, 4: 0.4, 5: 0.2, 6: 0.25}
    selection = Selection(lambda model: errors[int(model.bias[0])], patience=9)
    for name, seen in {"C=1": (0, 1, 2, 3), "C=2": (3, 4, 5, 6)}.items():
        selection.begin(name)
        for number in seen:
            selection.look(model_with_bias(number))
    assert selection.best is not None
    assert selection.best.bias[0] == 2  # C=2 comes no lower, only as low
    assert selection.best_trial == 0
    assert [(trial.val_error, trial.kept_step, trial.steps) for trial in selection.trials] == [(0.2, 2, 4), (0.2, 2, 4)]


def test_of_equal_steps_the_one_nearest_to_the_optimum_is_kept() -> None:
    selection = Selection(lambda model: 0.5, patience=9)
    selection.begin("C=1")
    for number in range(4):
        selection.look(model_with_bias(number))
    assert selection.best is not None
    assert selection.best.bias[0] == selection.trials[0].kept_step == 3


def test_a_candidate_has_no_credit_for_where_it_started() -> None:
    errors = [0.9, 0.2, 0.2, 0.4]
    selection = Selection(lambda model: errors[int(model.bias[0])], patience=9)
    for name, seen in {"C=1": (0, 1), "C=2": (2, 3)}.items():
        selection.begin(name)
        for number in seen:
            selection.look(model_with_bias(number))
    assert [trial.val_error for trial in selection.trials] == [0.2, 0.4]


def test_where_a_candidate_starts_is_not_kept_for_it() -> None:
    """C=2 starts where C=1 ended, but for its bias: lower than all that either leads to, and nobody's candidate."""
    errors = [0.9, 0.3, 0.28, 0.31, 0.29]
    selection = Selection(lambda model: errors[int(model.bias[0])], patience=9)
    for name, seen in {"C=1": (0, 1), "C=2": (2, 3, 4)}.items():
        selection.begin(name)
        for number in seen:
            selection.look(model_with_bias(number))
    assert selection.best is not None
    assert selection.best.bias[0] == 4
    assert selection.best_trial == 1
    assert [trial.val_error for trial in selection.trials] == [0.3, 0.29]


def test_a_candidate_is_given_up_after_steps_that_bring_no_lower_error() -> None:
    errors = [0.9, 0.95, 0.5, 0.6, 0.5, 0.4]
    selection = Selection(lambda model: errors[int(model.bias[0])], patience=2)
    selection.begin("C=1")
    # The first step may lead uphill from where the candidate before ended; as low as before is not lower.
    assert [selection.look(model_with_bias(number)) for number in range(5)] == [True, True, True, True, False]
    assert selection.trials[0].kept_step == 4


def test_the_solver_stops_where_it_is_told_to(digits: tuple[np.ndarray, np.ndarray]) -> None:
    steps: list[float] = []

    def two_steps(model: LinearSVM) -> bool:
        steps.append(float(model.objective.sum()))
        return len(steps) < 3

    solver = Solver(Dense(digits[0]), digits[1], 10)
    given_up = solver.solve(1.0, tolerance=1e-6, go_on=two_steps)
    assert len(steps) == 3
    assert float(given_up.objective.sum()) == steps[-1]
    assert given_up.gap.max() > 1e-6
    # What was given up is where the next candidate starts from.
    assert solver.solve(1.0, tolerance=1e-6).objective.sum() < steps[-1]


def test_the_solver_shows_each_step_on_its_way(digits: tuple[np.ndarray, np.ndarray]) -> None:
    seen: list[LinearSVM] = []

    def see(model: LinearSVM) -> bool:
        seen.append(model)
        return True

    last = Solver(Dense(digits[0]), digits[1], 10).solve(0.1, tolerance=1e-3, go_on=see)
    assert len(seen) > 2
    assert not seen[0].weights.any()
    sums = [model.objective.sum() for model in seen]
    assert sums == sorted(sums, reverse=True)
    np.testing.assert_array_equal(seen[-1].weights, last.weights)
    assert (seen[0].weights != seen[-1].weights).any()  # a copy, not the array that moves on
