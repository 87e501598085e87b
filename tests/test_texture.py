"""Filter banks against OpenCV, scikit-image and SciPy, and the features made of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from scipy.ndimage import correlate
from skimage.filters import gabor_kernel as reference_kernel

from pipeline.context import Context
from pipeline.descriptors.filter_banks import gabor_bank, gabor_kernel, leung_malik_bank, odd, responses
from pipeline.errors import PipelineError
from pipeline.features import gabor, textons

PHOTOGRAPH = skimage.data.astronaut()
CROPS = np.stack([PHOTOGRAPH[y : y + 40, x : x + 40] for y in range(0, 440, 60) for x in range(0, 440, 60)])


@pytest.mark.parametrize("phase", [0.0, np.pi / 2, 1.0])
def test_gabor_functions_are_opencvs(phase: float) -> None:
    for orientation in (0.0, 0.4, 2.0):
        # OpenCV's y points up: its kernel is ours turned by half a circle, with the sign of y.
        theirs = cv2.getGaborKernel((15, 15), 2.5, orientation, 6.0, 0.5, phase)
        ours = gabor_kernel(6.0, orientation, phase, 2.5, 0.5, 15)
        assert min(np.abs(ours - turned).max() for turned in (theirs, theirs[::-1, ::-1])) < 1e-6


def test_even_and_odd_gabor_functions_are_scikit_images() -> None:
    theirs = reference_kernel(1 / 6, theta=0.7, sigma_x=2.0, sigma_y=4.0, n_stds=2)
    side = min(theirs.shape) - (1 - min(theirs.shape) % 2)
    rows, columns = ((length - side) // 2 for length in theirs.shape)
    cut = theirs[rows : rows + side, columns : columns + side] * (2 * np.pi * 2.0 * 4.0)
    np.testing.assert_allclose(gabor_kernel(6, 0.7, 0, 2.0, 0.5, side), cut.real, atol=1e-6)
    np.testing.assert_allclose(gabor_kernel(6, 0.7, -np.pi / 2, 2.0, 0.5, side), cut.imag, atol=1e-6)


def test_a_gabor_filter_answers_to_stripes_of_its_wavelength_and_direction() -> None:
    wavelengths = [4.0, 8.0]
    bank = gabor_bank(wavelengths, 31)
    y, x = np.mgrid[:64, :64]
    for number, wavelength in enumerate(wavelengths):
        for turn in range(6):
            angle = np.pi * turn / 6
            stripes = np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wavelength + 0.3)
            found = responses(torch.from_numpy(stripes[None].astype(np.float32)), bank, 1)[0, :, 20:44, 20:44]
            energy = (found[0::2] ** 2 + found[1::2] ** 2).mean(dim=(1, 2))
            assert int(energy.argmax()) == number * 6 + turn


def test_leung_maliks_bank() -> None:
    bank = leung_malik_bank(49)
    assert bank.shape == (48, 49, 49)
    np.testing.assert_allclose(np.abs(bank).sum(axis=(1, 2)), 1, rtol=1e-4)
    means = bank.sum(axis=(1, 2))
    spots = np.arange(48)[36:40]
    np.testing.assert_allclose(means[spots], 1, rtol=1e-4)
    np.testing.assert_allclose(np.delete(means, spots), 0, atol=1e-5)
    turned = bank[:, ::-1, ::-1]
    np.testing.assert_allclose(turned[:18], -bank[:18], atol=1e-6)  # first derivatives are odd
    np.testing.assert_allclose(turned[18:], bank[18:], atol=1e-6)  # everything else is even
    # Derivatives across a bar three times as long as wide: turning by 90 degrees is transposing.
    np.testing.assert_allclose(np.abs(bank[18 + 3]), np.abs(bank[18].T), atol=1e-6)


@pytest.mark.parametrize("step", [1, 3])
def test_responses_are_scipys(step: int) -> None:
    image = CROPS[3, :, :, 1].astype(np.float32)
    bank = leung_malik_bank(13)
    found = responses(torch.from_numpy(image[None]), bank, step)[0].numpy()
    for number in (0, 20, 37, 47):
        expected = correlate(image, bank[number], mode="mirror")[::step, ::step]
        np.testing.assert_allclose(found[number], expected, atol=1e-2)


def test_odd_numbers() -> None:
    assert [odd(length) for length in (1, 3, 4, 5.9, 24, 25)] == [3, 3, 3, 5, 23, 25]


def gabor_settings(**changes: object) -> gabor.Settings:
    return gabor.Settings.model_validate({"wavelengths": "auto", "step": 1, "regions": ["1x1", "2x2"]} | changes)


def texton_settings(**changes: object) -> textons.Settings:
    values = {
        "support": "auto",
        "step": 2,
        "words": 10,
        "sample": 3000,
        "neighbours": 1,
        "weighting": "tf",
        "regions": ["1x1", "2x2"],
        "map": "none",
    }
    return textons.Settings.model_validate(values | changes)


def test_gabor_features_double_with_the_contrast_and_ignore_brightness() -> None:
    image = (CROPS[:4] // 4).astype(np.uint8)
    plain = gabor.transform(image, gabor_settings(), {}, Context(0))
    assert plain.shape == (4, 5 * 2 * 5 * 6)
    doubled = gabor.transform(2 * image, gabor_settings(), {}, Context(0))
    np.testing.assert_allclose(doubled**2, 2 * plain**2, rtol=0.02, atol=0.006)  # grey values are rounded
    np.testing.assert_allclose(gabor.transform(image + 50, gabor_settings(), {}, Context(0)), plain, atol=2e-2)


def test_textons_ignore_contrast_and_brightness() -> None:
    chosen = texton_settings()
    codebook = textons.fit(CROPS, chosen, Context(0))
    image = (CROPS // 4).astype(np.uint8)
    plain = textons.transform(image, chosen, codebook, Context(0))
    changed = textons.transform(3 * image + 20, chosen, codebook, Context(0))
    textured = image.std(axis=(1, 2, 3)) > 5
    assert np.abs(plain - changed)[textured].sum(axis=1).max() < 0.3  # of 2: grey values are rounded
    np.testing.assert_allclose(plain[:, :10].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("feature", ["gabor", "textons"])
def test_constant_images_and_workers(feature: str) -> None:
    module, chosen = (gabor, gabor_settings()) if feature == "gabor" else (textons, texton_settings())
    codebook = module.fit(CROPS, chosen, Context(0))
    flat = np.full((2, 40, 40, 3), 90, np.uint8)
    assert np.isfinite(module.transform(flat, chosen, codebook, Context(0))).all()
    one, two = (module.transform(CROPS, chosen, codebook, Context(0, workers)) for workers in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("feature", "changes", "words"),
    [
        ("gabor", {"wavelengths": [4.0, 30.0]}, r"wavelengths` has 30, .*longest that works is 20"),
        ("textons", {"support": 12}, r"support` is 12, but must be odd.*nearest that works is 13"),
        ("textons", {"support": 61}, r"at most 39; the nearest that works is 39"),
        ("textons", {"words": 900, "sample": 500}, r"`textons\.features\.words` is 900, .*at most 500"),
    ],
)
def test_settings_that_cannot_work(feature: str, changes: dict, words: str) -> None:
    module, settings = (gabor, gabor_settings) if feature == "gabor" else (textons, texton_settings)
    with pytest.raises(PipelineError, match=words):
        module.fit(CROPS, settings(**changes), Context(0))
