"""How often each method notices an image of none of the classes: a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline import layout
from pipeline.errors import PipelineError
from pipeline.evaluation.results import Result
from pipeline.evaluation.summary import titled
from pipeline.files import read_json
from pipeline.report.faults import Faults

TEST = "test"  # whose images are of the classes: what is flagged there is a false alarm


@dataclass(frozen=True)
class Strangers:
    """The table.

    Attributes:
        kinds: of images that are of none of the classes.
        rows: title, false alarms on test, and what was noticed of each kind; in percent with intervals.
    """

    kinds: list[str]
    rows: list[dict[str, Any]]


def strangers(results: list[Result], faults: Faults) -> Strangers | None:
    """From results/unlike/; None where it can't be read."""
    with faults.noted():
        found = read_json(layout.RESULTS / "unlike" / "detection.json", "unlike")
        return _table(results, found)
    return None


def _table(results: list[Result], found: dict[str, Any]) -> Strangers:
    there = [result for result in results if result.method.key in found]
    if not there:
        raise PipelineError(f"{layout.RESULTS}/unlike/detection.json: is of other methods; rerun the stage unlike")
    kinds = [kind for kind in found[there[0].method.key] if kind != TEST]
    rows = [
        {
            "title": titled(result.method.key, result.cost.views),
            "false_alarms": found[result.method.key][TEST],
            "noticed": [found[result.method.key][kind] for kind in kinds],
        }
        for result in there
    ]
    return Strangers(kinds, rows)
