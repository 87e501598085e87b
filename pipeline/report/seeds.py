"""Several seeds, in words."""

from __future__ import annotations

from typing import Any

from pipeline import catalogue


def shown(summary: dict[str, Any]) -> dict[str, Any] | None:
    """What the page says of the seeds: None where each method has one.

    Returns:
        `count` and `named`: of the seeds; `methods`: as metrics.json has them; `failed`: a sentence for each fit that
        failed.
    """
    found = summary["seeds"]
    if not found:
        return None
    failed = [
        f"{catalogue.BY_KEY[key].title} has no error from seed {seed}: {why}."
        for key, method in found["methods"].items()
        for seed, why in method["failed"].items()
    ]
    return {
        "count": len(found["seeds"]),
        "named": named(found["seeds"]),
        "methods": found["methods"],
        "failed": failed,
    }


def named(seeds: list[int]) -> str:
    """As in a sentence: 0, 1 and 2."""
    *first, last = map(str, seeds)
    return f"{', '.join(first)} and {last}" if first else last
