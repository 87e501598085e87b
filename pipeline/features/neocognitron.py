"""The Neocognitron (Fukushima, Biological Cybernetics 1980): S-cells see a pattern, C-cells forgive where it is.

It learns without labels and without gradients; a linear SVM reads it out.

    contrast → S1: edges of 16 directions (fixed) → C1 → S2: learned → C2 → S3: learned → C3

An S-cell answers as far as what it sees is like the pattern it stands for, above a threshold:
max(0, (s − θ) / (1 − θ)) with s the cosine between both (Fukushima, Neural Networks 2013, equations 4 to 6). A C-cell
takes the square root of a weighted mean of S-cells of one kind around it. Patterns are learned in two ways:

add_if_silent       a patch to which no cell answers becomes a new cell (Fukushima 2013)
winner_take_all     a fixed number of cells, of which the one that answers most moves towards the patch (1980)

Departures: both are given patches of random places in random order, in batches; edges come from fixed kernels as in
Fukushima's versions since 2003; the read-out is a linear SVM in the place of the layer S4.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from pipeline.context import Codebook, Context
from pipeline.descriptors.dense_sift import to_grey
from pipeline.descriptors.drawing import Picture, beside, enlarge, strokes, tiles
from pipeline.encoding.half import to_half
from pipeline.errors import PipelineError
from pipeline.parallel import slices
from pipeline.randomness import generator
from pipeline.settings import Positive, Section

BATCH = 256
DIRECTIONS = 16
SMALLEST = 16  # three poolings leave 2×2
PATCH = 3  # places a side of what a learned cell sees
CONTRAST = 0.02  # of white: edges much weaker than this don't count, so that flat places stay silent
FAINT = 0.01  # the same for answers of cells
LEARNED_AT_ONCE = 512  # patches; those of one batch that are new are compared with each other, too
FEW = 1e-6


class Settings(Section):
    """How cells learn, how many there are, and how much like its pattern a cell wants a patch to be."""

    learning: Literal["add_if_silent", "winner_take_all"]
    cells: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    learning_threshold: Annotated[float, Field(gt=0, lt=1)]
    threshold: Annotated[float, Field(ge=0, lt=1)]
    sample: Positive
    pooled: Annotated[int, Field(ge=1, le=8)]


def fit(images: np.ndarray, settings: Settings, context: Context) -> Codebook:
    """Learn S2 from C1's patches, then S3 from C2's: float32 (cells, 9 · maps below), of length 1.

    Raises:
        PipelineError: the images are too small, or have no contrast.
    """
    if min(images.shape[1:3]) < SMALLEST:
        raise PipelineError(
            f"neocognitron needs images of at least {SMALLEST} pixels a side, these have {images.shape[2]}×"
            f"{images.shape[1]}; set the data set's `image_size` to {SMALLEST} or more, or leave neocognitron out"
        )
    each = max(1, min(20, settings.sample))
    count = min(len(images), max(1, settings.sample // each))
    chosen = np.sort(generator(context.seed, "neocognitron images").permutation(len(images))[:count])
    below = torch.cat([_c1(_grey(images[chosen[part]])) for part in slices(count, BATCH)])
    codebook: Codebook = {}
    for name, cells in zip(("s2", "s3"), settings.cells, strict=True):
        random = generator(context.seed, f"neocognitron {name}")
        learned = _learn(_patches(below, each, random), cells, settings)
        codebook[name] = learned
        below = torch.cat([_c(_s(below[part], learned, settings.threshold)) for part in slices(count, BATCH)])
    context.advance(len(images))
    return codebook


def transform(images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
    """C3's answers: float16 (N, pooled² · cells of S3), each image's of length 1."""
    out = []
    for part in slices(len(images), BATCH):
        found = _c1(_grey(images[part]))
        for name in ("s2", "s3"):
            found = _s(found, codebook[name], settings.threshold)
            found = _c(found) if name == "s2" else torch.sqrt(_pooled(found, settings.pooled))
        flat = found.flatten(1)
        out.append(to_half((flat / flat.norm(dim=1, keepdim=True).clamp_min(FEW)).numpy()))
        context.advance(part.stop - part.start)
    return np.concatenate(out)


def pictures(images: np.ndarray, settings: Settings, codebook: Codebook) -> list[Picture]:
    """What the first layer of C-cells makes of some images."""
    edges = _c1(_grey(images[:6])).permute(0, 2, 3, 1).numpy()
    drawn = []
    for image, cells in zip(images[:6], edges, strict=True):
        # Two opposite directions are one edge: a stroke says nothing about which side is bright.
        stars = strokes(cells[:, :, : DIRECTIONS // 2] + cells[:, :, DIRECTIONS // 2 :], 14, full_circle=False)
        drawn.append(beside(enlarge(image, stars.shape[0]), stars))
    caption = "Images and their edges as the first C-cells answer to them: a stroke for each direction, darker where "
    return [Picture(caption + "they answer more.", tiles(drawn, 3))]


# ----------------------------------------------------------------------------------------------------- cells


def _grey(images: np.ndarray) -> torch.Tensor:
    """(N, 1, H, W), 0 to 1."""
    return torch.from_numpy(to_grey(images) / np.float32(255))[:, None]


def _c1(grey: torch.Tensor) -> torch.Tensor:
    """Edges of every direction, blurred: (N, 16, H/2, W/2)."""
    kernels = _edge_kernels()
    padded = torch.nn.functional.pad(grey, (3, 3, 3, 3), mode="replicate")
    edges = torch.nn.functional.conv2d(padded, kernels)
    size = torch.sqrt((edges * edges).mean(dim=1, keepdim=True))
    like = torch.relu(edges) / (size * 2**0.5 + CONTRAST)  # 1 for a clean edge of a cell's own direction
    return _c(torch.relu(like - 0.5) * 2)


def _edge_kernels() -> torch.Tensor:
    """Derivatives of a Gaussian in 16 directions over the full circle, float32 (16, 1, 7, 7); a step of 1 gives 1."""
    y, x = np.mgrid[-3:4, -3:4]
    kernels = []
    for direction in range(DIRECTIONS):
        # Directions as HOG counts them over the half circle, then once more the other way round.
        angle = 2 * np.pi * (direction + 0.5) / DIRECTIONS
        along = x * np.cos(angle) + y * np.sin(angle)
        kernel = along * np.exp(-(x * x + y * y) / 2)
        kernels.append(kernel / kernel[kernel > 0].sum())
    return torch.from_numpy(np.stack(kernels)[:, None]).float()


def _s(below: torch.Tensor, patterns: np.ndarray, threshold: float) -> torch.Tensor:
    """S-cells: (N, maps, h, w) → (N, cells, h, w)."""
    maps = below.shape[1]
    kernels = torch.from_numpy(patterns).reshape(-1, maps, PATCH, PATCH)
    alike = torch.nn.functional.conv2d(below, kernels, padding=PATCH // 2)
    energy = (below * below).sum(dim=1, keepdim=True)
    size = torch.sqrt(torch.nn.functional.conv2d(energy, torch.ones(1, 1, PATCH, PATCH), padding=PATCH // 2))
    return torch.relu(alike / (size + FAINT) - threshold) / (1 - threshold)


def _c(below: torch.Tensor) -> torch.Tensor:
    """C-cells: blurred, half as many places a side, square root."""
    weights = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    maps = below.shape[1]
    down = weights[None, None, :, None].expand(maps, 1, 5, 1)
    right = weights[None, None, None, :].expand(maps, 1, 1, 5)
    blurred = torch.nn.functional.conv2d(below, down, padding=(2, 0), stride=(2, 1), groups=maps)
    return torch.sqrt(
        torch.nn.functional.conv2d(blurred, right, padding=(0, 2), stride=(1, 2), groups=maps).clamp_min(0)
    )


def _pooled(below: torch.Tensor, side: int) -> torch.Tensor:
    """Means over a grid of side × side, or over single places where there are fewer."""
    return torch.nn.functional.adaptive_avg_pool2d(below, (min(side, below.shape[2]), min(side, below.shape[3])))


# -------------------------------------------------------------------------------------------------- learning


def _patches(below: torch.Tensor, each: int, random: np.random.Generator) -> torch.Tensor:
    """Random patches with something in them, of length 1, in random order: (M, 9 · maps).

    Raises:
        PipelineError: there is none.
    """
    count, _, height, width = below.shape
    padded = torch.nn.functional.pad(below, (1, 1, 1, 1))
    found = []
    for image in range(count):
        ys, xs = random.integers(0, height, each), random.integers(0, width, each)
        found += [padded[image, :, y : y + PATCH, x : x + PATCH].flatten() for y, x in zip(ys, xs, strict=True)]
    patches = torch.stack(found)
    size = patches.norm(dim=1)
    patches = patches[size > FAINT] / size[size > FAINT, None]
    if len(patches) == 0:
        raise PipelineError("neocognitron finds no edge in any training image; leave it out of `features`")
    return patches[torch.from_numpy(random.permutation(len(patches)))]


def _learn(patches: torch.Tensor, cells: int, settings: Settings) -> np.ndarray:
    if settings.learning == "add_if_silent":
        return add_if_silent(patches, cells, settings.learning_threshold)
    return winner_take_all(patches, cells)


def add_if_silent(patches: torch.Tensor, cells: int, threshold: float) -> np.ndarray:
    """A patch that is less like every cell than the threshold becomes a cell, until there are `cells`.

    Args:
        patches: (M, D), of length 1, in the order in which they are seen.

    Returns:
        float32 (cells or fewer, D).
    """
    learned = patches[:1]
    for part in slices(len(patches), LEARNED_AT_ONCE):
        batch = patches[part]
        silent = batch[(batch @ learned.T).amax(dim=1) < threshold]
        alike = silent @ silent.T
        fresh: list[int] = []
        for number in range(len(silent)):
            if len(learned) + len(fresh) == cells:
                break
            if not fresh or float(alike[number, fresh].max()) < threshold:
                fresh.append(number)
        learned = torch.cat([learned, silent[fresh]])
        if len(learned) == cells:
            break
    return np.ascontiguousarray(learned.numpy(), np.float32)


def winner_take_all(patches: torch.Tensor, cells: int) -> np.ndarray:
    """Cells start as the first patches; of each batch, a patch is added to the cell that is most like it.

    Args:
        patches: (M, D), of length 1.

    Returns:
        float32 (cells, or as many as there are patches, D), of length 1.
    """
    sums = patches[:cells].clone()
    for part in slices(len(patches), LEARNED_AT_ONCE):
        batch = patches[part]
        winners = (batch @ torch.nn.functional.normalize(sums).T).argmax(dim=1)
        sums.index_add_(0, winners, batch)
    return np.ascontiguousarray(torch.nn.functional.normalize(sums).numpy(), np.float32)
