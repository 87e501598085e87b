from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies
from scipy.stats import binomtest

from pipeline.classifiers.fusion import fit_weights, fuse
from pipeline.data.contract import Split
from pipeline.errors import PipelineError
from pipeline.evaluation.comparison import compare, conditions
from pipeline.evaluation.metrics import balanced_error, confusion, per_class_error, ranks, top_k_error, wilson_interval
from pipeline.evaluation.scores import Cost, read_cost, read_scores, write_result
from pipeline.evaluation.significance import holm, mcnemar, pairwise, places
from pipeline.evaluation.summary import VERSION

SCORES = np.array([[3, 2, 1, 0], [0, 3, 2, 1], [1, 0, 3, 2], [2, 1, 0, 3]], float)


def test_ranks_by_hand() -> None:
    assert ranks(SCORES, np.array([0, 1, 3, 2])).tolist() == [0, 0, 1, 3]


@pytest.mark.parametrize(("k", "error"), [(1, 0.5), (2, 0.25), (3, 0.25), (4, 0.0)])
def test_top_k_error_by_hand(k: int, error: float) -> None:
    assert top_k_error(SCORES, np.array([0, 1, 3, 2]), k) == error


def test_constant_scores_are_no_free_hits() -> None:
    labels = np.repeat(np.arange(10), 3)
    assert top_k_error(np.zeros((30, 10)), labels, 1) == 0.9
    assert top_k_error(np.zeros((30, 10)), labels, 5) == 0.5


@given(strategies.integers(1, 400), strategies.floats(0, 1), strategies.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_scipy(count: int, share: float, confidence: float) -> None:
    wrong = round(share * count)
    expected = binomtest(wrong, count).proportion_ci(confidence, method="wilson")
    assert wilson_interval(wrong, count, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_confusion_and_per_class_by_hand() -> None:
    labels = np.array([0, 1, 3, 3])
    assert confusion(SCORES, labels, 4).tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]
    errors = per_class_error(SCORES, labels, 4)
    assert errors[[0, 1, 3]].tolist() == [0, 0, 0.5]
    assert np.isnan(errors[2])


def test_mcnemar_by_hand() -> None:
    a = np.array([True] * 8 + [False] * 12)
    b = np.array([True] * 2 + [False] * 6 + [True] + [False] * 11)
    # 6 images only a gets wrong, 1 only b: two tails of 7 fair coins with at most 1 head.
    assert mcnemar(a, b) == pytest.approx(2 * (1 + 7) / 2**7)
    assert mcnemar(a, a) == 1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_fusion_prefers_the_better_member_and_beats_both() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, 4000)
    truth = np.eye(5)[labels]
    good, poor = truth + random.normal(0, 0.6, truth.shape), truth + random.normal(0, 1.2, truth.shape)
    noise = random.normal(0, 1, truth.shape)
    weights = fit_weights([good[:2000], poor[:2000], noise[:2000]], labels[:2000])
    assert weights[0] > weights[1] > weights[2] >= 0
    assert weights[2] < 0.1 * weights[0]
    fused = top_k_error(fuse([good[2000:], poor[2000:], noise[2000:]], weights), labels[2000:], 1)
    assert fused < top_k_error(good[2000:], labels[2000:], 1)


# ------------------------------------------------------------------------------------------ the score contract

COST = Cost(1.0, 0.1, 10, 20, None, "cpu", "fp32", 2)


def splits() -> dict[str, Split]:
    images = np.zeros((4, 8, 8, 3), np.uint8)
    return {name: Split(name, images, np.arange(4), [f"{name}/{i} ü" for i in range(4)]) for name in ("val", "test")}


def test_scores_come_back_as_they_were(tmp_path: Path) -> None:
    write_result(tmp_path, {"val": SCORES, "test": -SCORES}, splits(), COST, [])
    read = read_scores(tmp_path, splits(), 4, "svm@hog")
    np.testing.assert_array_equal(read["test"], -SCORES)
    assert read["val"].dtype == np.float32
    assert read_cost(tmp_path, "svm@hog") == COST


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_not_written(tmp_path: Path, bad: float) -> None:
    broken = SCORES.copy()
    broken[2, 1] = bad
    with pytest.raises(PipelineError, match=r"1 of 4 images have NaN or infinite scores.*number 2"):
        write_result(tmp_path / "hog", {"val": SCORES, "test": broken}, splits(), COST, [])
    assert not (tmp_path / "hog").exists()


def test_foreign_missing_and_damaged_scores_name_the_stage(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="rerun the stage svm@hog"):
        read_scores(tmp_path, splits(), 4, "svm@hog")
    write_result(tmp_path, {"val": SCORES, "test": SCORES}, splits(), COST, [])
    with pytest.raises(PipelineError, match=r"have the shape \(4, 4\), expected 4×5"):
        read_scores(tmp_path, splits(), 5, "svm@hog")
    others = {name: Split(name, split.images, split.labels, ["x"] * 4) for name, split in splits().items()}
    with pytest.raises(PipelineError, match="other images"):
        read_scores(tmp_path, others, 4, "svm@hog")
    whole = (tmp_path / "scores.npz").read_bytes()
    (tmp_path / "scores.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PipelineError, match=r"scores\.npz: cannot be read.*svm@hog"):
        read_scores(tmp_path, splits(), 4, "svm@hog")


def test_all_pairs_are_one_family_of_tests() -> None:
    random = np.random.default_rng(0)
    wrong = {name: random.random(300) < share for name, share in {"a": 0.1, "b": 0.12, "c": 0.4}.items()}
    raw = {pair: mcnemar(wrong[pair[0]], wrong[pair[1]]) for pair in (("a", "b"), ("a", "c"), ("b", "c"))}
    found = pairwise({name: {0: values} for name, values in wrong.items()})
    smallest = min(raw, key=lambda pair: raw[pair])
    assert found[smallest] == pytest.approx(3 * raw[smallest])
    assert all(found[a, b] == found[b, a] >= raw[a, b] for a, b in raw)


def test_places_count_only_sure_differences() -> None:
    wrong = {name: {0: np.arange(100) < count} for name, count in {"a": 10, "b": 12, "c": 30, "d": 31}.items()}
    # a and c can't be told apart here, though c errs more than b, from which it can.
    sure = {("b", "c"), ("a", "d"), ("b", "d")}
    p_values = {
        (x, y): 0.001 if (x, y) in sure or (y, x) in sure else 0.5 for x in wrong for y in wrong if x != y
    }  # fmt: skip
    assert places(wrong, p_values, 0.05) == {"a": (1, 3), "b": (1, 2), "c": (2, 4), "d": (3, 4)}


def test_a_single_method_is_first() -> None:
    alone = {"a": {0: np.ones(3, bool)}}
    assert places(alone, pairwise(alone), 0.05) == {"a": (1, 1)}


def _summary(errors: dict[str, tuple[float, float, float]], **other: Any) -> dict[str, Any]:
    methods = {
        key: {"test": dict(zip(("top1_error", "top1_low", "top1_high"), values, strict=True)),
              "cost": {"training_seconds": 10.0}}
        for key, values in errors.items()
    }  # fmt: skip
    images = {"train": 100, "test": 50}
    base = {
        "version": VERSION,
        "dataset": "digits",
        "budget": "demo",
        "seed": 0,
        "seeds": None,
        "failed": {},
        "images": images,
    }
    return base | {"methods": methods, "fingerprints": {"train": "a", "test": "b"}} | other


def test_two_runs_are_compared_method_by_method() -> None:
    before = _summary({"hog": (20.0, 18.0, 22.0), "lenet5": (10.0, 9.0, 11.0), "alexnet": (5.0, 4.0, 6.0)})
    after = _summary({"hog": (17.0, 15.0, 17.9), "lenet5": (11.0, 10.0, 12.0), "vgg11": (4.0, 3.0, 5.0)})
    found = {difference.method: difference for difference in compare(before, after)}
    assert list(found) == ["hog", "lenet5", "alexnet", "vgg11"]
    assert {key: difference.change for key, difference in found.items()} == {
        "hog": -3.0, "lenet5": 1.0, "alexnet": None, "vgg11": None,
    }  # fmt: skip
    assert [key for key, difference in found.items() if difference.beyond_intervals] == ["hog"]
    assert conditions(before, after) == []


def test_what_makes_two_runs_unlike_is_said() -> None:
    before = _summary({}, failed={"hog": "why"})
    after = _summary({}, seed=1, fingerprints={"train": "a", "test": "c"}, images={"train": 100, "test": 60})
    assert conditions(before, after) == [
        "seed: 0 and 1",
        "test: other images, 50 and 60 (errors are of different images)",
        "hog: failed in the first run only",
    ]


def test_the_balanced_error_counts_each_class_the_same() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    wrong = np.concatenate([np.zeros(90, bool), np.ones(10, bool)])  # the large class is always guessed
    error, low, high = balanced_error(wrong, labels, 3, 0.95)
    assert error == pytest.approx(0.5)
    assert 0.3 < low < 0.5 < high < 0.7
    assert wrong.mean() == pytest.approx(0.1)


def test_of_even_classes_the_balanced_error_is_the_error_and_so_is_its_interval() -> None:
    labels = np.arange(1000) % 4
    wrong = np.random.default_rng(0).random(1000) < 0.2
    error, low, high = balanced_error(wrong, labels, 4, 0.95)
    assert error == pytest.approx(wrong.mean())
    np.testing.assert_allclose((low, high), wilson_interval(wrong.sum(), 1000, 0.95), atol=2e-3)


def test_the_balanced_errors_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [300, 40, 12])
    chances = np.array([0.05, 0.3, 0.5])
    hits = 0
    for _ in range(400):
        _, low, high = balanced_error(random.random(len(labels)) < chances[labels], labels, 3, 0.95)
        hits += low <= chances.mean() <= high
    assert 0.92 <= hits / 400 <= 0.99


def test_of_a_few_images_nothing_is_certain() -> None:
    _, low, high = balanced_error(np.zeros(6, bool), np.array([0, 0, 0, 0, 0, 1]), 2, 0.95)
    assert low == 0
    assert high > 0.4
