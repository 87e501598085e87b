"""What a reader needs to trust the numbers, to doubt them, and to refer to them."""

from __future__ import annotations

from typing import Any

from pipeline.evaluation.metrics import wilson_interval
from pipeline.report.words import tenths

SMALL_TEST = 2000  # images
SEED = "One run with one seed ({seed}): the intervals cover the choice of test images, not the luck of training."
SEEDS = (
    "Errors are means over {count} seeds, and their intervals cover the choice of test images and the luck of training "
    "as far as {count} seeds show it."
)
DEMO = (
    "Budget `demo`: small vocabularies, narrow networks, short training. It shows how the comparison works; `standard` "
    "and `paper` are for conclusions."
)


def limits(summary: dict[str, Any], manifest: dict[str, Any]) -> list[str]:
    """What the numbers can't say."""
    seeds = summary["seeds"]
    luck = SEEDS.format(count=len(seeds["seeds"])) if seeds else SEED.format(seed=summary["seed"])
    found = [*manifest["notes"], luck]
    count = summary["images"]["test"]
    if count < SMALL_TEST:
        low, high = wilson_interval(count / 5, count, summary["confidence"])
        found.append(
            f"The test set is small ({count} images), so the intervals are wide: an error of 20 % measured on it has "
            f"one from {tenths(100 * low)} to {tenths(100 * high)} %."
        )
    if summary["budget"] == "demo":
        found.append(DEMO)
    if summary["failed"]:
        found.append(f"{len(summary['failed'])} selected methods have no result that can be used; they might have won.")
    return found


def citation(summary: dict[str, Any], environment: dict[str, Any]) -> str:
    """A BibTeX entry for this report."""
    return (
        "@misc{beforeandafter2012,\n"
        "  title = {Before and after 2012},\n"
        f"  note = {{Comparison on {summary['dataset']}: budget {summary['budget']}, seed {summary['seed']}, "
        f"code {environment['commit']}, test images {summary['fingerprints']['test'][:12]}}},\n"
        "}"
    )
