"""Passes of codebooks on whatever device torch is given, for GPUs: the same numbers as the compiled ones, but rounded.

Responsibilities are dense here, and every vector is compared with all centres of its group by one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from pipeline.encoding.gmm import SMALLEST_SHARE, Mixture
from pipeline.encoding.product_quantization import CENTROIDS, ITERATIONS, samples
from pipeline.encoding.sampling import picks
from pipeline.parallel import slices
from pipeline.passes import Arrays, Work

DEVICE_BYTES = 1 << 31  # of a GPU's memory, for the distances to centroids


def describing(
    images: np.ndarray,
    rows: np.ndarray,
    places: np.ndarray,
    describe: Callable[[torch.Tensor], torch.Tensor],
    seed: int,
    key: str,
    each: int,
    device: torch.device,
) -> Work:
    """See sampling.sample_descriptors."""

    def work(part: slice) -> Arrays:
        found = describe(_there(images[rows[part]], device))
        chosen = picks(rows[part], len(places), each, seed, key)
        index = torch.from_numpy(np.stack(chosen)).to(device)[..., None].expand(-1, -1, found.shape[2])
        return found.gather(1, index).flatten(0, 1).cpu().numpy(), places[np.concatenate(chosen)]

    return work


def comparing(x: np.ndarray, centres: np.ndarray, device: torch.device) -> Work:
    """See kmeans.nearest."""
    transposed = _there(centres.astype(np.float32), device).T
    half_squares = 0.5 * (transposed**2).sum(dim=0)

    def work(part: slice) -> Arrays:
        rows = _there(np.asarray(x[part], np.float32), device)
        largest, best = (rows @ transposed - half_squares).max(dim=1)
        distance = ((rows**2).sum(dim=1) - 2 * largest).clamp(min=0)
        return best.cpu().numpy(), distance.cpu().numpy()

    return work


def expecting(
    x: np.ndarray, weights: np.ndarray, means: np.ndarray, variances: np.ndarray, device: torch.device
) -> Work:
    """See gmm.statistics."""
    linear, constant = (_there(array, device) for array in Mixture(weights, means, variances, np.empty(0)).quadratic())

    def work(part: slice) -> Arrays:
        rows = _there(np.asarray(x[part], np.float32), device)
        features = torch.cat([rows, rows**2], dim=1)
        logits = features @ linear.T + constant
        top = logits.amax(dim=1, keepdim=True)
        shares = (logits - top).exp_()
        shares *= shares >= SMALLEST_SHARE
        sums = shares.sum(dim=1, keepdim=True)
        fine = (sums > 0) & top.isfinite()  # not so where the vector is infinite, or not a number
        shares = torch.where(fine, shares / sums, 0)
        total = torch.where(fine, top + sums.log(), 0).sum(dtype=torch.float64)
        moments = (shares.T @ torch.where(fine, features, 0)).reshape(len(means), 2, -1)
        return shares.sum(dim=0).cpu().numpy(), moments.cpu().numpy(), total.cpu().numpy()

    return work


def learning(x: np.ndarray, order: np.ndarray, group: int, device: torch.device) -> Work:
    """See product_quantization.fit_product_quantizer."""

    def work(part: slice) -> Arrays:
        columns = np.asarray(x[:, part.start * group : part.stop * group], np.float32)[order]
        vectors = _there(columns, device).reshape(len(order), -1, group).transpose(0, 1).contiguous()
        centroids = vectors[:, :CENTROIDS].clone()
        for size in samples(len(order)):
            some = slices(len(centroids), max(1, DEVICE_BYTES // (4 * 3 * CENTROIDS * size)))
            for _ in range(ITERATIONS):
                moved = [_moved(vectors[groups, :size], centroids[groups]) for groups in some]
                centroids = torch.cat(moved)
        return (centroids.cpu().numpy(),)

    return work


def _moved(vectors: torch.Tensor, centroids: torch.Tensor) -> torch.Tensor:
    """Centroids (g, 256, G) at the means of those of the vectors (g, n, G) that are nearest; one without any stays."""
    closeness = vectors @ centroids.transpose(1, 2) - 0.5 * (centroids**2).sum(dim=2)[:, None]
    nearest = closeness.argmax(dim=2, keepdim=True)
    members = torch.zeros_like(closeness).scatter_(2, nearest, 1)  # sums by it have one order on a GPU, too
    counts = members.sum(dim=1)[..., None]
    return torch.where(counts > 0, members.transpose(1, 2) @ vectors / counts.clamp(min=1), centroids)


def _there(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """A copy, since a mapped file can't be written to."""
    return torch.tensor(array, device=device)
