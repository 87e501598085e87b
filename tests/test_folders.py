"""What folders mean, as people have them: splits, classes, what systems leave; nothing is guessed, nothing lost."""

from __future__ import annotations

import os
import socket
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from pipeline import layout, settings
from pipeline.data.classes import in_order
from pipeline.data.contract import load_split
from pipeline.data.folders.names import is_system_file, is_system_folder, split_of
from pipeline.data.magic import is_image_head
from pipeline.data.preparation import prepare
from pipeline.data.sources import open_source
from pipeline.errors import PipelineError
from tests.conftest import edit, make_project

RANDOM = np.random.default_rng(0)


def picture() -> Image.Image:
    return Image.fromarray(RANDOM.integers(0, 256, (20, 20, 3), dtype=np.uint8))


def fill(folder: Path, count: int, suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(count):
        picture().save(folder / f"{len(list(folder.iterdir())):03}{suffix}")


def photos(project: Path, **changes: Any) -> dict[str, Any]:
    own = {f"datasets.photos.{name}": value for name, value in changes.items()}
    edit(project, {"dataset": "photos", "datasets.photos.image_size": 16, **own})
    return prepare(settings.load(), layout.DATA)


def counts(manifest: dict[str, Any]) -> dict[str, int]:
    return {name: split["count"] for name, split in manifest["splits"].items()}


@pytest.fixture
def folder(project: Path) -> Path:
    return project / "datasets" / "photos"


# ---------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", "train Train TRAIN training Training_Set training-data train_images trainset train2017 Train Images"),
        ("val", "val valid validation Validation_set val2017 dev Dev-Set validate"),
        ("test", "test Testing test_set testset TEST_IMAGES test2 evaluation eval"),
        (None, "cat training_dogs trains testers value validity cars_train_station bus sample data images 2017"),
    ],
)
def test_names_of_splits_in_any_common_spelling(split: str | None, names: str) -> None:
    for name in names.replace("Train Images", "Train\tImages").split(" "):
        assert split_of(name) == split, name


def test_what_systems_and_tools_leave() -> None:
    for name in ("@eaDir", "__MACOSX", ".thumbnails", ".ipynb_checkpoints", "$RECYCLE.BIN", "lost+found", ".git"):
        assert is_system_folder(name), name
    for name in ("Thumbs.db", "._x.jpg", "desktop.ini", ".DS_Store", "DESKTOP.INI"):
        assert is_system_file(name), name
    for name in ("cat", "_cat", "eaDir", "found", "x.jpg", "thumbs up.jpg"):
        assert not is_system_folder(name)
        assert not is_system_file(name)


def test_numbers_sort_as_numbers_and_words_as_words() -> None:
    assert in_order({"10", "9", "2", "0"}) == ["0", "2", "9", "10"]
    assert in_order({"10", "9", "b"}) == ["10", "9", "b"]


@pytest.mark.parametrize(
    ("head", "image"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", True),
        (b"RIFF\x10\0\0\0WEBPVP8 ", True),
        (b"RIFF\x10\0\0\0WAVEfmt ", False),
        (b"\0\0\0\x18ftypheic", True),
        (b"\0\0\0\x18ftypisom", False),
        (b"P6\n3 3\n255\n", True),
        (b"P6ng", False),
        (b"BM" + (70).to_bytes(4, "little") + b"\0" * 8 + (40).to_bytes(4, "little"), True),
        (b"BMW is a maker of cars, and so on", False),
        (b"some words", False),
        (b"", False),
        (b"P", False),
    ],
)
def test_images_are_known_by_their_first_bytes(head: bytes, image: bool) -> None:
    assert is_image_head(head) == image


# ---------------------------------------------------------------------------------------------------- arrangements


def test_a_flat_test_is_left_aside_named_and_offered(
    project: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cat", "dog", "owl"):
        fill(folder / "train" / name, 12)
    fill(folder / "test", 7)
    manifest = photos(project)
    assert manifest["classes"] == ["cat", "dog", "owl"]
    assert sum(counts(manifest).values()) == 36
    assert not any(name.startswith("test/") for split in ("train", "val", "test") for name in load_split(split).ids)
    (note,) = manifest["notes"]
    assert "photos/test: 7 images without labels are left aside" in note
    assert f"python -m pipeline predict {Path('datasets/photos/test')}" in note
    assert "7 images without labels" in capsys.readouterr().err


@pytest.mark.parametrize("inner", ["images", "unknown"])
def test_a_test_in_one_folder_that_is_no_class_is_left_aside_too(project: Path, folder: Path, inner: str) -> None:
    for name in ("cat", "dog"):
        fill(folder / "train" / name, 12)
    fill(folder / "test" / inner, 5)
    manifest = photos(project)
    assert manifest["classes"] == ["cat", "dog"]
    assert "5 images without labels" in manifest["notes"][0]


def test_a_val_of_other_names_is_refused_and_left_aside_where_one_says_so(project: Path, folder: Path) -> None:
    for name in ("cat", "dog"):
        fill(folder / "train" / name, 12)
    fill(folder / "val" / "images", 5)
    with pytest.raises(PipelineError, match=r"val: none of its folders is called like a class.*unlabelled: aside"):
        photos(project)
    manifest = photos(project, unlabelled="aside")
    assert sum(counts(manifest).values()) == 24
    assert "5 images without labels" in manifest["notes"][0]


def test_a_flat_val_is_refused_and_left_aside_where_one_says_so(project: Path, folder: Path) -> None:
    for name in ("n01440764", "n02102040"):
        fill(folder / "train" / name, 12)
    fill(folder / "val", 5)
    with pytest.raises(
        PipelineError, match=r"photos/val: holds 5 images and no class folders.*ImageNet.*unlabelled: a"
    ):
        photos(project)
    assert not layout.DATA.exists()
    assert sum(counts(photos(project, unlabelled="aside")).values()) == 24


@pytest.mark.parametrize(
    "names", [("training_set", "test_set"), ("Training", "Testing"), ("TRAIN", "dev"), ("train", "valid")]
)
def test_splits_by_any_spelling(project: Path, folder: Path, names: tuple[str, str]) -> None:
    for split, count in zip(names, (12, 5), strict=True):
        for name in ("cats", "dogs"):
            fill(folder / split / name, count)
    manifest = photos(project)
    assert manifest["classes"] == ["cats", "dogs"]
    assert counts(manifest)["test"] == 10


def test_splits_may_have_any_names_that_are_given(project: Path, folder: Path) -> None:
    for split, count in (("learn_from", 12), ("exam", 5), ("test", 4)):
        for name in ("cats", "dogs"):
            fill(folder / split / name, count)
    with pytest.raises(PipelineError, match=r"holds test/, whose name.*beside exam/ and learn_from/.*layout: splits"):
        photos(project)
    manifest = photos(project, layout="splits", split_names={"train": ["learn_from"], "test": ["exam"]})
    assert (manifest["classes"], counts(manifest)["test"]) == (["cats", "dogs"], 10)


def test_a_class_that_is_called_train(project: Path, folder: Path) -> None:
    for name in ("bus", "plane", "train"):
        fill(folder / name, 12)
    assert photos(project)["classes"] == ["bus", "plane", "train"]


def test_what_can_be_read_in_two_ways_is_refused_with_both(project: Path, folder: Path) -> None:
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            fill(folder / split / name, 12)
    fill(folder / "samples", 5)
    with pytest.raises(PipelineError) as error:
        photos(project)
    sentence = str(error.value)
    assert "holds test/ and train/" in sentence
    assert "beside samples/" in sentence
    assert "`datasets.photos.layout: splits`" in sentence
    assert "`datasets.photos.layout: classes`" in sentence
    assert photos(project, layout="splits")["classes"] == ["cat", "dog"]
    assert photos(project, layout="classes")["classes"] == ["samples", "test", "train"]


def test_folders_without_images_decide_nothing(project: Path, folder: Path) -> None:
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            fill(folder / split / name, 12)
    (folder / "annotations").mkdir()
    (folder / "annotations" / "all.csv").write_text("a,b\n")
    assert photos(project)["classes"] == ["cat", "dog"]


def test_flat_splits_without_any_label_are_refused(project: Path, folder: Path) -> None:
    fill(folder / "train", 12)
    fill(folder / "test", 12)
    (folder / "train.csv").write_text("image,label\n")
    with pytest.raises(PipelineError, match=r"images lie in them without class folders.*layout: classes"):
        photos(project)


@pytest.mark.parametrize("empty", [True, False])
def test_an_empty_class_of_val_is_as_an_absent_one(project: Path, folder: Path, empty: bool) -> None:
    for name in ("cat", "dog", "owl"):
        fill(folder / "train" / name, 12)
        fill(folder / "val" / name, 0 if name == "owl" else 5)
    if not empty:
        (folder / "val" / "owl").rmdir()
    manifest = photos(project)
    assert manifest["classes"] == ["cat", "dog", "owl"]
    assert manifest["splits"]["test"]["per_class"] == [5, 5, 0]


# ---------------------------------------------------------------------------------------------------- names of classes


def test_forms_of_unicode_and_spaces_make_no_second_class(project: Path, folder: Path) -> None:
    for name in ("café", "thé"):
        fill(folder / "train" / unicodedata.normalize("NFC", name), 12)
        fill(folder / "test" / f"{unicodedata.normalize('NFD', name)} ", 5)
    manifest = photos(project)
    assert manifest["classes"] == ["café", "thé"]
    assert counts(manifest)["test"] == 10


def test_two_forms_of_one_name_side_by_side_are_one_class(project: Path, folder: Path) -> None:
    for form in ("NFC", "NFD"):
        fill(folder / unicodedata.normalize(form, "café"), 8)
    fill(folder / "tea", 8)
    manifest = photos(project)
    assert manifest["classes"] == ["café", "tea"]
    assert sum(counts(manifest).values()) == 24


def test_names_that_differ_in_case_are_a_question(project: Path, folder: Path) -> None:
    for split, names in (("train", ("Cat", "dog")), ("test", ("cat", "dog"))):
        for name in names:
            fill(folder / split / name, 8)
    with pytest.raises(PipelineError, match=r"train/Cat and .*test/cat differ in capital letters only"):
        photos(project)


def test_numbered_classes_stand_in_the_order_of_numbers(project: Path, folder: Path) -> None:
    for number in range(12):
        fill(folder / str(number), 4)
    names = {2: "two", 10: "ten"}
    manifest = photos(project, class_names=names)
    assert manifest["classes"] == ["0", "1", "two", *map(str, range(3, 10)), "ten", "11"]


# ---------------------------------------------------------------------------------------------------- files


def test_what_systems_leave_is_no_class_and_no_image_and_counted(project: Path, folder: Path) -> None:
    for name in ("a", "b"):
        fill(folder / name, 12)
        fill(folder / name / "@eaDir" / "x.png", 2)
        (folder / name / "Thumbs.db").write_bytes(b"\xd0\xcf")
        (folder / name / "._000.png").write_bytes(b"\0\5\x16\7")
    for name in ("@eaDir", "__MACOSX/a", ".thumbnails", "$RECYCLE.BIN"):
        fill(folder / name, 3)
    manifest = photos(project)
    assert manifest["classes"] == ["a", "b"]
    assert sum(counts(manifest).values()) == 24
    assert manifest["left_out"] == {"of systems and tools": 10}


def test_images_of_any_name_are_known_by_their_content(project: Path, folder: Path) -> None:
    for name in ("a", "b"):
        fill(folder / name, 12, ".jpg")
        files = sorted((folder / name).iterdir())
        files[0].rename(folder / name / "no_suffix")
        files[1].rename(folder / name / "x.jpg_large")
        files[2].rename(folder / name / "y.jpeg.1")
        (folder / name / "notes.txt").write_text("not a picture")
        (folder / name / "README").write_text("not a picture either")
    manifest = photos(project)
    assert sum(counts(manifest).values()) == 24
    assert manifest["left_out"] == {"*.txt": 2, "without an ending": 2}


def test_pipes_and_sockets_hang_nobody(project: Path, folder: Path) -> None:
    for name in ("a", "b"):
        fill(folder / name, 12)
    os.mkfifo(folder / "a" / "pipe.jpg")
    os.mkfifo(folder / "a" / "pipe")
    with socket.socket(socket.AF_UNIX) as listener, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "a")  # a socket's path must be short
        listener.bind("s.png")
    manifest = photos(project)
    assert sum(counts(manifest).values()) == 24
    assert manifest["left_out"] == {"pipes, sockets and devices": 3}


def test_a_link_to_an_endless_device_is_skipped_and_not_read(project: Path, folder: Path) -> None:
    for name in ("a", "b"):
        fill(folder / name, 12)
    (folder / "a" / "endless.jpg").symlink_to("/dev/zero")
    edit(project, {"prepare.max_bad_percent": 10})
    manifest = photos(project)
    assert sum(counts(manifest).values()) == 24
    assert [image["reason"] for image in manifest["skipped"]] == ["is no file, but a device, a pipe or a socket"]


def test_images_beside_the_folders_of_classes_are_counted(project: Path, folder: Path) -> None:
    for name in ("a", "b"):
        fill(folder / "train" / name, 12)
    fill(folder / "train", 3)
    manifest = photos(project)
    assert sum(counts(manifest).values()) == 24
    assert manifest["left_out"] == {"images beside the folders of classes": 3}


def test_a_path_may_name_the_home_folder_and_variables(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        fill(tmp_path / "home" / "mine" / "set 1" / name, 12)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WHICH", "1")
    edit(project, {"prepare.data_root": "~/mine"})
    assert photos(project, path="set $WHICH")["classes"] == ["a", "b"]


# ---------------------------------------------------------------------------------------------------- any tree

CLASSES = ("cat", "dog", "café")
SPELLINGS = {"train": ("train", "Training", "train_set"), "val": ("val", "valid", "dev"), "test": ("test", "Testing")}
JUNK = ("@eaDir", "__MACOSX", ".thumbnails", "lost+found")


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_image_is_lost_or_in_two_splits_and_no_split_is_a_class(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = make_project(tmp_path_factory.mktemp("tree") / "project")
    folder = project / "datasets" / "photos"
    splits = data.draw(st.sampled_from([(), ("train",), ("train", "test"), ("train", "val"), ("train", "val", "test")]))
    roots = [folder / data.draw(st.sampled_from(SPELLINGS[split])) for split in splits] or [folder]
    wanted, left = 0, 0
    for root in roots:
        for name in CLASSES:
            composed = data.draw(st.booleans())
            count = data.draw(st.integers(3, 6))
            where = (
                root
                / unicodedata.normalize("NFC" if composed else "NFD", name)
                / data.draw(st.sampled_from(["", "deeper", "a/b"]))
            )
            fill(where, count)
            wanted += count
            if data.draw(st.booleans()):
                fill(where / data.draw(st.sampled_from(JUNK)), 1)
                left += 1
            if data.draw(st.booleans()):
                os.symlink(root, where / "loop")
    if data.draw(st.booleans()):
        fill(folder / data.draw(st.sampled_from(JUNK)), 2)
        left += 1
    edit(project, {"dataset": "photos", "datasets.photos.image_size": 16})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        source = open_source(settings.load())
    assert source.classes == sorted(CLASSES)
    ids = [name for part in source.parts.values() for name in part.ids]
    assert max(Counter(ids).values()) == 1
    assert len(ids) == wanted
    assert source.left_out.get("of systems and tools", 0) == left
    assert set(source.parts) == (set(splits) if splits else {"all"})
