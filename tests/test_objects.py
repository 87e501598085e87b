from __future__ import annotations

import numpy as np
import pytest

from pipeline.data.sources.objects.scene import HABITS, NAMES, photographs, picture, render
from pipeline.data.sources.objects.source import open_objects, pictures
from pipeline.settings import STILL, Compute, Dials, Objects, PerClass

CALM = {"viewpoint": 0.0, "lighting": 0.0, "deformation": 0.0, "clutter": 0.0, "correlation": 0.5}


def objects(per_class: int = 2, **dials: float) -> Objects:
    return Objects(
        licence="free",
        source="objects",
        image_size=32,
        augmentation=STILL.model_copy(update={"mirror": True, "shift": 4}),
        images_per_class=PerClass(train=per_class, val=2, test=2),
        dials=Dials(**(CALM | dials)),
    )


def compute(workers: int = 1) -> Compute:
    return Compute(device="cpu", workers=workers, backend="loky", scheduler=None)


def test_twenty_kinds_and_each_can_be_drawn_at_full_dials() -> None:
    assert len(NAMES) == 20
    full = Dials(**dict.fromkeys(CALM, 1.0))
    for label in range(20):
        for seed in range(3):
            image = render(label, np.random.default_rng(seed), 48, full)
            assert image.shape == (48, 48, 3)
            assert image.dtype == np.uint8
            assert image.std() > 5


def test_pictures_depend_on_seed_split_and_number_only() -> None:
    one = open_objects(objects(3), 0, compute(1)).parts["train"].read(np.arange(60)).images
    two = open_objects(objects(3), 0, compute(2)).parts["train"].read(np.arange(60)).images
    np.testing.assert_array_equal(one, two)
    some = open_objects(objects(3), 0, compute(1)).parts["train"].read(np.array([50, 7])).images
    np.testing.assert_array_equal(some, one[[50, 7]])
    other = open_objects(objects(3), 1, compute(1)).parts["train"].read(np.array([7])).images
    assert (other != one[[7]]).any()
    test = open_objects(objects(3), 0, compute(1)).parts["test"].read(np.array([7])).images
    assert (test != one[[7]]).any()


def test_pictures_are_drawn_again_by_their_ids() -> None:
    part = open_objects(objects(3), 0, compute()).parts["test"]
    wanted = [27, 3, 12]
    again = pictures(objects(3), 0, [part.ids[row] for row in wanted])
    np.testing.assert_array_equal(np.stack([one.image for one in again]), part.read(np.array(wanted)).images)


def test_layers_are_those_of_the_picture() -> None:
    """Without light and clutter, away from thing and shadow, the ground is the picture; within, it is another."""
    found = [picture(3, np.random.default_rng(seed), 48, Dials(**CALM)) for seed in range(8)]
    for one in found:
        cover, ground = one.cover(), one.ground()
        assert cover.dtype == np.float32
        assert set(np.unique(cover * 4)) <= {0, 1, 2, 3, 4}  # of four pixels each
        assert 0.05 < cover.mean() < 0.9
        far = np.ones((48, 48), bool)
        rows, columns = np.nonzero(cover)
        far[max(rows.min() - 8, 0) : rows.max() + 9, max(columns.min() - 8, 0) : columns.max() + 9] = False
        np.testing.assert_array_equal(ground[far], one.image[far])
        assert np.abs(ground.astype(int) - one.image)[cover == 1].mean() > 10


def test_a_ground_has_no_shadow_of_what_stood_before_it() -> None:
    """Beside the thing the picture is darker than its ground, and nowhere brighter."""
    found = [picture(3, np.random.default_rng(seed), 48, Dials(**CALM)) for seed in range(8)]
    darker = np.concatenate([(one.ground().astype(int) - one.image)[one.cover() == 0].ravel() for one in found])
    assert darker.min() >= 0
    assert (darker > 20).mean() > 0.02


def test_labels_and_names_agree() -> None:
    part = open_objects(objects(2), 0, compute()).parts["val"]
    assert [name.split("/")[1] for name in part.ids] == [NAMES[label] for label in part.labels]
    assert np.bincount(part.labels).tolist() == [2] * 20


@pytest.mark.parametrize("dial", ["viewpoint", "lighting", "deformation", "clutter"])
def test_each_dial_changes_the_picture(dial: str) -> None:
    def drawn(value: float) -> np.ndarray:
        dials = Dials(**(CALM | {dial: value}))
        return np.stack([render(3, np.random.default_rng(seed), 32, dials) for seed in range(20)]).astype(float)

    np.testing.assert_array_equal(drawn(0.0), drawn(0.0))
    assert np.abs(drawn(1.0) - drawn(0.0)).mean() > 3


def test_correlation_ties_the_background_to_the_kind() -> None:
    def same_ground(correlation: float) -> float:
        dials = Dials(**(CALM | {"correlation": correlation}))
        tops = [render(4, np.random.default_rng(seed), 32, dials)[:3].std() for seed in range(40)]
        return float(np.std(tops))

    assert same_ground(1.0) < same_ground(0.0)


def test_no_colour_ground_or_surface_belongs_to_one_kind() -> None:
    assert set(HABITS) == set(NAMES)
    for position in range(3):
        values = [habit[position] for habit in HABITS.values()]
        assert all(values.count(value) >= 2 for value in values), position
    for kind, (_, ground, surface) in HABITS.items():
        assert ground < len(photographs().grounds), kind
        assert surface < len(photographs().surfaces), kind


def test_outlines_are_anti_aliased() -> None:
    """Between a thing and its ground there are values in between: more grey levels than materials."""
    image = render(6, np.random.default_rng(0), 64, Dials(**CALM))
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 500
