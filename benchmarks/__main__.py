"""python -m benchmarks [NAME …] [--json FILE] [--data-root FOLDER]: our figure, the peer's, the ratio, the goal."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Row, Skipped
from pipeline.errors import PipelineError

#: In this order; the last ones take minutes.
CASES = (
    "hog",
    "color_histogram",
    "lbp",
    "dense_sift",
    "fisher",
    "gmm",
    "kmeans",
    "pq",
    "svm",
    "convolution",
    "muon",
    "training",
    "airbench94",
    "prepare",
    "predict",
    "corruptions",
    "pretrained",
    "report",
    "scaling",
    "ilsvrc",
    "solver",
    "cluster",
    "gpu",
    "dask",
    "xrce2011",
    "endtoend",
)

console = Console(width=120)


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"cases to run: {', '.join(CASES)}; none: all")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the rows to this file")] = None,
    data_root: Annotated[Path | None, typer.Option(help="where CIFAR-10 lies; default: params.yaml's")] = None,
) -> None:
    """Measure our kernels and whole runs against their peers, all in this run. Keep the machine idle meanwhile."""
    chosen = list(names or CASES)
    unknown = [name for name in chosen if name not in CASES]
    if unknown:
        raise typer.BadParameter(f"no case {unknown[0]!r}; there are {', '.join(CASES)}")
    root = data_root or _data_root()
    rows: list[Row] = []
    for name in chosen:
        try:
            with console.status(f"measuring {name} …"):
                rows += import_module(f"benchmarks.{name}").run(root)
        except Skipped as reason:
            console.print(f"{name}: skipped, {reason}")
    console.print(_table(rows))
    if json_file is not None:
        json_file.write_text(json.dumps([row.as_dict() for row in rows], indent=1) + "\n", encoding="utf-8")


def _data_root() -> Path:
    from pipeline import settings

    try:
        return Path(settings.load().prepare.data_root)
    except PipelineError as error:
        raise typer.BadParameter(str(error)) from error


def _table(rows: list[Row]) -> Table:
    table = Table("case", "ours", "peer", "unit", "ratio", "goal", "met", "compared with")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.ours:,.4g}",
            "missing" if row.peer is None else f"{row.peer:,.4g}",
            row.unit,
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.goal is None else f"{row.goal:g}",
            {True: "yes", False: "no", None: ""}[row.met],
            row.peer_name,
        )
    return table


if __name__ == "__main__":
    typer.run(main)
