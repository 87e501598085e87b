"""In words: from how many images on one side errs less than the other, for the eras and for any pair of methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline import catalogue

FORMS_APART = 1.5  # by this factor extrapolations of two forms differ, when both are named


@dataclass(frozen=True)
class Sides:
    """Who is compared with whom, and the verbs that go with the second.

    Attributes:
        old, new: names of both; the second may overtake the first.
        errs, does: as `new` wants them, one or many.
        noun: what each of the two is.
    """

    old: str
    new: str
    errs: str
    does: str
    noun: str

    @classmethod
    def of_methods(cls, old: str, new: str) -> Sides:
        """Two methods, by their keys."""
        return cls(catalogue.BY_KEY[old].title, catalogue.BY_KEY[new].title, "errs", "does", "method")

    @property
    def first(self) -> str:
        """The second at the start of a sentence."""
        return self.new[0].upper() + self.new[1:]

    def named(self, winner: str) -> str:
        """The side that is ahead."""
        return {"old": self.old, "new": self.new}[winner]


ERAS = Sides("hand-crafted features", "networks", "err", "do", "era")


def overtaking(found: dict[str, Any], confidence: float, sides: Sides = ERAS) -> str:
    """One sentence for each kind of outcome; see evaluation.curves.crossing.

    Args:
        found: a crossing, as metrics.json has it.
        confidence: of its interval.
        sides: whose curves cross.
    """
    smallest, largest = found["sizes"][0], found["sizes"][-1]
    interval = f"{100 * confidence:.0f} % interval"
    if found["kind"] == "always":
        return (
            f"{sides.first} {sides.errs} less than {sides.old} from the smallest number tried on, {_images(smallest)}."
        )
    if found["kind"] == "never":
        return (
            f"{sides.first} {sides.does} not overtake {sides.old} within these {_images(largest)}"
            f"{_meeting(found['meeting'], interval)}."
        )
    if found["kind"] == "reversed":
        return f"Which {sides.noun} errs less changes more than once: {_in_turn(found, sides)}."
    if found["kind"] == "undecided":
        return (
            f"Which {sides.noun} errs less can't be told from {smallest:,} to {_images(largest)}: differences like "
            "these can be chance."
        )
    low, high = found["low"], found["high"]
    least = f"{smallest:,} or fewer" if low == "smallest" else f"{rounded(low):,}"
    most = f"more than the {largest:,} that there are" if high == "never" else f"{rounded(high):,}"
    if found["median"] == "smallest" and high == "never":
        return (
            f"{sides.first} probably {sides.errs} less than {sides.old} from the smallest number tried on, "
            f"{_images(smallest)}, but a difference like that at {largest:,} can be chance."
        )
    if found["median"] == "smallest":
        return (
            f"{sides.first} {sides.errs} less than {sides.old} from {_images(rounded(high))} on at the latest, and "
            f"probably from the smallest number tried on, {smallest:,} ({interval})."
        )
    if found["median"] == "never":
        return (
            f"{sides.first} probably {sides.does} not overtake {sides.old} within these {_images(largest)}, and not "
            f"with fewer than {least} ({interval})."
        )
    return (
        f"From about {_images(rounded(found['median']))} on, {sides.new} {sides.errs} less than {sides.old} "
        f"({interval} {least} to {most})."
    )


def in_short(found: dict[str, Any], sides: Sides) -> str:
    """For a cell of a table: from how many images on the second of a pair errs less."""
    if found["kind"] in ("reversed", "undecided"):
        return {"reversed": f"changes: {_in_turn(found, sides)}", "undecided": "can't be told"}[found["kind"]]
    smallest, largest = f"{found['sizes'][0]:,}", f"{found['sizes'][-1]:,}"
    if found["kind"] != "crossing":
        return f"from {smallest} on, the smallest number" if found["kind"] == "always" else f"not within {largest}"
    low = smallest if found["low"] == "smallest" else f"{rounded(found['low']):,}"
    high = f"more than {largest}" if found["high"] == "never" else f"{rounded(found['high']):,}"
    if isinstance(found["median"], int):
        return f"from about {rounded(found['median']):,} on ({low} to {high})"
    return f"perhaps from {low} to {high} on"


def rounded(value: int) -> int:
    """To two digits: a crossing is not known better."""
    digits = 10 ** max(0, len(str(value)) - 2)
    return round(value / digits) * digits


def _images(count: int) -> str:
    return f"{count:,} labelled images"


def _meeting(meeting: dict[str, Any] | None, interval: str) -> str:
    """Where the curves would meet beyond the largest size."""
    if meeting is None:
        return "; there are too few sizes to say where they would"
    forms = {form: value for form, value in meeting["forms"].items() if value is not None}
    if meeting["images"] is None:
        some = f", though {' and '.join(forms)} would have them meet" if forms else ""
        return f"; the curves would not meet with up to {meeting['up_to']:,} either, an extrapolation{some}"
    low, high = (f"{rounded(meeting[end]):,}" if meeting[end] else "never" for end in ("low", "high"))
    values = [rounded(value) for value in forms.values()]
    apart = len(forms) < len(meeting["forms"]) or max(values) > FORMS_APART * min(values)
    others = ""
    if apart:
        told = [f"{form} {rounded(value):,}" if value else f"{form} never" for form, value in meeting["forms"].items()]
        others = f"; forms of curve disagree: {', '.join(told)}"
    near = f"; the curves would meet near {rounded(meeting['images']):,}, an extrapolation"
    return f"{near} ({interval} {low} to {high}{others})"


def _in_turn(found: dict[str, Any], sides: Sides) -> str:
    """Who is ahead at which sizes, those that are decided."""
    runs: list[tuple[str, list[int]]] = []
    for size, winner in zip(found["sizes"], found["winners"], strict=True):
        if winner == "undecided":
            continue
        if runs and runs[-1][0] == winner:
            runs[-1][1].append(size)
        else:
            runs.append((winner, [size]))
    told = [
        f"{sides.named(winner)} at {sizes[0]:,} to {sizes[-1]:,}"
        if len(sizes) > 1
        else f"{sides.named(winner)} at {sizes[0]:,}"
        for winner, sizes in runs
    ]
    return f"{', then '.join(told)} labelled images"
