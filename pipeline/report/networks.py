"""The networks layer by layer, and what was changed on some to see what it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline import catalogue, layout
from pipeline.evaluation.results import Result
from pipeline.files import read_json
from pipeline.report.faults import Faults
from pipeline.settings import Settings


@dataclass(frozen=True)
class Drawn:
    """A network as a table.

    Attributes:
        title: its name.
        variant: how it differs from the publication because of the images' size or the settings; may be empty.
        layers: rows of layers.json, with the shape in words.
    """

    title: str
    variant: str
    layers: list[dict[str, Any]]


def drawn(results: list[Result], faults: Faults) -> dict[str, Drawn]:
    """All networks among the results, by their keys."""
    found = {}
    for result in results:
        if result.method.is_network:
            with faults.noted():
                layers = read_json(result.folder / "layers.json", result.stage)
                rows = [layer | {"output": "×".join(map(str, layer["output"]))} for layer in layers]
                variant = read_json(result.folder / "architecture.json", result.stage)["variant"]
                found[result.method.key] = Drawn(result.method.title, variant, rows)
    return found


def ablations(settings: Settings, faults: Faults) -> list[dict[str, Any]]:
    """The tables of all ablated networks: title and rows."""
    tables = []
    for key in settings.ablate.networks:
        with faults.noted():
            rows = read_json(layout.RESULTS / "ablate" / key / "table.json", f"ablate@{key}")
            tables.append({"title": catalogue.BY_KEY[key].title, "rows": rows})
    return tables
