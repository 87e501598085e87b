from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies

from pipeline.context import Context
from pipeline.encoding.kernel_maps import explicit_map
from pipeline.features.color_histogram import Settings, color_histogram, transform

NOISE = np.random.default_rng(1).integers(0, 256, (5, 23, 19, 3), dtype=np.uint8)
#: Every value of every channel, so that every edge between bins is met.
RAMP = np.stack([np.roll(np.arange(256, dtype=np.uint8), shift) for shift in (0, 85, 170)], axis=1).reshape(
    1, 16, 16, 3
)


def reference(images: np.ndarray, bins: list[int], space: str) -> np.ndarray:
    rows = []
    for image in images:
        top = 256
        if space == "hsv":
            image, top = cv2.cvtColor(image, cv2.COLOR_RGB2HSV), 180
        rows.append(cv2.calcHist([image], [0, 1, 2], None, bins, [0, top, 0, 256, 0, 256]).ravel())
    return np.stack(rows)


@pytest.mark.parametrize("space", ["rgb", "hsv"])
@pytest.mark.parametrize("bins", [[8, 8, 8], [5, 7, 3], [16, 4, 9], [1, 1, 1], [32, 32, 32]])
@pytest.mark.parametrize("images", [NOISE, RAMP], ids=["noise", "ramp"])
def test_equals_opencv_exactly(images: np.ndarray, bins: list[int], space: str) -> None:
    np.testing.assert_array_equal(color_histogram(images, bins, space), reference(images, bins, space))


@settings(max_examples=40, deadline=None)
@given(strategies.lists(strategies.integers(1, 32), min_size=3, max_size=3), strategies.sampled_from(["rgb", "hsv"]))
def test_equals_opencv_for_any_bins(bins: list[int], space: str) -> None:
    np.testing.assert_array_equal(color_histogram(RAMP, bins, space), reference(RAMP, bins, space))


def test_threads_change_nothing() -> None:
    many = np.tile(NOISE, (700, 1, 1, 1))
    np.testing.assert_array_equal(color_histogram(many, [8, 8, 8]), color_histogram(many, [8, 8, 8], workers=3))


def test_pixels_may_move() -> None:
    moved = NOISE.reshape(5, -1, 3)[:, ::-1].reshape(NOISE.shape)
    np.testing.assert_array_equal(color_histogram(NOISE, [8, 8, 8]), color_histogram(moved, [8, 8, 8]))


@pytest.mark.parametrize(("kernel", "width"), [("none", 1), ("hellinger", 1), ("chi2", 3)])
def test_the_map_stands_for_its_kernel(kernel: str, width: int) -> None:
    chosen = Settings(space="rgb", bins=[4, 4, 4], map=kernel)  # type: ignore[arg-type]
    x = transform(NOISE, chosen, {}, Context(0))
    assert x.shape == (5, 64 * width)
    plain = transform(NOISE, chosen.model_copy(update={"map": "none"}), {}, Context(0))
    a, b = plain[0].astype(float), plain[1].astype(float)
    np.testing.assert_allclose(plain.sum(axis=1), 1, rtol=1e-6)
    wanted = {
        "none": a @ b,
        "hellinger": np.sqrt(a * b).sum(),
        "chi2": (2 * a * b / np.maximum(a + b, 1e-12)).sum(),
    }[kernel]
    # Three samples of χ²'s spectrum leave a tenth out; still far from the other two kernels.
    assert x[0] @ x[1] == pytest.approx(wanted, rel=0.1 if kernel == "chi2" else 1e-5)
    assert kernel == "hellinger" or x[0] @ x[1] < 0.9 * np.sqrt(a * b).sum()


def test_an_unknown_map_is_refused() -> None:
    with pytest.raises(ValueError, match="no kernel"):
        explicit_map(np.zeros((1, 3), np.float32), "rbf")


def test_the_map_of_chi2_is_that_of_scikit_learn_to_the_last_bit() -> None:
    from sklearn.kernel_approximation import AdditiveChi2Sampler

    random = np.random.default_rng(0)
    histograms = random.random((50, 30), np.float32) * (random.random((50, 30)) > 0.3)
    histograms[3] = 0
    histograms[4] = 1e-30
    np.testing.assert_array_equal(
        explicit_map(histograms, "chi2"), AdditiveChi2Sampler(sample_steps=2).fit_transform(histograms)
    )
