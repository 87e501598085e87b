"""What changed between two runs, from their metrics.json alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One method in two runs.

    Attributes:
        method: its key.
        before, after: top-1 test error in percent with its interval (error, low, high); None where it is not in a run.
        seconds: of training, before and after.
    """

    method: str
    before: tuple[float, float, float] | None
    after: tuple[float, float, float] | None
    seconds: tuple[float | None, float | None]

    @property
    def change(self) -> float | None:
        """In points; negative is better."""
        return None if self.before is None or self.after is None else round(self.after[0] - self.before[0], 4)

    @property
    def beyond_intervals(self) -> bool:
        """Whether the two intervals don't overlap."""
        if self.before is None or self.after is None:
            return False
        return self.after[1] > self.before[2] or self.after[2] < self.before[1]


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Every method of either run, those of the first in its order, then new ones."""
    keys = [*before["methods"], *(key for key in after["methods"] if key not in before["methods"])]
    return [
        Difference(
            key,
            _error(before, key),
            _error(after, key),
            (_seconds(before, key), _seconds(after, key)),
        )
        for key in keys
    ]


def conditions(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What else differs, and what that means for the comparison."""
    found = []
    for name in ("dataset", "budget", "seed"):
        if before[name] != after[name]:
            found.append(f"{name}: {before[name]} and {after[name]}")
    seeds = [one["seeds"]["seeds"] if one["seeds"] else [one["seed"]] for one in (before, after)]
    if len(seeds[0]) != len(seeds[1]):
        found.append(f"seeds whose mean an error is: {len(seeds[0])} and {len(seeds[1])}")
    for split, fingerprint in before["fingerprints"].items():
        if after["fingerprints"].get(split) != fingerprint:
            meaning = " (errors are of different images)" if split == "test" else ""
            found.append(
                f"{split}: other images, {before['images'][split]:,} and {after['images'].get(split, 0):,}{meaning}"
            )
    for key in sorted(set(before["failed"]) ^ set(after["failed"])):
        found.append(f"{key}: failed in the {'first' if key in before['failed'] else 'second'} run only")
    return found


def _error(summary: dict[str, Any], key: str) -> tuple[float, float, float] | None:
    if key not in summary["methods"]:
        return None
    test = summary["methods"][key]["test"]
    return test["top1_error"], test["top1_low"], test["top1_high"]


def _seconds(summary: dict[str, Any], key: str) -> float | None:
    return summary["methods"][key]["cost"]["training_seconds"] if key in summary["methods"] else None
