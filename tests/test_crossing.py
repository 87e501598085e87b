"""From how many images on: known curves give back their crossing, and each kind of outcome is told from the others."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.curves.kept import Point
from pipeline.evaluation.curves.crossing import crossing, overtaking
from pipeline.evaluation.curves.described import described
from pipeline.evaluation.curves.forms import FORMS, POWER, extrapolate, weights_of
from pipeline.evaluation.curves.measured import MethodCurve
from pipeline.evaluation.curves.replicates import draw
from pipeline.evaluation.curves.rows import table
from pipeline.report.charts.curve import curve as chart_of
from pipeline.report.crossings import ERAS, in_short
from pipeline.report.crossings import overtaking as overtaking_in_words
from pipeline.report.curves import answer_of, for_the_script, gains, shown

SIZES = np.array([100, 300, 1000, 3000, 10_000])
OLD, NEW = "hog", "alexnet"


def power(scale: float, exponent: float, floor: float = 0.0) -> np.ndarray:
    return floor + scale * (SIZES / 100.0) ** -exponent


def points(
    errors: np.ndarray, seeds: int, random: np.random.Generator, images: int = 1000, luck: float = 0.05
) -> list[Point]:
    """Fits whose errors scatter by `luck` times themselves, on test images of different difficulty."""
    found = []
    difficulty = np.arange(images) / images
    for size, error in zip(SIZES, errors, strict=True):
        for seed in range(seeds):
            mine = float(np.clip(error * (1 + luck * random.standard_normal()), 0.001, 0.99))
            chance = np.clip(mine + 0.4 * (difficulty - 0.5) * min(mine, 1 - mine), 0, 1)
            wrong = random.random(images) < chance
            val = float(np.clip(mine + 0.05 * random.standard_normal(), 0, 1))
            found.append(Point(int(size), seed, np.where(wrong, 6, 0).astype(np.uint16), val, 50, 1.0, 0.1, 100, 10))
    return found


def outcome(old: np.ndarray, new: np.ndarray, seeds: int = 5, seed: int = 0, **changes: Any) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    found = described(
        {OLD: points(old, seeds, random, **changes), NEW: points(new, seeds, random, **changes)}, 10, 0.95, 0
    )
    assert found is not None
    return found


# ---------------------------------------------------------------------------------------------------- where they cross


@given(st.floats(150, 9000), st.floats(0.05, 0.4), st.floats(0.45, 0.9), st.floats(0.05, 0.6))
def test_straight_lines_on_logarithmic_axes_cross_where_they_do(
    at: float, flat: float, steep: float, level: float
) -> None:
    old, new = (level * (SIZES / at) ** -exponent for exponent in (flat, steep))
    assert overtaking(SIZES, old[None], new[None])[0] == pytest.approx(at, rel=1e-6)
    assert overtaking(SIZES, new[None], old[None])[0] == np.inf


def test_the_last_overtaking_counts() -> None:
    old = np.full((4, 5), 0.5)
    new = np.array([[0.4] * 5, [0.6] * 5, [0.4, 0.6, 0.6, 0.4, 0.4], [0.6, 0.4, 0.6, 0.4, 0.5]])
    found = overtaking(SIZES, old, new)
    assert found[0] == -np.inf
    assert found[1] == found[3] == np.inf
    assert 1000 < found[2] < 3000


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (power(0.6, 0.2), power(0.8, 0.5), "crossing"),
        (power(0.6, 0.2), power(0.4, 0.5), "always"),
        (power(0.6, 0.3), power(0.9, 0.2), "never"),
        (power(0.6, 0.5), power(0.45, 0.1), "reversed"),
        (power(0.6, 0.3), power(0.6, 0.3), "undecided"),
    ],
)
def test_each_kind_of_outcome_is_found(old: np.ndarray, new: np.ndarray, kind: str) -> None:
    found = outcome(old, new)["crossing"]
    assert found["kind"] == kind
    if kind == "always":
        assert found["median"] == found["low"] == found["high"] == "smallest"
        assert set(found["winners"]) == {"new"}
    if kind == "never":
        assert found["median"] == found["low"] == found["high"] == "never"
        assert found["meeting"]["images"] is None
    if kind == "crossing":
        assert found["low"] < found["median"] < found["high"]
        assert found["winners"][0] == "old"
        assert found["winners"][-1] == "new"


def test_curves_that_would_meet_beyond_are_extrapolated() -> None:
    found = outcome(power(0.5, 0.15), power(0.9, 0.25), luck=0.01, images=5000)["crossing"]
    truth = 100 * (0.9 / 0.5) ** (1 / 0.1)  # 35,700
    assert found["kind"] == "never"
    assert found["meeting"]["low"] < truth
    assert found["meeting"]["high"] is None or found["meeting"]["high"] > truth
    assert set(found["meeting"]["forms"]) == set(FORMS)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 10])
def test_the_interval_holds_the_true_crossing_as_often_as_it_says(seeds: int) -> None:
    old, new = power(0.6, 0.2), power(0.8, 0.5)
    truth, hits, runs = 100 * (0.8 / 0.6) ** (1 / 0.3), 0, 400
    for run in range(runs):
        found = outcome(old, new, seeds, run, luck=0.08)["crossing"]
        low = 0 if found["low"] == "smallest" else found["low"]
        high = np.inf if found["high"] == "never" else found["high"]
        hits += low <= truth <= high
    assert hits / runs >= 0.92  # 95 % less twice the deviation of such a share


# ---------------------------------------------------------------------------------------------------- luck


def test_replicates_scatter_as_the_mean_over_seeds_does() -> None:
    """Means of many experiments have the deviation that the bootstrap of each one finds, in the mean."""
    random, means, widths = np.random.default_rng(0), [], []
    for _ in range(60):
        curve = MethodCurve.of(OLD, "hand-crafted", points(power(0.5, 0.2), 4, random, images=400, luck=0.1))
        drawn = draw([curve], count=400)
        means.append(curve.at[1000].errors.mean())
        widths.append(drawn.test[OLD, 1000].std())
    assert np.mean(widths) == pytest.approx(np.std(means), rel=0.3)


def test_methods_with_the_same_seeds_and_images_share_their_luck() -> None:
    found = points(power(0.5, 0.2), 4, np.random.default_rng(0), luck=0.2)
    curves = [MethodCurve.of(key, era, found) for key, era in ((OLD, "hand-crafted"), (NEW, "learned"))]
    drawn = draw(curves)
    np.testing.assert_allclose(drawn.test[OLD, 300], drawn.test[NEW, 300], atol=1e-6)


def test_one_seed_takes_its_luck_from_other_sizes_and_one_everywhere_has_none() -> None:
    found = points(power(0.5, 0.2), 4, np.random.default_rng(0), luck=0.2, images=20_000)
    some = [point for point in found if point.size < 10_000 or point.seed == 0]
    lucky = draw([MethodCurve.of(OLD, "hand-crafted", some)])
    relative = {size: lucky.test[OLD, size].std() / lucky.test[OLD, size].mean() for size in (3000, 10_000)}
    assert relative[10_000] > 1.3 * relative[3000]  # one seed, not the mean of four
    single = draw([MethodCurve.of(OLD, "hand-crafted", [point for point in found if point.seed == 0])])
    assert not single.seeded
    error = single.test[OLD, 300].mean()
    assert single.test[OLD, 300].std() == pytest.approx(np.sqrt(error * (1 - error) / 20_000), rel=0.1)


def test_the_best_of_an_era_is_chosen_on_val() -> None:
    random = np.random.default_rng(0)
    good_on_val, good_on_test = points(power(0.5, 0.2), 3, random), points(power(0.3, 0.2), 3, random)
    good_on_val = [Point(**{**vars(point), "val_error": 0.1}) for point in good_on_val]
    good_on_test = [Point(**{**vars(point), "val_error": 0.2}) for point in good_on_test]
    found = described({"hog": good_on_val, "sift_fv": good_on_test, NEW: good_on_test}, 10, 0.95, 0)
    assert found is not None
    rows = found["eras"]["hand-crafted"]["rows"]
    assert [row["method"] for row in rows] == ["hog"] * 5
    assert rows[0]["top1_error"] == found["methods"]["hog"]["rows"][0]["top1_error"]
    assert [(pair["old"], pair["new"]) for pair in found["pairs"]] == [("hog", NEW), ("sift_fv", NEW)]


def test_failed_fits_are_named_and_left_out() -> None:
    found = points(power(0.5, 0.2), 2, np.random.default_rng(0))
    broken = [Point(100, 0, failed="no luck"), *(point for point in found if point.size > 100)]
    summary = described({OLD: broken}, 5, 0.95, 0)
    assert summary is not None
    assert summary["failed"] == [{"method": OLD, "images": 100, "seed": 0, "why": "no luck"}]
    assert summary["sizes"] == [300, 1000, 3000, 10_000]
    assert summary["crossing"] is None
    assert summary["methods"][OLD]["rows"][0]["top5_error"] is None
    assert described({OLD: [Point(100, 0, failed="no luck")]}, 5, 0.95, 0) is None


# ------------------------------------------------------------------------------------------- a third answer


def with_third(
    third: np.ndarray,
) -> dict[str, Any]:
    """Curves of three eras."""
    random = np.random.default_rng(0)
    curves = {OLD: power(0.6, 0.3), NEW: power(0.9, 0.5), "efficientnet_lite0": third}
    found = described(
        {key: points(errors, 5, random, images=4000, luck=0.02) for key, errors in curves.items()}, 10, 0.95, 0
    )
    assert found is not None
    return found


def test_what_features_from_elsewhere_are_worth_is_counted_in_images() -> None:
    """The networks, the better of the two from 100 · 1.5⁵ = 760 images on, err on 9 % with 10,000 images."""
    found = with_third(np.array([0.9 * 30**-0.5, 0.14, 0.1, 0.09, 0.04]))  # at 100 as the networks at 3,000
    worth = found["elsewhere"]
    assert [row["images"] for row in worth] == SIZES.tolist()
    assert worth[0]["method"] == "efficientnet_lite0"
    assert worth[0]["low"] <= 3000 <= worth[0]["high"]
    assert worth[0]["median"] == pytest.approx(3000, rel=0.1)
    assert worth[-1]["median"] == "never"
    text = answer_of(found, 0.95)[0]  # beside the crossing
    assert ", and for features from other images" not in text
    assert "and for features from other images (EfficientNet-Lite0 features + SVM) from" in text
    assert (
        "do with 100 labelled images of these what methods that learned from these images alone do with about" in text
    )
    rows = shown(found, 0.95)["elsewhere"]
    assert [row["images"] for row in rows] == SIZES.tolist()
    assert rows[0]["needed"].startswith(("2,", "3,"))
    assert rows[-1]["needed"] == "more than 10,000"
    assert [(pair["old"], pair["new"]) for pair in found["pairs"]] == [
        (OLD, NEW),
        (OLD, "efficientnet_lite0"),
        ("efficientnet_lite0", NEW),
    ]


def test_it_takes_no_part_in_the_crossing_of_the_two_eras() -> None:
    alone = outcome(power(0.6, 0.3), power(0.9, 0.5), images=4000, luck=0.02)
    found = with_third(power(0.05, 0.3))
    assert found["eras"].keys() == {"hand-crafted", "learned", "pretrained"}
    assert found["crossing"]["sizes"] == alone["crossing"]["sizes"]
    assert found["crossing"]["median"] == pytest.approx(alone["crossing"]["median"], rel=0.1)
    assert alone["elsewhere"] is None


def test_weights_that_saw_these_images_are_compared_with_none() -> None:
    random = np.random.default_rng(0)
    curves = {OLD: power(0.6, 0.3), NEW: power(0.9, 0.5), "efficientnet_lite0": power(0.05, 0.3)}
    measured = {key: points(errors, 3, random) for key, errors in curves.items()}
    found = described(measured, 10, 0.95, 0, saw=["efficientnet_lite0"])
    assert found is not None
    assert "efficientnet_lite0" in found["methods"]
    assert found["elsewhere"] is None
    assert [(pair["old"], pair["new"]) for pair in found["pairs"]] == [(OLD, NEW)]
    assert not any("other images" in sentence for sentence in answer_of(found, 0.95))


def test_pairs_can_be_chosen_where_an_era_is_missing() -> None:
    random = np.random.default_rng(0)
    curves = {OLD: power(0.6, 0.3), "sift_fv": power(0.5, 0.3), "efficientnet_lite0": power(0.2, 0.2)}
    found = described({key: points(errors, 3, random) for key, errors in curves.items()}, 10, 0.95, 0)
    assert found is not None
    assert found["crossing"] is None
    pairs = for_the_script(found, 0.95)
    assert set(pairs) == {"", f"{OLD} efficientnet_lite0", "sift_fv efficientnet_lite0"}
    assert pairs[""]["crossShown"] is False


@pytest.mark.parametrize(
    ("third", "words"),
    [
        (power(0.02, 0.1), "what methods that learned from these images alone do not reach with 10,000"),
        (power(0.9, 0.05), "err no less with 100 labelled images of these than methods that learned from these"),
    ],
)
def test_it_may_be_better_throughout_or_worse(third: np.ndarray, words: str) -> None:
    assert any(words in sentence for sentence in answer_of(with_third(third), 0.95))


# ---------------------------------------------------------------------------------------------------- beyond


@pytest.mark.parametrize(("scale", "exponent", "floor"), [(0.6, 0.3, 0.0), (0.7, 0.6, 0.1), (0.0, 1.0, 0.4)])
def test_a_power_law_is_recovered(scale: float, exponent: float, floor: float) -> None:
    errors = power(scale, exponent, floor)
    found = extrapolate(POWER, SIZES, errors[None], np.ones(5), np.array([300.0, 1e5]))
    assert found[0, 0] == pytest.approx(errors[1], abs=2e-3)
    assert found[0, 1] == pytest.approx(floor + scale * 1000.0**-exponent, abs=5e-3)


@pytest.mark.parametrize("form", list(FORMS))
def test_every_form_falls_stays_in_bounds_and_leaves_a_flat_curve_flat(form: str) -> None:
    at = np.geomspace(100, 1e6, 50)
    found = extrapolate(form, SIZES, power(0.7, 0.3)[None], np.ones(5), at)[0]
    assert (np.diff(found) <= 1e-12).all()
    assert ((found >= 0) & (found <= 1)).all()
    rising = extrapolate(form, SIZES, power(0.3, -0.2)[None], np.ones(5), at)[0]
    np.testing.assert_allclose(rising, power(0.3, -0.2).mean(), atol=1e-9)  # no form rises: it is flat, and not wild


def test_the_outlook_of_a_power_law() -> None:
    outlook = outcome(power(0.8, 0.3), power(0.9, 0.5), luck=0.0, images=20_000)["methods"][OLD]["outlook"]
    errors = [100 * 0.8 * (times * 100.0) ** -0.3 for times in (1, 2, 10)]
    assert outlook["points_per_doubling"] == pytest.approx(errors[0] - errors[1], abs=0.6)
    assert outlook["times_10"]["error"] == pytest.approx(errors[2], abs=1.5)
    assert outlook["times_10"]["low"] <= outlook["times_10"]["error"] <= outlook["times_10"]["high"]
    assert outlook["with_100_more"][0] == pytest.approx(80 * (1 - 2**-0.3), abs=1.5)
    assert [row["fitted_to"] for row in outlook["left_out"]] == [3000, 1000]
    for row in outlook["left_out"]:
        assert row["forms"][POWER] == pytest.approx(row["measured"], abs=2.0)


def test_weights_follow_the_variance() -> None:
    weights = weights_of(SIZES, 1e-4 + 1.0 / SIZES)
    assert (np.diff(weights) > 0).all()
    np.testing.assert_allclose(weights / weights[0], (1e-4 + 0.01) / (1e-4 + 1.0 / SIZES), rtol=0.35)


def test_intervals_come_from_the_replicates() -> None:
    drawn = np.array([[0.5, 0.4], [0.5, 0.6]])
    found = crossing(np.array([10, 100]), np.full((2, 2), 0.45), drawn, 0.95)
    assert (found.low, found.high) == (found.low, np.inf)
    assert found.shares == (0.0, 0.5)
    assert found.winners == ("old", "undecided")


# ---------------------------------------------------------------------------------------------------- in words


@pytest.mark.parametrize(
    ("old", "new", "words", "short"),
    [
        (
            power(0.6, 0.2),
            power(0.8, 0.5),
            r"^From about \d+ labelled images on, networks err less than hand-crafted features \(95 % interval",
            r"^from about \d+ on \(\d+ to \d+\)$",
        ),
        (power(0.6, 0.2), power(0.4, 0.5), r"^Networks err less .* smallest number tried on, 100", "^from 100 on"),
        (power(0.6, 0.3), power(0.9, 0.2), r"^Networks do not overtake .* would not meet", "^not within 10,000$"),
        (
            power(0.6, 0.5),
            power(0.45, 0.1),
            r"^Which era errs less changes more than once: networks at 100, then hand-crafted features at",
            "^changes: networks at 100",
        ),
        (power(0.6, 0.3), power(0.6, 0.3), r"^Which era errs less can't be told from 100 to 10,000", "^can't be told$"),
    ],
)
def test_each_outcome_has_its_sentence(old: np.ndarray, new: np.ndarray, words: str, short: str) -> None:
    curve = outcome(old, new)
    sentences = answer_of(curve, 0.95)
    assert re.search(words, sentences[0])
    assert re.search(short, in_short(curve["crossing"], ERAS))
    assert "HOG + SVM" in sentences[0]
    assert "AlexNet" in sentences[0]
    assert "Twice and ten times the images would bring" in sentences[1]
    assert "Training took" in sentences[-1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"low": "smallest"}, "interval 100 or fewer to 900"),
        ({"high": "never"}, "interval 400 to more than the 10,000 that there are"),
        ({"median": "smallest", "low": "smallest"}, "from 900 labelled images on at the latest, and probably from"),
        ({"median": "smallest", "low": "smallest", "high": "never"}, "probably err less .* can be chance"),
        ({"median": "never", "high": "never"}, "probably do not overtake .* not with fewer than 400"),
    ],
)
def test_an_open_interval_is_said(changes: dict[str, Any], words: str) -> None:
    found = {"kind": "crossing", "median": 612, "low": 404, "high": 899, "sizes": SIZES.tolist()} | changes
    assert re.search(words, overtaking_in_words(found, 0.95))


@pytest.mark.parametrize(
    ("meeting", "words"),
    [
        (None, "too few sizes"),
        ({"images": None, "forms": {"a": None, "b": None}}, "would not meet with up to 1,000,000 either"),
        ({"images": None, "forms": {"a": None, "b": 20_000}}, "though b would have them meet"),
        (
            {"images": 23_456, "low": 15_432, "high": None, "forms": {"a": 23_456, "b": 24_000}},
            r"near 23,000, an extrapolation \(95 % interval 15,000 to never\)",
        ),
        (
            {"images": 23_456, "low": 15_432, "high": 99_999, "forms": {"a": 23_456, "b": 60_000}},
            r"disagree: a 23,000, b 60,000\)",
        ),
    ],
)
def test_where_curves_would_meet_is_said_with_how_little_that_is_worth(meeting: Any, words: str) -> None:
    ends = {"low": None, "high": None, "up_to": 1_000_000}
    found = {"kind": "never", "sizes": SIZES.tolist(), "meeting": meeting and ends | meeting}
    assert re.search(words, overtaking_in_words(found, 0.95))


def test_one_seed_says_that_its_interval_holds_test_images_alone() -> None:
    sentences = answer_of(outcome(power(0.6, 0.2), power(0.8, 0.5), 1), 0.95)
    assert "interval holds the luck of the test images alone" in sentences[0]


def test_when_more_images_bring_more_than_switching() -> None:
    """At 100 images the curves are two points apart and steep; at 10,000 they are far apart and flat."""
    curve = outcome(power(0.60, 0.1), power(0.62, 0.5), luck=0.0, images=20_000)
    found = gains(curve)
    assert [row["worse"] for row in found] == ["learned", *["hand-crafted"] * 4]
    assert found[0]["more"] > found[0]["switch"]
    assert found[-1]["more"] < found[-1]["switch"]
    assert any(sentence.startswith("With 100 labelled images, 100 more") for sentence in answer_of(curve, 0.95))


def test_the_chart_shades_the_crossing_and_draws_an_error_of_zero() -> None:
    curve = outcome(power(0.6, 0.2), power(0.8, 0.5))
    drawn = chart_of(table(curve), curve["crossing"], 0.95)
    assert drawn is not None
    found = curve["crossing"]
    marks = {one["name"]: one["value"] for one in json.loads(drawn.spec)["params"]}
    assert (marks["crossLow"], marks["crossAt"], marks["crossHigh"]) == tuple(
        found[end] for end in ("low", "median", "high")
    )
    assert drawn.svg.count('opacity="0.12"') == 1
    assert "AlexNet" in drawn.svg
    rows = [row | {"top1_error": 0.0, "top1_low": 0.0} for row in table(curve)]
    of_zero = chart_of(rows, None, 0.95)
    assert of_zero is not None
    assert "NaN" not in of_zero.svg
    assert 'opacity="0.12"' not in of_zero.svg
    assert chart_of([row for row in rows if row["images"] == 100], None, 0.95) is None
