"""Regions of an image over which local descriptors are pooled: grids of columns × rows, laid over each other.

Sums over regions are sums over cells, so each descriptor is counted once, in its cell of the finest common grid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import lcm
from typing import Annotated

import numpy as np
from pydantic import AfterValidator


def _grid(text: str) -> str:
    if not re.fullmatch(r"[1-8]x[1-8]", text):
        raise ValueError(f"{text!r} is no grid; write columns x rows, each 1 to 8, such as 1x1, 1x3 or 2x2")
    return text


#: "1x3": one column, three rows (horizontal bands).
Grid = Annotated[str, AfterValidator(_grid)]


@dataclass(frozen=True)
class Regions:
    """Which cells belong to which region.

    Attributes:
        columns, rows: of the finest common grid.
        members: bool (R, columns · rows).
        grids: how many grids lie over each other; each covers the image once.
    """

    columns: int
    rows: int
    members: np.ndarray
    grids: int

    def cells(self, places: np.ndarray) -> np.ndarray:
        """The cell of each place: x and y in 0…1, (F, 2) → int64 (F,)."""
        grid = np.array([self.columns, self.rows])
        column, row = np.clip((places * grid).astype(np.int64), 0, grid - 1).T
        return np.asarray(row * self.columns + column)

    def __len__(self) -> int:
        return len(self.members)


def regions(grids: list[str]) -> Regions:
    """Lay grids over each other; the regions come grid by grid, each row by row."""
    sizes = [tuple(map(int, grid.split("x"))) for grid in grids]
    columns, rows = lcm(*(size[0] for size in sizes)), lcm(*(size[1] for size in sizes))
    y, x = np.divmod(np.arange(columns * rows), columns)
    members = [
        (x * wide // columns == i) & (y * high // rows == j)
        for wide, high in sizes
        for j in range(high)
        for i in range(wide)
    ]
    return Regions(columns, rows, np.array(members), len(grids))
