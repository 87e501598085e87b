"""Learning curves: subsets are nested and stratified, nothing outside them is read, and kills cost nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import layout, settings
from pipeline.curves import fitting, kept, planning
from pipeline.curves.fitting import Measuring
from pipeline.curves.kept import Point
from pipeline.curves.sizes import sizes_of
from pipeline.curves.subsets import Labelled, nested_order
from pipeline.data.contract import load_split
from pipeline.errors import PipelineError
from pipeline.evaluation.metrics import ranks
from pipeline.files import read_json, write_json
from pipeline.models import measured
from pipeline.models.families import fit
from pipeline.models.look import look_at
from pipeline.models.recipe import Recipe
from pipeline.settings.curve import Curve
from pipeline.stages import cnn, codebook, curve, evaluate, features, fuse, prepare, publish, report, svm
from tests.conftest import edit, make_project, pipeline

# ---------------------------------------------------------------------------------------------------- subsets


@given(
    counts=st.lists(st.integers(2, 60), min_size=2, max_size=5),
    seed=st.integers(0, 3),
    grouped=st.booleans(),
    share=st.floats(0, 1),
)
def test_every_beginning_of_the_order_is_stratified(counts: list[int], seed: int, grouped: bool, share: float) -> None:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    together = np.arange(len(labels)) // (2 if grouped else 1)
    order = nested_order(labels, together, seed)
    assert sorted(order) == list(range(len(labels)))
    size = round(2 * len(counts) + share * (len(labels) - 2 * len(counts)))
    found = np.bincount(labels[order[:size]], minlength=len(counts))
    assert found.sum() == size
    assert (found >= 2).all()
    # Where no class needs its first two images more than its share of the rest, each has its share to the image.
    exact = size * np.array(counts) / len(labels)
    if (exact >= 3).all():
        assert (np.abs(found - exact) <= 1.5).all()


@given(st.lists(st.integers(3, 9), min_size=2, max_size=4), st.integers(0, 5))
def test_the_first_two_images_of_a_class_are_of_two_groups(counts: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    together = np.arange(len(labels)) * 10
    for label in range(len(counts)):  # all but one image of each class are of one group
        together[np.flatnonzero(labels == label)[1:]] = label + 1
    first = nested_order(labels, together, seed)[: 2 * len(counts)]
    for label in range(len(counts)):
        assert len(set(together[first[labels[first] == label]])) == 2


@pytest.mark.parametrize(
    ("sizes", "images", "expected"),
    [
        ("auto", 50_000, [20, 63, 200, 630, 2000, 6300, 20_000, 50_000]),
        ("auto", 2100, [20, 63, 200, 630, 2100]),  # 2,000 is nearly all of them
        ("auto", 15, [15]),
        (4, 6000, [20, 130, 900, 6000]),
        (4, 22, [20, 21, 22]),
        ([30, 100], 100, [30, 100]),
        ([], 100, []),
    ],
)
def test_sizes(sizes: Any, images: int, expected: list[int]) -> None:
    found = sizes_of(_curve(sizes=sizes), images, 10)
    assert found == expected


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [([20, 101], "has 101, but the data set has 100"), ([19, 50], "has 19, but 10 classes need 2 images each.*20")],
)
def test_sizes_that_cannot_be_drawn_are_said(sizes: list[int], sentence: str) -> None:
    with pytest.raises(PipelineError, match=sentence):
        sizes_of(_curve(sizes=sizes), 100, 10)


def test_seeds_may_be_more_where_images_are_few() -> None:
    assert _curve(seeds=[3, 1]).seeds_at(10) == [3, 1]
    fewer = _curve(seeds=[{"images": 100, "seeds": 4}, {"images": 1000, "seeds": 2}])
    assert [fewer.seeds_at(size) for size in (20, 100, 999, 1000)] == [[0, 1, 2, 3]] * 3 + [[0, 1]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"curve.sizes": [100, 100]}, ["curve.sizes", "does not ascend"]),
        ({"curve.sizes": 1}, ["curve.sizes"]),
        ({"curve.seeds": []}, ["curve.seeds"]),
        ({"curve.seeds": [1, 1]}, ["curve.seeds", "names 1 twice"]),
        ({"curve.seeds": [{"images": 9, "seeds": 2}, {"images": 9, "seeds": 1}]}, ["curve.seeds", "ascend"]),
        ({"curve.methods": ["hgo"]}, ["curve.methods", "hog"]),
        ({"curve.methods": ["hog", "hog"]}, ["curve.methods", "names hog twice"]),
        ({"curve.methods": ["gabor"]}, ["`curve.methods` names gabor, which `features` does not select"]),
        ({"curve.val_fraction": 1.0}, ["curve.val_fraction"]),
    ],
)
def test_what_makes_no_curve_is_one_sentence(project: Path, changes: dict[str, Any], words: list[str]) -> None:
    edit(project, changes)
    done = pipeline(project, "prepare")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def _curve(**changes: Any) -> Curve:
    return Curve.model_validate({"methods": [], "sizes": "auto", "seeds": [0], "val_fraction": 0.2} | changes)


# ---------------------------------------------------------------------------------------------------- fitting

METHODS = {
    "features": ["hog", "color_histogram", "sift_bow"],
    "fusions": ["all_classical"],
    "networks": ["lenet5"],
    "all_classical.members": ["hog", "color_histogram"],
}
SIZES, SEEDS = [40, 90, 240], [0, 4]


@pytest.fixture(scope="module")
def curved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty classes of twelve labelled images each: at 240 val chooses, at 90 and 40 the choice of 240 is kept."""
    folder = make_project(
        tmp_path_factory.mktemp("curved") / "p",
        {
            **METHODS,
            "curve.methods": ["all_classical", "hog", "lenet5", "sift_bow"],
            "curve.sizes": SIZES,
            "curve.seeds": SEEDS,
            "datasets.objects.images_per_class": {"train": 9, "val": 3, "test": 2},
        },
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prepare.run()
        curve.run(None)
    return folder


@pytest.fixture
def inside(curved: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(curved)
    return curved


def _measuring(key: str, fingerprint: str | None = None) -> Measuring:
    chosen = settings.load()
    labelled = Labelled.read(chosen.curve.val_fraction)
    if fingerprint is not None:
        labelled = replace(labelled, images=replace(labelled.images, fingerprint=fingerprint))
    return Measuring.of(chosen, key, labelled, load_split("test"))


def _points(key: str) -> list[Point]:
    return kept.read(layout.curve_of(key), "curve", load_split("test").ids)


def _measured(measuring: Measuring) -> list[Point]:
    return sorted(fitting.measured(measuring, measuring.fits()), key=lambda one: (one.size, one.seed))


def test_every_size_and_seed_is_there(inside: Path) -> None:
    for key in ("all_classical", "hog", "lenet5", "sift_bow"):
        points = _points(key)
        assert [(point.size, point.seed) for point in points] == [(size, seed) for size in SIZES for seed in SEEDS]
        assert [point.tuned for point in points] == [False] * 4 + [True] * 2
        for point in points:
            assert point.failed is None
            assert point.val_images == (48 if point.size == 240 else 20)
            assert point.train_seconds > 0
            assert point.bytes > 0
            assert point.steps > 0


def test_subsets_are_nested_and_differ_between_seeds(inside: Path) -> None:
    labelled = _measuring("hog").labelled
    for seed in SEEDS:
        names: set[str] = set()
        for size in SIZES:
            data = labelled.draw(size, seed)
            own = {*data.train.ids, *data.val.ids}
            assert len(own) == len(data.train) + len(data.val) == size
            assert names < own
            names = own
            assert set(np.unique(data.train.labels)) == set(np.unique(data.val.labels)) == set(range(20))
    first, other = ({*labelled.draw(90, seed).train.ids} for seed in SEEDS)
    assert first != other


def test_groups_and_copies_are_not_torn_apart(inside: Path) -> None:
    labelled = _measuring("hog").labelled
    together = np.arange(len(labelled.images)) // 2 * 2
    grouped = replace(labelled, images=replace(labelled.images, together=together))
    group_of = dict(zip(labelled.images.ids, together, strict=True))
    data = grouped.draw(240, 0)
    train, val = ({group_of[name] for name in split.ids} for split in (data.train, data.val))
    assert not train & val


def test_many_images_go_through_the_disk(inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled = _measuring("hog").labelled
    held = labelled.draw(90, 0)
    monkeypatch.setattr("pipeline.data.pooled.IN_MEMORY", 1)
    mapped = labelled.draw(90, 0, tmp_path / "images")
    assert isinstance(mapped.train.images, np.memmap)
    for one, other in ((held.train, mapped.train), (held.val, mapped.val)):
        np.testing.assert_array_equal(one.images, other.images)
        assert one.ids == other.ids


def test_nothing_outside_a_subset_is_read(inside: Path) -> None:
    """Every other image is replaced, and labels of train and val are shifted: scores stay as they were, to the bit."""
    for key in ("hog", "sift_bow", "lenet5", "all_classical"):
        measuring = _measuring(key, "poisoned")
        images = measuring.labelled.images
        one = next(found for found in measuring.fits() if found.seed == 4 and found.tuned)
        one = replace(one, size=130)  # of 240; tuned on val, so that nothing of a larger size is known
        mine = np.zeros(len(images), bool)
        mine[nested_order(images.labels, images.together, 4)[:130]] = True
        random, parts, start = np.random.default_rng(0), [], 0
        for part in images.parts:
            pixels, others = np.array(part.images), ~mine[start : start + len(part)]
            pixels[others] = random.integers(0, 256, pixels[others].shape)
            parts.append(replace(part, images=pixels))
            start += len(part)
        clean = measuring.measure(one, {})[key]
        poisoned = replace(measuring, labelled=replace(measuring.labelled, images=replace(images, parts=parts)))
        for folder in measuring.folders.values():
            (folder / "130-4.npz").unlink()
        np.testing.assert_array_equal(poisoned.measure(one, {})[key].test.scores, clean.test.scores)


def test_few_images_take_the_hyper_parameter_of_the_next_larger_size(inside: Path) -> None:
    measuring = _measuring("hog")
    for seed in SEEDS:
        by_size = {point.size: point for point in _points("hog") if point.seed == seed}
        assert by_size[40].chosen == by_size[90].chosen == by_size[240].chosen
    fits = [(one.size, one.seed, one.tuned) for one in measuring.fits()]
    assert fits == [(size, seed, size == 240) for seed in SEEDS for size in reversed(SIZES)]


def test_a_point_is_what_fitting_its_subset_gives(inside: Path, tmp_path: Path) -> None:
    measuring = _measuring("hog")
    data = measuring.labelled.draw(240, 4)
    recipe = replace(measuring.recipes[0], seed=4)
    done = fit(recipe, data, measuring.settings.compute, tmp_path / "work")
    point = next(point for point in _points("hog") if (point.size, point.seed) == (240, 4))
    found = look_at(done, measuring.test.images).scores
    np.testing.assert_array_equal(point.ranks, ranks(found, measuring.test.labels))


def test_a_killed_curve_goes_on_after_its_last_fit(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _points("all_classical")
    fits: list[tuple[str, int]] = []

    def killed(recipe: Recipe, data: Any, *rest: Any) -> Any:
        fits.append((recipe.key, len(data.train) + len(data.val)))
        if len(fits) == 4:
            raise KeyboardInterrupt
        return fit(recipe, data, *rest)

    monkeypatch.setattr(measured, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        _measured(_measuring("all_classical", "another"))
    found = _measured(_measuring("all_classical", "another"))
    assert len(fits) == 2 * len(SIZES) * len(SEEDS) + 1  # the fourth is done again, and nothing else
    for one, other in zip(found, whole, strict=True):
        np.testing.assert_array_equal(one.ranks, other.ranks)
        assert one.val_error == other.val_error


def test_workers_change_nothing(inside: Path) -> None:
    """Of the methods that share their work out among threads."""
    for key in ("hog", "sift_bow"):
        measuring = _measuring(key, "three workers")
        compute = measuring.settings.compute.model_copy(update={"workers": 3})
        changed = replace(measuring, settings=measuring.settings.model_copy(update={"compute": compute}))
        found = _measured(changed)
        for one, other in zip(found, _points(key), strict=True):
            np.testing.assert_array_equal(one.ranks, other.ranks)


def test_a_fit_that_fails_is_a_point_that_says_why(
    inside: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def failing(recipe: Recipe, data: Any, *rest: Any) -> Any:
        if len(data.train) + len(data.val) == 90:
            raise PipelineError("no luck")
        return fit(recipe, data, *rest)

    monkeypatch.setattr(measured, "fit", failing)
    points = _measured(_measuring("hog", "failing"))
    assert [(point.size, point.failed) for point in points if point.failed] == [(90, "no luck")] * 2
    test = load_split("test")
    monkeypatch.setattr(layout, "CURVES", tmp_path)
    kept.write(points, test.ids, layout.curve_of("hog"))
    back = kept.read(tmp_path / "hog", "curve", test.ids)
    assert [(one.size, one.seed, one.failed) for one in back] == [(one.size, one.seed, one.failed) for one in points]
    with pytest.raises(PipelineError, match="other test images"):
        kept.read(tmp_path / "hog", "curve", test.ids[:-1])


def test_no_sizes_are_no_curve(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(project, {"curve.methods": ["hog"], "curve.sizes": []})
    prepare.run()
    curve.run("hog")
    assert "names no size" in capsys.readouterr().err
    assert _points("hog") == []


def test_page_summary_and_table_answer_from_how_many_images_on(inside: Path) -> None:
    edit(inside, {"features": ["hog", "color_histogram", "sift_bow"]})
    for stage in (codebook, features, svm):
        for key in ("hog", "color_histogram", "sift_bow"):
            stage.run(key)
    fuse.run("all_classical")
    cnn.run("lenet5")
    evaluate.run()
    report.run()
    found = read_json(layout.METRICS, "evaluate")["curve"]
    assert found["sizes"] == SIZES
    assert list(found["methods"]) == ["all_classical", "hog", "lenet5", "sift_bow"]
    assert found["seeded"]
    assert not found["failed"]
    page = layout.PAGE.read_text(encoding="utf-8")
    assert page.index('id="curve"') < page.index('id="leaderboard"')
    assert "Every pair of methods" in page
    assert 'download="curve.csv"' in page
    summary = layout.SUMMARY.read_text(encoding="utf-8")
    answer, table = summary.split("\n")[2], (layout.TABLES / "curve.csv").read_text(encoding="utf-8")
    assert "240" in answer
    assert "hand-crafted features" in answer
    assert "With all images: " in summary
    assert "| 40 |" in summary
    assert (layout.CHARTS / "curve.svg").is_file()
    assert len(table.splitlines()) == 1 + 4 * len(SIZES)

    publish.run("2026-01-02", ["curve.sizes.demo=[40,90,240]"], "results")
    path = layout.REPORTS / "published" / "objects" / "curve.json"
    rows = read_json(path, "publish")
    assert len(rows) == 4 * len(SIZES) * len(SEEDS)
    first = next(point for point in _points("hog") if (point.size, point.seed) == (40, 4))
    row = next(row for row in rows if (row["method"], row["n"], row["seed"]) == ("hog", 40, 4))
    assert row["top1_error"] == round(100 * float((np.asarray(first.ranks) > 0).mean()), 4)
    assert "curve.methods=[all_classical,hog,lenet5,sift_bow]" in row["command"]
    pairs = read_json(path.with_name("crossing.json"), "publish")
    assert [(pair["old"], pair["new"], pair["sizes"]) for pair in pairs] == [
        (pair["old"], pair["new"], pair["sizes"]) for pair in found["pairs"]
    ]
    kept_row = {**row, "n": 20, "top1_error": 99.0}
    write_json(path, [kept_row, {**row, "top1_error": 98.0}])
    another = {**pairs[0], "new": "resnet20"}
    write_json(path.with_name("crossing.json"), [another, {**pairs[0], "median": 7}])
    publish.run("2026-01-03", [], "results", add=True)
    joined = read_json(path, "publish")
    assert len(joined) == len(rows) + 1
    assert kept_row in joined
    assert 98.0 not in [one["top1_error"] for one in joined]
    beside = read_json(path.with_name("crossing.json"), "publish")
    assert another in beside
    assert len(beside) == len(pairs) + 1
    assert all(pair["median"] != 7 for pair in beside)


def test_a_plan_counts_what_is_left(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = settings.load()
    rows = planning.plan(chosen, ["hog", "lenet5"])
    assert [(row.key, row.size, row.seeds, row.kept) for row in rows] == [
        (key, size, 2, 2) for key in ("hog", "lenet5") for size in SIZES
    ]
    assert all(row.seconds > 0 and row.left == 0 for row in rows)
    more = chosen.model_copy(update={"curve": chosen.curve.model_copy(update={"seeds": [0, 4, 5]})})
    assert [row.kept for row in planning.plan(more, ["all_classical"])] == [2] * 6  # of its two members
    curve.run(None, plan=True)
    said = capsys.readouterr().out
    assert "In all 0 s on this machine" in said
    assert "SIFT bag of words" in said
