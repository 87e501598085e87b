"""report: everything → reports/index.html, and in short reports/summary.md with reports/charts/."""

import shutil

from pipeline import layout, progress, settings
from pipeline.evaluation.results import load
from pipeline.evaluation.summary import read_summary
from pipeline.files import atomic
from pipeline.report.digest import digest, on_white
from pipeline.report.page import gather, write_page


def run() -> None:
    """Write the page and its summary."""
    chosen = settings.load()
    content = gather(chosen, read_summary(layout.METRICS), load(chosen))
    write_page(content, layout.PAGE)
    charts = [content["top_1_chart"], content["cost_charts"][0]]
    if content["curve_chart"]:
        charts.insert(0, content["curve_chart"])
    shutil.rmtree(layout.CHARTS, ignore_errors=True)
    for chart in charts:
        with atomic(layout.CHARTS / f"{chart.key}.svg", "w") as file:
            file.write(on_white(chart.svg))
    failed = {method.title: why for method, why in content["failed"].items()}
    with atomic(layout.SUMMARY, "w") as file:
        file.write(digest(content["summary"], content["answer"], content["rows"], failed, charts, content["limits"]))
    progress.say(f"report: {layout.PAGE.resolve()}")
