from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline import layout, settings
from pipeline.data.contract import SPLITS, load_split
from pipeline.errors import PipelineError
from pipeline.evaluation.scores import Cost, write_result
from pipeline.features.base import Picture
from pipeline.files import write_json
from pipeline.report.answer import seconds, tenths
from pipeline.stages import evaluate, report
from pipeline.stages.pictures import write_pictures
from tests.conftest import edit

HOSTILE = ['<script>alert("x")</script>', "a'b\"c", "כלב 🐕", "x" * 300, "</script><b>", "{{ 7*7 }}"]


def fake_results(project: Path, classes: list[str], keys: dict[str, float], per_class: int = 8) -> None:
    """Data and scores as the stages would leave them; each method is right with the given probability."""
    random = np.random.default_rng(0)
    splits = {}
    manifest_splits = {}
    for name in SPLITS:
        labels = np.tile(np.arange(len(classes)), per_class)
        folder = layout.DATA / name
        folder.mkdir(parents=True)
        np.save(folder / "images.npy", random.integers(0, 256, (len(labels), 24, 24, 3), dtype=np.uint8))
        np.save(folder / "labels.npy", labels)
        write_json(folder / "ids.json", [f"{name}/<i>{index}</i>.png" for index in range(len(labels))])
        splits[name] = load_split(name)
        per = np.bincount(labels).tolist()
        manifest_splits[name] = {"count": len(labels), "per_class": per, "fingerprint": "f" * 32}
    skipped = [{"split": "train", "id": "<img src=x onerror=alert(1)>.png", "reason": "damaged & empty"}]
    manifest = {
        "dataset": "photos", "description": "<em>Test</em> data.", "synthetic": False, "notes": [],
        "classes": classes, "image_shape": [24, 24, 3], "grey": False, "given_splits": [],
        "splits": manifest_splits, "skipped_count": 1, "skipped": skipped,
        "duplicates": {"policy": "report", "counts": {"near: test in train": 1}, "dropped": {}, "pairs": [
            {"kind": "near", "image": "<b>", "split": "test", "twin": "&amp;", "twin_split": "train"}]},
    }  # fmt: skip
    write_json(layout.DATA / "manifest.json", manifest)
    for key, share in keys.items():
        family = {"lenet5": "network", "alexnet": "network"}.get(key, "feature")
        scores = {}
        for name in ("val", "test"):
            labels = splits[name].labels
            noise = random.normal(0, 1, (len(labels), len(classes)))
            right = random.random(len(labels)) < share
            noise[np.arange(len(labels)), labels] += np.where(right, 9, 0)
            scores[name] = noise
        folder = layout.results_of(family, key)  # type: ignore[arg-type]
        chosen = {name: splits[name] for name in scores}
        tuning = [{"candidate": "C=1 <b>", "value": 1.0, "val_error": 0.5, "chosen": True}]
        write_result(folder, scores, chosen, Cost(10.0, 0.001, 1000, 500, None, "cpu", "fp32", 2), tuning)
        if family == "feature":
            shown = [Picture("a <b>caption", np.zeros((9, 9, 3), np.uint8))] if key == "hog" else []
            write_pictures(layout.PICTURES / key, shown)
        if family == "network":
            for curve in ("train_error", "val_error"):
                path = folder / "live" / "plots" / "metrics" / f"{curve}.tsv"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"step\t{curve}\n1\t0.5\n2\t0.4\n")
            write_json(folder / "live" / "metrics.json", {"best_epoch": 2})
            layer = {"name": "C1", "kind": "convolution K=5 S=1", "output": [6, 20, 20], "parameters": 156}
            write_json(folder / "layers.json", [layer | {"multiply_adds": 60_000}])
            write_json(folder / "architecture.json", {"variant": "a <b>stem"})
            write_pictures(layout.RESULTS / "kernels" / key, [Picture("kernels", np.zeros((9, 9, 3), np.uint8))])
    edit(project, {
        "features": [key for key in keys if key in ("hog", "color_histogram")], "fusions": [],
        "networks": [key for key in keys if key in ("lenet5", "alexnet")],
    })  # fmt: skip


def page() -> str:
    evaluate.run()
    report.run()
    return layout.PAGE.read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Counts elements and gathers visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._hidden = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden += tag in ("script", "style", "svg")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style", "svg")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += data


def test_hostile_names_are_shown_as_text(project: Path) -> None:
    fake_results(project, HOSTILE, {"hog": 0.5, "lenet5": 0.7})
    parsed = Tags(page())
    # Our own scripts: the charts' data, Vega, and the script that makes charts live.
    kinds = [attributes.get("type") for tag, attributes in parsed.tags if tag == "script"]
    assert kinds.count(None) == 2
    assert set(kinds) == {None, "application/json"}
    assert not any("onerror" in attributes for _, attributes in parsed.tags)
    assert not any(tag in ("b", "i", "em") for tag, _ in parsed.tags)
    for name in HOSTILE:
        assert name in parsed.text
    assert "<img src=x onerror=alert(1)>.png" in parsed.text


def test_every_element_that_needs_it_has_a_text(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5, "lenet5": 0.7})
    parsed = Tags(page())
    for tag, attributes in parsed.tags:
        if tag == "img":
            assert attributes["alt"]
            assert str(attributes["src"]).startswith("data:")
        if attributes.get("role") == "img":
            assert attributes["aria-label"]
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_charts_data_survives_in_the_page(project: Path) -> None:
    fake_results(project, HOSTILE, {"hog": 0.5, "lenet5": 0.7})
    text = page()
    specs = re.findall(r'<script type="application/json">(.*?)</script>', text, re.S)
    assert len(specs) >= 5
    for spec in specs:
        assert json.loads(spec)["$schema"].startswith("https://vega.github.io/schema/vega-lite")


def test_figures_in_the_page_are_those_of_metrics_json(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5, "color_histogram": 0.2, "lenet5": 0.7})
    text = Tags(page()).text
    methods = json.loads(layout.METRICS.read_text())["methods"]
    for values in methods.values():
        test = values["test"]
        interval = f"{tenths(test['top1_low'])}–{tenths(test['top1_high'])}"
        assert f"{tenths(test['top1_error'])} {interval}" in " ".join(text.split())


def test_the_better_era_is_named_and_a_tie_is_called_one(project: Path) -> None:
    fake_results(project, list("abcdefgh"), {"hog": 0.2, "lenet5": 0.95}, per_class=30)
    assert "The networks win here: LeNet-5 errs on" in html.unescape(page())


def test_the_old_way_may_win(project: Path) -> None:
    fake_results(project, list("abcdefgh"), {"hog": 0.95, "lenet5": 0.3}, per_class=30)
    assert "The hand-crafted features win here: HOG + SVM errs on" in html.unescape(page())


def test_an_undecided_comparison_says_so(project: Path) -> None:
    fake_results(project, list("abcdefgh"), {"hog": 0.7, "lenet5": 0.7}, per_class=4)
    text = html.unescape(page())
    assert "Nothing is decided here" in text
    assert "can be chance" in text


def test_an_era_is_represented_by_its_best_on_val_and_not_on_test(project: Path) -> None:
    fake_results(project, list("abcdefgh"), {"hog": 0.5, "color_histogram": 0.5, "lenet5": 0.9}, per_class=20)
    # The histogram is best on val, HOG is best on test: the histogram stands for its era all the same.
    for key, good in (("hog", "test"), ("color_histogram", "val")):
        path = layout.results_of("feature", key) / "scores.npz"
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        arrays[good][np.arange(160), np.tile(np.arange(8), 20)] += 5
        np.savez(path, **arrays)
    assert "Colour histogram + SVM errs on" in html.unescape(page())


def test_top_5_is_not_applicable_with_five_classes(project: Path) -> None:
    fake_results(project, list("abcde"), {"hog": 0.5, "lenet5": 0.7})
    text = page()
    methods = json.loads(layout.METRICS.read_text())["methods"]
    assert methods["hog"]["test"]["top5_error"] is None
    assert methods["hog"]["test"]["top1_error"] is not None
    assert "Top-5 error is not applicable with 5 classes" in text


def test_many_classes_show_pairs_instead_of_a_map(project: Path) -> None:
    fake_results(project, [f"class {i}" for i in range(60)], {"hog": 0.5, "lenet5": 0.7}, per_class=2)
    assert "true class" not in json.dumps(re.findall(r"<svg.*?</svg>", page(), re.S))


def test_the_same_inputs_give_the_same_bytes(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5, "lenet5": 0.7})
    first = page()
    report.run()
    assert layout.PAGE.read_text(encoding="utf-8") == first


def test_missing_scores_name_the_stage(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5, "lenet5": 0.7})
    (layout.results_of("network", "lenet5") / "scores.npz").unlink()
    with pytest.raises(PipelineError, match=r"lenet5/scores\.npz: cannot be read.*rerun the stage cnn@lenet5"):
        evaluate.run()


def test_nan_scores_in_a_file_are_refused(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5, "lenet5": 0.7})
    path = layout.results_of("feature", "hog") / "scores.npz"
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["test"][3, 2] = np.nan
    np.savez(path, **arrays)
    with pytest.raises(PipelineError, match=r"1 of 48 images have NaN or infinite scores.*number 3"):
        evaluate.run()


def test_the_winner_is_compared_by_mcnemar_and_ties_are_marked(project: Path) -> None:
    fake_results(project, list("abcdefgh"), {"hog": 0.7, "color_histogram": 0.1, "lenet5": 0.72}, per_class=30)
    text = page()
    methods = json.loads(layout.METRICS.read_text())["methods"]
    assert methods["hog"]["tied_with_best"]
    assert methods["lenet5"]["tied_with_best"]
    assert not methods["color_histogram"]["tied_with_best"]
    assert methods["color_histogram"]["p_equal_to_best"] < 1e-3
    assert len(re.findall('cannot be told from the best">=', text)) == 1
    assert settings.load().evaluation.confidence == 0.95


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5 s"), (9.99, "9.99 s"), (57.4, "57 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_durations(value: float, text: str) -> None:
    assert seconds(value) == text


def test_figures_are_rounded_as_in_the_charts() -> None:
    # 14.25 is a tie in binary too; 23.95 and 30.65 lie a little below theirs, 99.95 above.
    values = {14.25: "14.3", 23.95: "23.9", 30.65: "30.6", 99.95: "100.0", 0.0: "0.0"}
    assert {value: tenths(value) for value in values} == values
