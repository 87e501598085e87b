"""Histograms of oriented gradients for batches of images (Dalal & Triggs, CVPR 2005).

Follows skimage.feature.hog step by step, so that both give the same numbers: hard assignment to directions and cells,
the strongest colour channel at each pixel, then block normalisation. Two things make it fast without changing them:
gradients of bytes are integers, so that their direction comes out of a table; and all steps of an image run compiled,
in the cache of one core, while other threads work on other images.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipeline import progress
from pipeline.compiled import compiled
from pipeline.context import Codebook, Context
from pipeline.descriptors.drawing import Picture, beside, enlarge, strokes, tiles
from pipeline.encoding.half import to_half
from pipeline.encoding.kernel_maps import explicit_map
from pipeline.encoding.nystroem import fit_nystroem, nystroem
from pipeline.errors import PipelineError
from pipeline.parallel import slices, threads
from pipeline.randomness import generator
from pipeline.settings import Positive, Section

EPS = 1e-5
HYS_LIMIT = 0.2  # Lowe's clipping, in L2-Hys
BATCH = 256
STRENGTHS_FROM = 5000  # images of train
BLOCK_NORMS = ("L1", "L1-sqrt", "L2", "L2-Hys")


class Rbf(Section):
    """A Gaussian kernel, by Nyström's map (encoding/nystroem.py).

    `landmarks`: images of train that it is approximated with. `width`: in units of their median distance.
    """

    landmarks: Annotated[int, Field(ge=2, le=20_000)]
    width: Annotated[float, Field(gt=0)]


class Settings(Section):
    """Parameters of the descriptor, named as in scikit-image; several sizes of cells; the classifier's kernel.

    `contrast`: how much cells count that no block has normalised, in which strong edges are more than weak ones; 0: not
    at all, as published. `map`: the explicit map of all histograms. `rbf`: a Gaussian kernel between mapped vectors.
    """

    orientations: Annotated[int, Field(ge=2, le=36)]
    pixels_per_cell: Literal["auto"] | Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1)]
    cells_per_block: Positive
    block_norm: Literal["L1", "L1-sqrt", "L2", "L2-Hys"]
    transform_sqrt: bool
    contrast: Annotated[float, Field(ge=0)]
    map: Literal["none", "hellinger", "chi2"]
    rbf: Rbf | None

    def cells_of(self, height: int, width: int) -> list[int]:
        """Pixels a cell, of each layer: `auto` is an eighth and, if blocks fit, a quarter of the shorter side.

        Raises:
            PipelineError: the image holds no whole block.
        """
        side = min(height, width)
        if self.pixels_per_cell == "auto":
            fine = max(2, side // 8)
            cells = [fine, 2 * fine] if side // (2 * fine) >= self.cells_per_block else [fine]
        else:
            cells = self.pixels_per_cell
        largest = max(cells)
        if side // largest < self.cells_per_block:
            raise PipelineError(
                f"`hog.features.pixels_per_cell` is {largest} and a block has {self.cells_per_block}×"
                f"{self.cells_per_block} cells, but images have {width}×{height} pixels; the largest cell that "
                f"works is {side // self.cells_per_block}"
            )
        return cells


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """Learn how strong edges are in cells, and the kernel's landmarks; nothing where neither is wanted.

    Raises:
        PipelineError: images are too small.
    """
    cells = settings.cells_of(*images.shape[1:3])
    if settings.rbf is None and not settings.contrast:
        return {}
    wanted = settings.rbf.landmarks if settings.rbf is not None else STRENGTHS_FROM
    if settings.rbf is not None and wanted > len(images):
        progress.say(f"`hog.features.rbf.landmarks` is {wanted}, but train has {len(images)} images; these are taken")
    rows = np.sort(generator(context.seed, "hog landmarks").permutation(len(images))[:wanted])
    sample = np.asarray(images[rows])
    codebook: Codebook = {}
    if settings.contrast:
        strengths = [
            cell_histograms(sample, settings.orientations, cell, settings.transform_sqrt, context.workers).sum()
            for cell in cells
        ]
        codebook["strengths"] = np.maximum(np.array(strengths) / len(sample), EPS)
    if settings.rbf is not None:
        landmarks = np.concatenate(list(_mapped(sample, settings, codebook, context)))
        codebook |= fit_nystroem(landmarks, settings.rbf.width)
    return codebook


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """HOG vectors of one layer of cells after another, mapped: float16 (N, D).

    D is Σ blocks_y · blocks_x · cells_per_block² · orientations, with `contrast` also Σ cells_y · cells_x ·
    orientations; three times that for χ²; and the number of landmarks with `rbf`.
    """
    parts = _mapped(images, settings, codebook, context)
    if settings.rbf is not None:
        return np.concatenate([to_half(nystroem(part, codebook)) for part in parts])
    return np.concatenate([to_half(part) for part in parts])


def _mapped(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> Iterator[np.ndarray]:
    """Histograms of all layers, mapped, some images at a time: float32 (n, D)."""
    layers = [
        hog(
            images,
            orientations=settings.orientations,
            pixels_per_cell=cell,
            cells_per_block=settings.cells_per_block,
            block_norm=settings.block_norm,
            transform_sqrt=settings.transform_sqrt,
            workers=context.workers,
        )
        for cell in settings.cells_of(*images.shape[1:3])
    ]
    if settings.contrast:
        layers += _strong_cells(images, layers, settings, codebook, context.workers)

    def mapped(part: slice) -> np.ndarray:
        return explicit_map(np.concatenate([layer[part] for layer in layers], axis=1), settings.map)

    yield from threads(mapped, slices(len(images), BATCH), context.workers)


def _strong_cells(
    images: np.ndarray, layers: list[np.ndarray], settings: Settings, codebook: Codebook, workers: int
) -> list[np.ndarray]:
    """Cells that no block has normalised; in the mean over train they sum to contrast² times what all blocks do."""
    cells = settings.cells_of(*images.shape[1:3])
    blocks = sum(layer.shape[1] for layer in layers) / (settings.cells_per_block**2 * settings.orientations)
    found = []
    for cell, strength in zip(cells, codebook["strengths"], strict=True):
        histograms = cell_histograms(images, settings.orientations, cell, settings.transform_sqrt, workers)
        scale = settings.contrast**2 * blocks / (len(cells) * float(strength))
        found.append(np.float32(scale) * histograms.reshape(len(images), -1))
    return found


def pictures(images: np.ndarray, settings: Settings, codebook: Codebook) -> list[Picture]:
    """Some images beside their cells' directions, drawn as strokes along the edges."""
    cell = min(settings.cells_of(*images.shape[1:3]))
    drawn = []
    for image, cells in zip(images[:6], cell_histograms(images[:6], settings.orientations, cell), strict=True):
        stars = strokes(cells, max(12, 160 // len(cells)), full_circle=False)
        drawn.append(beside(enlarge(image, stars.shape[0]), stars))
    caption = f"Images and their histograms of oriented gradients: in each cell of {cell}×{cell} pixels a stroke for "
    return [Picture(caption + "each direction, along the edge, darker where it is stronger.", tiles(drawn, 3))]


def hog(
    images: np.ndarray,
    orientations: int = 9,
    pixels_per_cell: int = 8,
    cells_per_block: int = 3,
    block_norm: str = "L2-Hys",
    transform_sqrt: bool = False,
    workers: int = 1,
) -> np.ndarray:
    """HOG of a batch, as skimage.feature.hog(image, …, channel_axis=-1) gives for each image.

    Args:
        images: (N, H, W, C); bytes take the fast path, other numbers one in floating point.
        orientations: directions over 180°.
        pixels_per_cell: side of a cell.
        cells_per_block: side of a block.
        block_norm: one of BLOCK_NORMS.
        transform_sqrt: square root of the pixels first.
        workers: threads.

    Returns:
        float32 (N, blocks_y · blocks_x · cells_per_block² · orientations).
    """
    cells = cell_histograms(images, orientations, pixels_per_cell, transform_sqrt, workers)
    count, rows, columns, _ = cells.shape
    blocks = (rows - cells_per_block + 1) * (columns - cells_per_block + 1)
    out = np.empty((count, blocks * cells_per_block**2 * orientations), np.float32)
    norm = BLOCK_NORMS.index(block_norm)

    def work(part: slice) -> None:
        _normalise_blocks(cells[part], cells_per_block, norm, out[part])

    list(threads(work, slices(count, BATCH), workers))
    return out


def cell_histograms(
    images: np.ndarray, orientations: int, pixels_per_cell: int, transform_sqrt: bool = False, workers: int = 1
) -> np.ndarray:
    """Mean gradient magnitude by direction in each cell, before any block: float32 (N, cells_y, cells_x, O).

    A 320×240 image with 8×8 cells and 9 directions gives 40 × 30 × 9 = 10,800 numbers.
    """
    count, height, width, _ = images.shape
    cell = pixels_per_cell
    out = np.empty((count, height // cell, width // cell, orientations), np.float32)
    exact = images.dtype == np.uint8 and not transform_sqrt
    directions = _direction_table(orientations) if exact else np.empty((0, 0), np.uint8)

    def work(part: slice) -> None:
        batch = np.ascontiguousarray(images[part])
        if exact:
            _histograms_of_bytes(batch, directions, cell, out[part])
        else:
            # float32 stays float32 until the differences are taken, as in scikit-image: ties fall the same way.
            values = batch if batch.dtype == np.float32 else batch.astype(np.float64)
            _histograms_of_floats(np.sqrt(values) if transform_sqrt else values, orientations, cell, out[part])

    list(threads(work, slices(count, BATCH), workers))
    return out


@lru_cache(maxsize=4)
def _direction_table(orientations: int) -> np.ndarray:
    """Direction of every gradient (row, column) that bytes can have, uint8 (511, 511), offset by 255."""
    steps = np.arange(-255.0, 256.0)
    angle = np.rad2deg(np.arctan2(steps[:, None], steps[None, :])) % 180
    # 180° falls out of scikit-image's last half-open interval; its % never gives it, but rounding could.
    edges = 180.0 / orientations * np.arange(1, orientations)
    return np.searchsorted(edges, angle, side="right").astype(np.uint8)


@compiled()
def _histograms_of_bytes(images: np.ndarray, directions: np.ndarray, cell: int, out: np.ndarray) -> None:
    count, height, width, channels = images.shape
    rows, columns, orientations = out.shape[1:]
    scale = np.float32(1.0 / (cell * cell))
    sums = np.empty((columns, orientations), np.float32)
    for n in range(count):
        image = images[n]
        for row in range(rows):
            sums[:] = 0
            for y in range(row * cell, (row + 1) * cell):
                inner_y = 0 < y < height - 1
                for column in range(columns):
                    for x in range(column * cell, (column + 1) * cell):
                        inner_x = 0 < x < width - 1
                        best, best_dy, best_dx = np.int32(0), np.int32(0), np.int32(0)
                        for c in range(channels):
                            dy = np.int32(image[y + 1, x, c]) - np.int32(image[y - 1, x, c]) if inner_y else np.int32(0)
                            dx = np.int32(image[y, x + 1, c]) - np.int32(image[y, x - 1, c]) if inner_x else np.int32(0)
                            square = dy * dy + dx * dx
                            if square > best:
                                best, best_dy, best_dx = square, dy, dx
                        if best:
                            direction = directions[best_dy + 255, best_dx + 255]
                            sums[column, direction] += np.sqrt(np.float32(best))
            out[n, row] = sums * scale


@compiled()
def _histograms_of_floats(images: np.ndarray, orientations: int, cell: int, out: np.ndarray) -> None:
    count, height, width, channels = images.shape
    rows, columns = out.shape[1:3]
    scale = 1.0 / (cell * cell)
    sums = np.empty(orientations, np.float64)
    step = 180.0 / orientations
    for n in range(count):
        image = images[n]
        for row in range(rows):
            for column in range(columns):
                sums[:] = 0
                for y in range(row * cell, (row + 1) * cell):
                    for x in range(column * cell, (column + 1) * cell):
                        best, best_dy, best_dx = -1.0, 0.0, 0.0
                        for c in range(channels):
                            dy = np.float64(image[y + 1, x, c] - image[y - 1, x, c]) if 0 < y < height - 1 else 0.0
                            dx = np.float64(image[y, x + 1, c] - image[y, x - 1, c]) if 0 < x < width - 1 else 0.0
                            magnitude = np.hypot(dy, dx)
                            if magnitude > best:
                                best, best_dy, best_dx = magnitude, dy, dx
                        angle = np.rad2deg(np.arctan2(best_dy, best_dx)) % 180.0
                        direction = min(int(angle / step), orientations - 1)
                        # The division rounds; the comparison with the interval's edges decides, as in scikit-image.
                        if angle < step * direction:
                            direction -= 1
                        elif direction + 1 < orientations and angle >= step * (direction + 1):
                            direction += 1
                        sums[direction] += best
                for direction in range(orientations):
                    out[n, row, column, direction] = sums[direction] * scale


@compiled()
def _normalise_blocks(cells: np.ndarray, block: int, norm: int, out: np.ndarray) -> None:
    """norm: position in BLOCK_NORMS."""
    count, rows, columns, orientations = cells.shape
    size = block * block * orientations
    length = block * orientations
    for n in range(count):
        at = 0
        for row in range(rows - block + 1):
            for column in range(columns - block + 1):
                values = out[n, at : at + size]
                for inner in range(block):
                    line = cells[n, row + inner, column : column + block]
                    for b in range(block):
                        for o in range(orientations):
                            values[inner * length + b * orientations + o] = line[b, o]
                _normalise(values, norm)
                at += size


@compiled(forceinline=True, fastmath={"reassoc", "contract"})
def _normalise(values: np.ndarray, norm: int) -> None:
    total = np.float32(0)
    if norm < 2:
        for i in range(len(values)):
            total += abs(values[i])
        scale = np.float32(1.0 / (total + EPS))
    else:
        for i in range(len(values)):
            total += values[i] * values[i]
        scale = np.float32(1.0 / np.sqrt(total + EPS * EPS))
    for i in range(len(values)):
        values[i] *= scale
    if norm == 1:
        for i in range(len(values)):
            values[i] = np.sqrt(values[i])
    if norm == 3:
        total = np.float32(0)
        for i in range(len(values)):
            values[i] = min(values[i], np.float32(HYS_LIMIT))
            total += values[i] * values[i]
        scale = np.float32(1.0 / np.sqrt(total + EPS * EPS))
        for i in range(len(values)):
            values[i] *= scale
