"""The report in Chromium: what a person does with it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from pipeline import layout
from pipeline.curves import kept
from pipeline.data.contract import load_split
from pipeline.report.words import tenths
from pipeline.stages import evaluate, report
from tests.browser import browser, tab
from tests.conftest import edit, make_project
from tests.test_crossing import points, power
from tests.test_report import HOSTILE, damage, fake_results

__all__ = ["browser", "tab"]
METHODS = {"color_histogram": 0.2, "hog": 0.5, "lenet5": 0.7, "alexnet": 0.8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a report on classes with hostile names, in which one method failed."""
    project = make_project(tmp_path_factory.mktemp("browser") / "project")
    before = Path.cwd()
    os.chdir(project)
    try:
        fake_results(project, HOSTILE, METHODS, per_class=12)
        damage("color_histogram", "missing")
        fake_curves(project)
        evaluate.run()
        report.run()
    finally:
        os.chdir(before)
    return project


def fake_curves(project: Path) -> None:
    """Learning curves: LeNet-5 overtakes HOG, AlexNet does not."""
    edit(project, {"curve.methods": ["hog", "lenet5", "alexnet"]})
    test, random = load_split("test").ids, np.random.default_rng(0)
    curves = {"hog": power(0.6, 0.2), "lenet5": power(0.8, 0.5), "alexnet": power(0.9, 0.1)}
    for key, errors in curves.items():
        kept.write(points(errors, 3, random, len(test)), test, layout.curve_of(key))


@pytest.fixture
def page(tab: Page, folder: Path) -> Page:
    """The report, its script having run."""
    tab.goto((folder / layout.PAGE).as_uri())
    tab.wait_for_selector("html[data-ready=yes]", state="attached")
    return tab


def column(page: Page, number: int) -> list[str]:
    """Texts of the visible cells of the leaderboard in one column."""
    return [cell.inner_text() for cell in page.locator(f"#board tbody tr:visible > :nth-child({number})").all()]


def test_every_chart_comes_to_life_without_a_request(page: Page) -> None:
    charts = page.locator("figure.chart")
    assert charts.count() >= 10
    for chart in charts.all():
        chart.scroll_into_view_if_needed()
        chart.locator(".vega-embed svg").wait_for()


def test_any_pair_of_methods_is_shown_on_the_learning_curves(page: Page) -> None:
    def signals() -> list[Any]:
        names = ["pairOld", "pairNew", "crossShown", "crossAt"]
        return page.evaluate("names => names.map((name) => byId('chart-curve').view.signal(name))", names)

    chart, said = page.locator("#chart-curve"), page.locator("#pair-said")
    chart.scroll_into_view_if_needed()
    page.wait_for_function("byId('chart-curve').view")
    before = signals()
    assert before[:2] == ["", ""]
    page.select_option("#pair-new", "lenet5")
    assert signals() == before  # a pair has two
    page.select_option("#pair-old", "hog")
    page.wait_for_function("byId('chart-curve').view.signal('pairOld') === 'HOG + SVM'")
    assert re.match(
        r"From about [\d,]+ labelled images on, LeNet-5 errs less than HOG \+ SVM \(95 %", said.inner_text()
    )
    assert signals()[1:3] == ["LeNet-5", True]
    assert 100 < signals()[3] < 1000
    faint = page.locator("#chart-curve g.mark-line path[opacity], #chart-curve g.mark-line path[stroke-opacity]")
    assert faint.count() == 3
    page.select_option("#pair-new", "alexnet")
    page.wait_for_function("byId('chart-curve').view.signal('pairNew') === 'AlexNet'")
    assert said.inner_text().startswith("AlexNet does not overtake HOG + SVM within these 10,000 labelled images")
    assert signals()[2] is False
    page.select_option("#pair-old", "")
    page.wait_for_function("byId('chart-curve').view.signal('pairOld') === ''")
    assert signals() == before
    assert said.inner_text() == ""


def test_the_leaderboard_sorts_both_ways_and_keeps_failures_last(page: Page) -> None:
    page.get_by_role("button", name="top-1 error").click()
    errors = [float(text.split()[0]) for text in column(page, 5)[:-1]]
    assert errors == sorted(errors)
    assert len(set(errors)) == 3
    page.get_by_role("button", name="top-1 error").click()
    assert [float(text.split()[0]) for text in column(page, 5)[:-1]] == errors[::-1]
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("top-1 error")
    assert column(page, 1)[-1] == "failed"
    page.get_by_role("button", name="method").click()
    assert column(page, 2) == ["AlexNet", "HOG + SVM", "LeNet-5", "Colour histogram + SVM"]


def test_the_leaderboard_filters_by_era_and_family(page: Page) -> None:
    page.locator("#filter-era").select_option("learned")
    assert sorted(column(page, 2)) == ["AlexNet", "LeNet-5"]
    assert page.locator("#filtered").inner_text() == "2 of 4 methods"
    page.locator("#filter-family").select_option("feature")
    assert column(page, 2) == []
    page.locator("#filter-era").select_option("")
    assert sorted(column(page, 2)) == ["Colour histogram + SVM", "HOG + SVM"]


@pytest.mark.parametrize("room", ["fixed", "lost", "neither", "both", "sure-a", "sure-b"])
def test_any_two_methods_are_compared_on_pictures(page: Page, room: str) -> None:
    page.locator("#method-a").select_option("lenet5")
    page.locator("#method-b").select_option("alexnet")
    page.locator("#room").select_option(room)
    cards = page.locator(".picture").all()
    assert cards
    for card in cards:
        assert card.locator("h3").all_inner_texts() == ["LeNet-5", "AlexNet"]
        first = [guesses.locator("li").first for guesses in card.locator("ol").all()]
        right = [line.inner_text().split("\n")[0].endswith("✓") for line in first]
        assert (
            right
            == {
                "fixed": [False, True],
                "lost": [True, False],
                "neither": [False, False],
                "both": [True, True],
                "sure-a": [False, right[1]],
                "sure-b": [right[0], False],
            }[room]
        )
    by = 0 if room in ("lost", "sure-a") else 1
    shares = [float(card.locator("ol").nth(by).locator("li span").nth(1).inner_text()) for card in cards]
    assert shares == sorted(shares, reverse=True)


def test_the_script_shows_the_pictures_that_stood_there_before(page: Page) -> None:
    before = page.locator("#gallery").inner_text()
    page.locator("#room").select_option("lost")
    assert page.locator("#gallery").inner_text() != before
    page.locator("#room").select_option("fixed")
    assert page.locator("#gallery").inner_text() == before


def test_confusions_and_classes_of_another_method_replace_the_first(page: Page, folder: Path) -> None:
    figure = page.locator("#chart-confusion")
    page.locator("#confusion-method").select_option("hog")
    page.wait_for_selector("#chart-confusion [aria-label='Confusion of HOG + SVM.']")
    assert figure.locator("figcaption").inner_text().startswith("HOG + SVM. Rows: true class")
    with page.expect_download() as event:
        figure.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(event.value.path().read_text(encoding="utf-8"))))
    wrong = sum(int(row["images"]) for row in rows if row["truth"] != row["guess"])
    metrics = json.loads((folder / layout.METRICS).read_text())
    assert tenths(100 * wrong / (12 * len(HOSTILE))) == tenths(metrics["methods"]["hog"]["test"]["top1_error"])
    page.locator("#classes-a").select_option("alexnet")
    page.wait_for_selector("#chart-classes [aria-label*='Across: AlexNet']")


def test_downloads_are_the_files(page: Page, folder: Path) -> None:
    for name in ("leaderboard.csv", "metrics.json"):
        with page.expect_download() as event:
            page.get_by_role("link", name=name).click()
        source = folder / (layout.METRICS if name.endswith("json") else layout.TABLES / name)
        assert event.value.suggested_filename == name
        assert event.value.path().read_bytes() == source.read_bytes()


@pytest.mark.parametrize(("kind", "start"), [("PNG", b"\x89PNG"), ("SVG", b"<svg")])
def test_charts_are_saved(page: Page, kind: str, start: bytes) -> None:
    with page.expect_download() as event:
        page.locator("#chart-errors-top1").get_by_role("button", name=kind).click()
    assert event.value.suggested_filename == f"errors-top1.{kind.lower()}"
    assert event.value.path().read_bytes().startswith(start)


def test_light_and_dark_are_chosen_by_hand(page: Page) -> None:
    button = page.locator("#theme")
    grounds = []
    for theme in ("light", "dark"):
        button.click()
        assert button.inner_text() == f"Theme: {theme}"
        grounds.append(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        ink = page.evaluate("getComputedStyle(document.querySelector('figure.chart svg text')).fill")
        assert ink == page.evaluate("getComputedStyle(document.documentElement).color")
    assert grounds == ["rgb(255, 255, 255)", "rgb(22, 25, 29)"]
    button.click()
    assert button.inner_text() == "Theme: automatic"


@pytest.mark.parametrize("width", [320, 400])
def test_a_phone_needs_no_sideways_scrolling(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    for details in page.locator("details").all():
        details.evaluate("element => { element.open = true; }")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_print_is_a_handout_of_few_pages(page: Page) -> None:
    for _ in range(2):
        page.locator("#theme").click()
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(0, 0, 0)"
    document = page.pdf(format="A4", print_background=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", document))
    assert 2 <= pages <= 7


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_finding_of_axe(page: Page, theme: str) -> None:
    for _ in range(1 if theme == "light" else 2):
        page.locator("#theme").click()
    for details in page.locator("details").all():
        details.evaluate("element => { element.open = true; }")
    found = Axe().run(page)
    serious = [
        violation for violation in found.response["violations"] if violation["impact"] in ("serious", "critical")
    ]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in serious] == []


def test_what_is_tapped_is_large_enough(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    small = page.evaluate(
        """() => [...document.querySelectorAll("nav a, .downloads a, button, select, summary")]
             .filter((one) => one.getClientRects().length && !one.closest("table, .vega-embed"))
             .map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
             .filter(([, box]) => box.height < 24 || box.width < 24)"""
    )
    assert small == []


def test_without_scripts_charts_tables_and_pictures_are_there(browser: Browser, folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    still = context.new_page()
    still.goto((folder / layout.PAGE).as_uri())
    charts = still.locator("figure.chart .drawn > svg")
    assert charts.count() == still.locator("figure.chart").count() >= 10
    for chart in charts.all():
        assert chart.is_visible()
    assert still.locator("#board tbody tr").count() == 4
    assert still.locator(".picture .tile").first.is_visible()
    for tool in (".filters", "#theme", ".tools"):
        assert all(not one.is_visible() for one in still.locator(tool).all())
    context.close()


def test_a_script_that_somebody_slipped_in_does_not_run(browser: Browser, folder: Path, tmp_path: Path) -> None:
    text = (folder / layout.PAGE).read_text(encoding="utf-8")
    assert "script-src 'sha256-" in text
    slipped = "<script>window.slipped = 1</script><img src='data:x' onerror='window.slipped = 2' alt=''>"
    (tmp_path / "page.html").write_text(text.replace("<main", f"{slipped}<main", 1), encoding="utf-8")
    assert slipped in (tmp_path / "page.html").read_text(encoding="utf-8")
    context = browser.new_context(offline=True)
    opened = context.new_page()
    opened.goto((tmp_path / "page.html").as_uri())
    opened.wait_for_selector("html[data-ready=yes]", state="attached")  # the page's own scripts do run
    assert opened.evaluate("window.slipped") is None
    context.close()


def test_hostile_names_stay_text_in_what_the_script_makes(page: Page) -> None:
    for room in ("lost", "neither"):
        page.locator("#room").select_option(room)
    texts = page.locator(".picture .truth").all_inner_texts() + page.locator(".picture li").all_inner_texts()
    assert any("<script>" in text for text in texts)
    assert page.locator("#gallery :is(script, b, i, em, img)").count() == 0
    assert page.locator(".picture .name").first.inner_text().startswith("test/<i>")
