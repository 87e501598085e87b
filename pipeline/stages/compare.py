"""compare: two runs' metrics.json → what changed between them, on the terminal."""

import base64
import json
import re
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline import catalogue, layout
from pipeline.errors import PipelineError
from pipeline.evaluation.comparison import Difference, compare, conditions
from pipeline.evaluation.summary import checked, read_summary
from pipeline.project import in_repository
from pipeline.report.words import seconds, tenths


def run(first: str, second: str) -> None:
    """Print a row for each method of either run.

    Args:
        first, second: each a report's page, a metrics.json, a folder with one (a project, or its reports/), or a
            revision of this repository: a commit, a branch, an experiment's name; `workspace` is what lies here.
    """
    before, after = _find(first), _find(second)
    table = Table(title=escape(f"top-1 test error in percent: {first} → {second}"))
    table.add_column("method")
    for name in ("before", "after", "points", "training"):
        table.add_column(name, justify="right")
    table.add_column("")
    for difference in compare(before, after):
        table.add_row(*_cells(difference))
    console = Console()
    console.print(table)
    for sentence in conditions(before, after):
        console.print(sentence, markup=False)
    console.print("“beyond”: the two intervals don't overlap; other changes may be luck.")


def _cells(difference: Difference) -> list[str]:
    change = difference.change
    times = ["–" if value is None else seconds(value) for value in difference.seconds]
    return [
        catalogue.BY_KEY[difference.method].title if difference.method in catalogue.BY_KEY else difference.method,
        _error(difference.before),
        _error(difference.after),
        "–" if change is None else f"{change:+.2f}",
        f"{times[0]} → {times[1]}",
        "beyond" if difference.beyond_intervals else "",
    ]


def _error(error: tuple[float, float, float] | None) -> str:
    return "–" if error is None else f"{tenths(error[0])} ({tenths(error[1])}–{tenths(error[2])})"


def _find(name: str) -> dict[str, Any]:
    if name == "workspace":
        return read_summary(layout.METRICS)
    path = Path(name)
    if path.suffix == ".html" and path.is_file():
        return _of_page(path)
    for candidate in (path, path / "metrics.json", path / layout.METRICS):
        if candidate.is_file():
            return read_summary(candidate)
    if path.exists():
        raise PipelineError(f"{name}: holds no metrics.json; name a project, its reports folder, or the file itself")
    return _of_revision(name)


def _of_page(path: Path) -> dict[str, Any]:
    """A report carries its metrics.json, to be downloaded: it can be compared wherever it was sent."""
    found = re.search(r'href="data:application/json;[^,"]*,([^"]+)" download="metrics.json"', path.read_text("utf-8"))
    if found is None:
        raise PipelineError(
            f"{path}: is no report of this project's, or one of an older version; name its metrics.json"
        )
    return checked(json.loads(base64.b64decode(found.group(1))), str(path))


def _of_revision(revision: str) -> dict[str, Any]:
    import dvc.api
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError

    try:
        text = dvc.api.read(in_repository(layout.METRICS).as_posix(), rev=revision)
    except (DvcException, SCMError, OSError) as error:
        raise PipelineError(
            f"{revision}: is neither a file or folder nor a revision whose {layout.METRICS} DVC has ({error}); "
            "`dvc exp show` lists the experiments, and dvc.lock must have been committed"
        ) from error
    return checked(json.loads(text), f"{layout.METRICS} of {revision}")
