"""Local descriptors → one Fisher vector an image, optionally product-quantised: what sift_fv and color_fv share.

describe → PCA → append the patch's place → mixture of Gaussians → Fisher vector → half precision, or codes
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, TypeVar

import numpy as np
import torch
from pydantic import Field

from pipeline import room
from pipeline.context import Codebook, Context
from pipeline.descriptors import drawing, grid
from pipeline.descriptors.dense import DenseSettings
from pipeline.descriptors.drawing import Picture
from pipeline.device import pick_device
from pipeline.encoding.fisher import FisherEncoder
from pipeline.encoding.fisher_torch import FisherEncoderTorch, encode_codes
from pipeline.encoding.follow import as_many_as
from pipeline.encoding.gmm import Mixture, fit_mixture
from pipeline.encoding.half import to_half
from pipeline.encoding.pca import Pca, fit_pca
from pipeline.encoding.product_quantization import CENTROIDS, ProductQuantizer, check_group, fit_product_quantizer
from pipeline.encoding.regions import Grid, Regions, regions
from pipeline.encoding.sampling import sample_descriptors
from pipeline.errors import PipelineError
from pipeline.parallel import one_blas_thread, slices, threads
from pipeline.passes import Arrays, Pass, Work, joined
from pipeline.randomness import generator
from pipeline.settings import Positive, Section

Array = TypeVar("Array", np.ndarray, torch.Tensor)
DEVICE_BYTES = 1 << 31  # of a GPU's memory for one batch
IMAGES = 4  # a thread describes and encodes at once
GROUP = 32  # times so many images of the quantiser's sample are handed out together


class Quantization(Section):
    """Product codes: `group` dimensions share a code of `bits` bits a dimension; learned from `sample` vectors."""

    group: Positive
    bits: Positive
    sample: Annotated[int, Field(ge=256)]


class FisherSettings(DenseSettings):
    """From local descriptors to a vector."""

    dimensions: Annotated[int, Field(ge=1, le=128)]
    whiten: bool
    place: Annotated[float, Field(ge=0, le=10)]
    gaussians: Annotated[int, Field(ge=1, le=8192)]
    iterations: Positive
    sample: Positive
    regions: Annotated[list[Grid], Field(min_length=1)]
    quantization: Quantization | None


@dataclass(frozen=True)
class Descriptor:
    """Images uint8 (n, H, W, 3), bin sizes, step → local descriptors float32 (n, F, D), in the order of grid.places.

    Attributes:
        compiled: for CPUs.
        on_device: the same in torch, for GPUs.
    """

    compiled: Callable[[np.ndarray, tuple[int, ...], int], np.ndarray]
    on_device: Callable[[torch.Tensor, tuple[int, ...], int], torch.Tensor]


def fit(descriptor: Descriptor, images: np.ndarray, settings: FisherSettings, context: Context, key: str) -> Codebook:
    """Learn PCA, the mixture and, where wanted, the quantiser from descriptors of train.

    Raises:
        PipelineError: the settings don't fit the images or each other; names the key and what works.
    """
    _check_quantization(settings, key)
    bin_sizes, step = settings.grid_of(images.shape, key)
    found, places = sample_descriptors(
        images,
        lambda batch: descriptor.compiled(batch, bin_sizes, step),
        grid.places(*images.shape[1:3], bin_sizes, step),
        settings.sample,
        context,
        key,
        lambda batch: descriptor.on_device(batch, bin_sizes, step),
    )
    count = as_many_as(settings.gaussians, len(found), settings.sample, f"{key}.features.gaussians")
    pca = fit_pca(found, settings.dimensions, settings.whiten)
    projected = pca.project(found)
    spread = float(projected.std())
    codebook = {"pca_mean": pca.mean, "pca_basis": pca.basis, "pca_variances": pca.variances}
    codebook |= {"place_scale": np.array(2 * settings.place * max(spread, 1e-6), np.float32)}
    points = np.concatenate([projected, _offsets(places, codebook)], axis=1)
    mixture = fit_mixture(points, count, context.seed, settings.iterations, context.passes)
    codebook |= {
        "weights": mixture.weights,
        "means": mixture.means,
        "variances": mixture.variances,
        "log_likelihoods": mixture.log_likelihoods,
    }
    if settings.quantization is not None and len(images) >= CENTROIDS:  # fewer vectors are kept whole
        codebook |= {"centroids": _fit_quantizer(descriptor, images, settings, codebook, context, key).centroids}
    return codebook


def transform(
    descriptor: Descriptor, images: np.ndarray, settings: FisherSettings, codebook: Codebook, context: Context, key: str
) -> np.ndarray:
    """Fisher vectors float16 (N, R·2·K·d); of train, where wanted, their codes uint8 (N, R·2·K·d / G), all in pairs.

    Images to be scored are not coded: a product of a whole vector with weights learned from codes errs less (the
    asymmetric case of Jégou, Douze & Schmid, PAMI 2011), and there are far fewer of them.
    """
    encoding = Encoding.of(images.shape, settings, codebook, key)
    if not context.training:
        encoding = replace(encoding, centroids=None)
    device = pick_device(context.device)
    if device.type != "cpu":
        return encode_on_device(descriptor, images, encoding, context, device)
    quantizer = None if encoding.centroids is None else ProductQuantizer(encoding.centroids)
    return _encode(descriptor, images, encoding, context, to_half if quantizer is None else quantizer.encode)


@dataclass(frozen=True)
class Encoding:
    """All that turns an image into a vector, once settings and codebook are known to belong together."""

    bin_sizes: tuple[int, ...]
    step: int
    places: np.ndarray
    offsets: np.ndarray  # float32 (F, 2), what is appended to each patch's descriptor; (F, 0): nothing
    pca: Pca
    mixture: Mixture
    regions: Regions
    centroids: np.ndarray | None
    paired: bool  # see `pair`

    @staticmethod
    def of(shape: tuple[int, ...], settings: FisherSettings, codebook: Codebook, key: str) -> Encoding:
        """For images of one shape.

        Raises:
            PipelineError: the codebook was fitted for other settings.
        """
        bin_sizes, step = settings.grid_of(shape, key)
        places = grid.places(*shape[1:3], bin_sizes, step)
        mixture = Mixture(codebook["weights"], codebook["means"], codebook["variances"], codebook["log_likelihoods"])
        wanted = min(settings.dimensions, len(codebook["pca_mean"])) + (2 if settings.place else 0)
        if len(mixture.means) > settings.gaussians or mixture.means.shape[1] != wanted:
            raise PipelineError(
                f"models/{key}/codebook.npz: was fitted for other settings (its mixture is {mixture.means.shape}, "
                f"`{key}.features` wants {(settings.gaussians, wanted)}); rerun the stage codebook@{key}"
            )
        return Encoding(
            bin_sizes,
            step,
            places,
            _offsets(places, codebook),
            Pca(codebook["pca_mean"], codebook["pca_basis"], codebook["pca_variances"]),
            mixture,
            regions(settings.regions),
            codebook.get("centroids") if settings.quantization is not None else None,
            settings.quantization is not None,
        )


def pair(vectors: Array, regions: int) -> Array:
    """Put the two gradients of each number, by mean and by deviation, side by side: (n, R·2·K·d), numpy or torch.

    They are large for the same images, so that a code that holds both loses less: 25 instead of 28 % of the variance
    of CIFAR-10's Fisher vectors.
    """
    return vectors.reshape(len(vectors), regions, 2, -1).swapaxes(2, 3).reshape(len(vectors), -1)


def _encode(
    descriptor: Descriptor,
    images: np.ndarray,
    encoding: Encoding,
    context: Context,
    store: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    encode = _encoder(descriptor, encoding)

    def work(part: slice) -> np.ndarray:
        vectors = encode(images[part])
        context.advance(len(vectors))
        return store(vectors)

    out, done = None, 0
    with one_blas_thread():
        for part in threads(work, slices(len(images), IMAGES), context.workers):
            if out is None:
                out = room.zeros((len(images), part.shape[1]), part.dtype.type)
            out[done : done + len(part)] = part
            done += len(part)
    assert out is not None
    return out


def _encoder(descriptor: Descriptor, encoding: Encoding) -> Callable[[np.ndarray], np.ndarray]:
    """What gives the Fisher vectors of a few images, float32 (n, R·2·K·d), in all threads."""
    encoder = FisherEncoder(encoding.mixture, encoding.regions, encoding.places)

    def encode(images: np.ndarray) -> np.ndarray:
        found = descriptor.compiled(images, encoding.bin_sizes, encoding.step)
        vectors = np.empty((len(found), encoder.dimension), np.float32)
        for vector, descriptors in zip(vectors, found, strict=True):
            vector[:] = encoder.encode(np.concatenate([encoding.pca.project(descriptors), encoding.offsets], axis=1))
        return pair(vectors, len(encoding.regions.members)) if encoding.paired else vectors

    return encode


def encode_on_device(
    descriptor: Descriptor, images: np.ndarray, encoding: Encoding, context: Context, device: torch.device
) -> np.ndarray:
    """What `transform` gives, computed by torch; images go there in batches that DEVICE_BYTES can hold."""
    components, dimension = encoding.mixture.means.shape
    an_image = 4 * len(encoding.places) * (3 * components + 4 * dimension + 3 * len(encoding.pca.mean))
    encode, parts = _encoder_on_device(descriptor, encoding, device), []
    for part in slices(len(images), max(1, DEVICE_BYTES // an_image)):
        parts.append(encode(images[part]))
        context.advance(part.stop - part.start)
    return np.concatenate(parts)


def _encoder_on_device(
    descriptor: Descriptor, encoding: Encoding, device: torch.device
) -> Callable[[np.ndarray], np.ndarray]:
    """What gives the vectors of a few images, in half precision, or their codes."""
    pca, encoder = encoding.pca, FisherEncoderTorch(encoding.mixture, encoding.regions, encoding.places, device)
    fixed = pca.basis, pca.mean @ pca.basis, encoding.offsets
    basis, shift, offsets = (torch.from_numpy(array).to(device) for array in fixed)
    centroids = None if encoding.centroids is None else torch.from_numpy(encoding.centroids).to(device)

    def encode(images: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(np.ascontiguousarray(images)).to(device)
        projected = descriptor.on_device(batch, encoding.bin_sizes, encoding.step) @ basis - shift
        places = offsets.expand(len(batch), *offsets.shape)
        vectors = encoder.encode(torch.cat([projected, places], dim=2))
        if encoding.paired:
            vectors = pair(vectors, len(encoding.regions.members))
        stored = vectors.half() if centroids is None else encode_codes(vectors, centroids)
        return stored.cpu().numpy()

    return encode


def mean_descriptors(codebook: Codebook, count: int) -> np.ndarray:
    """The heaviest Gaussians' means, brought back from PCA's directions: float32 (count, D)."""
    heaviest = np.argsort(-codebook["weights"])[:count]
    basis = codebook["pca_basis"]
    means = codebook["means"][heaviest, : basis.shape[1]]
    lengths = np.maximum((basis**2).sum(axis=0), 1e-12)  # 1, except after whitening
    return np.asarray((means / lengths) @ basis.T + codebook["pca_mean"])


def claims(
    descriptor: Descriptor, images: np.ndarray, settings: FisherSettings, codebook: Codebook, key: str
) -> Picture:
    """Images, and beside them which Gaussian claims each patch of the middle size."""
    encoding = Encoding.of(images.shape, settings, codebook, key)
    size = encoding.bin_sizes[len(encoding.bin_sizes) // 2]
    places = grid.places(*images.shape[1:3], (size,), encoding.step)
    offsets = _offsets(places, codebook)
    linear, constant = encoding.mixture.quadratic()
    drawn = []
    for image, found in zip(images, descriptor.compiled(images, (size,), encoding.step), strict=True):
        x = np.concatenate([encoding.pca.project(found), offsets], axis=1)
        claimed = (np.concatenate([x, x**2], axis=1) @ linear.T + constant).argmax(axis=1)
        drawn.append(drawing.words_on(image, claimed, places, 160))
    caption = (
        f"Images and their patches: a square for each patch of {4 * size}×{4 * size} pixels, in a colour for the "
        "Gaussian of the mixture that claims it."
    )
    return Picture(caption, drawing.tiles(drawn, 3))


def _check_quantization(settings: FisherSettings, key: str) -> None:
    """Before anything is fitted; a descriptor with fewer dimensions than asked for has them checked as asked for."""
    if settings.quantization is not None:
        numbers = settings.dimensions + (2 if settings.place else 0)
        dimension = 2 * settings.gaussians * numbers * len(regions(settings.regions))
        check_group(dimension, settings.quantization.group, settings.quantization.bits, f"{key}.features.quantization")


def _fit_quantizer(
    descriptor: Descriptor, images: np.ndarray, settings: FisherSettings, codebook: Codebook, context: Context, key: str
) -> ProductQuantizer:
    assert settings.quantization is not None
    group = settings.quantization.group
    rows = np.sort(
        generator(context.seed, f"{key} quantization").permutation(len(images))[: settings.quantization.sample]
    )
    coding = partial(_coding, descriptor=descriptor, settings=settings, key=key)
    frames, components = len(grid.places(*images.shape[1:3], *settings.grid_of(images.shape, key))), codebook["means"]
    products = 2.0 * len(rows) * frames * components.size
    there = partial(_coding_there, descriptor=descriptor, settings=settings, key=key)
    arrays = {"images": images, "rows": rows} | codebook
    one = Pass(coding, arrays, len(rows), IMAGES, GROUP, joined, products, there)
    vectors, done = None, 0
    for (part,) in context.passes.each(one):
        if vectors is None:
            vectors = room.zeros((len(rows), part.shape[1]), np.float16)
        vectors[done : done + len(part)] = part
        done += len(part)
    assert vectors is not None
    return fit_product_quantizer(vectors, group, context.seed, context.passes)


def _coding(
    images: np.ndarray,
    rows: np.ndarray,
    descriptor: Descriptor,
    settings: FisherSettings,
    key: str,
    **codebook: np.ndarray,
) -> Work:
    """Fisher vectors of some of the rows, for the quantiser to learn from."""
    encode = _encoder(descriptor, Encoding.of(images.shape, settings, codebook, key))

    def work(part: slice) -> Arrays:
        return (to_half(encode(images[rows[part]])),)

    return work


def _coding_there(
    images: np.ndarray,
    rows: np.ndarray,
    descriptor: Descriptor,
    settings: FisherSettings,
    key: str,
    device: torch.device,
    **codebook: np.ndarray,
) -> Work:
    encode = _encoder_on_device(descriptor, Encoding.of(images.shape, settings, codebook, key), device)

    def work(part: slice) -> Arrays:
        return (encode(images[rows[part]]),)

    return work


def _offsets(places: np.ndarray, codebook: Codebook) -> np.ndarray:
    """Each patch's (x, y) from the image's middle (Sánchez, Perronnin & de Campos, 2012): float32 (F, 2), or (F, 0)."""
    scale = codebook["place_scale"]
    return np.asarray((places - np.float32(0.5)) * scale if scale else np.empty((len(places), 0), np.float32))
