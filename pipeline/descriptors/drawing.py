"""Descriptors as pictures: strokes for directions, patches for words, tiles for filters."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

PAPER, INK = 255, 20
GRID = 225  # grey between tiles
GAP = 4  # pixels between tiles


@dataclass(frozen=True)
class Picture:
    """What a method sees, for the report.

    Attributes:
        caption: what is shown; it also serves who can't see it.
        pixels: uint8 (H, W, 3).
    """

    caption: str
    pixels: np.ndarray


def enlarge(image: np.ndarray, side: int) -> np.ndarray:
    """Make uint8 (H, W, 3) at least `side` pixels high by whole factors, so that pixels stay visible."""
    factor = max(1, round(side / image.shape[0]))
    return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)


def strokes(histograms: np.ndarray, cell: int, full_circle: bool) -> np.ndarray:
    """A star of strokes in each cell, longer and darker for stronger directions.

    Args:
        histograms: float (rows, columns, directions), not negative. Gradients' directions: strokes stand across them,
            along the edges.
        cell: pixels a cell.
        full_circle: directions over 360° (SIFT), drawn as arrows from the middle; else over 180° (HOG), as lines.

    Returns:
        uint8 (rows · cell, columns · cell, 3).
    """
    rows, columns, directions = histograms.shape
    scale = 4  # drawn larger and averaged down, for smooth lines
    canvas = np.full((rows * cell * scale, columns * cell * scale), PAPER, np.uint8)
    strongest = max(float(histograms.max()), 1e-12)
    reach = cell * scale / 2 - scale
    for row, column, direction in np.argwhere(histograms > 0.05 * strongest):
        share = float(histograms[row, column, direction]) / strongest
        turn = 2 * np.pi if full_circle else np.pi
        angle = (direction + (0.0 if full_circle else 0.5)) * turn / directions
        # HOG's edges run across the gradient; SIFT's arrows point along it.
        dx, dy = (np.cos(angle), np.sin(angle)) if full_circle else (-np.sin(angle), np.cos(angle))
        middle = np.array([(column + 0.5) * cell * scale, (row + 0.5) * cell * scale])
        tip = np.array([dx, dy]) * reach * (share if full_circle else 1.0)
        start = middle if full_circle else middle - tip
        shade = INK if full_circle else int(PAPER - (PAPER - INK) * share)
        ends = [tuple(np.round(end).astype(int).tolist()) for end in (start, middle + tip)]
        if shade < canvas[tuple(np.clip((middle + tip)[::-1].astype(int), 0, np.array(canvas.shape) - 1))]:
            cv2.line(canvas, ends[0], ends[1], shade, scale, cv2.LINE_AA)
    small = cv2.resize(canvas, (columns * cell, rows * cell), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_GRAY2RGB)


def tiles(pictures: list[np.ndarray], columns: int) -> np.ndarray:
    """Pictures of one size in rows, on light grey."""
    height, width = pictures[0].shape[:2]
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    out = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), GRID, np.uint8)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
        out[top : top + height, left : left + width] = picture
    return out


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two pictures next to each other, the smaller one on white."""
    height = max(left.shape[0], right.shape[0])
    out = np.full((height, left.shape[1] + GAP + right.shape[1], 3), PAPER, np.uint8)
    out[: left.shape[0], : left.shape[1]] = left
    out[: right.shape[0], left.shape[1] + GAP :] = right
    return out


def filters(bank: np.ndarray, columns: int, side: int = 40) -> np.ndarray:
    """Filters as grey tiles: middle grey is 0, each filter scaled to its own largest magnitude."""
    pictures = []
    for kernel in bank:
        grey = 127.5 + 127.5 * kernel / max(float(np.abs(kernel).max()), 1e-12)
        drawn = cv2.resize(grey.astype(np.uint8), (side, side), interpolation=cv2.INTER_LINEAR)
        pictures.append(cv2.cvtColor(drawn, cv2.COLOR_GRAY2RGB))
    return tiles(pictures, columns)


def keypoints_on(image: np.ndarray, places: np.ndarray, side: int) -> np.ndarray:
    """An enlarged image with a circle at each place (x, y in 0…1)."""
    out = enlarge(image, side)
    for x, y in places * [out.shape[1], out.shape[0]]:
        cv2.circle(out, (round(float(x)), round(float(y))), 4, (255, 120, 0), 1, cv2.LINE_AA)
    return out


def words_on(image: np.ndarray, words: np.ndarray, places: np.ndarray, side: int) -> np.ndarray:
    """An enlarged image, and beside it a square at each place, in a colour for each word.

    Args:
        image: uint8 (H, W, 3).
        words: integers (P,), such as the number of the nearest visual word.
        places: float (P, 2), middles of equal distances along each axis, x and y in 0…1.
        side: pixels to enlarge to.
    """
    # Colours that tell neighbours apart: the words' numbers, spread over the circle of hues.
    hues = (words * 61 % 180).astype(np.uint8)
    hsv = np.stack([hues, np.full_like(hues, 140), np.full_like(hues, 220)], axis=-1)
    return beside(enlarge(image, side), squares_at(cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0], places, image, side))


def directions_on(
    image: np.ndarray, angles: np.ndarray, strengths: np.ndarray, places: np.ndarray, side: int
) -> np.ndarray:
    """An enlarged image, and beside it a square at each place: its hue is a direction, its brightness the strength.

    Args:
        image: uint8 (H, W, 3).
        angles: float (P,), 0…1 for the half circle.
        strengths: float (P,), not negative.
        places: as in words_on.
        side: pixels to enlarge to.
    """
    share = strengths / max(float(strengths.max(initial=0)), 1e-12)
    hsv = np.stack([angles * 179, np.full_like(share, 170), 255 * share], axis=-1).astype(np.uint8)
    return beside(enlarge(image, side), squares_at(cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0], places, image, side))


def squares_at(colours: np.ndarray, places: np.ndarray, image: np.ndarray, side: int) -> np.ndarray:
    """Squares of uint8 colours (P, 3) at places, on white, as large as the enlarged image."""
    out = np.full_like(enlarge(image, side), PAPER)
    size = np.array([out.shape[1], out.shape[0]])
    half = np.maximum(np.array([_distance(column) for column in places.T]) * size / 2, 1)
    # Neighbours' edges are equal but for rounding, which must not leave white lines between them.
    starts, ends = (np.floor(places * size + edge + 0.501).astype(int) for edge in (-half, half))
    for colour, (left, top), (right, bottom) in zip(colours, np.maximum(starts, 0), ends, strict=True):
        out[top:bottom, left:right] = colour
    return out


def _distance(values: np.ndarray) -> float:
    """Between neighbours among them; 1 where all are equal."""
    gaps = np.diff(np.unique(values))
    return float(gaps.min()) if len(gaps) else 1.0


def matched(
    first: np.ndarray, second: np.ndarray, source: np.ndarray, target: np.ndarray, agreed: np.ndarray, side: int
) -> np.ndarray:
    """Two images with lines between matching keypoints: orange where verified, grey where not.

    Args:
        first, second: uint8 (H, W, 3) of one size.
        source, target: float (n, 2), x and y in pixels of each.
        agreed: bool (n,).
        side: pixels to enlarge to.
    """
    factor = max(1, round(side / first.shape[0]))
    out = beside(enlarge(first, side), enlarge(second, side))
    offset = np.array([first.shape[1] * factor + GAP, 0])
    for number in np.argsort(agreed, kind="stable"):
        ends = [source[number] * factor, target[number] * factor + offset]
        points = [tuple(np.round(end).astype(int).tolist()) for end in ends]
        cv2.line(out, points[0], points[1], (255, 120, 0) if agreed[number] else (150, 150, 150), 1, cv2.LINE_AA)
    return out
