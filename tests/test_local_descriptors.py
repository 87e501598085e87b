"""Dense SIFT and local colour: against VLFeat, OpenCV and plain NumPy, and by their symmetries."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from benchmarks import vlfeat
from pipeline.descriptors import grid
from pipeline.descriptors.dense_sift import CLIP, Window, dense_sift, frame_count, to_grey
from pipeline.descriptors.dense_sift_torch import dense_sift_torch
from pipeline.descriptors.local_color import local_color
from pipeline.errors import PipelineError
from tests.conftest import DEVICES

WINDOWS = ("flat", "gaussian")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """96×80 pixels with texture everywhere."""
    return np.ascontiguousarray(skimage.data.astronaut()[60:156, 180:260])


def mirrored(descriptors: np.ndarray) -> np.ndarray:
    """What SIFT of a mirrored patch is: bins in reverse order along x, direction d becomes 4 − d (modulo 8)."""
    bins = descriptors.reshape(*descriptors.shape[:-1], 4, 4, 8)
    return bins[..., ::-1, :][..., (4 - np.arange(8)) % 8].reshape(descriptors.shape)


@pytest.mark.skipif(not vlfeat.available(), reason="VLFeat is not installed (Debian: libvlfeat-dev)")
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("bin_size", "step"), [(2, 2), (3, 2), (4, 4), (8, 3)])
def test_dense_sift_is_vlfeats(picture: np.ndarray, window: Window, bin_size: int, step: int) -> None:
    ours = dense_sift(picture[None], (bin_size,), step, window)[0][0]
    first_y, first_x = (grid.axis(length, bin_size, step).origins[0] for length in picture.shape[:2])
    grey = to_grey(picture[None])[0]
    theirs = vlfeat.Dsift(grey.shape[1], grey.shape[0], bin_size, step, window == "flat")
    theirs.start_at(int(first_x), int(first_y))
    found = theirs(grey)
    assert found.shape == ours.shape
    assert (ours * found).sum(axis=1).min() > 0.999


def test_dense_sift_agrees_with_opencvs_up_to_their_known_differences(picture: np.ndarray) -> None:
    """OpenCV interpolates bins and windows otherwise and rounds to bytes, and its directions run the other way."""
    bin_size = 4
    ours = dense_sift(picture[None], (bin_size,), 8, "gaussian")[0][0]
    height, width = picture.shape[:2]
    centres = grid.places(height, width, (bin_size,), 8) * [width, height] - 0.5
    # OpenCV: a bin is three times the scale wide, the scale half the keypoint's size.
    points = [cv2.KeyPoint(float(x), float(y), 2 * bin_size / 3, 0) for x, y in centres]
    _, theirs = cv2.SIFT.create().compute(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), points)
    theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    bins = theirs.reshape(-1, 4, 4, 8)
    same = max(
        np.median((ours * candidate.reshape(len(ours), 128)).sum(axis=1))
        for candidate in (bins, bins[..., (-np.arange(8)) % 8], bins.transpose(0, 2, 1, 3))
    )
    assert same > 0.9


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("window", WINDOWS)
def test_the_torch_version_gives_the_same(picture: np.ndarray, window: Window, device: torch.device) -> None:
    images = np.stack([picture, picture[::-1]])
    for norm in ("L2", "root"):
        expected, lengths = dense_sift(images, (3, 5), 4, window, norm)
        found, found_lengths = dense_sift_torch(torch.from_numpy(images).to(device), (3, 5), 4, window, norm)
        np.testing.assert_allclose(found.cpu().numpy(), expected, atol=1e-3 if norm == "root" else 2e-4)
        np.testing.assert_allclose(found_lengths.cpu().numpy(), lengths, rtol=1e-4)


@pytest.mark.parametrize("window", WINDOWS)
def test_a_mirrored_image_has_mirrored_descriptors(picture: np.ndarray, window: Window) -> None:
    square = picture[:79, :79]
    for bin_size, step in ((4, 2), (2, 4), (3, 3)):
        assert (79 - grid.smallest_side(bin_size)) % step % 2 == 0  # else the grid is off centre by half a pixel
        straight = dense_sift(square[None], (bin_size,), step, window)[0][0]
        turned = dense_sift(square[None, :, ::-1], (bin_size,), step, window)[0][0]
        side = int(np.sqrt(len(straight)))
        rows = turned.reshape(side, side, 128)[:, ::-1].reshape(-1, 128)
        np.testing.assert_allclose(rows, mirrored(straight), atol=1e-4)


def test_a_shift_by_the_step_moves_the_descriptors(picture: np.ndarray) -> None:
    whole = dense_sift(picture[None, :, :73], (4,), 4)[0][0].reshape(-1, 16, 128)
    shifted = dense_sift(picture[None, :, 4:77], (4,), 4)[0][0].reshape(-1, 16, 128)
    # Inside, where no patch touches the edges.
    np.testing.assert_allclose(shifted[:, 2:-3], whole[:, 3:-2], atol=1e-5)


def test_norms_clipping_and_constant_patches() -> None:
    images = np.zeros((1, 40, 40, 3), np.uint8)
    images[0, :, 20:] = 200  # one edge: few directions carry everything, so that clipping acts
    for norm in ("L2", "root"):
        descriptors, lengths = dense_sift(images, (4,), 4, norm=norm)
        seen = lengths[0] > 0
        assert seen.any()
        assert (~seen).any()
        np.testing.assert_allclose((descriptors[0][seen] ** 2).sum(axis=1), 1, rtol=1e-3)
        assert not descriptors[0][~seen].any()
    descriptors, lengths = dense_sift(images, (4,), 4)
    brighter = dense_sift(images // 2, (4,), 4)
    np.testing.assert_allclose(brighter[0], descriptors, atol=1e-5)
    np.testing.assert_allclose(2 * brighter[1], lengths, rtol=1e-5)
    strongest = descriptors[0].max(axis=1)[lengths[0] > 0]
    assert strongest.min() > CLIP  # clipped at 0.2 before the second norm, so above it after


def test_results_do_not_depend_on_workers_or_batches() -> None:
    images = np.random.default_rng(0).integers(0, 256, (70, 24, 20, 3), dtype=np.uint8)
    together = dense_sift(images, (2, 3), 3, workers=3)
    colours = local_color(images, (2, 3), 3, workers=3)
    for n in (0, 41, 69):
        alone = dense_sift(images[n : n + 1], (2, 3), 3)
        for found, expected in zip(alone, together, strict=True):
            np.testing.assert_array_equal(found[0], expected[n])
        np.testing.assert_array_equal(local_color(images[n : n + 1], (2, 3), 3)[0], colours[n])


def test_places_and_counts() -> None:
    assert frame_count(256, 256, (4,), 4) == 61**2  # , as VLFeat gives
    assert frame_count(32, 32, (2, 3, 4), 2) == 13**2 + 12**2 + 10**2
    places = grid.places(32, 48, (2, 4), 2)
    assert len(places) == frame_count(32, 48, (2, 4), 2)
    np.testing.assert_allclose(places.mean(axis=0), [0.5, 0.5], atol=0.02)
    assert places.min() > 0
    assert places.max() < 1


def test_a_bin_too_large_names_the_largest_that_works() -> None:
    grid.check_fits(32, 48, [10], "sift_fv.features.bin_sizes")
    with pytest.raises(PipelineError, match=r"`x\.bin_sizes` has 11: .* at least 34 pixels.*largest that works is 10"):
        grid.check_fits(32, 48, [4, 11], "x.bin_sizes")


def test_local_color_against_plain_numpy(picture: np.ndarray) -> None:
    bin_size, step = 5, 6
    found = local_color(picture[None], (bin_size,), step)[0]
    height, width = picture.shape[:2]
    values = picture.astype(np.float64) / 255
    row = 0
    for top in grid.axis(height, bin_size, step).origins:
        for left in grid.axis(width, bin_size, step).origins:
            expected = []
            for i in range(4):
                for j in range(4):
                    y, x = top + i * bin_size - bin_size // 2, left + j * bin_size - bin_size // 2
                    cell = values[max(y, 0) : y + bin_size, max(x, 0) : x + bin_size].reshape(-1, 3)
                    expected += [*cell.mean(axis=0), *cell.std(axis=0)]
            np.testing.assert_allclose(found[row], expected, atol=2e-4)
            row += 1
    assert row == len(found)
