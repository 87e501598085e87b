from __future__ import annotations

import base64
import csv
import html
import io
import json
import re
import shlex
from html.parser import HTMLParser
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline import catalogue, layout, settings
from pipeline.curves import kept
from pipeline.curves.kept import Point
from pipeline.data.contract import SPLITS, load_split
from pipeline.descriptors.drawing import Picture
from pipeline.errors import PipelineError
from pipeline.evaluation.results import load
from pipeline.evaluation.scores import Cost, write_result
from pipeline.files import write_json
from pipeline.report import gallery, repeat
from pipeline.report.charts import confidence, learning
from pipeline.report.charts.base import ERA_COLOURS
from pipeline.report.charts.names import sides_of_names
from pipeline.report.words import megabytes, milliseconds, number, seconds, tenths
from pipeline.sights.drawn import write_pictures
from pipeline.stages import compare, evaluate, report
from tests.conftest import ROOT, edit

HOSTILE = [
    '<script>alert("x")</script>', "a'b\"c", "כלב 🐕", "x" * 300, "</script><b>", "{{ 7*7 }}",
    "constructor", "__proto__", "toString", "two\nlines",
]  # fmt: skip


def fake_results(
    project: Path, classes: list[str], keys: dict[str, float], per_class: int = 8, more_of_first: int = 0
) -> None:
    """Data and scores as the stages would leave them; each method is right with the given probability."""
    random = np.random.default_rng(0)
    splits = {}
    manifest_splits = {}
    for name in SPLITS:
        labels = np.concatenate([np.tile(np.arange(len(classes)), per_class), np.zeros(more_of_first, int)])
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
        "classes": classes, "image_shape": [24, 24, 3], "grey": False, "given_splits": [], "groups": None, "folds": 0,
        "splits": manifest_splits, "skipped_count": 1, "skipped": skipped,
        "duplicates": {"policy": "report", "counts": {"near: test in train": 1}, "dropped": {}, "pairs": [
            {"kind": "near", "image": "<b>", "split": "test", "twin": "&amp;", "twin_split": "train"}]},
    }  # fmt: skip
    write_json(layout.DATA / "manifest.json", manifest)
    for key, share in keys.items():
        family = catalogue.BY_KEY[key].family
        scores = {}
        for name in ("val", "test"):
            labels = splits[name].labels
            noise = random.normal(0, 1, (len(labels), len(classes)))
            right = random.random(len(labels)) < share
            noise[np.arange(len(labels)), labels] += np.where(right, 9, 0)
            scores[name] = noise
        folder = layout.results_of(family, key)
        chosen = {name: splits[name] for name in scores}
        tuning = [{"candidate": "C=1 <b>", "value": 1.0, "val_error": 0.5, "chosen": True}]
        write_result(folder, scores, chosen, Cost(10.0, 0.001, 1000, 500, None, "cpu", "fp32", 2), tuning)
        if catalogue.BY_KEY[key].has_svm:
            write_json(folder / "vectors.json", {"dimensions": 9, "training_vectors": 48, "codebook_numbers": 0})
            shown = [Picture("a <b>caption", np.zeros((9, 9, 3), np.uint8))] if key == "hog" else []
            write_pictures(layout.PICTURES / key if family == "feature" else folder, shown)
        if family == "network":
            for curve in ("train_error", "val_error"):
                path = folder / "live" / "plots" / "metrics" / f"{curve}.tsv"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"step\t{curve}\n1\t0.5\n2\t0.4\n")
            write_json(folder / "live" / "metrics.json", {"best_epoch": 2})
            (folder / "statistics.csv").write_text(
                "epoch,layer,gradient\n1,c1,0.1\n1,relu,\n1,out,0.2\n2,c1,0.01\n2,out,0.3\n"
            )
            layer = {"name": "C1", "kind": "convolution K=5 S=1", "output": [6, 20, 20], "parameters": 156}
            write_json(folder / "layers.json", [layer | {"multiply_adds": 60_000}])
            write_json(folder / "architecture.json", {"variant": "a <b>stem"})
            write_pictures(layout.RESULTS / "kernels" / key, [Picture("kernels", np.zeros((9, 9, 3), np.uint8))])
    edit(project, {
        "features": [key for key in keys if key in ("hog", "color_histogram")], "fusions": [],
        "networks": [key for key in keys if key in ("lenet5", "alexnet")],
        "pretrained": [key for key in keys if catalogue.BY_KEY[key].family == "pretrained"],
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


@pytest.mark.parametrize("readable", [True, False])
def test_the_page_says_so_where_every_fit_of_a_curve_failed(project: Path, readable: bool) -> None:
    fake_results(project, ["a", "b"], {"hog": 0.5, "lenet5": 0.7})
    edit(project, {"curve.methods": ["hog"]})
    failed = [Point(40, seed, failed="the model diverged") for seed in (1, 2)]
    kept.write(failed, load_split("test").ids, layout.curve_of("hog"))
    if not readable:
        (layout.curve_of("hog") / "ranks.npz").write_bytes(b"cut off")
    text = Tags(page()).text
    said = ", HOG + SVM with 40 images from seed 1: the model diverged" if readable else ": results/curve/hog/ranks.npz"
    assert f"learning curves: every fit failed; the first{said}" in text
    assert "From how many images on?" not in text


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
    assert "The networks win here, by " in html.unescape(page())


def test_the_old_way_may_win(project: Path) -> None:
    fake_results(project, list("abcdefgh"), {"hog": 0.95, "lenet5": 0.3}, per_class=30)
    assert "The hand-crafted features win here, by " in html.unescape(page())


def test_an_undecided_comparison_says_so(project: Path) -> None:
    fake_results(project, list("abcdefgh"), {"hog": 0.7, "lenet5": 0.7}, per_class=4)
    text = html.unescape(page())
    assert "Nothing is decided here" in text
    assert "can be chance" in text
    assert "cheaper to" not in text  # they cost the same
    for key, train, use, said in (
        ("hog", 5.0, 0.0005, "HOG + SVM is the cheaper of the two, to train and to use."),
        ("lenet5", 1.0, 0.01, "LeNet-5 is cheaper to train, and HOG + SVM to use."),
    ):
        path = layout.results_of(catalogue.BY_KEY[key].family, key) / "cost.json"
        cost = json.loads(path.read_text())
        path.write_text(json.dumps(cost | {"training_seconds": train, "prediction_seconds": use}))
        assert said in html.unescape(page())


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


def test_what_a_guess_is_worth_is_said_as_in_metrics_json(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.8, "color_histogram": 0.2, "lenet5": 0.9}, per_class=40)
    text = page()
    section = text[text.index('<section id="confidence">') :].split("</section>")[0]
    words = " ".join(Tags(section).text.split())
    methods = json.loads(layout.METRICS.read_text())["methods"]
    for key, title in (("hog", "HOG + SVM"), ("lenet5", "LeNet-5")):
        found = methods[key]["calibration"]
        sure = found["at_least_0.9"]
        assert sure["answered"] > 0
        assert (
            f"Of the guesses to which {title} gave a probability of at least 0.9, which are "
            f"{tenths(sure['answered'])} % of all, {tenths(sure['error'])} % were wrong"
        ) in words
        assert f"{title} {tenths(found['ece_after'])} points" in words
        assert f"{title} {tenths(found['aurc'])} %" in words
    for key, values in methods.items():
        found = values["calibration"]
        row = next(row for row in section.split("<tr>") if f">{title_of(key)}</th>" in row)
        assert f'<td class="n">{tenths(found["ece_before"])}</td><td class="n">{tenths(found["ece_after"])}</td>' in row
    assert '<a href="#confidence">' in text
    assert "Colour histogram" not in json.dumps(re.findall(r"<svg.*?</svg>", section, re.S))


def title_of(key: str) -> str:
    return catalogue.BY_KEY[key].title


def test_the_tables_of_probabilities_hold_every_method_and_end_at_its_error(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.6, "lenet5": 0.9}, per_class=40)
    evaluate.run()
    methods = json.loads(layout.METRICS.read_text())["methods"]
    curves, bins, board = (
        list(csv.DictReader(path.read_text().splitlines()))
        for path in (
            layout.PLOTS / "risk_coverage.csv",
            layout.TABLES / "reliability.csv",
            layout.TABLES / "leaderboard.csv",
        )
    )
    for key, values in methods.items():
        last = [row for row in curves if row["method"] == key][-1]
        assert float(last["answered"]) == 100
        assert float(last["error"]) == pytest.approx(values["test"]["top1_error"], abs=1e-3)
        own = [row for row in bins if row["method"] == key]
        assert sum(int(row["images"]) for row in own) == 240
        gaps = [
            int(row["images"]) * abs(float(row["confidence"]) - float(row["accuracy"]))
            for row in own
            if int(row["images"])
        ]
        assert sum(gaps) / 240 == pytest.approx(values["calibration"]["ece_after"], abs=1e-3)
        row = next(row for row in board if row["method"] == key)
        assert float(row["ece"]) == values["calibration"]["ece_after"]
        assert float(row["answered_at_0.9"]) == values["calibration"]["at_least_0.9"]["answered"]


def test_a_calibration_knows_nothing_of_test(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.6, "lenet5": 0.9}, per_class=20)
    evaluate.run()
    before = json.loads(layout.METRICS.read_text())["methods"]["hog"]["calibration"]
    path = layout.results_of("feature", "hog") / "scores.npz"
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(path, **(arrays | {"test": -7 * arrays["test"]}))
    evaluate.run()
    after = json.loads(layout.METRICS.read_text())["methods"]["hog"]["calibration"]
    of_val = ("kind", "slope", "shift", "val_log_loss", "val_ece")
    assert {name: before[name] for name in of_val} == {name: after[name] for name in of_val}
    assert before["ece_after"] != after["ece_after"]


def test_methods_that_are_never_sure_are_reported_too(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.0, "lenet5": 0.0}, per_class=40)
    text = page()
    methods = json.loads(layout.METRICS.read_text())["methods"]
    assert methods["hog"]["calibration"]["at_least_0.9"] == {"answered": 0, "error": None, "low": None, "high": None}
    words = " ".join(Tags(text).text.split())
    for title in ("HOG + SVM", "LeNet-5"):
        assert f"{title} gave no guess a probability of at least 0.9." in words
    section = text[text.index('<section id="confidence">') :].split("</section>")[0]
    assert section.count('<td class="n">0.0</td><td class="n">–</td>') == 2


@pytest.mark.parametrize(("eras", "dashed"), [(("hand-crafted", "learned"), False), (("learned", "learned"), True)])
def test_lines_of_one_era_are_told_apart_by_dashes(eras: tuple[str, str], dashed: bool) -> None:
    sure = {"answered": 50.0, "error": 1.0}
    values = {"ece_after": 1.0, "aurc": 2.0, "at_least_0.9": sure}
    lines = [confidence.Line(f"m{number}", f"Method {number}", era, values) for number, era in enumerate(eras)]
    curves = [
        {"method": line.key, "threshold": "50", "answered": str(share), "error": str(share / 10)}
        for line in lines
        for share in (50, 100)
    ]
    chart = confidence.risk_coverage(curves, lines)
    drawn = re.findall(r'<g class="mark-line role-mark[^"]*"[^>]*>(.*?)</g>', chart.svg, re.S)
    assert [re.search(r'stroke="([^"]+)"', group)[1] for group in drawn] == [ERA_COLOURS[era] for era in eras]  # type: ignore[index]
    assert ["4,3" in group for group in drawn] == [dashed, False]
    circles = re.findall(r'<g class="mark-symbol role-mark[^"]*"[^>]*>(.*?)</g>', chart.svg, re.S)
    assert sum(group.count("<path") for group in circles) == 2


def damage(key: str, how: str) -> None:
    """Spoil one method's scores."""
    family = "network" if key in ("lenet5", "alexnet") else "feature"
    path = layout.results_of(family, key) / "scores.npz"
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "NaN":
        arrays["test"][3, 2] = np.nan
        np.savez(path, **arrays)
    elif how == "other ids":
        np.savez(path, **(arrays | {"test_ids": arrays["test_ids"][::-1]}))
    elif how == "fewer classes":
        np.savez(path, **(arrays | {"test": arrays["test"][:, :-1]}))
    elif how == "no cost":
        (path.parent / "cost.json").unlink()
    elif how == "older cost":
        write_json(path.parent / "cost.json", {"training_seconds": 1.0})
    elif how == "no curve":
        (path.parent / "live" / "plots" / "metrics" / "val_error.tsv").write_text("step\n1\n")


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("missing", r"scores\.npz: cannot be read"),
        ("truncated", r"scores\.npz: cannot be read"),
        ("NaN", r"scores\.npz: 1 of 48 images have NaN or infinite scores \(the first: number 3\)"),
        ("other ids", r"scores\.npz: was made for other images than those in data/test"),
        ("fewer classes", r"scores\.npz: have the shape \(48, 5\), expected 48×6"),
        ("no cost", r"cost\.json: cannot be read"),
        ("older cost", r"cost\.json: was written by another version"),
        ("no curve", r"val_error\.tsv: cannot be read"),
    ],
)
def test_a_method_without_usable_results_is_marked_and_the_rest_is_reported(
    project: Path, how: str, sentence: str
) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5, "lenet5": 0.7, "alexnet": 0.8})
    damage("lenet5", how)
    text = " ".join(Tags(page()).text.split())
    metrics = json.loads(layout.METRICS.read_text())
    assert set(metrics["methods"]) == {"hog", "alexnet"}
    assert re.search(rf"results/cnn/lenet5/.*{sentence}.*rerun ", metrics["failed"]["lenet5"])
    assert "cnn@lenet5" in metrics["failed"]["lenet5"] or how in ("NaN", "fewer classes")
    assert metrics["failed"]["lenet5"] in text
    assert "Without LeNet-5: no result that can be used" in text
    assert "1 selected methods have no result" in text


def test_no_usable_result_at_all_is_an_error(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5})
    damage("hog", "missing")
    with pytest.raises(PipelineError, match=r"no method has a result.*hog/scores\.npz: cannot be read.*svm@hog"):
        evaluate.run()


def test_what_was_damaged_after_evaluation_is_left_out_too(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5, "lenet5": 0.7, "alexnet": 0.8})
    evaluate.run()
    damage("lenet5", "truncated")
    (layout.results_of("network", "alexnet") / "layers.json").unlink()
    report.run()
    text = " ".join(Tags(layout.PAGE.read_text(encoding="utf-8")).text.split())
    assert "Without LeNet-5" in text
    assert re.search(
        r"Left out of this page \S*alexnet/layers\.json: cannot be read .* rerun the stage cnn@alexnet", text
    )


def test_metrics_of_another_version_name_the_stage(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5, "lenet5": 0.7})
    evaluate.run()
    write_json(layout.METRICS, json.loads(layout.METRICS.read_text()) | {"version": 1})
    with pytest.raises(PipelineError, match=r"metrics\.json: was written by another version.*rerun the stage evaluate"):
        report.run()


def test_the_winner_is_compared_by_mcnemar_and_ties_are_marked(project: Path) -> None:
    fake_results(project, list("abcdefgh"), {"hog": 0.7, "color_histogram": 0.1, "lenet5": 0.72}, per_class=30)
    text = page()
    methods = json.loads(layout.METRICS.read_text())["methods"]
    assert methods["hog"]["tied_with_best"]
    assert methods["lenet5"]["tied_with_best"]
    assert not methods["color_histogram"]["tied_with_best"]
    assert methods["color_histogram"]["p_equal_to_best"] < 1e-3
    assert [methods[key]["place"] for key in ("hog", "lenet5", "color_histogram")] == [[1, 2], [1, 2], [3, 3]]
    assert re.findall(r"<tr data-era[^>]*><td[^>]*>([\d–]+)</td>", text) == ["1–2", "1–2", "3"]
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


def test_the_defaults_that_a_report_compares_with_are_the_projects_own() -> None:
    assert repeat.DEFAULTS.read_text() == (ROOT / "params.yaml").read_text(), (
        "cp params.yaml pipeline/report/defaults.yaml"
    )


def repeated(project: Path) -> str:
    return repeat.changes(project / "params.yaml")[1]


def test_changed_settings_become_one_command(project: Path) -> None:
    (project / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    assert repeat.changes(project / "params.yaml")[0] == []
    assert repeated(project) == "make repro"
    edit(project, {"dataset": "digits", "hog.svm.C": [0.1, 0.3, 1.0, 10.0], "prepare.train_limit": 50,
                   "datasets.digits.augmentation.crop": 0.5})  # fmt: skip
    found, _ = repeat.changes(project / "params.yaml")
    assert [(change.key, change.value, change.default) for change in found] == [
        ("dataset", "digits", "objects"),
        ("prepare.train_limit", "50", "null"),
        ("datasets.digits.augmentation.crop", "0.5", "null"),
        ("hog.svm.C", "[0.1, 0.3, 1, 10]", "[0.1, 0.3, 1, 3]"),
    ]
    words = shlex.split(repeated(project))
    assert words[:4] == ["dvc", "exp", "run", "-S"]
    assert "hog.svm.C=[0.1, 0.3, 1.0, 10.0]" in words


def test_added_and_removed_settings_are_changes_too(project: Path) -> None:
    text = (ROOT / "params.yaml").read_text().replace("seed: 0 ", "sead: 0 ")
    (project / "params.yaml").write_text(text)
    found = [(change.key, change.value, change.default) for change in repeat.changes(project / "params.yaml")[0]]
    assert found == [("sead", "0", "–"), ("seed", "–", "0")]


def test_names_cover_nothing_and_the_lower_one_chooses_first() -> None:
    def sides(*points: tuple[float, float], walls: tuple[float, ...] = ()) -> list[str]:
        return sides_of_names(points, ["0123456789"] * len(points), [True] * len(points), walls)

    assert sides((100, 50), (100, 200)) == ["right", "right"]  # far apart
    assert sides((100, 50), (130, 60)) == ["left", "right"]  # a point lies where the first name would
    assert sides((200, 50), (230, 60), (160, 60)) == ["", "right", "left"]  # and on the other side too
    assert sides((100, 60), (100, 50))[1] == "right"  # the lower one
    assert sides((100, 60), (100, 50))[0] == "left"  # the higher one must not lie on it
    assert sides((100, 50), walls=(120.0,)) == ["left"]
    assert sides((30, 50), walls=(50.0,)) == [""]  # no room before the left edge
    assert sides_of_names([(100, 50)], ["unwanted"], [False]) == [""]


def test_descriptors_are_shown_with_their_numbers(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5, "lenet5": 0.7})
    row = re.search(r'<th scope="row">HOG \+ SVM</th><td>(?!\d)(?:(?!</tr>).)*settings.*?</tr>', page(), re.S)
    assert row is not None
    assert "orientations 9, pixels_per_cell auto, cells_per_block 2" in row.group()
    assert re.findall(r'<td class="n">(\d+)</td>', row.group()) == ["9", "48", "0", "500"]


def test_pictures_of_the_page_show_what_was_asked_for(project: Path) -> None:
    fake_results(project, list("abcdefgh"), {"hog": 0.5, "lenet5": 0.8}, per_class=20)
    outcome = load(settings.load())
    shown = outcome.results[::-1]  # LeNet-5 is older: the page's order is hand-crafted, then learned
    pool = gallery.pick(outcome.splits["test"], list("abcdefgh"), outcome.results, shown)
    assert [result.method.key for result in shown] == ["hog", "lenet5"]
    listed = gallery.pictures(pool, shown, 5)
    assert len(listed) == 5
    for picture in listed:
        old, new = (picture.guesses[title] for title in ("HOG + SVM", "LeNet-5"))
        assert not old[0].right
        assert new[0].right
        assert new[0].name == picture.truth
        number = picture.y * pool.columns + picture.x
        assert pool.names[number] == picture.name
        percents = [guess.percent for guess in new]
        assert percents == sorted(percents, reverse=True)
        assert sum(percents) <= 100.5
    # Each picked image lies in the sheet where the page looks for it.
    index = outcome.splits["test"].ids.index(listed[0].name)
    encoded = base64.b64decode(pool.sheet.split(",")[1])
    sheet = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    tile = sheet[24 * listed[0].y : 24 * (listed[0].y + 1), 24 * listed[0].x : 24 * (listed[0].x + 1)]
    difference = np.abs(tile.astype(int) - np.asarray(outcome.splits["test"].images[index]).astype(int))
    others = [
        np.abs(tile.astype(int) - np.asarray(image).astype(int)).mean() for image in outcome.splits["test"].images
    ]
    assert difference.mean() == min(others)


def test_the_summary_is_markdown_that_nothing_breaks(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5, "lenet5": 0.7, "alexnet": 0.6})
    damage("alexnet", "missing")
    page()
    text = layout.SUMMARY.read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count(" | ") for line in table} == {7}
    assert [line.split(" | ")[1] for line in table[2:]] == ["LeNet-5", "HOG + SVM", "AlexNet"]
    assert table[-1].startswith("| failed | AlexNet |")
    methods = json.loads(layout.METRICS.read_text())["methods"]
    for key, line in (("lenet5", table[2]), ("hog", table[3])):
        test = methods[key]["test"]
        assert f"| {tenths(test['top1_error'])} ({tenths(test['top1_low'])}–{tenths(test['top1_high'])}) |" in line
    for chart in ("errors-top1", "cost-training"):
        assert f"(charts/{chart}.svg)" in text
        assert '<rect width="100%" height="100%" fill="#ffffff"/>' in (layout.CHARTS / f"{chart}.svg").read_text()


def test_where_classes_differ_in_size_balanced_errors_and_the_largest_class_stand_beside_top_1(project: Path) -> None:
    fake_results(project, ["good", "<b>broken"], {"hog": 0.5, "lenet5": 0.9}, per_class=20, more_of_first=180)
    parsed = Tags(page())
    found = json.loads(layout.METRICS.read_text())
    assert found["class_sizes"]["majority"] == {"class": "good", "val": pytest.approx(100 / 11, abs=1e-3)} | {
        "test": pytest.approx(100 / 11, abs=1e-3)
    }
    text = " ".join(parsed.text.split())
    summary = layout.SUMMARY.read_text(encoding="utf-8")
    for shown in (text, summary):
        assert "has 10.0 times as many training images as the smallest" in shown
        assert "Always guessing the largest, good, errs on 9.1 % of the test images" in shown
        assert "balanced error" in shown
    for values in found["methods"].values():
        test = values["test"]
        assert test["balanced_low"] <= test["balanced_error"] <= test["balanced_high"]
        assert f"{tenths(test['balanced_error'])} ({tenths(test['balanced_low'])}–" in summary
    columns = (layout.TABLES / "leaderboard.csv").read_text().splitlines()[0].split(",")
    assert {"test_balanced_error", "test_balanced_low", "test_balanced_high"} <= set(columns)


@pytest.mark.parametrize("counts", [None, {"train": 8, "val": 1, "test": 2}])
def test_the_page_says_whether_groups_were_drawn_whole(project: Path, counts: dict[str, int] | None) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5, "lenet5": 0.7})
    manifest = json.loads((layout.DATA / "manifest.json").read_text())
    write_json(layout.DATA / "manifest.json", manifest | {"groups": counts})
    assert ("in whole groups" in Tags(page()).text) == (counts is not None)


def test_where_they_do_not_nothing_is_said_of_it(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5, "lenet5": 0.7})
    text = Tags(page()).text
    assert "balanced" not in text
    assert "an error of 20 % measured on it has one from" in text


def test_two_folders_are_compared(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5, "lenet5": 0.7})
    evaluate.run()
    other = json.loads(layout.METRICS.read_text())
    hog = other["methods"]["hog"]["test"]
    hog |= {"top1_error": hog["top1_error"] + 30, "top1_low": hog["top1_low"] + 30, "top1_high": hog["top1_high"] + 30}
    write_json(project / "other" / "reports" / "metrics.json", other | {"seed": 7})
    compare.run("other", "reports")
    text = capsys.readouterr().out
    row = next(line for line in text.splitlines() if "HOG + SVM" in line)
    assert "-30.00" in row
    assert "beyond" in row
    assert "+0.00" in next(line for line in text.splitlines() if "LeNet-5" in line)
    assert "seed: 7 and 0" in text
    report.run()
    (project / "elsewhere.html").write_bytes(layout.PAGE.read_bytes())
    compare.run("elsewhere.html", "workspace")
    assert "+0.00" in next(line for line in capsys.readouterr().out.splitlines() if "HOG + SVM" in line)
    (project / "other.html").write_text("<p>no report</p>")
    with pytest.raises(PipelineError, match=r"other\.html: is no report of this project's"):
        compare.run("other.html", "reports")
    (project / "empty").mkdir()
    with pytest.raises(PipelineError, match=r"empty: holds no metrics\.json"):
        compare.run("empty", "reports")
    write_json(project / "old.json", {"methods": {}})
    with pytest.raises(PipelineError, match=r"old\.json: was written by another version"):
        compare.run("old.json", "reports")


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"prepare.data_root": "/data/Bilder (neu), 1=2"}, ["prepare.data_root='/data/Bilder (neu), 1=2'"]),
        ({"vgg11.weight_decay": 0.000512345678}, ["+vgg11.weight_decay=0.000512345678"]),
        ({"hog.features.rbf": {"landmarks": 9, "width": 1.0}}, ["hog.features.rbf={landmarks: 9, width: 1.0}"]),
        ({"photo": {"source": "digits"}}, ["+photo={source: digits}"]),
        ({"networks": []}, ["networks=[]"]),
        ({"dataset": "it's"}, ["dataset='it\\'s'"]),
    ],
)
def test_the_command_gives_the_same_settings_again(project: Path, changes: dict, options: list[str]) -> None:
    """`dvc exp run -S` reads Hydra's grammar; the command is shown only where it leads back to this params.yaml."""
    (project / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    edit(project, changes)
    shown = shlex.split(repeated(project))
    assert shown == ["dvc", "exp", "run", *(word for option in options for word in ("-S", option))]


def test_what_no_option_can_say_is_left_to_the_file(project: Path) -> None:
    (project / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    edit(project, {"sift_fv.svm.C": [1.0, 3.0, 10.0, 30.0]})  # a list, where the project has one for each budget
    assert repeated(project) == repeat.BY_HAND


def test_a_failed_era_is_not_called_unselected(project: Path) -> None:
    fake_results(project, list("abcdef"), {"hog": 0.5, "color_histogram": 0.3, "lenet5": 0.7})
    damage("lenet5", "missing")
    text = " ".join(Tags(page()).text.split())
    assert "No learned method has a result that can be used. The best on val, HOG + SVM errs on" in text
    assert "No network has a result here." in text


@pytest.mark.parametrize("methods", [{"hog": 0.5}, {"hog": 0.5, "color_histogram": 0.2}, {"lenet5": 0.5}])
def test_one_era_or_one_method_has_a_whole_page(project: Path, methods: dict[str, float]) -> None:
    fake_results(project, list("abcdef"), methods)
    text = page()
    assert "select methods of both eras to compare them" in text
    assert ('id="chart-classes"' in text) == (len(methods) == 2)
    assert ('id="method-b"' in text) == (len(methods) == 2)
    assert ("What HOG + SVM got right and Colour histogram + SVM did not" in text) == (len(methods) == 2)


def test_every_pair_of_methods_has_pictures_before_any_has_two(project: Path) -> None:
    right = {key: np.zeros(900, bool) for key in "abcdefghijkl"}
    for place, values in enumerate(right.values()):
        values[75 * place : 75 * (place + 1)] = True
    sure = {key: np.random.default_rng(0).random(900) for key in right}
    picked: list[int] = []
    for indices in gallery._wishes(right, sure, ["a", "b"]):
        picked += indices.tolist()
        if len(set(picked)) >= gallery.MOST:
            break
    for a, b in permutations(right, 2):
        assert any(right[b][index] and not right[a][index] for index in picked), (a, b)


def test_ids_in_drawings_are_their_own_and_names_stay(project: Path) -> None:
    names = ["gradient1", "clip2", "clip_3", "a", "b", "c"]
    fake_results(project, names, {"hog": 0.5, "lenet5": 0.7})
    text = page()
    figure = text[text.index('id="chart-confusion"') :].split("</svg>")[0]
    for name in names:
        assert f">{name}</text>" in figure
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", text.split("<script")[0])) <= set(ids)


def test_gradients_that_vanish_are_told_by_the_layers_that_have_none() -> None:
    def rows(sizes: list[float]) -> list[dict[str, Any]]:
        return [
            {"network": "lenet5", "when": "first", "epoch": 1, "number": number + 1, "layer": f"c{number}",
             "gradient": size}
            for number, size in enumerate(sizes)
        ]  # fmt: skip

    for sizes, told in (([0.0, 0.1, 0.2], "0"), ([0.1, 0.2], "0.5"), ([0.1, 0.2, 0.0], "not finite")):
        chart = learning.gradients(rows(sizes), {"lenet5": "LeNet-5"})
        assert chart is not None
        assert f"after one epoch: LeNet-5: {told}." in chart.alt


def test_each_small_picture_shows_its_own_method_alone() -> None:
    titles = {"hog": "HOG + SVM", "lenet5": "LeNet-5", "alexnet": "AlexNet"}
    tried = [
        {
            "method": key,
            "era": "hand-crafted",
            "candidate": f"C={c}",
            "value": c,
            "val_error": error,
            "chosen": c == 1.0,
        }
        for key, error in (("hog", 0.2), ("lenet5", 0.4), ("alexnet", 0.6))
        for c in (0.1, 1.0)
    ]
    chart = learning.costs_of_errors(tried, titles)
    assert chart is not None
    circles = re.findall(r'<g class="mark-symbol role-mark[^"]*"[^>]*>(.*?)</g>', chart.svg, re.S)
    assert sorted(group.count("<path") for group in circles) == [1, 1, 1, 2, 2, 2]
    epochs = [
        {"network": key, "split": "val", "epoch": epoch, "error": 10.0 * epoch, "kept": epoch == 1}
        for key in ("lenet5", "alexnet")
        for epoch in (1, 2)
    ]
    curves = learning.curves(epochs, titles)
    assert curves is not None
    circles = re.findall(r'<g class="mark-symbol role-mark[^"]*"[^>]*>(.*?)</g>', curves.svg, re.S)
    assert [group.count("<path") for group in circles] == [1, 1]


def test_long_trainings_can_be_drawn() -> None:
    rows = [
        {"network": "lenet5", "split": split, "epoch": epoch, "error": 1.0, "kept": False}
        for split in ("train", "val")
        for epoch in range(3000)
    ]
    assert learning.curves(rows, {"lenet5": "LeNet-5"}) is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(999_499), "999,499"), (number(999_700), "1 M"), (number(999.7e6), "1 G"), (number(61e6), "61 M"),
        (milliseconds(123.4), "123 ms"), (milliseconds(0.0412), "0.041 ms"), (milliseconds(2500), "2.5 s"),
        (megabytes(3.21), "3.21 MB"), (megabytes(1234.5), "1.23 GB"),
    ],
)  # fmt: skip
def test_numbers_for_a_reader(text: str, expected: str) -> None:
    assert text == expected
