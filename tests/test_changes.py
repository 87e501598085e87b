"""Ways in which images change: nothing at severity 0, more at each severity, and the same pixels whoever draws them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, strategies
from hypothesis import settings as hypothesis_settings
from scipy import ndimage, stats

from pipeline.data.contract import Split
from pipeline.robustness import draws, measuring
from pipeline.robustness.change import GREY, GROUPS, Beside, Change, Layers
from pipeline.robustness.changes import (
    SMALL,
    background,
    blur,
    changes,
    clutter,
    cues,
    digital,
    noise,
    viewpoint,
    weather,
)
from pipeline.robustness.measuring import fitting
from pipeline.robustness.sample import Sample, by_class

SIDES = (32, 96)
PHOTOGRAPHS = [skimage.data.astronaut(), skimage.data.coffee()[:, :400], skimage.data.chelsea()[:, :300]]


def photographs(side: int) -> np.ndarray:
    """Uint8 (3, side, side, 3)."""
    return np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in PHOTOGRAPHS])


def beside(side: int) -> Beside:
    """A photograph, with a disc for a thing, and with a plain ground."""
    y, x = np.mgrid[:side, :side] - side / 2
    cover = (np.hypot(x, y) < side / 3).astype(np.float32)
    layers = Layers(cover, np.full((side, side, 3), 70, np.uint8))
    return Beside(photographs(side)[1], (layers, Layers(1 - cover, photographs(side)[2])))


ALL = [(side, key) for side in SIDES for key in changes(side)]


@pytest.mark.parametrize(("side", "key"), ALL)
def test_a_change_keeps_shape_and_type_and_does_nothing_at_severity_0(side: int, key: str) -> None:
    change = changes(side)[key]
    image = photographs(side)[0]
    before = image.copy()
    assert change.reason in GROUPS
    assert len(change.named) == len(change.levels) <= 5
    np.testing.assert_array_equal(change.on(image, 0, 0, "a", beside(side)), before)
    for severity in range(1, len(change.levels) + 1):
        found = change.on(image, severity, 0, "a", beside(side))
        assert found.shape == image.shape
        assert found.dtype == np.uint8
        assert (found != before).any() or severity == 1
    np.testing.assert_array_equal(image, before)  # it is not written into


#: A turn by 90° may be nearer to the image than one by 60°, large tiles that all move change much, and not all of the
#: published levels rise.
NOT_RISING = {(side, key) for side in SIDES for key in ("rotation", "shuffled")} | {
    (32, "glass_blur"),
    (96, "glass_blur"),
    (32, "frost"),
    (32, "elastic"),
    (96, "elastic"),
}


@pytest.mark.parametrize(("side", "key"), [one for one in ALL if one not in NOT_RISING])
def test_a_higher_severity_changes_more(side: int, key: str) -> None:
    """On average over images and draws."""
    change = changes(side)[key]
    images = photographs(side).astype(float)
    means = []
    for severity in range(1, len(change.levels) + 1):
        changed = [
            change.on(image.astype(np.uint8), severity, seed, f"{number}", beside(side))
            for number, image in enumerate(images)
            for seed in range(8)
        ]
        means.append(np.abs(np.stack(changed) - np.repeat(images, 8, axis=0)).mean())
    assert all(one < two * 1.02 for one, two in pairwise(means)), means
    assert means[-1] > means[0] or len(means) == 1


@pytest.mark.parametrize("key", changes(32))
def test_draws_belong_to_seed_image_and_change(key: str) -> None:
    change = changes(32)[key]
    image, severity = photographs(32)[0], 3 if len(change.levels) >= 3 else 1
    first = change.on(image, severity, 0, "a", beside(32))
    np.testing.assert_array_equal(first, change.on(image, severity, 0, "a", beside(32)))


def test_small_and_large_images_have_their_own_parameters() -> None:
    small, large = changes(SMALL), changes(SMALL + 1)
    assert small.keys() == large.keys()
    assert small["gaussian_noise"].levels == (0.04, 0.06, 0.08, 0.09, 0.1)  # CIFAR-10-C's
    assert large["gaussian_noise"].levels == (0.08, 0.12, 0.18, 0.26, 0.38)  # ImageNet-C's
    assert small["jpeg"].levels == (80, 65, 58, 50, 40)
    assert large["jpeg"].levels == (25, 18, 15, 10, 7)


# ------------------------------------------------------------------------------------------------ known answers

EXPECTED = Path(__file__).parent / "files" / "corruptions.npz"


@pytest.mark.parametrize("key", ["defocus_blur", "zoom_blur", "brightness", "contrast", "jpeg", "pixelate"])
@pytest.mark.parametrize("severity", [1, 5])
def test_corruptions_without_chance_are_the_reference_package_s(key: str, severity: int) -> None:
    """Of imagecorruptions 1.1.2, which cuts off where we round: a level may lie between them."""
    image = np.ascontiguousarray(skimage.data.astronaut()[40:88, 200:248])
    with np.load(EXPECTED) as found:
        expected = found[f"{key}-{severity}"].astype(int)
    ours = changes(SMALL + 1)[key].on(image, severity, 0, "a", Beside(image))
    allowed = 3 if key == "jpeg" else 1  # another version of the codec may round otherwise
    assert np.abs(ours - expected).max() <= allowed


def test_a_turn_by_90_degrees_is_one() -> None:
    image = photographs(33)[0]
    found = viewpoint.rotate(image, 90, np.random.default_rng(0), Beside(image))
    turned = [np.rot90(image, 1), np.rot90(image, 3)]
    assert min(np.abs(found.astype(int) - one).max() for one in turned) <= 1


def test_noise_has_the_deviation_that_it_says() -> None:
    image = np.full((96, 96, 3), 128, np.uint8)
    found = noise.gaussian(image, 0.1, np.random.default_rng(0), Beside(image))
    assert found.std() == pytest.approx(25.5, rel=0.02)
    counted = noise.shot(image, 60, np.random.default_rng(0), Beside(image))
    assert counted.std() == pytest.approx(255 * np.sqrt(128 / 255 / 60), rel=0.03)  # Poisson: variance is mean
    struck = noise.impulse(image, 0.27, np.random.default_rng(0), Beside(image))
    assert (struck != 128).mean() == pytest.approx(0.27, abs=0.01)
    assert (struck == 255).mean() == pytest.approx(0.135, abs=0.01)


ALL_DRAWS = np.arange(1 << 16, dtype=np.uint16)


@pytest.mark.parametrize("photons", [3, 60, 500])
@pytest.mark.parametrize("level", [0, 1, 100, 255])
def test_photons_are_counted_as_poisson_has_it(photons: float, level: int) -> None:
    """Over all sixteen bits each count is as frequent as it should be, to one in 65,536."""
    limits, guides = draws.poisson_tables(photons)
    counts = np.arange(limits.shape[1], dtype=np.uint16)  # shown as they are, in the place of brightness
    found = np.empty(len(ALL_DRAWS), np.uint16)
    noise._count(np.full(len(ALL_DRAWS), level, np.uint8), ALL_DRAWS, limits, guides, counts, found)
    shares = np.bincount(found, minlength=len(counts)) / len(ALL_DRAWS)
    np.testing.assert_allclose(shares, stats.poisson.pmf(counts, photons * level / 255), atol=1.5 / (1 << 16))


def test_normal_noise_is_normal() -> None:
    found = draws.normal_steps(20.0)[ALL_DRAWS].astype(float)
    assert abs(found.mean()) < 0.01
    assert found.std() == pytest.approx(np.sqrt(20.0**2 + 1 / 12), rel=0.002)  # rounded to whole levels
    assert (np.abs(found) > 40).mean() == pytest.approx(2 * stats.norm.sf(40.5 / 20), rel=0.01)
    assert np.abs(found).max() > 80


def test_sixteen_bits_are_even_and_belong_to_the_generator() -> None:
    found = draws.sixteen_bits(np.random.default_rng(4), (99, 101, 3))
    assert found.shape == (99, 101, 3)
    assert found.mean() == pytest.approx(32767.5, rel=0.01)
    assert np.bincount(found.ravel() >> 12, minlength=16).min() > 0.9 * found.size / 16
    np.testing.assert_array_equal(found, draws.sixteen_bits(np.random.default_rng(4), (99, 101, 3)))


def diamonds_and_squares(drawn: np.ndarray, decay: float) -> np.ndarray:
    """As the publication has it, whole steps at once; `drawn`: from -1 to 1, each in its place."""
    side = len(drawn)
    cloud, step, rough = np.zeros((side, side)), side, weather.ROUGHNESS
    while step >= 2:
        half = step // 2
        corners = cloud[::step, ::step]
        below = np.roll(corners, -1, axis=0)
        around = corners + below + np.roll(corners, -1, axis=1) + np.roll(below, -1, axis=1)
        cloud[half::step, half::step] = around / 4 + rough**2 * drawn[half::step, half::step]
        centres = cloud[half::step, half::step]
        around = centres + np.roll(centres, 1, axis=0) + corners + np.roll(corners, -1, axis=1)
        cloud[::step, half::step] = around / 4 + rough**2 * drawn[::step, half::step]
        around = centres + np.roll(centres, 1, axis=1) + corners + np.roll(corners, -1, axis=0)
        cloud[half::step, ::step] = around / 4 + rough**2 * drawn[half::step, ::step]
        step, rough = half, rough / decay
    return (cloud - cloud.min()) / np.ptp(cloud)


@pytest.mark.parametrize("decay", [1.4, 3.0])
def test_clouds_grow_by_diamonds_and_squares(decay: float) -> None:
    drawn = 2 * np.random.default_rng(7).random((32, 32), np.float32) - 1
    found = weather.plasma(32, decay, np.random.default_rng(7))
    np.testing.assert_allclose(found, diamonds_and_squares(drawn.astype(float), decay), atol=1e-5)


def test_blurs_spread_a_point_as_they_say() -> None:
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    rng = np.random.default_rng(0)
    kernel = blur.disk(4, 0.5)
    assert kernel.sum() == pytest.approx(1, abs=1e-3)
    found = blur.defocus(point, (4, 0.5), rng, Beside(point))[..., 0] / 255
    np.testing.assert_allclose(found[12:29, 12:29], kernel, atol=0.5 / 255)
    moved = blur.motion(point, (6, 2), rng, Beside(point))[..., 0].astype(float)
    columns = np.nonzero(moved)[1]
    assert np.ptp(columns) >= 4  # within 45° of the horizontal
    assert moved.sum() == pytest.approx(255, abs=8)
    flat = np.full((41, 41, 3), 77, np.uint8)
    for change in blur.changes(small=False):
        for severity in range(1, 6):
            np.testing.assert_allclose(
                change.on(flat, severity, 0, "a", Beside(flat)), flat, atol=1
            )  # there is nothing to blur


def test_clouds_fill_the_range_and_tile_the_plane() -> None:
    cloud = weather.plasma(64, 3, np.random.default_rng(0))
    assert cloud.min() == 0
    assert cloud.max() == 1
    steps = np.abs(np.diff(cloud, axis=0)).max(axis=1)
    assert np.abs(cloud[0] - cloud[-1]).max() < 3 * steps.max()  # its ends fit together
    rough = weather.plasma(64, 1.2, np.random.default_rng(0))
    assert np.abs(np.diff(rough, axis=0)).mean() > 3 * np.abs(np.diff(cloud, axis=0)).mean()


def test_fog_takes_contrast_and_snow_is_white() -> None:
    image = photographs(96)[0]
    large = {change.key: change for change in weather.changes(small=False)}
    foggy = large["fog"].on(image, 5, 0, "a", Beside(image))
    assert foggy.std(axis=(0, 1)).mean() < 0.75 * image.std(axis=(0, 1)).mean()
    assert foggy.max() <= image.max()
    black = np.zeros((96, 96, 3), np.uint8)
    snowy = large["snow"].on(black, 3, 0, "a", Beside(black))
    assert (snowy > 100).any()
    assert np.ptp(snowy, axis=2).max() == 0  # without a tint


def test_behind_glass_each_pixel_has_the_colour_of_a_near_one() -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    moves = np.random.default_rng(1).integers(-1, 1, (1, 24, 24, 2))
    scattered = image.copy()
    blur._take_from_near(scattered, moves, 1)
    rows, columns = np.mgrid[2:24, 2:24]  # the others stay
    np.testing.assert_array_equal(scattered[2:, 2:], image[rows + moves[0, 2:, 2:, 0], columns + moves[0, 2:, 2:, 1]])
    np.testing.assert_array_equal(scattered[:2], image[:2])


def test_smoothing_is_the_reference_library_s() -> None:
    image = photographs(96)[0]
    for deviation in (0.4, 0.7, 1.5):
        expected = ndimage.gaussian_filter(image.astype(float), (deviation, deviation, 0), mode="nearest")
        np.testing.assert_allclose(blur._smooth(image, deviation), expected, atol=0.05)


def test_brightness_and_contrast_do_what_they_say() -> None:
    image = np.full((16, 16, 3), (100, 50, 50), np.uint8)
    rng = np.random.default_rng(0)
    assert weather.brightness(image, 0.2, rng, Beside(image))[0, 0].tolist() == [
        151,
        76,
        76,
    ]  # value 100 → 151, hue as it was
    image[:, 8:] = 200
    found = digital.contrast(image, 0.5, rng, Beside(image))
    assert found[0, 0].tolist() == [125, 88, 88]
    assert found[0, 8].tolist() == [175, 162, 162]


def test_patches_cover_the_area_that_they_say() -> None:
    image, other = np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 9, np.uint8)
    for area in (0.05, 0.2, 0.5):
        covered = clutter.grey_patch(image, area, np.random.default_rng(0), Beside(other)) == GREY
        assert covered.mean() == pytest.approx(area, abs=0.03)
        foreign = clutter.foreign_patch(image, area, np.random.default_rng(0), Beside(other)) == 9
        np.testing.assert_array_equal(foreign, covered)
    around = clutter.surrounded(image, 0.5, np.random.default_rng(0), Beside(other))
    assert (around == 9).mean() == pytest.approx(0.75)


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_shuffled_tiles_are_the_same_tiles(parts: int) -> None:
    image = photographs(35)[0]
    found = cues.shuffled(image, parts, np.random.default_rng(3), Beside(image))
    side = 35 // parts

    def tiles(one: np.ndarray) -> list[bytes]:
        starts = [(y * side, x * side) for y in range(parts) for x in range(parts)]
        return sorted(one[y : y + side, x : x + side].tobytes() for y, x in starts)

    assert tiles(found) == tiles(image)
    for y, x in np.ndindex(parts, parts):
        part = slice(y * side, (y + 1) * side), slice(x * side, (x + 1) * side)
        assert (found[part] != image[part]).any()  # each has moved
    np.testing.assert_array_equal(found[parts * side :], image[parts * side :])


def test_coarse_and_fine_structure_make_up_the_image() -> None:
    image = photographs(64)[1]
    rng = np.random.default_rng(0)
    both = cues.coarse(image, 0.04, rng, Beside(image)).astype(int) + cues.fine(image, 0.04, rng, Beside(image)) - GREY
    inside = (cues.fine(image, 0.04, rng, Beside(image)) > 0) & (cues.fine(image, 0.04, rng, Beside(image)) < 255)
    assert np.abs(both - image)[inside].max() <= 1


def test_another_s_colours_leave_light_and_dark() -> None:
    image, other, _ = photographs(64)
    found = cues.colours_of_another(image, None, np.random.default_rng(0), Beside(other))
    lab = [cv2.cvtColor(one.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for one in (image, other, found)]
    own, its, changed = (one.mean(axis=(0, 1)) for one in lab)
    assert np.abs(changed[1:] - its[1:]).max() < 0.3 * np.abs(own[1:] - its[1:]).max() + 1
    assert abs(changed[0] - own[0]) < 2


def test_grey_has_no_colour_and_edges_none_where_nothing_changes() -> None:
    image = photographs(64)[0]
    rng = np.random.default_rng(0)
    assert np.ptp(cues.grey(image, None, rng, Beside(image)), axis=2).max() == 0
    flat = np.full((32, 32, 3), 90, np.uint8)
    assert (cues.edges(flat, None, rng, Beside(flat)) == 255).all()
    flat[:, 16:] = 200
    dark = cues.edges(flat, None, rng, Beside(flat))[..., 0] < 128
    assert dark[:, 15:17].all()
    assert not dark[:, :14].any()


def test_backgrounds_change_and_things_stay() -> None:
    """Where the thing covers a pixel whole, it is the image's; where not at all, the other background's."""
    image, around = photographs(48)[0], beside(48)
    own, its = around.layers
    rng, inside = np.random.default_rng(0), own.cover == 1
    swapped = background.other_background(image, None, rng, around)
    np.testing.assert_array_equal(swapped[inside], image[inside])
    np.testing.assert_array_equal(swapped[~inside], its.ground[~inside])
    plain = background.no_background(image, None, rng, around)
    np.testing.assert_array_equal(plain[inside], image[inside])
    assert (plain[~inside] == GREY).all()
    black = background.silhouette(image, None, rng, around)
    assert (black[inside] == 0).all()
    assert (black[~inside] == 255).all()
    np.testing.assert_array_equal(background.background_alone(image, None, rng, around), own.ground)


def test_a_pixel_on_the_outline_has_its_share_of_both() -> None:
    image, half = np.full((8, 8, 3), 200, np.uint8), np.full((8, 8), 0.25, np.float32)
    layers = Layers(half, np.full((8, 8, 3), 40, np.uint8))
    found = background.other_background(image, None, np.random.default_rng(0), Beside(image, (layers, layers)))
    assert (found == 80).all()


# ------------------------------------------------------------------------------------------------ which images


@given(strategies.lists(strategies.integers(1, 40), min_size=2, max_size=6), strategies.integers(2, 100))
@hypothesis_settings(max_examples=60, deadline=None)
def test_each_class_has_its_share_of_a_sample(sizes: list[int], count: int) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = by_class(labels, count, seed=3)
    assert len(rows) == len(set(rows.tolist())) == min(count, len(labels))
    share = np.array(sizes) * len(rows) / len(labels)
    # Small classes may round the same way all at once, at a large one's expense.
    assert (np.abs(np.bincount(labels[rows], minlength=len(sizes)) - share) <= 0.5 + len(sizes) / 2).all()
    smaller = by_class(labels, max(1, count // 2), seed=3)
    assert set(smaller.tolist()) <= set(rows.tolist())


def sample_of(count: int, grey: bool = False) -> Sample:
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    test = Split("test", images, np.arange(60) % 3, [f"test/{number}" for number in range(60)])
    return Sample.of(test, count, 0, grey)


def test_the_other_image_is_of_another_class() -> None:
    sample = sample_of(40)
    assert (sample.labels[sample.others] != sample.labels).all()


def test_changed_pixels_depend_on_neither_workers_nor_batches_nor_the_sample() -> None:
    change, whole, part = changes(16)["foreign_patch"], sample_of(60), sample_of(60)
    noisy = changes(16)["gaussian_noise"]
    for one in (change, noisy):
        expected = whole.changed(one, 3, slice(0, 60), workers=1)
        pieces = [part.changed(one, 3, rows, workers=3) for rows in (slice(0, 7), slice(7, 60))]
        np.testing.assert_array_equal(np.concatenate(pieces), expected)
    few = sample_of(20)
    rows = [whole.names.index(name) for name in few.names]
    np.testing.assert_array_equal(
        few.changed(noisy, 2, slice(0, 20), 1), whole.changed(noisy, 2, slice(0, 60), 1)[rows]
    )


def test_grey_images_stay_grey() -> None:
    sample = sample_of(30, grey=True)
    found = sample.changed(changes(16)["gaussian_noise"], 5, slice(0, 30), 1)
    assert np.ptp(found, axis=3).max() == 0


def test_noise_on_grey_images_has_the_deviation_that_it_says() -> None:
    image = np.full((96, 96, 3), 128, np.uint8)
    noisy = {change.key: change.on(image, 5, 0, "a", Beside(image), grey=True) for change in noise.changes(small=True)}
    assert noisy["gaussian_noise"][..., 0].std() == pytest.approx(25.5, rel=0.05)
    struck = np.isin(noisy["impulse_noise"][..., 0], [0, 255])
    assert struck.mean() == pytest.approx(0.07, abs=0.01)
    assert (noisy["impulse_noise"][..., 0][~struck] == 128).all()
    assert all(np.ptp(found, axis=2).max() == 0 for found in noisy.values())


@pytest.mark.parametrize("side", [8, 16, 65, 96, 224])
def test_elastic_bending_keeps_its_proportions_at_any_size(side: int) -> None:
    """Corners move by the same share of the side, so that no image is turned inside out more often than another."""
    image = np.zeros((side, side, 3), np.uint8)
    image[:, : side // 2] = 255
    change = changes(side)["elastic"]
    mirrored = [change.on(image, 2, 0, str(number), Beside(image)) for number in range(40)]
    left = np.mean([found[:, : side // 4].mean() > found[:, -(side // 4) :].mean() for found in mirrored])
    assert left > 0.85


def test_changes_that_need_company_are_left_out_without_it() -> None:
    _, left_out = fitting(changes(32), ["clutter", "cue"], side=32, grey=False, company=False)
    layers = {"other_background", "no_background", "silhouette", "background_alone"}
    assert left_out.keys() == {"foreign_patch", "surrounded", "other_colours"}
    _, left_out = fitting(changes(32), ["background"], side=32, grey=False)
    assert left_out.keys() == layers
    _, left_out = fitting(changes(32), ["background"], side=32, grey=False, company=False, layers="")
    assert left_out.keys() == {"other_background"}


def test_changes_that_images_can_not_bear_are_named() -> None:
    found, left_out = fitting(changes(12), ["cue", "gain"], side=12, grey=True)
    assert [one.key for one in found] == ["gain", "edges", "coarse", "fine"]
    assert left_out["shuffled"] == "needs images of 16 pixels a side, and these have 12"
    assert left_out["grey"] == "is about colour, and these images are grey"


def test_severities_that_are_not_wanted_are_left_out_where_there_are_five() -> None:
    known = changes(32)
    asked = list(measuring.conditions([known["rotation"], known["shuffled"]], [1, 5]))
    named = [(None if change is None else change.key, severity) for change, severity in asked]
    assert named == [(None, 0), ("rotation", 1), ("rotation", 5), ("shuffled", 1), ("shuffled", 2), ("shuffled", 3)]


def test_severity_0_is_the_image_itself() -> None:
    image = photographs(32)[0]
    never = Change("x", "x", "noise", lambda *arguments: pytest.fail("changed"), (1,), ("x",))
    assert never.on(image, 0, 0, "a", Beside(image)) is image
