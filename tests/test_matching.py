"""Sparse SIFT matching: known transformations, and the nearest-neighbour classifier built on it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from pipeline import layout
from pipeline.classifiers import sift_matching
from pipeline.descriptors import keypoints
from pipeline.descriptors.matching import Keypoints, ratio_matches, verified
from pipeline.errors import PipelineError
from tests.conftest import edit

ASTRONAUT = skimage.data.astronaut()[0:256, 100:356]
COFFEE = skimage.data.coffee()[60:316, 120:376]


def described(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    descriptors, places = keypoints.describe(image, 1.0, 0.04)
    return descriptors, places * np.array([image.shape[1], image.shape[0]], np.float32)


def turned(image: np.ndarray, degrees: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The image turned about its middle, and the 2×3 matrix that did it."""
    matrix = cv2.getRotationMatrix2D((128, 128), degrees, scale)
    return cv2.warpAffine(image, matrix, (256, 256)), matrix


def test_verified_matches_follow_the_known_transformation() -> None:
    image, matrix = turned(ASTRONAUT, 30, 0.8)
    descriptors, places = described(ASTRONAUT)
    gallery = Keypoints.of([described(image), described(COFFEE)])
    matches = ratio_matches(descriptors, gallery, 0.8)
    counts = (matches >= 0).sum(axis=1)
    assert counts[0] > 5 * counts[1]
    kept = matches[0] >= 0
    source, target = places[kept], gallery.places[matches[0][kept]]
    agreed = verified(source, target, 3.0)
    assert agreed.sum() > 30
    predicted = source @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(predicted - target)[agreed].max() < 6
    assert np.abs(predicted - target)[agreed].mean() < 1.5


def test_the_ratio_test_is_opencvs() -> None:
    first, second = described(ASTRONAUT), described(turned(ASTRONAUT, 10, 1.0)[0])
    matches = ratio_matches(first[0], Keypoints.of([second]), 0.75)[0]
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(first[0], second[0], k=2)
    expected = [near.trainIdx if near.distance < 0.75 * far.distance else -1 for near, far in pairs]
    assert (matches == expected).mean() > 0.999


def test_images_without_keypoints_match_nothing() -> None:
    nothing = (np.empty((0, 128), np.float32), np.empty((0, 2), np.float32))
    gallery = Keypoints.of([nothing, described(COFFEE), nothing])
    assert (ratio_matches(nothing[0], gallery, 0.8)).shape == (3, 0)
    matches = ratio_matches(described(COFFEE)[0], gallery, 0.8)
    assert (matches[[0, 2]] == -1).all()
    assert not verified(np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32), 3.0).any()


def test_turned_pictures_are_recognised() -> None:
    originals = [ASTRONAUT, COFFEE]
    gallery = Keypoints.of([described(image) for image in originals])
    queries = [described(turned(originals[label], 25, 0.9)[0]) for label in (1, 0, 1)]
    one, two = (sift_matching.score(queries, gallery, np.array([0, 1]), 2, 0.8, 3.0, workers) for workers in (1, 2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one.argmax(axis=1), [1, 0, 1])


def test_examples_are_the_same_number_of_each_class() -> None:
    labels = np.repeat([0, 1, 2], [50, 3, 20])
    rows = sift_matching.choose_examples(labels, 3, 5, seed=0)
    np.testing.assert_array_equal(np.bincount(labels[rows]), [5, 3, 5])
    np.testing.assert_array_equal(rows, sift_matching.choose_examples(labels, 3, 5, seed=0))
    assert not np.array_equal(rows, sift_matching.choose_examples(labels, 3, 5, seed=1))


def test_the_stage_and_its_limit(project: Path) -> None:
    from pipeline.stages import match, prepare

    edit(project, {"matchers": ["sift_matching"], "sift_matching.examples": 3})
    prepare.run()
    match.run("sift_matching")
    folder = layout.results_of("matcher", "sift_matching")
    with np.load(folder / "scores.npz") as scores:
        assert scores["test"].shape == (60, 20)
        assert np.isfinite(scores["test"]).all()
    edit(project, {"sift_matching.most_pairs": 12_000})
    with pytest.raises(PipelineError, match=r"sift_matching\.examples` is 3: 300 images .* 18,000 pairs.*at most 2"):
        match.run("sift_matching")
