"""Where training images lie in the space that a model tells images by, and how far from them another image lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.parallel import slices
from pipeline.randomness import generator

EXAMPLES = 2000  # training images that are kept, at most
NUMBERS = 1 << 26  # in their embeddings together, at most: those are in memory at once
AXES = 64  # directions in which they differ most
NEIGHBOURS = 5  # the distance to so many of them counts
CHUNK = 1024  # images whose distances are in memory at once
SMALLEST = 1e-4  # of the largest: shorter lengths are rounding


def some_rows(count: int, dimension: int, seed: int) -> np.ndarray:
    """Which of so many training images are kept, as rising numbers int64 (M,); fewer where embeddings are long."""
    most = min(EXAMPLES, max(AXES + 1, NUMBERS // dimension))
    return np.sort(generator(seed, "familiarity").permutation(count)[:most])


@dataclass(frozen=True)
class Space:
    """The principal axes of training images, and where these lie.

    Attributes:
        mean: float32 (d,).
        axes: float32 (q, d), each of length 1, the one with the largest spread first.
        spread: standard deviation along each axis, float32 (q,).
        places: of the training images along the axes, float32 (M, q).
        off: the training images' distances from the axes' subspace, float32 (M,).
    """

    mean: np.ndarray
    axes: np.ndarray
    spread: np.ndarray
    places: np.ndarray
    off: np.ndarray

    @staticmethod
    def of(embedding: np.ndarray, seed: int) -> Space:
        """Measure it on training images' embeddings, float32 (M, d)."""
        from sklearn.decomposition import PCA  # takes seconds to import, and only fitting needs it

        count, dimension = embedding.shape
        embedding = np.nan_to_num(embedding, nan=0, posinf=0, neginf=0)  # of a diverged network; its scores tell
        axes = max(1, min(AXES, dimension, count - 1))
        with np.errstate(invalid="ignore"):  # equal embeddings have no variance to take shares of
            found = PCA(axes, svd_solver="randomized", random_state=seed).fit(embedding)
        spread = np.sqrt(np.maximum(found.explained_variance_, 0))
        space = Space(
            found.mean_.astype(np.float32),
            np.ascontiguousarray(found.components_, np.float32),  # as it is read back: else last bits would differ
            np.maximum(spread, max(SMALLEST * float(spread[0]), 1e-12)).astype(np.float32),
            np.empty((0, axes), np.float32),
            np.empty(0, np.float32),
        )
        return Space(space.mean, space.axes, space.spread, *space.place(embedding))

    def place(self, embedding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings float32 (n, d) → places along the axes (n, q) and distances from their subspace (n,), float32."""
        places, off = [], []
        for part in slices(len(embedding), CHUNK):
            centred = embedding[part] - self.mean
            along = centred @ self.axes.T
            places.append(along)
            off.append(np.linalg.norm(centred - along @ self.axes, axis=1))
        return np.concatenate(places), np.concatenate(off)

    def distances(self, embedding: np.ndarray) -> np.ndarray:
        """How far images lie from training, three times, as natural logarithms: float64 (n, 3).

        - to the fifth nearest of the training images (Sun et al., "Out-of-distribution detection with deep nearest
          neighbors", ICML 2022); off the subspace two images are taken to lie at right angles;
        - from the subspace of the axes (the residual of Wang et al., "ViM: Out-of-distribution with virtual-logit
          matching", CVPR 2022);
        - from the mean, along the axes, in standard deviations (Mahalanobis' distance: Lee et al., "A simple unified
          framework for detecting out-of-distribution samples and adversarial attacks", NeurIPS 2018, of all classes
          together).
        """
        places, off = self.place(embedding)
        nearest = np.concatenate([self._to_neighbour(places[p], off[p]) for p in slices(len(places), CHUNK)])
        typical = np.linalg.norm(places / self.spread, axis=1)
        size = float(np.sqrt(np.mean(self.off**2) + np.sum(self.spread**2)))  # of the training images' cloud
        floor = max(SMALLEST * size, 1e-12)
        lengths = np.stack([np.maximum(nearest, floor), np.maximum(off, floor), np.maximum(typical, SMALLEST)], axis=1)
        return np.log(lengths.astype(np.float64))

    def _to_neighbour(self, places: np.ndarray, off: np.ndarray) -> np.ndarray:
        known = np.einsum("mq,mq->m", self.places, self.places) + self.off**2
        own = np.einsum("nq,nq->n", places, places) + off**2
        squared = own[:, None] + known[None] - 2 * places @ self.places.T
        count = min(NEIGHBOURS, len(self.places))
        found: np.ndarray = np.sqrt(np.maximum(np.partition(squared, count - 1, axis=1)[:, count - 1], 0))
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """By name."""
        return {
            "mean": self.mean, "axes": self.axes, "spread": self.spread, "places": self.places, "off": self.off,
        }  # fmt: skip

    @staticmethod
    def restore(arrays: dict[str, np.ndarray]) -> Space:
        """From what `arrays` gave.

        Raises:
            KeyError, ValueError: an array is missing, or they don't belong together.
        """
        space = Space(**{name: arrays[name] for name in ("mean", "axes", "spread", "places", "off")})
        axes, dimension = space.axes.shape
        sizes = space.mean.shape, space.spread.shape, space.places.shape
        if sizes != ((dimension,), (axes,), (len(space.off), axes)):
            raise ValueError("what is known of training images has different sizes")
        return space
