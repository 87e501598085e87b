"""Names of points: on the side where they cover nothing, or nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import altair as alt

POINT_SIZE = 90  # square pixels
RADIUS = 6.0  # of a point, with some air
NAME_SIZE = 11  # pixels
NAME_ASIDE, NAME_ABOVE = 7, 8  # pixels from a point's middle to its name
LETTER = 6.0  # mean width of a letter, pixels


def beside(base: alt.Chart, x: alt.X, y: alt.Y, sides: Sequence[str]) -> list[alt.Chart]:
    """The names, by the column `side`; no layer for a side that `sides` lacks, since Vega warns of empty scales."""
    layers = []
    if "right" in sides:
        right = base.transform_filter("datum.side == 'right'")
        layers.append(right.mark_text(align="left", dx=NAME_ASIDE, dy=-NAME_ABOVE, fontSize=NAME_SIZE))
    if "left" in sides:
        left = base.transform_filter("datum.side == 'left'")
        layers.append(left.mark_text(align="right", dx=-NAME_ASIDE, dy=-NAME_ABOVE, fontSize=NAME_SIZE))
    return [layer.encode(x=x, y=y, text="title:N") for layer in layers]


def sides_of_names(
    points: Sequence[tuple[float, float]], names: Sequence[str], wanted: Sequence[bool], walls: Sequence[float] = ()
) -> list[str]:
    """On which side of its point a name is written, so that it covers no point, no other name and no upright line.

    Args:
        points: pixels from the left and from the bottom.
        names: of all points.
        wanted: which may be named.
        walls: pixels from the left of upright lines.

    Returns:
        "right", "left", or "" where there is no room; lower points choose first.
    """
    found, taken = [""] * len(points), list[Box]()
    for index in sorted(range(len(points)), key=lambda index: points[index][1]):
        others = [place for other, place in enumerate(points) if other != index]
        for side in ("right", "left") if wanted[index] else ():
            box = _box(points[index], names[index], side)
            if box.left >= 0 and not box.hits(others, taken, walls):
                found[index] = side
                taken.append(box)
                break
    return found


@dataclass(frozen=True)
class Box:
    """Where a name is written, in pixels from the left and from the bottom."""

    left: float
    right: float
    low: float
    high: float

    def hits(self, points: Iterable[tuple[float, float]], boxes: Iterable[Box], walls: Iterable[float]) -> bool:
        """Whether it touches any of these."""
        return (
            any(
                self.left - RADIUS < x < self.right + RADIUS and self.low - RADIUS < y < self.high + RADIUS
                for x, y in points
            )
            or any(
                self.left < box.right and box.left < self.right and self.low < box.high and box.low < self.high
                for box in boxes
            )
            or any(self.left < wall < self.right for wall in walls)
        )


def _box(point: tuple[float, float], name: str, side: str) -> Box:
    x, y = point
    width = LETTER * len(name)
    left = x + NAME_ASIDE if side == "right" else x - NAME_ASIDE - width
    return Box(left, left + width, y + NAME_ABOVE - NAME_SIZE / 2, y + NAME_ABOVE + NAME_SIZE / 2)


#: What every object of JavaScript has from its birth; Vega looks values up in plain objects and takes these for known.
INHERITED = frozenset(
    "constructor __proto__ hasOwnProperty isPrototypeOf propertyIsEnumerable toLocaleString toString valueOf "
    "__defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__".split()
)


def chartable(name: str) -> str:
    """A class's name as charts may hold it: one that JavaScript keeps for itself gets an invisible character behind."""
    return f"{name}\u200b" if name in INHERITED else name
