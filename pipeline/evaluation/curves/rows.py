"""The curves as a table."""

from __future__ import annotations

from typing import Any

from pipeline import catalogue

COLUMNS = (
    "method title era images seeds top1_error top1_low top1_high deviation top5_error val_error val_images tuned "
    "train_seconds predict_ms megabytes steps"
).split()


def table(curve: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a method and size, for the page and for tables/curve.csv."""
    return [
        {
            **{name: row[name] for name in COLUMNS if name in row},
            "method": key,
            "title": catalogue.BY_KEY[key].title,
            "era": method["era"],
            "seeds": len(row["seeds"]),
        }
        for key, method in curve["methods"].items()
        for row in method["rows"]
    ]
