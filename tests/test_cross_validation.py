"""Cross-validation of small sets: every image is test once, no model sees its fold, and kills cost nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import settings
from pipeline.cross_validation import fitting, kept
from pipeline.cross_validation.kept import Kept
from pipeline.cross_validation.pool import Pool
from pipeline.data.contract import load_manifest, load_split
from pipeline.data.folds import draw, units
from pipeline.errors import PipelineError
from pipeline.evaluation.cross_validated import cross_validated, rows
from pipeline.evaluation.metrics import wilson_interval
from pipeline.files import read_json
from pipeline.models import measured
from pipeline.models.families import fit
from pipeline.models.look import look_at
from pipeline.models.recipe import Recipe
from pipeline.stages import cnn, codebook, evaluate, features, folds, prepare, report, svm
from tests.conftest import ROOT, edit, make_project, pipeline

CLASSES = ["a", "b", "c"]
METHODS = {"features": ["hog", "color_histogram"], "fusions": ["all_classical"], "networks": ["lenet5"]}


# ---------------------------------------------------------------------------------------------------- drawing


@given(st.lists(st.integers(6, 30), min_size=3, max_size=3), st.integers(2, 6), st.integers(0, 4), st.booleans())
def test_every_image_is_in_one_fold_and_every_class_outside_each(
    counts: list[int], folds: int, seed: int, grouped: bool
) -> None:
    labels = np.repeat(np.arange(3), counts)
    together = np.arange(len(labels)) // 2 if grouped else np.arange(len(labels))
    sentence = ""
    try:
        drawn = draw(labels, together, folds, seed, CLASSES)
    except PipelineError as error:
        sentence = str(error)
    if sentence:
        assert grouped
        assert "groups" in sentence
        return
    assert drawn.shape == labels.shape
    assert set(drawn) == set(range(folds))
    for unit in np.unique(together):
        assert len(set(drawn[together == unit])) == 1
    for fold in range(folds):
        for label in range(3):
            assert len(np.unique(together[(labels == label) & (drawn != fold)])) >= 2
    if not grouped:
        sizes = np.array([[((drawn == fold) & (labels == label)).sum() for label in range(3)] for fold in range(folds)])
        assert (sizes.max(axis=0) - sizes.min(axis=0) <= 1).all()  # stratified to the image
    np.testing.assert_array_equal(drawn, draw(labels, together, folds, seed, CLASSES))


def test_another_seed_draws_other_folds() -> None:
    labels = np.repeat([0, 1], 50)
    assert (draw(labels, np.arange(100), 5, 0, ["a", "b"]) != draw(labels, np.arange(100), 5, 1, ["a", "b"])).any()


def test_copies_and_groups_stay_together_also_through_each_other() -> None:
    content = np.array([b"x", b"y", b"x", b"z", b"w"])
    assert units(content, None).tolist() == [0, 1, 0, 2, 3]
    assert units(content, ["p", "q", "r", "r", "s"]).tolist() == [0, 1, 0, 0, 2]  # x joins p and r, r brings z


@pytest.mark.parametrize(
    ("labels", "together", "folds", "sentence"),
    [
        ([0] * 9 + [1] * 2, range(11), 3, "class 'b' has 2 different images or groups"),
        ([0, 1] * 3, range(6), 7, "7 folds .* are more than"),
        ([0] * 9 + [1] * 9, [0, 1, 2] * 3 + list(range(3, 12)), 2, "class 'a' has images of too few groups"),
    ],
)
def test_what_allows_no_folds_is_said(labels: list[int], together: Any, folds: int, sentence: str) -> None:
    with pytest.raises(PipelineError, match=sentence):
        draw(np.array(labels), np.array(together), folds, 0, ["a", "b"])


# ---------------------------------------------------------------------------------------------------- preparing


def test_small_sets_are_folded_by_themselves_and_others_when_asked(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(project, {"prepare.folds": "auto"})
    prepare.run()
    assert load_manifest()["folds"] == 0  # objects bring a test
    assert Pool.read() is None
    edit(project, {"prepare.folds": 3})
    prepare.run()
    pool = Pool.read()
    assert pool is not None
    assert pool.count == 3
    assert pool.images.ids == [name for split in ("train", "val", "test") for name in load_split(split).ids]
    edit(project, {"dataset": "digits", "prepare.folds": "auto"})
    prepare.run()
    assert Pool.read() is None  # 1,797 images
    folds.run()
    assert "test is large enough" in capsys.readouterr().err
    assert kept.read(["hog"], 10) is None


def test_one_fold_is_refused(project: Path) -> None:
    edit(project, {"prepare.folds": 1})
    done = pipeline(project, "prepare")
    assert done.returncode == 1
    assert "prepare.folds" in done.stderr
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------------------------------------------- fitting


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(
        tmp_path_factory.mktemp("folded") / "p",
        {**METHODS, "prepare.folds": 2, "datasets.objects.images_per_class": {"train": 4, "val": 1, "test": 2}},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prepare.run()
        folds.run()
    return folder


@pytest.fixture
def inside(folded: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folded)
    return folded


def _pool(fingerprint: str | None = None) -> Pool:
    pool = Pool.read()
    assert pool is not None
    if fingerprint is None:
        return pool
    return replace(pool, images=replace(pool.images, fingerprint=fingerprint))


def test_every_image_is_scored_by_the_model_of_its_own_fold(inside: Path, tmp_path: Path) -> None:
    chosen, pool = settings.load(), _pool()
    found = kept.read(chosen.selected, len(pool.images.classes))
    assert found is not None
    assert not found.failed
    assert set(found.scores) == {"hog", "color_histogram", "all_classical", "lenet5"}
    for number in range(2):
        data, test = pool.fold(number, chosen.prepare.val_fraction, chosen.seed)
        names = [set(split.ids) for split in (data.train, data.val, test)]
        assert sum(map(len, names)) == len(set.union(*names)) == len(pool.images)
        fitted = fit(Recipe.of(chosen, "hog", "feature"), data, chosen.compute, tmp_path / str(number))
        np.testing.assert_array_equal(found.scores["hog"][pool.folds == number], look_at(fitted, test.images).scores)


def test_nothing_of_a_fold_reaches_its_models(inside: Path) -> None:
    """The fold's pixels and labels are replaced: what its models say of val stays as it was, to the bit."""
    chosen, pool = settings.load(), _pool()
    before = {path.parent.name.rsplit("-", 1)[0]: np.load(path) for path in Path("work/folds").glob("*/0.npz")}
    before = {key: arrays["val_scores"] for key, arrays in before.items()}
    assert set(before) == {"hog", "color_histogram", "lenet5"}
    random, parts, start = np.random.default_rng(0), [], 0
    for part in pool.images.parts:
        mine = pool.folds[start : start + len(part)] == 0
        images = np.array(part.images)
        images[mine] = random.integers(0, 256, images[mine].shape)
        parts.append(replace(part, images=images))
        start += len(part)
    labels = np.where(pool.folds == 0, (pool.images.labels + 1) % len(pool.images.classes), pool.images.labels)
    data, poisoned = replace(pool, images=replace(pool.images, parts=parts, labels=labels)).fold(
        0, chosen.prepare.val_fraction, chosen.seed
    )
    assert (poisoned.labels != pool.fold(0, chosen.prepare.val_fraction, chosen.seed)[1].labels).all()
    for key, family in (("hog", "feature"), ("color_histogram", "feature"), ("lenet5", "network")):
        fitted = fit(Recipe.of(chosen, key, family), data, chosen.compute, inside / "work" / "poisoned" / key)  # type: ignore[arg-type]
        np.testing.assert_array_equal(fitted.val_scores, before[key])


def test_a_killed_run_goes_on_after_its_last_fit(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, pool = settings.load(), _pool("another")
    whole = kept.read(chosen.selected, len(pool.images.classes))
    fits: list[str] = []

    def killed(recipe: Recipe, *rest: Any) -> Any:
        fits.append(recipe.key)
        if len(fits) == 3:
            raise KeyboardInterrupt
        return fit(recipe, *rest)

    monkeypatch.setattr(measured, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        fitting.cross_validate(chosen, pool)
    found = fitting.cross_validate(chosen, pool)
    assert len(fits) == 3 + 2 * 3 - 2  # two were done, the third is done again
    assert whole is not None
    for key, scores in found.scores.items():
        np.testing.assert_array_equal(scores, whole.scores[key])
    fitting.cross_validate(chosen, pool)
    assert len(fits) == 7


def test_a_method_that_fails_is_named_with_what_needs_it(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(recipe: Recipe, *rest: Any) -> Any:
        if recipe.key == "hog":
            raise PipelineError("no luck")
        return fit(recipe, *rest)

    monkeypatch.setattr(measured, "fit", failing)
    found = fitting.cross_validate(settings.load(), _pool("a third"))
    assert set(found.scores) == {"color_histogram", "lenet5"}
    assert found.failed["hog"] == "fold 1 of 2: HOG + SVM: no luck"
    assert "needs hog" in found.failed["all_classical"]


# ---------------------------------------------------------------------------------------------------- reporting


def test_errors_count_every_image_once() -> None:
    labels = np.array([0, 1] * 50)
    right = np.eye(2, dtype=np.float32)[labels]
    wrong = right.copy()
    wrong[:20] = 1 - wrong[:20]
    found = cross_validated(
        Kept([str(number) for number in range(100)], labels, np.arange(100) % 5, {"hog": wrong, "lenet5": right}, {}),
        0.95,
    )
    assert found is not None
    assert (found["folds"], found["images"]) == (5, 100)
    assert found["methods"]["hog"]["top1_error"] == 20.0
    low, high = wilson_interval(20, 100, 0.95)
    assert found["methods"]["hog"]["top1_low"] == round(100 * low, 4)
    assert found["methods"]["hog"]["top1_high"] == round(100 * high, 4)
    assert found["methods"]["hog"]["top5_error"] is None
    assert [row["method"] for row in rows(found)] == ["lenet5", "hog"]
    assert [row["first_place"] for row in rows(found)] == [1, 2]
    assert not found["methods"]["hog"]["tied_with_best"]
    assert found["eras"]["learned"]["chosen"] == ["lenet5"] * 5
    assert found["p_equal"] < 0.001
    assert cross_validated(None, 0.95) is None


def test_what_saw_the_images_has_no_place() -> None:
    labels = np.array([0, 1] * 50)
    right = np.eye(2, dtype=np.float32)[labels]
    wrong = right.copy()
    wrong[:20] = 1 - wrong[:20]
    names = [str(number) for number in range(100)]
    scores = {"efficientnet_lite0": right, "hog": wrong, "lenet5": wrong}
    found = cross_validated(Kept(names, labels, np.arange(100) % 5, scores, {}), 0.95, {"efficientnet_lite0"})
    assert found is not None
    assert [(row["method"], row["first_place"]) for row in rows(found)][-1] == ("efficientnet_lite0", None)
    assert not found["methods"]["efficientnet_lite0"]["tied_with_best"]
    assert found["methods"]["hog"]["place"] == found["methods"]["lenet5"]["place"] == [1, 2]


def test_no_image_has_a_say_in_which_method_is_counted_on_it() -> None:
    """Each method is right in one fold alone: chosen on all images, or on the fold itself, errors would be fewer."""
    labels, folds = np.zeros(90, np.int64), np.arange(90) % 3
    right, wrong = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    scores = {
        key: np.where((folds == fold)[:, None], right, wrong)
        for fold, key in enumerate(("hog", "textons", "color_histogram"))
    }
    names = [str(number) for number in range(90)]
    found = cross_validated(Kept(names, labels, folds, scores, {}), 0.95)
    assert found is not None
    era = found["eras"]["hand-crafted"]
    assert [scores[key][folds == fold][0, 0] for fold, key in enumerate(era["chosen"])] == [0, 0, 0]
    assert era["top1_error"] == 100.0
    assert found["p_equal"] is None


def test_a_file_of_other_images_is_refused(inside: Path, tmp_path: Path) -> None:
    pool = _pool()
    short = fitting.CrossValidated({"hog": np.zeros((3, len(pool.images.classes)), np.float32)}, {})
    kept.write(pool, short, tmp_path / "results")
    with pytest.raises(PipelineError, match=r"hog\.npz.*expected"):
        kept.read(["hog"], len(pool.images.classes), tmp_path / "results")


def test_page_summary_and_table_tell_of_it(inside: Path) -> None:
    edit(inside, {"features": ["hog"], "fusions": []})
    for stage in (codebook, features, svm):
        stage.run("hog")
    cnn.run("lenet5")
    evaluate.run()
    report.run()
    found = read_json(inside / "reports" / "metrics.json", "evaluate")["cross_validation"]
    images = 20 * 7
    assert (found["folds"], found["images"], list(found["methods"])) == (2, images, ["lenet5", "hog"])
    page = (inside / "reports" / "index.html").read_text(encoding="utf-8")
    assert 'id="folds"' in page
    assert "cross_validation.csv" in page
    summary = (inside / "reports" / "summary.md").read_text(encoding="utf-8")
    assert f"All {images} images, each scored by models that had not seen it (2 folds):" in summary
    assert f"so each of all {images} was test once (cross-validation in 2 folds" in summary
    table = (inside / "reports" / "tables" / "cross_validation.csv").read_text(encoding="utf-8")
    assert len(table.splitlines()) == 3


def test_the_stage_is_part_of_the_graph() -> None:
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert "cmd: python -m pipeline folds" in text
    assert "- results/folds" in text
