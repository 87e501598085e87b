from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from pipeline.context import Context
from pipeline.descriptors import keypoints
from pipeline.encoding.bag_of_words import WordCounter
from pipeline.errors import PipelineError
from pipeline.features.sift_bow import Settings, fit, transform

PHOTOGRAPH = skimage.data.astronaut()
CROPS = np.stack([PHOTOGRAPH[y : y + 48, x : x + 48] for y in range(0, 440, 60) for x in range(0, 440, 60)])
DETECTORS = ("dense", "keypoints")


def settings(**changes: object) -> Settings:
    values = {
        "detector": "keypoints",
        "bin_sizes": "auto",
        "step": 4,
        "norm": "root",
        "words": 12,
        "sample": 3000,
        "upscale": "auto",
        "contrast_threshold": 0.01,
        "neighbours": 1,
        "weighting": "tf",
        "regions": ["1x1", "2x2"],
        "map": "none",
    }
    return Settings.model_validate(values | changes)


def found_in(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return keypoints.describe(image, "auto", 0.01)


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("neighbours", [1, 3])
def test_histograms_sum_to_one_in_each_grid(detector: str, neighbours: int) -> None:
    chosen = settings(detector=detector, neighbours=neighbours)
    x = transform(CROPS, chosen, fit(CROPS, chosen, Context(0)), Context(0))
    assert x.shape == (len(CROPS), 12 * 5)
    found = np.array([detector == "dense" or len(found_in(image)[0]) > 0 for image in CROPS])
    np.testing.assert_allclose(x[found, :12].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(x[found, 12:].sum(axis=1), 1, rtol=1e-5)
    # The four quarters together are the whole picture, up to their common weight.
    quarters = x[:, 12:].reshape(len(x), 4, 12).sum(axis=1)
    np.testing.assert_allclose(quarters, x[:, :12], atol=1e-6)


def test_a_constant_image_has_no_words() -> None:
    chosen = settings()
    codebook = fit(CROPS, chosen, Context(0))
    x = transform(np.full((1, 48, 48, 3), 128, np.uint8), chosen, codebook, Context(0))
    assert not x.any()


@pytest.mark.parametrize("detector", DETECTORS)
def test_workers_change_nothing(detector: str) -> None:
    chosen = settings(detector=detector)
    one, two = (fit(CROPS, chosen, Context(0, workers)) for workers in (1, 2))
    np.testing.assert_array_equal(one["words"], two["words"])
    np.testing.assert_array_equal(
        transform(CROPS, chosen, one, Context(0, 1)), transform(CROPS, chosen, one, Context(0, 2))
    )


def test_a_region_holds_the_words_of_its_place() -> None:
    chosen = settings(regions=["2x2"])
    codebook = fit(CROPS, chosen, Context(0))
    image = np.full((1, 96, 96, 3), 128, np.uint8)
    image[0, :40, 56:] = PHOTOGRAPH[100:140, 200:240]  # texture in the upper right only
    x = transform(image, chosen, codebook, Context(0)).reshape(4, 12)
    assert x[1].sum() == pytest.approx(1, rel=1e-5)


def test_rare_words_weigh_more() -> None:
    chosen = settings(weighting="tf-idf")
    codebook = fit(CROPS, chosen, Context(0))
    counter = WordCounter.of(codebook, settings(regions=["1x1"]))
    seen = sum((counter.count(*found_in(image))[0] > 0).astype(int) for image in CROPS)
    assert codebook["idf"][seen.argmin()] == codebook["idf"].max()
    assert codebook["idf"][seen.argmax()] == codebook["idf"].min()


def test_more_words_than_descriptors_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"sift_bow\.features\.words.*is 5000.*at most"):
        fit(CROPS[:2], settings(words=5000), Context(0))


def test_patches_larger_than_the_image_are_refused() -> None:
    with pytest.raises(
        PipelineError, match=r"sift_bow\.features\.bin_sizes` has 20: .*at least 61 pixels.*works is 15"
    ):
        fit(CROPS[:2], settings(detector="dense", bin_sizes=[4, 20]), Context(0))
