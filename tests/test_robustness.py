"""What breaks them: counts on changed test images, what evaluation and page make of them, and planted models."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline import layout, settings
from pipeline.data.contract import Split
from pipeline.errors import PipelineError
from pipeline.evaluation import robustness
from pipeline.files import read_arrays
from pipeline.models.model import Seen
from pipeline.robustness.changes import changes
from pipeline.robustness.measuring import Measured, Sample, measure
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
        card=SimpleNamespace(calibrated=SimpleNamespace(probabilities=probabilities)),
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


def test_the_mean_over_fifteen_corruptions_is_given_where_all_were_measured() -> None:
    known = changes(32)
    fifteen = [change for change in known.values() if change.reason in robustness.CORRUPTIONS]
    assert len(fifteen) == 15
    conditions = [("none", 0)] + [(change.key, severity) for change in fifteen for severity in range(1, 6)]
    wrong = np.random.default_rng(0).random((76, 40)) < 0.3
    wrong[0] = False
    about = {one.key: {"key": one.key, "title": "", "reason": one.reason, "named": []} for one in fifteen}
    found = robustness.Robustness(40, about, {}, [], {"hog": wrong}, conditions)
    assert robustness._corruptions(found, "hog") == pytest.approx(100 * wrong[1:].mean(), abs=1e-3)
    fewer = robustness.Robustness(40, about, {}, [], {"hog": wrong[:-1]}, conditions[:-1])
    assert robustness._corruptions(fewer, "hog") is None


# ------------------------------------------------------------------------------------------------ the stage


def fitted(project: Path, **changed: Any) -> None:
    """HOG on the smallest set."""
    edit(project, {"features": ["hog"], "fusions": [], "networks": []} | changed)
    prepare.run()
    codebook.run("hog")
    features.run("hog")
    svm.run("hog")


def test_the_stage_leaves_what_evaluation_and_page_show(project: Path) -> None:
    wanted = {"sample": 30, "severities": [1, 5], "changes": ["viewpoint", "bent", "grey"]}
    fitted(project, robustness=wanted)
    stage.run()
    before = {path.name: path.read_bytes() for path in layout.ROBUSTNESS.iterdir()}
    assert before.keys() == {"measured.json", "wrong.npz", "example.npz"}
    found = robustness.read()
    assert found is not None
    assert found.images == 30
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
    publish.run("2026-01-01", [], "results")
    rows = json.loads((layout.REPORTS / "published" / "objects" / "robustness.json").read_text())
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


def test_without_a_sample_nothing_is_measured_and_the_page_says_nothing(project: Path) -> None:
    fitted(project, **{"robustness.sample": 0})
    stage.run()
    assert robustness.read() is None
    evaluate.run()
    assert json.loads(layout.METRICS.read_text())["robustness"] is None
    report.run()
    assert "What breaks them" not in layout.PAGE.read_text(encoding="utf-8")


def test_a_damaged_file_is_told(project: Path) -> None:
    fitted(project, robustness={"sample": 10, "severities": [1], "changes": ["grey"]})
    stage.run()
    (layout.ROBUSTNESS / "wrong.npz").write_bytes(b"")
    with pytest.raises(PipelineError, match=r"wrong\.npz: cannot be read .*; rerun the stage robustness"):
        robustness.read()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"robustness.changes": ["rotated"]},
            "`robustness.changes`: 'rotated' is not a change, or a group of them; did you mean rotation?",
        ),
        ({"robustness.severities": [6]}, "`robustness.severities"),
        ({"robustness.severities": [3, 1]}, "does not ascend"),
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
