"""Groups of images: drawn whole, shared by no two splits, recognised in file names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.groups import BY_LAST_NUMBER, groups_of, shared, suggested
from pipeline.data.splits import assign, in_groups
from pipeline.errors import PipelineError

CLASSES = ["a", "b", "c"]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 11)), min_size=60, max_size=200), st.integers(0, 5))
def test_splits_by_group_share_none_and_lose_no_image(rows: list[tuple[int, int]], seed: int) -> None:
    labels, groups = (np.array(column) for column in zip(*rows, strict=True))
    sentence = ""
    try:
        plan = assign({"all": labels}, CLASSES, 0.1, 0.2, None, seed, {"all": groups})
    except PipelineError as error:
        sentence = str(error)
    if sentence:
        assert "group" in sentence or "no image in all" in sentence
        return
    places = np.concatenate([part.indices for part in plan.values()])
    assert sorted(places) == list(range(len(rows)))
    assert shared({split: [str(group) for group in groups[part.indices]] for split, part in plan.items()}) == []
    for part in plan.values():
        assert set(labels[part.indices]) == {0, 1, 2}


def test_the_drawn_share_of_every_class_is_near_the_fraction() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 3000)
    groups = random.integers(0, 300, 3000)
    drawn = in_groups(labels, groups, 0.2, np.random.default_rng(1), CLASSES)
    for label in range(3):
        assert drawn[labels == label].mean() == pytest.approx(0.2, abs=0.02)
    others = in_groups(labels, groups, 0.2, np.random.default_rng(2), CLASSES)
    assert (drawn != others).any()
    again = in_groups(labels, groups, 0.2, np.random.default_rng(1), CLASSES)
    np.testing.assert_array_equal(drawn, again)


def test_a_class_of_two_groups_cannot_be_in_three_splits() -> None:
    labels = np.repeat([0, 1], 30)
    groups = np.concatenate([np.arange(30) % 2, 2 + np.arange(30) % 5])
    with pytest.raises(PipelineError, match=r"class 'a' has images of too few groups .*at least three groups"):
        assign({"all": labels}, ["a", "b"], 0.1, 0.2, None, 0, {"all": groups})


def test_groups_are_found_by_a_pattern() -> None:
    ids = ["cat/p1_01.jpg", "dog/p1_02.jpg", "dog/p23_3.tar.jpg"]
    assert groups_of(ids, r"(p\d+)_", "k") == ["p1", "p1", "p23"]
    assert groups_of(ids, r"p\d+", "k") == ["p1", "p1", "p23"]
    assert groups_of(ids, None, "k") is None
    with pytest.raises(PipelineError, match=r"`datasets\.x\.groups`: the pattern 'q' finds no group in cat/p1_01\.jpg"):
        groups_of(ids, "q", "datasets.x.groups")


def frames(clips: int, each: int) -> list[str]:
    return [
        f"{CLASSES[clip % 3]}/IMG_{1000 + clip}_frame_{number:02}.jpg"
        for clip in range(clips)
        for number in range(each)
    ]


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        (frames(20, 5), True),
        ([f"a/subject{n // 4:02}-{n % 4}.png" for n in range(100)], True),
        ([f"a/DSC0{n // 3}_BURST{n:03}.jpg" for n in range(100)], True),
        ([f"{CLASSES[n % 3]}/IMG_{n}.jpg" for n in range(100)], False),
        ([f"n0144076{n % 3}/n0144076{n % 3}_{n}.JPEG" for n in range(100)], False),  # the class's own number
        ([f"val/ILSVRC2012_val_{n:08}.JPEG" for n in range(100)], False),
        ([f"a/2024-01-{n:02}.jpg" for n in range(1, 29)], False),
        ([f"a/{n}.png" for n in range(100)], False),
    ],
)
def test_names_that_look_like_groups(ids: list[str], found: bool) -> None:
    groups = suggested(ids, 3)
    assert bool(groups) == found
    if found:
        # The pattern that the sentence offers finds the same groups.
        by_pattern = groups_of(ids, BY_LAST_NUMBER, "k") or []
        stems = {name: Path(group).name for name, group in zip(ids, by_pattern, strict=True)}
        assert groups == stems


def test_shared_groups_are_named() -> None:
    assert shared({"train": ["p1", "p2"], "val": ["p3"], "test": ["p2", "p3"]}) == ["p2", "p3"]
