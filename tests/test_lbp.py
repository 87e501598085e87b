"""Local binary patterns against scikit-image, and the histograms made of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from skimage.feature import local_binary_pattern as reference

from pipeline import catalogue
from pipeline.context import Context
from pipeline.errors import PipelineError
from pipeline.features.lbp import (
    Method,
    Scale,
    Settings,
    _code,
    code_count,
    fit,
    grey_levels,
    lbp_codes,
    lbp_histograms,
    pictures,
    transform,
)

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(0, 256, (2, 23, 37), dtype=np.uint8)
FEW_LEVELS = RANDOM.integers(0, 3, (2, 31, 26), dtype=np.uint8) * np.uint8(85)  # equal neighbours: rounding decides
CONSTANT = np.stack([np.full((21, 30), level, np.uint8) for level in (0, 1, 77, 100, 203, 255)])
REAL = grey_levels(np.stack([skimage.data.astronaut()[:70, 200:280], skimage.data.coffee()[100:170, 300:380]]))
COLOUR = np.stack([skimage.data.astronaut()[y : y + 32, x : x + 32] for y in (0, 100, 200) for x in (50, 150, 250)])
METHODS: tuple[Method, ...] = ("uniform", "nri_uniform")


def settings(**changes: object) -> Settings:
    values = {
        "method": "uniform",
        "radii": [{"points": 8, "radius": 1.0}, {"points": 16, "radius": 2.0}],
        "regions": ["1x1", "2x2"],
        "map": "none",
    }
    return Settings.model_validate(values | changes)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("points", "radius"), [(8, 1.0), (4, 1.0), (16, 2.0), (24, 3.0), (12, 2.5), (7, 1.3), (8, 10.0), (5, 40.0)]
)
@pytest.mark.parametrize(
    "grey", [NOISE, FEW_LEVELS, CONSTANT, REAL], ids=["noise", "few levels", "constant", "photographs"]
)
def test_every_code_is_scikit_images(grey: np.ndarray, points: int, radius: float, method: Method) -> None:
    expected = np.stack([reference(image, points, radius, method) for image in grey])
    codes = lbp_codes(grey, points, radius, method)
    np.testing.assert_array_equal(codes, expected)
    assert codes.max() < code_count(points, method)


@pytest.mark.filterwarnings("ignore:Applying `local_binary_pattern`")
@pytest.mark.parametrize("method", METHODS)
def test_real_numbers_are_compared_in_double_precision(method: Method) -> None:
    image = RANDOM.normal(100, 1e-9, (20, 24))
    codes = lbp_codes(image[None], 8, 1.5, method)[0]
    np.testing.assert_array_equal(codes, reference(image, 8, 1.5, method))
    assert len(np.unique(codes)) > 5


def test_grey_is_opencvs_luminance_in_whole_levels() -> None:
    expected = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in COLOUR])
    assert grey_levels(COLOUR).dtype == np.uint8
    np.testing.assert_array_equal(grey_levels(COLOUR), expected)


@pytest.mark.parametrize("points", [4, 7, 12])
def test_uniform_patterns_have_codes_by_their_ones_or_of_their_own(points: int) -> None:
    patterns = [[pattern >> p & 1 for p in range(points)] for pattern in range(2**points)]
    uniform = [sum(bits[p] != bits[p - 1] for p in range(points)) <= 2 for bits in patterns]
    own = []
    for number, (bits, alike) in enumerate(zip(patterns, uniform, strict=True)):
        assert _code(number, points, True) == (sum(bits) if alike else points + 1)
        code = _code(number, points, False)
        if alike:
            own.append(code)
        else:
            assert code == code_count(points, "nri_uniform") - 1
    assert sorted(own) == list(range(code_count(points, "nri_uniform") - 1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("grids", [["1x1"], ["1x1", "2x3", "4x4"]])
def test_histograms_count_the_codes_of_each_region(method: Method, grids: list[str]) -> None:
    scale = Scale(points=8, radius=2.0)
    shares = lbp_histograms(REAL, scale, method, grids)
    codes = lbp_codes(REAL, 8, 2.0, method)
    height, width = REAL.shape[1:]
    region = 0
    for grid in grids:
        columns, rows = map(int, grid.split("x"))
        for row in range(rows):
            for column in range(columns):
                inside = np.zeros((height, width), bool)
                for y in range(2, height - 2):
                    for x in range(2, width - 2):
                        inside[y, x] = (y + 0.5) * rows // height == row and (x + 0.5) * columns // width == column
                for image in range(len(REAL)):
                    expected = np.bincount(codes[image][inside], minlength=code_count(8, method)) / inside.sum()
                    np.testing.assert_allclose(shares[image, region], expected, atol=1e-6)
                region += 1
    assert shares.shape == (len(REAL), region, code_count(8, method))
    np.testing.assert_allclose(shares.sum(axis=2), 1, rtol=1e-5)


def test_transform_joins_scales_and_maps_them() -> None:
    plain = transform(COLOUR, settings(), {}, Context(0))
    assert plain.shape == (len(COLOUR), 5 * (10 + 18))
    np.testing.assert_allclose(plain.astype(float).sum(axis=1), 2 * 5, rtol=2e-3)
    second = lbp_histograms(grey_levels(COLOUR), Scale(points=16, radius=2.0), "uniform", ["1x1", "2x2"])
    np.testing.assert_allclose(plain[:, 50:], second.reshape(len(COLOUR), -1), atol=1e-3)
    root = transform(COLOUR, settings(map="hellinger"), {}, Context(0)).astype(float)
    np.testing.assert_allclose(root**2, plain, atol=2e-3)
    assert transform(COLOUR, settings(map="chi2"), {}, Context(0)).shape == (len(COLOUR), 3 * 5 * 28)
    both = transform(COLOUR, settings(method="nri_uniform"), {}, Context(0))
    assert both.shape == (len(COLOUR), 5 * (59 + 243))


@pytest.mark.parametrize(("points", "radius"), [(8, 1.0), (16, 2.0), (12, 2.5)])
def test_only_rotation_invariant_histograms_ignore_a_quarter_turn(points: int, radius: float) -> None:
    """With a multiple of four points the turned circle is the circle, so it must hold exactly."""
    scale = Scale(points=points, radius=radius)
    turned = np.ascontiguousarray(np.rot90(NOISE, axes=(1, 2)))
    np.testing.assert_array_equal(
        lbp_histograms(NOISE, scale, "uniform", ["1x1"]), lbp_histograms(turned, scale, "uniform", ["1x1"])
    )
    stripes = np.tile(np.arange(0, 240, 10, dtype=np.uint8), (1, 24, 1))
    upright = lbp_histograms(stripes, scale, "nri_uniform", ["1x1"])
    assert not np.allclose(upright, lbp_histograms(stripes.transpose(0, 2, 1), scale, "nri_uniform", ["1x1"]))


@pytest.mark.parametrize("method", METHODS)
def test_brighter_by_a_constant_or_with_more_contrast_is_the_same(method: Method) -> None:
    chosen = settings(method=method)
    dark = np.repeat(RANDOM.integers(0, 100, (4, 24, 30, 1), dtype=np.uint8), 3, axis=3)
    plain = transform(dark, chosen, {}, Context(0))
    np.testing.assert_array_equal(transform(dark + 100, chosen, {}, Context(0)), plain)
    np.testing.assert_array_equal(transform(2 * dark, chosen, {}, Context(0)), plain)


def test_workers_change_nothing() -> None:
    many = np.tile(COLOUR, (90, 1, 1, 1))  # several batches
    chosen = settings(method="nri_uniform", map="chi2")
    one, three = (transform(many, chosen, {}, Context(0, workers)) for workers in (1, 3))
    np.testing.assert_array_equal(one, three)
    grey = grey_levels(many)
    np.testing.assert_array_equal(lbp_codes(grey, 8, 1.0, "uniform"), lbp_codes(grey, 8, 1.0, "uniform", workers=3))


@pytest.mark.parametrize(
    ("shape", "changes", "words"),
    [
        ((32, 32), {"radii": [{"points": 8, "radius": 16.0}], "regions": ["1x1"]}, "16, .* radius that works is 15"),
        ((32, 40), {"radii": [{"points": 8, "radius": 9.0}], "regions": ["4x4"]}, "9, .*40×32.* works is 7"),
        (
            (8, 8),
            {"radii": [{"points": 8, "radius": 1.0}], "regions": ["8x8"]},
            "1, .* no radius works with these regions",
        ),
    ],
)
def test_a_circle_too_large_is_named_with_the_largest_that_works(
    shape: tuple[int, int], changes: dict[str, object], words: str
) -> None:
    images = np.zeros((1, *shape, 3), np.uint8)
    with pytest.raises(PipelineError, match=r"`lbp\.features\.radii` has a radius of " + words) as raised:
        fit(images, settings(**changes), Context(0))
    assert "\n" not in str(raised.value)
    assert ". " not in str(raised.value)


@pytest.mark.parametrize(("side", "radius"), [(32, 15.0), (9, 4.0)])
def test_the_largest_radius_works(side: int, radius: float) -> None:
    chosen = settings(radii=[{"points": 8, "radius": radius}], regions=["1x1"])
    images = RANDOM.integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    assert fit(images, chosen, Context(0)) == {}
    np.testing.assert_allclose(transform(images, chosen, {}, Context(0)).sum(axis=1), 1, rtol=1e-2)


def test_textures_of_equal_brightness_are_told_apart() -> None:
    """Noise, stripes and blurred noise, each at random brightness: the nearest mean is the right one."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(60, 32, 32))
    for image in noise[20:40]:
        image[:] = np.sin(np.arange(32) * rng.uniform(0.5, 1) + rng.uniform(0, 6))[None] + 0.2 * image
    for image in noise[40:]:
        image[:] = 5 * cv2.GaussianBlur(image, (0, 0), 2)
    grey = np.clip(noise * 20 + rng.uniform(80, 170, (60, 1, 1)), 0, 255).astype(np.uint8)
    labels = np.repeat(np.arange(3), 20)
    vectors = transform(np.repeat(grey[..., None], 3, axis=3), settings(map="hellinger"), {}, Context(0)).astype(float)
    means = np.stack([vectors[labels == label][::2].mean(axis=0) for label in range(3)])
    nearest = ((vectors[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == labels)[1::2].all()


@pytest.mark.parametrize("method", METHODS)
def test_the_picture_shows_edges_flat_areas_and_what_is_not_uniform(method: Method) -> None:
    flat = np.full((1, 32, 32, 3), 90, np.uint8)
    [picture] = pictures(flat, settings(method=method), {})
    assert "8 points" in picture.caption
    levels = {tuple(colour) for colour in picture.pixels.reshape(-1, 3).tolist()}
    assert levels == {(90, 90, 90), (225, 225, 225), (255, 255, 255)}
    [picture] = pictures(COLOUR, settings(method=method), {})
    assert (picture.pixels == [255, 120, 0]).all(axis=2).any()


def test_pictures_of_both_methods_agree() -> None:
    """Both codes say how many points are at least as bright, and which patterns are not uniform."""
    shown = [pictures(COLOUR, settings(method=method), {})[0].pixels for method in METHODS]
    np.testing.assert_array_equal(shown[0], shown[1])


def test_the_catalogue_has_it() -> None:
    method = catalogue.BY_KEY["lbp"]
    assert (method.year, method.era, method.family) == (2002, "hand-crafted", "feature")
    assert method.load().transform is transform
