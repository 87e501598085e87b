"""The pages with measured results against reports/published/."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import draw_curves, tabulate_results
from scripts.tabulate_results import MARKED, PAGES, ROOT, TABLES, filled


@pytest.mark.parametrize("page", PAGES)
def test_tables_say_what_was_measured(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert filled(text) == text, "write them anew: python -m scripts.tabulate_results"


def test_every_table_has_its_place() -> None:
    pages = [(ROOT / page).read_text(encoding="utf-8") for page in PAGES]
    assert sorted(found["name"] for text in pages for found in MARKED.finditer(text)) == sorted(TABLES)


def test_only_what_stands_between_the_marks_is_written() -> None:
    text = filled("above\n<!-- table: ablation -->\nold\n<!-- end -->\nbetween\n<!-- end -->\n")
    assert text.startswith("above\n<!-- table: ablation -->\n| changed |")
    assert text.endswith("|\n<!-- end -->\nbetween\n<!-- end -->\n")
    assert "old" not in text


def test_a_table_that_does_not_exist_is_named_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = {
        "first.md": "<!-- table: ablation -->\nold\n<!-- end -->\n",
        "second.md": "<!-- table: x -->\n<!-- end -->\n",
    }
    for name, text in pages.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(tabulate_results, "ROOT", tmp_path)
    monkeypatch.setattr(tabulate_results, "PAGES", tuple(pages))
    assert tabulate_results.main() == 1
    assert "no table `x`" in capsys.readouterr().err
    assert {name: (tmp_path / name).read_text(encoding="utf-8") for name in pages} == pages


def test_other_methods_settings_are_left_out_but_a_fusion_has_its_features() -> None:
    settings = "-S dataset=cifar10 -S 'features=[hog]' -S augmentation.copies=2 -S hog.C=[1] -S gabor.x=2 -S mlp.x=3"
    row = {"command": f"dvc exp run {settings}"}
    own, others = "`augmentation.copies=2` `hog.C=[1]`", "`gabor.x=2`"
    assert tabulate_results._settings(row | {"method": "hog"}) == own
    assert tabulate_results._settings(row | {"method": "xrce2011"}) == f"{own} {others}"
    assert tabulate_results._settings(row | {"method": "mlp"}) == "`augmentation.copies=2` `mlp.x=3`"


def test_the_picture_shows_what_was_published() -> None:
    fits, pairs = (json.loads((draw_curves.PUBLISHED / name).read_text()) for name in ("curve.json", "crossing.json"))
    mark = draw_curves.mark(draw_curves.rows(fits), draw_curves.crossing(pairs))
    text = draw_curves.PICTURE.read_text(encoding="utf-8")
    assert text.startswith(f"<!-- {mark} -->"), "draw it anew: python -m scripts.draw_curves"


def test_the_picture_has_means_over_seeds_and_leaves_out_what_has_too_few() -> None:
    fits = [{"method": "hog", "n": 100, "top1_error": error} for error in (60.0, 64.0, 68.0)]
    fits += [{"method": "hog", "n": 300, "top1_error": 50.0}, {"method": "lenet5", "n": 100, "top1_error": 80.0}]
    (row,) = draw_curves.rows(fits)
    assert (row["images"], row["top1_error"], row["top1_low"], row["top1_high"]) == (100, 64, 60, 68)


def test_each_benchmark_says_whether_its_goal_was_met() -> None:
    lines = tabulate_results.benchmarks().splitlines()
    measured = json.loads(tabulate_results.BENCHMARKS.read_text())
    missed = {row["name"] for row in measured if row["met"] is False}
    assert {line.split(" | ")[0].removeprefix("| ") for line in lines if line.endswith("| no |")} == missed


def test_augmentations_stand_under_each_other_and_groups_are_means_of_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tabulate_results, "PUBLISHED", tmp_path)
    (tmp_path / "cifar10").mkdir()
    for name, clean, turned in (("none", 20.0, (30, 50)), ("mirror-shift", 18.0, (26, 46)), ("all", 19.0, (20, 22))):
        row = {"method": "hog", "top1_low": clean - 1, "top1_high": clean + 1}
        found = [row | {"change": "none", "severity": 0, "top1_error": clean}]
        found += [row | {"change": "rotation", "severity": 1, "top1_error": error} for error in turned]
        found.append(row | {"change": "scale", "severity": 1, "top1_error": 10.0})
        (tmp_path / "cifar10" / f"robustness-augmentation-{name}.json").write_text(json.dumps(found))
    lines = tabulate_results.augmentation().splitlines()
    assert lines[0].split(" | ")[2:] == ["as they are", "viewpoint |"]
    assert [line.split(" | ")[1:] for line in lines[2:]] == [
        ["none", "20.0 <sub>19.0–21.0</sub>", "25.0 |"],
        ["mirror and shift", "18.0 <sub>17.0–19.0</sub>", "23.0 |"],
        ["all", "19.0 <sub>18.0–20.0</sub>", "15.5 |"],
    ]
