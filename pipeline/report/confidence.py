"""How far to trust a guess: what a probability is worth, in sentences, two charts and a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.evaluation.confidence import AT_LEAST, SURE
from pipeline.evaluation.reliability import BINS
from pipeline.evaluation.results import Result
from pipeline.evaluation.summary import titled
from pipeline.report.charts import confidence as charts
from pipeline.report.charts.base import Chart
from pipeline.report.words import tenths


@dataclass(frozen=True)
class Confidence:
    """What the section shows.

    Attributes:
        sure: a guess with at least this probability counts as sure, 0-1.
        bins: of the reliability diagram.
        sentences: what sure guesses are worth, for each method that the page compares at first.
        charts: the reliability diagram and error against the share answered.
        rows: of the table: all methods, in the leaderboard's order.
    """

    sure: float
    bins: int
    sentences: list[str]
    charts: list[Chart]
    rows: list[dict[str, Any]]


def confidence(
    summary: dict[str, Any],
    rows: list[dict[str, Any]],
    shown: list[Result],
    bins: list[dict[str, str]],
    curves: list[dict[str, str]],
) -> Confidence:
    """Everything that the section shows.

    Args:
        summary: metrics.json.
        rows: of the leaderboard.
        shown: the one or two methods that the page compares at first.
        bins: of tables/reliability.csv.
        curves: of plots/risk_coverage.csv.
    """
    drawn = [charts.Line(one.method.key, titled(one.method.key, one.cost.views), one.method.era,
                         summary["methods"][one.method.key]["calibration"]) for one in shown]  # fmt: skip
    return Confidence(
        sure=SURE,
        bins=BINS,
        sentences=[_sentence(line, summary["confidence"]) for line in drawn],
        charts=[charts.reliability(bins, drawn, summary["confidence"]), charts.risk_coverage(curves, drawn)],
        rows=[_row(row, summary["methods"][row["method"]]["calibration"]) for row in rows],
    )


def _sentence(line: charts.Line, level: float) -> str:
    """What a reader may expect of guesses to which a method gave a high probability."""
    sure = line.calibration[AT_LEAST]
    if sure["error"] is None:
        return f"{line.title} gave no guess a probability of at least {SURE}."
    return (
        f"Of the guesses to which {line.title} gave a probability of at least {SURE}, which are "
        f"{tenths(sure['answered'])} % of all, {tenths(sure['error'])} % were wrong "
        f"({100 * level:.0f} % interval {tenths(sure['low'])} to {tenths(sure['high'])})."
    )


def _row(row: dict[str, Any], calibration: dict[str, Any]) -> dict[str, Any]:
    sure = calibration[AT_LEAST]
    return {
        "title": row["title"],
        "era": row["era"],
        "fitted": _fitted(calibration),
        "before": calibration["ece_before"],
        "after": calibration["ece_after"],
        "answered": sure["answered"],
        "error": sure["error"],
        "low": sure["low"],
        "high": sure["high"],
    }


def _fitted(calibration: dict[str, Any]) -> str:
    if calibration["kind"] == "temperature":
        return f"temperature, T = {1 / calibration['slope']:.3g}"
    shift = calibration["shift"]
    return f"Platt, a = {calibration['slope']:.3g}, b = {'−' if shift < 0 else ''}{abs(shift):.3g}"
