from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from pipeline.encoding.vocabulary import learn_vocabulary, nearest_words
from pipeline.errors import PipelineError
from pipeline.features.base import Context
from pipeline.features.sift_bow import Settings, fit, keypoints, transform

PHOTOGRAPH = skimage.data.astronaut()
CROPS = np.stack([PHOTOGRAPH[y : y + 48, x : x + 48] for y in range(0, 440, 60) for x in range(0, 440, 60)])


def settings(**changes: object) -> Settings:
    values = {
        "words": 12,
        "sample": 3000,
        "upscale": "auto",
        "contrast_threshold": 0.01,
        "weighting": "tf",
        "regions": [1, 2],
        "map": "none",
    }
    return Settings.model_validate(values | changes)


def test_histograms_sum_to_one_in_each_grid() -> None:
    chosen = settings()
    x = transform(CROPS, chosen, fit(CROPS, chosen, Context(0)), Context(0))
    assert x.shape == (len(CROPS), 12 * 5)
    found = np.array([len(keypoints(image, chosen)[1]) > 0 for image in CROPS])
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


def test_workers_change_nothing() -> None:
    chosen = settings()
    one, two = (fit(CROPS, chosen, Context(0, workers)) for workers in (1, 2))
    np.testing.assert_array_equal(one["words"], two["words"])
    np.testing.assert_array_equal(
        transform(CROPS, chosen, one, Context(0, 1)), transform(CROPS, chosen, one, Context(0, 2))
    )


def test_a_region_holds_the_words_of_its_place() -> None:
    chosen = settings(regions=[2])
    codebook = fit(CROPS, chosen, Context(0))
    image = np.full((1, 96, 96, 3), 128, np.uint8)
    image[0, :40, 56:] = PHOTOGRAPH[100:140, 200:240]  # texture in the upper right only
    x = transform(image, chosen, codebook, Context(0)).reshape(4, 12)
    assert x[1].sum() == pytest.approx(1, rel=1e-5)


def test_rare_words_weigh_more() -> None:
    chosen = settings(weighting="tf-idf")
    codebook = fit(CROPS, chosen, Context(0))
    seen = np.zeros(12)
    for image in CROPS:
        words = nearest_words(keypoints(image, chosen)[1], codebook["words"])
        seen[np.unique(words)] += 1
    assert codebook["idf"][seen.argmin()] == codebook["idf"].max()
    assert codebook["idf"][seen.argmax()] == codebook["idf"].min()


def test_more_words_than_descriptors_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"sift_bow\.features\.words.*is 5000.*at most"):
        fit(CROPS[:2], settings(words=5000), Context(0))


def test_nearest_words_are_the_nearest() -> None:
    random = np.random.default_rng(0)
    points, words = random.normal(size=(200, 8)), random.normal(size=(9, 8))
    distances = ((points[:, None] - words[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(nearest_words(points, words), distances.argmin(axis=1))


def test_the_vocabulary_finds_separate_clusters() -> None:
    random = np.random.default_rng(0)
    centres = np.array([[0, 0], [10, 0], [0, 10]], np.float32)
    points = (centres[random.integers(0, 3, 600)] + random.normal(0, 0.1, (600, 2))).astype(np.float32)
    words = learn_vocabulary(points, 3, seed=0)
    assert {tuple(word) for word in words.round().astype(int).tolist()} == {(0, 0), (10, 0), (0, 10)}
