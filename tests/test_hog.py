from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from skimage.feature import hog as reference

from pipeline.context import Context
from pipeline.errors import PipelineError
from pipeline.features.hog import Settings, cell_histograms, fit, hog, transform

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(0, 256, (3, 37, 46, 3), dtype=np.uint8)
REAL = np.stack([skimage.data.astronaut()[:64, 200:280], skimage.data.coffee()[100:164, 300:380]])


@pytest.mark.parametrize("images", [NOISE, REAL], ids=["noise", "photographs"])
@pytest.mark.parametrize(
    ("orientations", "cell", "block", "norm"),
    [(9, 8, 2, "L2-Hys"), (9, 4, 3, "L2"), (6, 5, 1, "L1"), (12, 6, 2, "L1-sqrt"), (8, 3, 4, "L2-Hys")],
)
@pytest.mark.parametrize("kind", ["bytes", "float64", "float32", "sqrt"])
def test_equals_scikit_image(
    images: np.ndarray, orientations: int, cell: int, block: int, norm: str, kind: str
) -> None:
    if kind.startswith("float"):
        images = (images / 255).astype(kind)
    root = kind == "sqrt"
    expected = np.stack(
        [
            reference(image, orientations, (cell, cell), (block, block), norm, transform_sqrt=root, channel_axis=-1)
            for image in images
        ]
    )
    ours = hog(images, orientations, cell, block, norm, root)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_grey_images_equal_the_reference_without_channels() -> None:
    expected = reference(NOISE[0, ..., 0], 9, (8, 8), (2, 2))
    np.testing.assert_allclose(hog(NOISE[:1, ..., :1], 9, 8, 2)[0], expected, atol=1e-5)


def test_the_lectures_example_has_10800_numbers() -> None:
    assert cell_histograms(np.zeros((1, 240, 320, 3), np.uint8), 9, 8).shape == (1, 30, 40, 9)


def test_threads_and_batches_change_nothing() -> None:
    many = np.tile(NOISE, (200, 1, 1, 1))
    np.testing.assert_array_equal(hog(many, workers=1), hog(many, workers=3))


def test_a_constant_image_is_all_zeros() -> None:
    assert not hog(np.full((2, 32, 32, 3), 77, np.uint8)).any()


def test_brighter_by_a_constant_is_the_same() -> None:
    dark = (NOISE // 2).astype(np.uint8)
    np.testing.assert_allclose(hog(dark), hog(dark + 100), atol=1e-6)


def test_a_vertical_edge_falls_into_the_first_direction() -> None:
    image = np.zeros((1, 16, 16, 3), np.uint8)
    image[:, :, 8:] = 255
    cells = cell_histograms(image, 9, 8)[0]
    assert cells[..., 0].sum() > 0
    assert cells[..., 1:].sum() == 0


def settings(**changes: object) -> Settings:
    values = {
        "orientations": 9,
        "pixels_per_cell": "auto",
        "cells_per_block": 2,
        "block_norm": "L2-Hys",
        "transform_sqrt": False,
        "contrast": 0.0,
        "map": "none",
        "rbf": None,
    }
    return Settings.model_validate(values | changes)


@pytest.mark.parametrize(
    ("side", "cells"), [(64, [8, 16]), (48, [6, 12]), (32, [4, 8]), (28, [3, 6]), (8, [2, 4]), (6, [2])]
)
def test_auto_takes_an_eighth_and_a_quarter_of_the_side(side: int, cells: list[int]) -> None:
    assert settings().cells_of(side, side + 10) == cells


def test_a_cell_too_large_for_the_image_is_named_with_the_largest_that_works() -> None:
    with pytest.raises(PipelineError, match=r"hog\.features\.pixels_per_cell.*30.*largest cell that works is 16"):
        fit(np.zeros((1, 32, 32, 3), np.uint8), settings(pixels_per_cell=[4, 30]), Context(0))


def test_transform_joins_the_layers_and_maps_them() -> None:
    vectors = transform(NOISE, settings(orientations=7, block_norm="L1", map="hellinger"), {}, Context(0))
    layers = [hog(NOISE, 7, cell, 2, "L1") for cell in (4, 8)]
    np.testing.assert_allclose(vectors, np.sqrt(np.concatenate(layers, axis=1)), atol=1e-3)


def test_chi2_makes_the_dot_product_the_additive_chi2_kernel() -> None:
    """2 Σ x·y / (x + y), sampled at three frequencies."""
    x = hog(REAL, 9, 8, 2, "L1")
    mapped = transform(REAL, settings(pixels_per_cell=[8], block_norm="L1", map="chi2"), {}, Context(0))
    expected = (2 * x[0] * x[1] / np.maximum(x[0] + x[1], 1e-12)).sum()
    assert float(mapped[0].astype(float) @ mapped[1].astype(float)) == pytest.approx(float(expected), rel=0.03)


def crops(count: int) -> np.ndarray:
    """Windows of 32×32 from a photograph."""
    photograph = skimage.data.astronaut()
    places = np.random.default_rng(1).integers(0, 480, (count, 2))
    return np.stack([photograph[y : y + 32, x : x + 32] for y, x in places])


def test_contrast_adds_cells_that_know_how_strong_edges_are() -> None:
    images = crops(200)
    plain, strong = settings(block_norm="L1"), settings(block_norm="L1", contrast=0.5)
    codebook = fit(images, strong, Context(0))
    vectors = transform(images, strong, codebook, Context(0)).astype(float)
    dimension = hog(images[:1], 9, 4, 2).shape[1] + hog(images[:1], 9, 8, 2).shape[1]
    np.testing.assert_array_equal(vectors[:, :dimension], transform(images, plain, {}, Context(0)))
    # A quarter of what the blocks, which sum to 1 each, have together: in the mean, not in each image.
    sums = vectors[:, dimension:].sum(axis=1)
    assert sums.mean() == pytest.approx(0.25 * (49 + 9), rel=0.01)
    assert sums.std() > 1
    half = transform(images // 2, strong, codebook, Context(0)).astype(float)
    assert half[:, dimension:].sum() == pytest.approx(sums.sum() / 2, rel=0.1)
    assert half[:, :dimension].sum() == pytest.approx(vectors[:, :dimension].sum(), rel=0.02)


def test_rbf_makes_the_dot_product_a_gaussian_kernel() -> None:
    images = crops(300)
    chosen = settings(block_norm="L1", map="hellinger", rbf={"landmarks": 300, "width": 1.5})
    codebook = fit(images, chosen, Context(0))
    vectors = transform(images, chosen, codebook, Context(0)).astype(float)
    assert vectors.shape == (300, 300)
    plain = transform(images, settings(block_norm="L1", map="hellinger"), {}, Context(0)).astype(float)
    squares = (plain**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares[None, :] - 2 * plain @ plain.T, 0)
    median = np.median(distances[~np.eye(300, dtype=bool)])
    np.testing.assert_allclose(vectors @ vectors.T, np.exp(-distances / (1.5**2 * median)), atol=0.01)


def test_of_few_images_all_are_landmarks_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    found, all_ten = (fit(crops(10), settings(rbf={"landmarks": n, "width": 1.0}), Context(0)) for n in (11, 10))
    np.testing.assert_array_equal(found["landmarks"], all_ten["landmarks"])
    assert "`hog.features.rbf.landmarks` is 11, but train has 10 images" in capsys.readouterr().err


def test_landmarks_depend_on_the_seed_and_vectors_not_on_the_number_of_threads() -> None:
    images, chosen = crops(50), settings(contrast=1.0, map="hellinger", rbf={"landmarks": 20, "width": 1.0})
    one, other = (fit(images, chosen, Context(seed)) for seed in (0, 1))
    assert not np.array_equal(one["landmarks"], other["landmarks"])
    np.testing.assert_array_equal(
        transform(images, chosen, one, Context(0, workers=1)), transform(images, chosen, one, Context(0, workers=3))
    )
