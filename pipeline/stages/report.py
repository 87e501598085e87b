"""report: everything → reports/index.html."""

from pipeline import layout, progress, settings
from pipeline.evaluation import summary
from pipeline.files import read_json
from pipeline.report.page import write_page


def run() -> None:
    """Write the page."""
    chosen = settings.load()
    manifest, splits, results = summary.load(chosen)
    metrics = read_json(layout.METRICS, "evaluate")
    write_page(chosen, metrics, manifest, splits, results, layout.PAGE)
    progress.say(f"report: {layout.PAGE.resolve()}")
