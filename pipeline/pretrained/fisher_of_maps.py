"""Fisher vectors of a network's maps (Cimpoi, Maji & Vedaldi, Deep filter banks, CVPR 2015).

Each place of a network's last maps is a local descriptor, as a patch's SIFT is; images are seen at several sizes. What
follows is what follows SIFT: PCA, a mixture of Gaussians, one Fisher vector an image. So it is given up what lies where
in the image, and textures are told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import nn

from pipeline.context import Codebook, Context
from pipeline.device import pick_device, pick_precision
from pipeline.encoding.fisher import FisherEncoder
from pipeline.encoding.follow import as_many_as
from pipeline.encoding.gmm import Mixture, fit_mixture
from pipeline.encoding.half import to_half
from pipeline.encoding.pca import Pca, fit_pca
from pipeline.encoding.regions import Grid, regions
from pipeline.encoding.sampling import sample_descriptors
from pipeline.parallel import one_blas_thread, slices, threads
from pipeline.pretrained.backbone import Backbone, Body
from pipeline.pretrained.off_the_shelf import BATCH, filled, one_thread_each
from pipeline.pretrained.remembered import remembered
from pipeline.settings import Positive, Section, Weights

Side = Annotated[int, Field(ge=32, le=512)]


class Settings(Section):
    """Which weights, the sides that images are brought to, one after the other, and the Fisher vector's own."""

    weights: Weights
    sides: Annotated[list[Side], Field(min_length=1)]
    dimensions: Annotated[int, Field(ge=1, le=512)]
    whiten: bool
    gaussians: Annotated[int, Field(ge=1, le=8192)]
    iterations: Positive
    sample: Positive
    regions: Annotated[list[Grid], Field(min_length=1)]


@dataclass(frozen=True)
class FisherOfMaps:
    """A network that learned from other images, as a source of local descriptors.

    Attributes:
        key: of the method.
        backbone: the network.
        maps: from its body to what gives the maps, pixels → (B, D, H', W').
    """

    key: str
    backbone: Backbone
    maps: Callable[[Body], nn.Module]

    def fit(self, images: np.ndarray, settings: Settings, context: Context) -> Codebook:
        """The published weights, and from maps of train images (N, H, W, 3) PCA and the mixture.

        Raises:
            Unavailable: the file of weights is missing and can't be fetched.
            PipelineError: it is damaged, or of another architecture; `sample` is too small for `gaussians`.
        """
        state = self.backbone.load(settings.weights, settings.sides[0]).state_dict()
        codebook = {name: value.numpy() for name, value in state.items() if not name.endswith("num_batches_tracked")}
        describe = self._describer(settings, codebook, context)
        _, places = describe(images[:1])
        own = replace(context, elsewhere=None)  # the network would travel with every task
        with one_thread_each():
            found, _ = sample_descriptors(
                images, lambda batch: describe(batch)[0], places, settings.sample, own, self.key
            )
        count = as_many_as(settings.gaussians, len(found), settings.sample, f"{self.key}.features.gaussians")
        pca = fit_pca(found, settings.dimensions, settings.whiten)
        mixture = fit_mixture(pca.project(found), count, context.seed, settings.iterations, context.passes)
        return codebook | {
            "pca_mean": pca.mean,
            "pca_basis": pca.basis,
            "pca_variances": pca.variances,
            "weights": mixture.weights,
            "means": mixture.means,
            "variances": mixture.variances,
            "log_likelihoods": mixture.log_likelihoods,
        }

    def transform(self, images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
        """Fisher vectors, uint8 (N, H, W, 3) → float16 (N, R·2·K·d); the same for any number of workers."""
        if context.training:
            return self._encode(images, settings, codebook, context)
        how = settings.model_dump_json(exclude={"weights"}) + str(pick_device(context.device))
        return remembered(images, codebook, how, lambda: self._encode(images, settings, codebook, context))

    def _encode(self, images: np.ndarray, settings: Settings, codebook: Codebook, context: Context) -> np.ndarray:
        describe = self._describer(settings, codebook, context)
        _, places = describe(images[:1])
        mixture = Mixture(codebook["weights"], codebook["means"], codebook["variances"], codebook["log_likelihoods"])
        pca = Pca(codebook["pca_mean"], codebook["pca_basis"], codebook["pca_variances"])
        encoder = FisherEncoder(mixture, regions(settings.regions), places)

        def work(part: slice) -> np.ndarray:
            found, _ = describe(images[part])
            vectors = np.empty((len(found), encoder.dimension), np.float32)
            for vector, descriptors in zip(vectors, found, strict=True):
                vector[:] = encoder.encode(pca.project(descriptors))
            return to_half(vectors)

        with one_thread_each(), one_blas_thread():
            return np.concatenate(list(threads(work, slices(len(images), BATCH), context.workers)))

    def _describer(
        self, settings: Settings, codebook: Codebook, context: Context
    ) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Images uint8 (n, H, W, 3) → descriptors float32 (n, F, D), and places (F, 2) in the image, x and y in 0…1."""
        device = pick_device(context.device)
        precision = pick_precision("auto", device)
        networks = []
        for side in settings.sides:
            body = filled(self.backbone, side, codebook, device)
            networks.append(self.maps(body))

        def describe(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            pixels = torch.tensor(images, device=device).permute(0, 3, 1, 2).float()
            found, places = [], []
            for network in networks:
                with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision != torch.float32):
                    maps = network(pixels)
                found.append(maps.float().flatten(2).transpose(1, 2).cpu().numpy())
                places.append(_middles(maps.shape[2], maps.shape[3]))
            return np.ascontiguousarray(np.concatenate(found, axis=1)), np.concatenate(places)

        return describe


def _middles(height: int, width: int) -> np.ndarray:
    """Of the places of a map, row by row: float32 (height · width, 2), x and y in 0…1."""
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    return np.stack([(x + 0.5) / width, (y + 0.5) / height], axis=1).astype(np.float32)
