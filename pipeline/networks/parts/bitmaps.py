"""The targets of LeNet-5's output units: each class as a picture of 7×12 points, or as a random code.

The paper takes stylised characters, so that what looks alike lies near in the code, for whole sets of characters.
These are our own drawings of the ten digits in its size.
"""

from __future__ import annotations

import torch

WIDTH, HEIGHT = 7, 12

DIGITS = """
..###.. ...#... ..###.. ..###.. .....#. .#####. ..####. .#####. ..###.. ..###..
.#...#. ..##... .#...#. .#...#. ....##. .#..... .#..... .....#. .#...#. .#...#.
#.....# .#.#... #.....# ......# ...#.#. .#..... #...... .....#. #.....# #.....#
#.....# ...#... ......# ......# ..#..#. .#..... #...... ....#.. #.....# #.....#
#.....# ...#... .....#. .....#. .#...#. .####.. #.###.. ....#.. .#...#. #.....#
#.....# ...#... ....#.. ..###.. #....#. ....##. ##...#. ...#... ..###.. .#....#
#.....# ...#... ...#... .....#. ####### ......# #.....# ...#... .#...#. ..####.
#.....# ...#... ..#.... ......# .....#. ......# #.....# ..#.... #.....# ......#
#.....# ...#... .#..... ......# .....#. ......# #.....# ..#.... #.....# ......#
.#...#. ...#... #...... #.....# .....#. #.....# #.....# .#..... #.....# ......#
.#...#. ...#... #...... .#...#. .....#. .#...#. .#...#. .#..... .#...#. .....#.
..###.. .#####. ####### ..###.. .....#. ..###.. ..###.. .#..... ..###.. .####..
"""


def digits() -> torch.Tensor:
    """±1, float32 (10, 84): 1 where there is ink."""
    rows = [line.split(" ") for line in DIGITS.strip().splitlines()]
    marks = [[1.0 if mark == "#" else -1.0 for row in rows for mark in row[digit]] for digit in range(10)]
    return torch.tensor(marks)


def codes(classes: int) -> torch.Tensor:
    """±1 at random, as the paper suggests for classes that aren't characters: float32 (classes, 84)."""
    random = torch.Generator().manual_seed(classes)
    return torch.randint(0, 2, (classes, WIDTH * HEIGHT), generator=random).float() * 2 - 1
