"""Some classes of a data set as a data set of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline import settings
from pipeline.data.contract import load_manifest, load_split
from pipeline.data.sources.base import Source, part_of_array
from pipeline.data.sources.some_classes import keep_classes
from pipeline.data.strangers import strangers_of
from pipeline.stages import prepare
from tests.conftest import edit, pipeline

NAMES = ["ant", "bee", "cat", "dog", "eel"]


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=30), wanted=st.permutations(NAMES), count=st.integers(2, 5)
)
def test_images_keep_their_class_and_nothing_else_stays(labels: list[int], wanted: list[str], count: int) -> None:
    images = np.zeros((len(labels), 8, 8, 3), np.uint8)
    images[:, 0, 0, 0] = labels  # each image says what it is
    images[:, 0, 0, 1] = np.arange(len(labels))
    source = Source(NAMES, {"all": part_of_array(images, np.array(labels), "all", None)}, "")
    found = keep_classes(source, wanted[:count], "params.yaml")
    part = found.parts["all"]
    assert set(found.classes) == set(wanted[:count])
    assert found.classes == sorted(found.classes, key=NAMES.index)
    assert len(part.ids) == len(part.labels) == sum(NAMES[label] in wanted[:count] for label in labels)
    backwards = np.arange(len(part.labels))[::-1].copy()
    for row, image in zip(backwards, part.read(backwards).images, strict=True):
        assert found.classes[part.labels[row]] == NAMES[image[0, 0, 0]]
        assert part.ids[row] == f"all/{image[0, 0, 1]:06d}"


def test_a_project_uses_them_alone(project: Path) -> None:
    edit(project, {"dataset": "digits", "prepare.classes": ["7", "3", "4"]})
    prepare.run()
    manifest = load_manifest()
    assert manifest["classes"] == ["3", "4", "7"]
    assert any("Only 3 of the 10 classes" in note for note in manifest["notes"])
    assert set(load_split("train").labels) == {0, 1, 2}


def test_strangers_have_all_their_classes(project: Path) -> None:
    edit(project, {"dataset": "digits", "prepare.classes": ["7", "3"], "evaluation.strangers": ["objects"]})
    found = strangers_of(settings.load(), (32, 32), 10)
    assert [(one.name, len(one.images)) for one in found] == [("images of objects", 10)]


def test_a_wrong_name_is_one_sentence(project: Path) -> None:
    edit(project, {"dataset": "digits", "prepare.classes": ["7", "eight"]})
    done = pipeline(project, "prepare")
    assert done.returncode == 1
    assert "`prepare.classes`: 'eight' is not a class of this data set" in done.stderr
    edit(project, {"prepare.classes": ["7", "7"]})
    assert "names a class twice" in pipeline(project, "prepare").stderr
    edit(project, {"prepare.classes": ["7"]})
    assert "prepare.classes" in pipeline(project, "prepare").stderr
