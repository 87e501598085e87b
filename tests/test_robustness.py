"""What breaks them: counts on changed test images, what evaluation and page make of them, and planted models."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline import layout, settings
from pipeline.data.contract import Split, load_manifest
from pipeline.errors import PipelineError
from pipeline.evaluation import robustness
from pipeline.evaluation.metrics import wilson_interval
from pipeline.files import read_arrays
from pipeline.models.model import Seen
from pipeline.report import robustness as shown
from pipeline.report.words import tenths
from pipeline.robustness import asking
from pipeline.robustness.changes import changes
from pipeline.robustness.measuring import Measured, measure, show
from pipeline.robustness.sample import Sample
from pipeline.stages import codebook, evaluate, features, prepare, publish, report, svm
from pipeline.stages import robustness as stage
from tests.conftest import edit, pipeline


@dataclass(frozen=True)
class Planted:
    """A model that reads one thing only: images → scores."""

    read: Callable[[np.ndarray], np.ndarray]
    batch: int = 64

    def see(self, images: np.ndarray) -> Seen:
        scores = self.read(images.astype(np.float32))
        return Seen(scores, scores)


def planted(read: Callable[[np.ndarray], np.ndarray]) -> Any:
    """What `measure` needs of a fitted model."""

    def probabilities(scores: np.ndarray) -> np.ndarray:
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    return SimpleNamespace(
        model=Planted(read),
        familiarity=SimpleNamespace(strangeness=lambda seen: np.zeros(len(seen.scores))),
        members={},
        card=SimpleNamespace(calibrated=SimpleNamespace(probabilities=probabilities), classes=["a", "b", "c"]),
    )


def sample(count: int = 90) -> Sample:
    """Three classes, each with a colour all over, and as many spots in its top left corner as the class's number."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = random.integers(90, 110, (count, 32, 32, 3))
    images[np.arange(count), :, :, labels] += 60
    for row, label in enumerate(labels):
        images[row, :8, :8] = 40 + 80 * label
    test = Split("test", images.astype(np.uint8), labels, [f"test/{row}" for row in range(count)])
    return Sample.of(test, count, 0, grey=False)


def by_colour(images: np.ndarray) -> np.ndarray:
    return images[:, 8:, 8:].mean(axis=(1, 2)) / 4


def by_corner(images: np.ndarray) -> np.ndarray:
    level = images[:, :8, :8].mean(axis=(1, 2, 3))
    return -np.abs(level[:, None] - np.array([40, 120, 200])) / 4


def errors(found: Measured, key: str) -> dict[tuple[str, int], float]:
    return {(count.change, count.severity): count.wrong / count.images for count in found.counts if count.method == key}


def test_planted_models_are_found_out_by_the_cues_that_they_live_on() -> None:
    known = changes(32)
    asked = [known[key] for key in ("grey", "other_colours", "shuffled", "edges")]
    models = {"colour": planted(by_colour), "corner": planted(by_corner)}
    found = measure(models, sample(), asked, [1, 3, 5], workers=2)
    colour, corner = errors(found, "colour"), errors(found, "corner")
    assert colour["none", 0] == corner["none", 0] == 0
    assert colour["grey", 1] > 0.5
    assert colour["other_colours", 1] > 0.5
    assert colour["shuffled", 2] == 0
    assert corner["grey", 1] == 0
    assert corner["shuffled", 2] > 0.4


def test_counts_are_those_of_the_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.robustness import measuring

    known, images = changes(32), sample(80)
    models = {"colour": planted(by_colour)}
    whole = measure(models, images, [known["rotation"], known["gain"]], [2, 5], workers=1)
    assert [(count.change, count.severity) for count in whole.counts] == [
        ("none", 0), ("rotation", 2), ("rotation", 5), ("gain", 2), ("gain", 5),
    ]  # fmt: skip
    for number, count in enumerate(whole.counts):
        assert count.images == 80
        assert count.wrong == whole.wrong["colour"][number].sum()
        assert count.unchanged == (whole.guesses["colour"][number] == whole.guesses["colour"][0]).sum()
        assert 1 / 3 <= count.confidence <= 1
        assert count.wrong_5 is None  # of three classes
    monkeypatch.setattr(measuring, "AT_ONCE", 17)
    again = measure(models, images, [known["rotation"], known["gain"]], [2, 5], workers=3)
    np.testing.assert_array_equal(again.wrong["colour"], whole.wrong["colour"])
    assert [count.confidence for count in again.counts] == pytest.approx([count.confidence for count in whole.counts])


# ------------------------------------------------------------------------------------------------ what is made of it


def found_of(wrong: dict[str, list[list[int]]]) -> robustness.Robustness:
    """Of counts that are given as which images are wrong, clean first, then twice `a` and once `b`."""
    conditions = [("none", 0), ("a", 1), ("a", 5), ("b", 1)]
    arrays = {key: np.array(rows, bool) for key, rows in wrong.items()}
    counts = [
        {"method": key, "change": change, "severity": severity, "images": rows.shape[1], "wrong": int(row.sum()),
         "wrong_5": None, "unchanged": 0, "confidence": 0.5}
        for key, rows in arrays.items() for (change, severity), row in zip(conditions, rows, strict=True)
    ]  # fmt: skip
    about = {key: {"key": key, "title": key, "reason": "viewpoint", "named": ["x"] * 5} for key in ("a", "b")}
    return robustness.Robustness(4, about, {}, counts, arrays, conditions)


def test_a_reason_s_error_is_the_mean_over_changes_and_their_severities() -> None:
    found = found_of({"hog": [[0, 0, 0, 1], [0, 1, 0, 1], [1, 1, 0, 1], [1, 1, 1, 1]]})
    told = robustness.described(found, {"hog": {}}, 0.95)
    assert told is not None
    viewpoint = told["methods"]["hog"]["reasons"]["viewpoint"]
    assert viewpoint["top1_error"] == pytest.approx(100 * (0.5 * (0.5 + 0.75) + 1.0) / 2)
    assert viewpoint["lost"] == pytest.approx(viewpoint["top1_error"] - 25)
    assert viewpoint["top1_low"] < viewpoint["top1_error"] < viewpoint["top1_high"] <= 100
    assert told["methods"]["hog"]["rows"][1]["top1_error"] == 50
    assert told["methods"]["hog"]["corruptions"] is None  # the fifteen were not measured
    assert robustness.described(found, {"lenet5": {}}, 0.95)["methods"] == {}  # type: ignore[index]


def test_a_picture_without_its_thing_is_in_no_mean() -> None:
    about = {key: {"key": key, "title": key, "reason": "background", "named": ["x"]}
             for key in ("silhouette", "background_alone")}  # fmt: skip
    conditions = [("none", 0), ("silhouette", 1), ("background_alone", 1)]
    wrong = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 1]], bool)
    found = robustness.Robustness(4, about, {}, [], {"hog": wrong}, conditions)
    assert robustness._by_reason(found, "hog", 0.95)["background"]["top1_error"] == 25
    del about["silhouette"]
    assert robustness._by_reason(found, "hog", 0.95) == {}


def test_the_mean_over_fifteen_corruptions_is_given_where_all_were_measured() -> None:
    known = changes(32)
    fifteen = [known[key] for key in robustness.FIFTEEN]
    assert {change.reason for change in fifteen} == {"noise", "blur", "weather", "digital"}
    conditions = [("none", 0)] + [(change.key, severity) for change in fifteen for severity in range(1, 6)]
    wrong = np.random.default_rng(0).random((76, 40)) < 0.3
    wrong[0] = False
    about = {one.key: {"key": one.key, "title": "", "reason": one.reason, "named": []} for one in fifteen}
    found = robustness.Robustness(40, about, {}, [], {"hog": wrong}, conditions)
    assert robustness._corruptions(found, "hog") == pytest.approx(100 * wrong[1:].mean(), abs=1e-3)
    fewer = robustness.Robustness(40, about, {}, [], {"hog": wrong[:-1]}, conditions[:-1])
    assert robustness._corruptions(fewer, "hog") is None


def test_an_interval_has_a_width_where_no_image_is_wrong_and_is_wilson_s_of_single_guesses() -> None:
    low, high = robustness._wilson(np.zeros(100), 0.95)
    assert low == 0
    assert high == pytest.approx(0.037, abs=0.001)
    single = np.arange(100) < 30
    assert robustness._wilson(single.astype(float), 0.95) == pytest.approx(wilson_interval(30, 100, 0.95), abs=0.002)
    alike = np.full(100, 0.3) + np.random.default_rng(0).normal(0, 0.05, 100)  # images that hardly differ say more
    narrow = robustness._wilson(alike, 0.95)
    assert narrow[1] - narrow[0] == pytest.approx(2 * 1.96 * 0.05 / 10, rel=0.25)


def test_a_cue_is_named_only_where_it_stands_out() -> None:
    result = SimpleNamespace(method=SimpleNamespace(key="hog"), cost=SimpleNamespace(views=1))
    wrong = np.zeros((4, 60), bool)
    wrong[1, :30] = True  # without colour
    wrong[2, :27], wrong[3, 30:33] = True, True
    conditions = [("none", 0), ("grey", 1), ("shuffled", 1), ("fine", 1)]
    found = robustness.Robustness(60, {key: {} for key, _ in conditions[1:]}, {}, [], {"hog": wrong}, conditions)
    assert not shown._about_cues(found, [result], 0.95)  # type: ignore[list-item]
    wrong[2] = False
    (said,) = shown._about_cues(found, [result], 0.95)  # type: ignore[list-item]
    assert "HOG + SVM misses colour most: its error rises by 50.0 points (37.0 to 63.0)" in said


def test_mean_corruption_errors_are_shares_of_the_reference_s() -> None:
    fifteen = [changes(32)[key] for key in robustness.FIFTEEN]
    conditions = [("none", 0)] + [(change.key, severity) for change in fifteen for severity in range(1, 6)]
    about = {one.key: {"key": one.key, "title": "", "reason": one.reason, "named": []} for one in fifteen}
    wrong = {key: np.zeros((76, 40), bool) for key in ("hog", "alexnet")}
    wrong["hog"][0, :4], wrong["alexnet"][0, :8] = True, True  # 10 and 20 % as they are
    wrong["hog"][1:, :12], wrong["alexnet"][1:, :16] = True, True  # 30 and 40 % under all changes
    found = robustness.Robustness(40, about, {}, [], wrong, conditions)
    assert robustness._against(found, "hog", "alexnet") == {"mce": 75, "relative_mce": 100}
    assert robustness._against(found, "alexnet", "alexnet") == {"mce": 100, "relative_mce": 100}
    assert robustness._against(found, "hog", "lenet5") == {"mce": None, "relative_mce": None}
    wrong["alexnet"][:] = False
    assert robustness._against(found, "hog", "alexnet") == {"mce": None, "relative_mce": None}


def test_who_changes_places_is_told_beyond_chance_only() -> None:
    hog, lenet = (
        SimpleNamespace(method=SimpleNamespace(key=key), cost=SimpleNamespace(views=1)) for key in ("hog", "lenet5")
    )
    wrong = {key: np.zeros((4, 60), bool) for key in ("hog", "lenet5")}
    wrong["hog"][0, :20] = True  # LeNet-5 is ahead as they are
    wrong["lenet5"][1, :3] = True  # by chance not any more
    wrong["lenet5"][2, :40] = True  # and surely not
    conditions = [("none", 0), ("rotation", 1), ("rotation", 3), ("gain", 1)]
    about = {key: {"named": changes(32)[key].named} for key in ("rotation", "gain")}
    found = robustness.Robustness(60, about, {}, [], wrong, conditions)
    (said,) = shown._places(found, [hog, lenet], 0.95)  # type: ignore[list-item]
    assert said.startswith(
        "On the images as they are LeNet-5 errs less than HOG + SVM. Their order is reversed on images"
    )
    assert ": turned by 30° (" in said
    wrong["hog"][0, 2:] = False  # a lead by chance
    assert not shown._places(found, [hog, lenet], 0.95)  # type: ignore[list-item]
    wrong["hog"][0, :20], wrong["lenet5"][2, 3:] = True, False
    assert not shown._places(found, [hog, lenet], 0.95)  # type: ignore[list-item]


# ------------------------------------------------------------------------------------------------ the stage


def fingerprint() -> str:
    return str(load_manifest()["splits"]["test"]["fingerprint"])


def fitted(project: Path, **changed: Any) -> None:
    """HOG on the smallest set."""
    edit(project, {"features": ["hog"], "fusions": [], "networks": []} | changed)
    prepare.run()
    codebook.run("hog")
    features.run("hog")
    svm.run("hog")


def test_the_stage_leaves_what_evaluation_and_page_show(project: Path) -> None:
    wanted = {"sample": 30, "severities": [1, 5], "changes": ["viewpoint", "bent", "grey"], "reference": None}
    fitted(project, robustness=wanted)
    stage.run()
    before = {path.name: path.read_bytes() for path in layout.ROBUSTNESS.iterdir()}
    assert before.keys() == {"measured.json", "wrong.npz", "example.npz"}
    found = robustness.read(fingerprint())
    assert found is not None
    assert found.images == 30
    with pytest.raises(PipelineError, match="was measured on other images; rerun the stage robustness"):
        robustness.read("of others")
    assert found.conditions[:3] == [("none", 0), ("rotation", 1), ("rotation", 5)]
    assert len(found.conditions) == 1 + 3 * 2 + 2 + 1
    for count in found.counts:
        assert count["wrong"] == found.wrong_after("hog", count["change"], count["severity"]).sum()
    stage.run()
    assert {path.name: path.read_bytes() for path in layout.ROBUSTNESS.iterdir()} == before
    evaluate.run()
    told = json.loads(layout.METRICS.read_text())["robustness"]
    assert told["methods"]["hog"]["reasons"].keys() == {"viewpoint", "deformation", "cue"}
    assert (layout.TABLES / "robustness.csv").read_text().startswith("method,reason,change,severity,images,")
    report.run()
    page = layout.PAGE.read_text(encoding="utf-8")
    assert "What breaks them" in page
    assert "Turned by 90°, HOG + SVM errs on" in page
    assert page.count('class="heat"') == 1
    rows = [row for row in told["methods"]["hog"]["rows"] if row["change"] != "none"]
    by_change = {row["change"]: [one["top1_error"] for one in rows if one["change"] == row["change"]] for row in rows}
    right = 100 - np.mean([np.mean(errors) for errors in by_change.values()])
    assert f"and is right on {tenths(right)} %." in page
    with pytest.raises(PipelineError, match=r"does not take `-S robustness.severities=\[1,5\]` with params.yaml as"):
        publish.run("2026-01-01", ["seed=0", "robustness.severities=[1,5]"], "results")
    assert not (layout.REPORTS / "published").exists()
    publish.run("2026-01-01", [], "results")
    published = layout.REPORTS / "published" / "objects"
    publish.run("2026-01-01", [], "results-again")
    assert (published / "robustness-again.json").read_bytes() == (published / "robustness.json").read_bytes()
    rows = json.loads((published / "robustness.json").read_text())
    assert [row["change"] for row in rows] == [change for change, _ in found.conditions]
    assert rows[0].keys() >= {
        "method",
        "severity",
        "images",
        "top1_low",
        "top1_high",
        "seed",
        "command",
        "device",
        "date",
    }
    example = read_arrays(layout.ROBUSTNESS / "example.npz", "robustness")
    assert example["changes"].tolist() == ["", "rotation", "scale", "perspective", "bent", "grey"]


def test_a_killed_run_goes_on_after_the_last_change(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same bytes; a file that is damaged is made again."""
    wanted = {"sample": 24, "severities": [1, 5], "changes": ["viewpoint", "gaussian_noise"], "reference": None}
    fitted(project, robustness=wanted)
    stage.run()
    expected = {path.name: path.read_bytes() for path in layout.ROBUSTNESS.iterdir()}
    assert not list(layout.WORK.glob("robustness-*"))  # what it went on from is not needed any more
    real, asked = show, []

    def killed(stored: Any, images: Any, condition: Any, *others: Any) -> Any:
        asked.append(condition)
        if len(asked) == 5:
            raise KeyboardInterrupt
        return real(stored, images, condition, *others)

    monkeypatch.setattr(asking, "show", killed)
    with pytest.raises(KeyboardInterrupt):
        stage.run()
    (folder,) = layout.WORK.glob("robustness-*")
    kept = sorted(folder.iterdir())
    assert len(kept) == 4
    kept[1].write_bytes(kept[1].read_bytes()[:100])
    stage.run()
    assert len(asked) == 5 + 1 + 5  # the four that were kept, but for the damaged one, are not asked again
    assert {path.name: path.read_bytes() for path in layout.ROBUSTNESS.iterdir()} == expected


def test_what_is_kept_belongs_to_these_models_and_images(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"sample": 24, "severities": [1], "changes": ["rotation"], "reference": None}
    fitted(project, robustness=wanted)

    def folder() -> Path:
        return asking.Asking.of(settings.load(), load_manifest()).kept.folder

    first = folder()
    assert folder() == first
    edit(project, {"robustness.sample": 23})
    assert folder() != first
    edit(project, {"robustness.sample": 24, "robustness.changes": ["gain"], "hog.svm.C": [0.001, 0.002, 0.003, 0.004]})
    assert folder() == first  # other changes of the same images, by the same models
    svm.run("hog")
    assert folder() != first


def test_things_are_taken_from_their_backgrounds_where_these_are_known(project: Path) -> None:
    """Also of some of the classes alone, whose numbers are others then."""
    wanted = {"sample": 12, "severities": [3], "changes": ["background"], "reference": None}
    fitted(project, robustness=wanted, **{"prepare.classes": ["fish", "cup", "tree"]})
    stage.run()
    found = robustness.read(fingerprint())
    assert found is not None
    asked = {change for change, _ in found.conditions}
    assert asked == {"none", "other_background", "no_background", "silhouette", "background_alone"}
    assert found.left_out == {}
    evaluate.run()
    report.run()
    page = layout.PAGE.read_text(encoding="utf-8")
    assert "Before the background of another image, HOG + SVM errs on" in page
    assert "its class can be guessed from the background alone, and HOG + SVM is right on" in page
    assert "Guessing at random is right on 33.3 %." in page


def test_where_pictures_are_drawn_otherwise_by_now_the_rest_is_measured(project: Path) -> None:
    """Another version of OpenCV may do so."""
    fitted(project, robustness={"sample": 10, "severities": [1], "changes": ["cue", "background"], "reference": None})
    edit(project, {"datasets.objects.dials.clutter": 0.9})
    stage.run()
    found = robustness.read(fingerprint())
    assert found is not None
    assert "grey" in found.changes
    why = found.left_out["silhouette"]
    assert re.search(r"the picture test/\S+ in data/ is not the one that `objects` draws now under this name", why)


def test_photographs_have_no_layers(project: Path) -> None:
    wanted = {"sample": 12, "severities": [3], "changes": ["clutter", "other_background"], "reference": None}
    fitted(project, dataset="digits", robustness=wanted)
    stage.run()
    found = robustness.read(fingerprint())
    assert found is not None
    assert found.left_out.keys() == {"other_background"}
    evaluate.run()
    report.run()
    words = (
        "Left out: other_background (needs to know which pixels belong to the thing, and these images don&#39;t tell)"
    )
    assert words in layout.PAGE.read_text(encoding="utf-8")


def test_without_a_sample_nothing_is_measured_and_the_page_says_nothing(project: Path) -> None:
    fitted(project, **{"robustness.sample": 0})
    stage.run()
    assert robustness.read(fingerprint()) is None
    evaluate.run()
    assert json.loads(layout.METRICS.read_text())["robustness"] is None
    report.run()
    assert "What breaks them" not in layout.PAGE.read_text(encoding="utf-8")


def test_a_damaged_file_is_told(project: Path) -> None:
    fitted(project, robustness={"sample": 10, "severities": [1], "changes": ["grey"], "reference": None})
    stage.run()
    (layout.ROBUSTNESS / "wrong.npz").write_bytes(b"")
    with pytest.raises(PipelineError, match=r"wrong\.npz: cannot be read .*; rerun the stage robustness"):
        robustness.read(fingerprint())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"robustness.changes": ["rotated"]},
            "`robustness.changes`: 'rotated' is not a change, or a group of them; did you mean rotation?",
        ),
        ({"robustness.severities": [6]}, "`robustness.severities"),
        ({"robustness.severities": [3, 1]}, "does not ascend"),
        ({"robustness.reference": "alxnet"}, "`robustness.reference`: 'alxnet' is not a method; did you mean alexnet?"),
        ({"robustness.sample": -1}, "`robustness.sample`"),
    ],
)
def test_wrong_settings_are_one_sentence(project: Path, changed: dict[str, Any], words: str) -> None:
    edit(project, changed)
    done = pipeline(project, "prepare")
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_default_changes_are_known() -> None:
    chosen = settings.load(Path(__file__).parents[1] / "params.yaml")
    chosen.check_methods()
    assert chosen.robustness.sample
