"""Features and their SVMs as a table: from descriptors to one vector and its classifier."""

from __future__ import annotations

from typing import Any

from pipeline.evaluation.results import Result
from pipeline.files import read_json
from pipeline.report.faults import Faults
from pipeline.report.words import setting
from pipeline.settings import Settings


def descriptors(settings: Settings, results: list[Result], faults: Faults) -> list[dict[str, Any]]:
    """A row for each feature: title, parts, dimensions, numbers of the codebook and of the SVMs, bytes, settings."""
    rows = []
    for result in results:
        if not result.method.has_svm:
            continue
        with faults.noted():
            found = read_json(result.folder / "vectors.json", result.stage)
            chosen = settings.methods[result.method.key]["features"]  # as written: the module need not be imported
            rows.append(
                {
                    "title": result.method.title,
                    "parts": result.method.parts,
                    "dimensions": found["dimensions"],
                    "vectors": found["training_vectors"],
                    "codebook": found["codebook_numbers"],
                    "weights": result.cost.parameters - found["codebook_numbers"],
                    "settings": ", ".join(f"{name} {setting(value)}" for name, value in chosen.items()),
                }
            )
    return rows
