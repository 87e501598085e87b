"""Several seeds: what an error is worth when training has its luck as well, and how it comes to the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import ttest_rel

from pipeline import layout, settings
from pipeline.curves import kept
from pipeline.curves.fitting import Fit, Measuring
from pipeline.curves.kept import Point
from pipeline.curves.subsets import Labelled
from pipeline.data.contract import load_split
from pipeline.data.pooled import Pooled
from pipeline.errors import PipelineError
from pipeline.evaluation import comparison
from pipeline.evaluation.metrics import ranks, wilson_interval
from pipeline.evaluation.over_seeds import Runs, errors_on_test, mean_error
from pipeline.evaluation.significance import mcnemar, p_equal, places
from pipeline.files import read_json, write_arrays
from pipeline.models import measured
from pipeline.models.families import fit
from pipeline.models.look import look_at
from pipeline.stages import cnn, codebook, evaluate, features, fuse, prepare, publish, report, seeds, svm
from tests.conftest import edit, make_project, pipeline

# ------------------------------------------------------------------------------------------- intervals and tests


def _drawn(random: np.random.Generator, seeds: int, images: int, error: float, luck: float, alike: float) -> Any:
    """Wrong answers, bool (seeds, images): images differ in difficulty, seeds in their luck (a normal number)."""
    hard = random.standard_normal(images) * alike
    own = error + luck * random.standard_normal(seeds)
    # A probit model, whose mean over images is each seed's own error.
    from scipy.special import ndtri

    threshold = ndtri(np.clip(own, 1e-3, 1 - 1e-3))[:, None] * np.sqrt(1 + alike**2)
    return hard[None] + random.standard_normal((seeds, images)) < threshold


@pytest.mark.parametrize(("seeds", "luck", "alike"), [(3, 0.02, 1.0), (3, 0.0, 3.0), (5, 0.01, 0.5), (2, 0.01, 1.0)])
def test_the_interval_holds_the_error_of_training_anew_on_other_images(seeds: int, luck: float, alike: float) -> None:
    random, held = np.random.default_rng(0), 0
    for _ in range(400):
        _, low, high = mean_error(_drawn(random, seeds, 600, 0.2, luck, alike), 0.95)
        held += low <= 0.2 <= high
    assert held >= 0.93 * 400


def test_one_seeds_interval_holds_it_far_less_often() -> None:
    """So the check above can fail: Wilson's interval of one run knows no luck of training."""
    random, held = np.random.default_rng(0), 0
    for _ in range(400):
        wrong = _drawn(random, 1, 600, 0.2, 0.02, 1.0)
        low, high = wilson_interval(int(wrong.sum()), 600, 0.95)
        held += low <= 0.2 <= high
    assert held < 0.9 * 400


@given(arrays.arrays(bool, st.tuples(st.integers(2, 5), st.integers(1, 40))))
def test_an_interval_holds_its_mean_and_stays_inside(wrong: np.ndarray) -> None:
    mean, low, high = mean_error(wrong, 0.95)
    assert mean == pytest.approx(wrong.mean())
    assert 0 <= low <= mean <= high <= 1
    assert high > low
    assert mean_error(wrong[::-1], 0.95) == pytest.approx((mean, low, high))


def test_seeds_that_answer_alike_say_no_more_than_one() -> None:
    wrong = np.arange(200) < 30
    mean, *interval = mean_error(np.stack([wrong] * 3), 0.95)
    assert mean == 0.15
    assert interval == pytest.approx(wilson_interval(30, 200, 0.95))


def test_with_one_seed_the_test_is_mcnemars() -> None:
    random = np.random.default_rng(0)
    a, b = random.random(90) < 0.3, random.random(90) < 0.4
    assert p_equal({7: a}, {7: b}) == mcnemar(a, b)
    assert p_equal({7: a, 8: a}, {7: b, 9: b}) == mcnemar(a, b)  # no other seed is of both


def test_with_countless_images_it_is_the_paired_t_test_over_seeds() -> None:
    images = 200_000
    errors = np.array([[0.10, 0.13, 0.12, 0.16], [0.12, 0.14, 0.15, 0.20]])
    a, b = ({seed: np.arange(images) < error * images for seed, error in enumerate(own)} for own in errors)
    assert p_equal(a, b) == pytest.approx(ttest_rel(*errors).pvalue, rel=0.05)
    assert mcnemar(a[0], b[0]) < 1e-9  # which takes the luck of one training for a difference


def test_with_lucky_seeds_it_is_nearly_mcnemars() -> None:
    """No luck of training, one image taken off: as strict as the exact test, or a little more."""
    for only_a, only_b in ((9, 1), (6, 0), (40, 20)):
        a, b = np.zeros(400, bool), np.zeros(400, bool)
        a[:only_a], b[only_a : only_a + only_b] = True, True
        again = dict.fromkeys(range(3), a), dict.fromkeys(range(3), b)
        assert p_equal(*again) == pytest.approx(mcnemar(a, b), rel=0.5)
    assert p_equal({0: a, 1: a}, {0: a, 1: a}) == 1


@pytest.mark.parametrize(("seeds", "luck"), [(3, 0.02), (3, 0.0), (5, 0.01)])
def test_equals_are_told_apart_as_seldom_as_they_should(seeds: int, luck: float) -> None:
    random, found = np.random.default_rng(0), 0
    for _ in range(400):
        a, b = (_drawn(random, seeds, 400, 0.2, luck, 1.0) for _ in range(2))
        found += p_equal(dict(enumerate(a)), dict(enumerate(b))) < 0.05
    assert found <= 0.07 * 400


def test_places_are_those_of_the_means() -> None:
    order = np.arange(1000)
    wrong = {
        "lucky once": {0: order < 50, 1: order < 300, 2: order < 310},
        "steady": {0: order < 100, 1: order < 102, 2: order < 98},
    }
    p = {("lucky once", "steady"): 0.001, ("steady", "lucky once"): 0.001}
    assert places(wrong, p, 0.05) == {"lucky once": (2, 2), "steady": (1, 1)}


def test_top_5_and_balanced_errors_are_means_as_well() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), [20, 20, 20, 20, 20, 4, 4, 4, 4, 4])
    found = {seed: random.integers(0, 10, len(labels)) for seed in range(3)}
    errors = errors_on_test(Runs(found, {}, {}, {}), labels, 10, 0.95)
    each = np.stack(list(found.values()))
    by_class = [(each[:, labels == label] > 0).mean() for label in range(10)]
    wanted = {"top1": (each > 0).mean(), "top5": (each >= 5).mean(), "balanced": np.mean(by_class)}
    for measure, error in wanted.items():
        assert errors[f"{measure}_error"] == pytest.approx(100 * error, abs=1e-3)
        assert errors[f"{measure}_low"] < errors[f"{measure}_error"] < errors[f"{measure}_high"]  # type: ignore[operator]
    few = errors_on_test(Runs(found, {}, {}, {}), labels % 5, 5, 0.95)
    assert few["top5_error"] is few["top5_low"] is None


# ---------------------------------------------------------------------------------------------------- the stage

METHODS = {
    "features": ["hog", "color_histogram"],
    "fusions": ["all_classical"],
    "networks": ["lenet5"],
    "all_classical.members": ["hog", "color_histogram"],
}
KEYS = ("hog", "color_histogram", "all_classical", "lenet5")
SEEDS = [4, 0, 7]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every method of a tiny project, from three seeds, of which 0 is that of its results."""
    folder = make_project(tmp_path_factory.mktemp("seeded") / "p", {**METHODS, "seeds": SEEDS})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prepare.run()
        for key in ("hog", "color_histogram"):
            codebook.run(key)
            features.run(key)
            svm.run(key)
        fuse.run("all_classical")
        cnn.run("lenet5")
        seeds.run()
        evaluate.run()
        report.run()
    return folder


@pytest.fixture
def inside(seeded: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(seeded)
    return seeded


def _points(key: str) -> dict[int, Point]:
    return {point.seed: point for point in kept.read(layout.SEEDS / key, "seeds", load_split("test").ids)}


def _measuring(key: str) -> Measuring:
    images, val = Pooled.read(("train", "val")), load_split("val")
    return Measuring.of(settings.load(), key, Labelled(images, len(val) / len(images)), load_split("test"), "seeds")


def test_every_method_has_every_other_seed(inside: Path) -> None:
    for key in KEYS:
        points = _points(key)
        assert list(points) == [4, 7]
        assert all(point.failed is None for point in points.values())
        assert {point.val_images for point in points.values()} == {len(load_split("val"))}
    assert (np.asarray(_points("lenet5")[4].ranks) != np.asarray(_points("lenet5")[7].ranks)).any()


def test_each_seed_draws_its_own_val_of_all_images_but_test(inside: Path) -> None:
    labelled = _measuring("hog").labelled
    drawn = [{*labelled.draw(len(labelled.images), seed).val.ids} for seed in (4, 7)]
    assert drawn[0] != drawn[1]
    for val in drawn:
        assert len(val) == len(load_split("val"))
        assert not val & {*load_split("test").ids}


def test_a_seeds_errors_are_those_of_fitting_its_images(inside: Path, tmp_path: Path) -> None:
    measuring = _measuring("hog")
    data = measuring.labelled.draw(len(measuring.labelled.images), 7)
    done = fit(replace(measuring.recipes[0], seed=7), data, measuring.settings.compute, tmp_path / "work")
    found = look_at(done, measuring.test.images).scores
    np.testing.assert_array_equal(_points("hog")[7].ranks, ranks(found, measuring.test.labels))


def test_what_is_done_is_not_done_again(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {key: _points(key) for key in KEYS}
    monkeypatch.setattr(measured, "fit", lambda *_: pytest.fail("fitted again"))
    seeds.run()
    for key in KEYS:
        for seed, point in _points(key).items():
            np.testing.assert_array_equal(point.ranks, before[key][seed].ranks)
    one = Fit(len(_measuring("hog").labelled.images), 8, tuned=True)
    with pytest.raises(pytest.fail.Exception):
        _measuring("hog").measure(one, {})


def test_the_leaderboard_shows_means_over_seeds(inside: Path) -> None:
    summary = read_json(layout.METRICS, "evaluate")
    assert summary["seeds"]["seeds"] == [0, 4, 7]
    by_seed = pd.read_csv(layout.TABLES / "seeds.csv")
    board = pd.read_csv(layout.TABLES / "leaderboard.csv").set_index("method")
    assert len(by_seed) == 3 * len(KEYS)
    for key in KEYS:
        scores = np.load(next(layout.RESULTS.glob(f"*/{key}/scores.npz")))["test"]
        own = 100 * float((ranks(scores, load_split("test").labels) > 0).mean())
        others = [100 * float((np.asarray(point.ranks) > 0).mean()) for point in _points(key).values()]
        listed = by_seed[by_seed.method == key].set_index("seed").test_top1_error
        assert [listed[0], listed[4], listed[7]] == pytest.approx([own, *others], abs=1e-3)
        assert board.test_top1_error[key] == pytest.approx(np.mean([own, *others]), abs=1e-3)
        assert board.test_top1_low[key] < board.test_top1_error[key] < board.test_top1_high[key]


def test_page_and_summary_say_what_the_errors_are_means_of(inside: Path) -> None:
    page, digest = layout.PAGE.read_text(encoding="utf-8"), layout.SUMMARY.read_text(encoding="utf-8")
    assert "was trained once from each of 3 seeds (0, 4 and 7)" in page
    assert "in the mean of 3 seeds" in page
    assert "a paired t test over test images and seeds" in page
    assert "Errors are means over 3 seeds" in page
    assert "One run with one seed" not in page + digest
    assert "Wilson intervals. “Place”" not in page
    assert 'download="seeds.csv"' in page
    assert "Intervals over test images and seeds are at 95 %" in digest
    assert "seeds 0, 4 and 7." in digest


def test_published_rows_hold_every_seed(inside: Path) -> None:
    def published() -> dict[str, Any]:
        rows = read_json(layout.REPORTS / "published" / "objects" / "seeded.json", "publish")
        return {row["method"]: row for row in rows}["lenet5"]

    publish.run("2026-01-02", [], "seeded")
    row = published()
    own = read_json(layout.METRICS, "evaluate")["seeds"]["methods"]["lenet5"]
    assert row["seeds"] == [0, 4, 7]
    assert row["top1_errors"] == list(own["test"].values())
    assert row["top1_error"] == pytest.approx(np.mean(row["top1_errors"]), abs=1e-3)
    assert row["val_top1_error"] == own["val_error"]
    assert "-S 'seeds=[4,0,7]'" in row["command"]
    publish.run("2026-01-03", [], "seeded", add=True)
    assert published() == row | {"date": "2026-01-03"}


def test_a_comparison_says_that_means_of_other_counts_are_compared(inside: Path) -> None:
    summary = read_json(layout.METRICS, "evaluate")
    said = comparison.conditions(summary | {"seeds": None}, summary)
    assert said == ["seeds whose mean an error is: 1 and 3"]


def test_the_era_is_represented_by_the_best_mean_on_val(inside: Path) -> None:
    from pipeline.evaluation.results import load
    from pipeline.report.answer import best_of

    summary = read_json(layout.METRICS, "evaluate")
    methods = summary["seeds"]["methods"]
    for key in KEYS:
        summary["methods"][key]["val"]["top1_error"] = 50.0
        methods[key]["val_error"] = 10.0 if key == "color_histogram" else 40.0
    best = best_of(load(settings.load()).results, summary, "hand-crafted")
    assert best is not None
    assert best.method.key == "color_histogram"


def test_a_seed_that_failed_is_left_out_and_named(
    inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = load_split("test")
    points = [replace(_points("hog")[4], ranks=None, failed="no luck"), _points("hog")[7]]
    monkeypatch.setattr(layout, "REPORTS", tmp_path)
    for name in ("METRICS", "ERRORS", "TABLES", "PLOTS", "PAGE", "SUMMARY", "CHARTS"):
        monkeypatch.setattr(layout, name, tmp_path / getattr(layout, name).name)
    folder = layout.SEEDS / "hog"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    try:
        kept.write(points, test.ids, folder)
        evaluate.run()
    finally:
        for name, content in before.items():
            (folder / name).write_bytes(content)
    own = read_json(layout.METRICS, "evaluate")["seeds"]["methods"]["hog"]
    assert list(own["test"]) == ["0", "7"]
    assert own["failed"] == {"4": "no luck"}


def test_damaged_seeds_leave_the_one_of_the_results(inside: Path, tmp_path: Path) -> None:
    from pipeline.evaluation.results import _fits

    write_arrays(tmp_path / "ranks.npz", test=np.zeros((1, 3), np.uint16), ids=np.array(["a", "b", "c"]))
    (tmp_path / "fits.json").write_text("[]")
    points = _fits(tmp_path, "seeds", ["x"], [4, 7])
    assert [point.seed for point in points] == [4, 7]
    assert all(point.ranks is None for point in points)
    point = points[0]
    assert "rerun the stage seeds" in str(point.failed)


def test_one_seed_trains_nothing_more(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(project, {**METHODS, "seeds": [0]})
    prepare.run()
    seeds.run()
    assert "none beside `seed`" in capsys.readouterr().err
    assert list(layout.SEEDS.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seeds": [1, 2]}, r"`seeds`.*\[1, 2\] lacks 0, which is `seed`; add it, or change `seed`"),
        ({"seeds": [0, 3, 3]}, r"`seeds`.*names 3 twice; name each seed once"),
        ({"seeds": []}, r"`seeds`"),
        ({"seeds": [0, -1]}, r"`seeds\.1`|`seeds"),
        ({"seeds": 3}, r"`seeds`"),
    ],
)
def test_wrong_seeds_are_one_sentence(project: Path, changes: dict[str, Any], sentence: str) -> None:
    edit(project, changes)
    with pytest.raises(PipelineError, match=sentence):
        settings.load()


def test_the_command_ends_with_the_sentence(project: Path) -> None:
    edit(project, {"seeds": [1]})
    done = pipeline(project, "seeds")
    assert done.returncode == 1
    assert "lacks 0" in done.stderr
    assert "Traceback" not in done.stderr
