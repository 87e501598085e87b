"""Outlines of things in unit coordinates: x to the right, y downwards, the thing within about ±1."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np


class Tone(IntEnum):
    """Which of a thing's colours a part has."""

    BODY = 0
    SECOND = 1
    DARK = 2
    LIGHT = 3
    INK = 4


class Part(NamedTuple):
    """A filled polygon, float64 (n, 2), drawn over the parts before it."""

    outline: np.ndarray
    tone: Tone


_CUTS = np.arange(4)[:, None] / 4
_TURN = np.radians(np.arange(28) / 27)  # of a whole turn of one degree; scaled by the arc's length


def polygon(*corners: tuple[float, float]) -> np.ndarray:
    """A polygon whose edges are each cut into four, so that it can be bent."""
    points = np.array(corners, float)
    edges = np.concatenate([points[1:], points[:1]]) - points
    return np.asarray((points[:, None] + edges[:, None] * _CUTS).reshape(-1, 2))


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """An upright rectangle."""
    return polygon((left, top), (right, top), (right, bottom), (left, bottom))


def ellipse(
    x: float, y: float, rx: float, ry: float, start: float = 0.0, end: float = 360.0, tilt: float = 0.0
) -> np.ndarray:
    """An ellipse, or the segment of it between two angles (degrees, clockwise from the right)."""
    angles = np.radians(start) + (end - start) * _TURN
    px, py = rx * np.cos(angles), ry * np.sin(angles)
    c, s = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    return np.stack([x + c * px - s * py, y + s * px + c * py], axis=1)


def bar(x0: float, y0: float, x1: float, y1: float, width: float) -> np.ndarray:
    """A straight stroke."""
    length = max(math.hypot(x1 - x0, y1 - y0), 1e-9)
    nx, ny = -(y1 - y0) / length * width / 2, (x1 - x0) / length * width / 2
    return polygon((x0 + nx, y0 + ny), (x1 + nx, y1 + ny), (x1 - nx, y1 - ny), (x0 - nx, y0 - ny))


def ring(x: float, y: float, rx: float, ry: float, width: float, start: float, end: float) -> np.ndarray:
    """A band along an arc."""
    outer = ellipse(x, y, rx, ry, start, end)
    inner = ellipse(x, y, rx - width, ry - width, start, end)
    return np.concatenate([outer, inner[::-1]])


def lathe(profile: list[tuple[float, float]]) -> np.ndarray:
    """A thing turned on a lathe: half-widths (half-width, y) from top to bottom, mirrored."""
    y = np.array([height for _, height in profile])
    half = np.array([width for width, _ in profile])
    fine = np.linspace(y[0], y[-1], 20)
    widths = np.interp(fine, y, half)
    right = np.stack([widths, fine], axis=1)
    return np.concatenate([right, (right * [-1, 1])[::-1]])
