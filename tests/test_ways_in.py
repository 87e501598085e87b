"""Data sets that are no folders of classes: tables, NumPy archives, Parquet, tars, ImageNet's own layout."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from pipeline import layout, settings
from pipeline.data.contract import load_split
from pipeline.data.preparation import prepare
from pipeline.errors import PipelineError
from tests.conftest import ROOT, edit

FILES = ROOT / "tests" / "files"
KINDS = ("disc", "square", "stripes")


def picture(number: int) -> np.ndarray:
    """Another one for each number: uint8 (24, 24, 3)."""
    return np.random.default_rng(number).integers(0, 256, (24, 24, 3), dtype=np.uint8)


def save(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(number)).save(path)


def use(name: str, **changes: Any) -> dict[str, Any]:
    """Prepare a data set of params.yaml with some settings of its own changed."""
    changed = {f"datasets.{name}.{key}": value for key, value in changes.items()}
    edit(Path(), {"dataset": name, f"datasets.{name}.image_size": None} | changed)
    return prepare(settings.load(), layout.DATA)


def counts(manifest: dict[str, Any]) -> dict[str, int]:
    return {split: found["count"] for split, found in manifest["splits"].items()}


@pytest.fixture
def root(project: Path) -> Path:
    return project / "datasets"


# --------------------------------------------------------------------------------------------------------- tables


@pytest.fixture
def listed(root: Path) -> Path:
    """Thirty images in one folder: number 7 shows a square."""
    for number in range(30):
        save(root / "listed" / "images" / f"{number:02}.png", number)
    return root / "listed"


def table(file: Path, *rows: str) -> None:
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")


def rows_of(pattern: str, numbers: range = range(30)) -> list[str]:
    """A row for each image; the pattern may use n (number), kind, split and person."""
    return [
        pattern.format(n=f"{n:02}", kind=KINDS[n % 3], split="train" if n < 20 else "test", person=n // 3)
        for n in numbers
    ]


def labels_by_id(splits: tuple[str, ...] = ("train", "val", "test")) -> dict[str, int]:
    found = {split: load_split(split) for split in splits}
    return {name: int(label) for split in found.values() for name, label in zip(split.ids, split.labels, strict=True)}


@pytest.mark.parametrize(
    ("header", "pattern"),
    [
        ("image,label,split,person", "images/{n}.png,{kind},{split},p{person}"),
        ("filename,category,set,x", "{n}.png,{kind},{split}ing_set,1"),
        ("id;breed;subset;x", "{n};{kind};{split};1"),
        ("Image_ID\tClass Name\tPartition\tx", "./images/{n}\t {kind} \t{split}\t1"),
        ("File Path,Target,Split,x", '"images\\{n}.png","{kind}",{split},"a, b"'),
    ],
)
def test_a_table_in_any_usual_form_gives_labels_and_splits(listed: Path, header: str, pattern: str) -> None:
    table(listed / "labels.csv", header, *rows_of(pattern))
    manifest = use("listed")
    assert manifest["classes"] == list(KINDS)
    assert counts(manifest)["test"] == 10
    assert set(load_split("test").ids) == {f"images/{n}.png" for n in range(20, 30)}
    assert labels_by_id() == {f"images/{n:02}.png": n % 3 for n in range(30)}
    by_id = dict(zip(load_split("test").ids, load_split("test").images, strict=True))
    np.testing.assert_array_equal(by_id["images/23.png"], picture(23))


def test_a_table_without_splits_is_split_by_class(listed: Path) -> None:
    table(listed / "labels.csv", "path,label", *rows_of("images/{n}.png,{kind}"))
    manifest = use("listed")
    assert manifest["splits"]["test"]["per_class"] == [2, 2, 2]
    assert manifest["given_splits"] == []


def test_a_table_for_each_split_as_competitions_ship_them(root: Path) -> None:
    folder = root / "listed"
    for number in range(30):
        save(folder / ("train" if number < 20 else "test") / f"{number:02}.png", number)
    table(folder / "train.csv", "id,breed", *rows_of("{n},{kind}", range(20)))
    table(folder / "test.csv", "id", *rows_of("{n}", range(20, 30)))
    manifest = use("listed", tables={"train": "train.csv", "test": "test.csv"})
    assert sum(counts(manifest).values()) == 20
    assert manifest["left_out"]["rows without a label"] == 10
    assert any("10 images without a label are left aside" in note for note in manifest["notes"])


def test_columns_and_words_of_splits_may_have_any_names(listed: Path) -> None:
    table(listed / "labels.csv", "a,b,c", *rows_of("{n},{kind},{split}"))
    text = (listed / "labels.csv").read_text().replace(",train", ",mine").replace(",test", ",hers")
    (listed / "labels.csv").write_text(text)
    columns = {"image": "a", "label": "b", "split": "c", "group": None}
    manifest = use("listed", columns=columns, split_names={"train": ["mine"], "test": ["hers"]})
    assert counts(manifest)["test"] == 10


def test_images_that_no_table_names_and_repeated_rows_are_counted(listed: Path) -> None:
    rows = rows_of("images/{n}.png,{kind}", range(25))
    table(listed / "labels.csv", "path,label", *rows, rows[3])
    manifest = use("listed")
    assert sum(counts(manifest).values()) == 25
    assert manifest["left_out"] == {"*.csv": 1, "images that no table names": 5, "rows that repeat another": 1}


def test_a_named_image_that_is_not_there_is_skipped_and_listed(listed: Path) -> None:
    table(listed / "labels.csv", "path,label", *rows_of("images/{n}.png,{kind}"), "images/99.png,disc")
    edit(Path(), {"prepare.max_bad_percent": 10.0})
    manifest = use("listed")
    assert manifest["skipped_count"] == 1
    assert manifest["skipped"][0]["id"] == "images/99.png"
    assert "No such file" in manifest["skipped"][0]["reason"]


def swap(old: str, new: str) -> Callable[[list[str]], list[str]]:
    return lambda rows: [row.replace(old, new) for row in rows]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[:1], ["no rows below its names of columns"]),
        (lambda rows: [*rows, "images/00.png,disc"], ["row 32 has 2 cells", "4 columns"]),
        (lambda rows: [*rows, "images/00.png,square,train,p0"], ["00.png stands twice", "'disc'", "'square'"]),
        (swap("test", "fold3"), ["'fold3', which is no split", "datasets.listed.split_names"]),
        (swap("train", "val"), ["give images to test and val", "give some to train"]),
        (swap("label", "what"), ["no column is called as one of labels usually is", "datasets.listed.columns.label"]),
        (swap("person", "class"), ["'label' and 'class' could each be the column of labels", "columns.label"]),
        (swap("person", "label"), ["names a column twice"]),
        (swap("disc", "Square"), ["'Square' and 'square' differ in capital letters only"]),
        (lambda rows: [rows[0], *(row.replace("square", "disc").replace("stripes", "disc") for row in rows[1:])],
         ["one class only, 'disc'"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_one_sentence(listed: Path, change: Any, words: list[str]) -> None:
    rows = ["image,label,split,person", *rows_of("images/{n}.png,{kind},{split},p{person}")]
    table(listed / "labels.csv", *change(rows))
    with pytest.raises(PipelineError) as error:
        use("listed")
    assert "\n" not in str(error.value)
    for word in ["labels.csv" if "give images" not in words[0] else "listed", *words]:
        assert word in str(error.value)


def test_a_missing_table_another_encoding_and_a_wrong_column_are_sentences(listed: Path) -> None:
    with pytest.raises(PipelineError, match=r"labels\.csv: cannot be read as a table \(No such file"):
        use("listed")
    (listed / "labels.csv").write_bytes("image,label\n00.png,caf\xe9\n".encode("latin-1"))
    with pytest.raises(PipelineError, match=r"it is no UTF-8 text.*save it as CSV in UTF-8"):
        use("listed")
    table(listed / "labels.csv", "image,label", *rows_of("{n}.png,{kind}"))
    with pytest.raises(PipelineError, match=r"has no column 'who', which `datasets\.listed\.columns\.group` names"):
        use("listed", columns={"image": None, "label": None, "split": None, "group": "who"})


def test_a_name_that_two_images_have_is_a_question(listed: Path) -> None:
    save(listed / "more" / "03.png", 99)
    table(listed / "labels.csv", "image,label", *rows_of("{n}.png,{kind}"))
    with pytest.raises(PipelineError, match=r"'03\.png' could be .*03\.png or .*03\.png; write the path"):
        use("listed")
    table(listed / "labels.csv", "image,label", *rows_of("images/{n}.png,{kind}"))
    assert use("listed")["left_out"]["images that no table names"] == 1


# --------------------------------------------------------------------------------------------------------- groups


def people_by_split() -> dict[str, set[int]]:
    return {split: {int(Path(name).stem) // 3 for name in load_split(split).ids} for split in ("train", "val", "test")}


def test_all_images_of_a_group_are_in_one_split(listed: Path) -> None:
    table(listed / "labels.csv", "image,label,person", *rows_of("{n}.png,{kind},p{person}"))
    manifest = use("listed", columns={"image": None, "label": None, "split": None, "group": "person"})
    people = people_by_split()
    assert all(people.values())
    assert sum(len(found) for found in people.values()) == 10
    assert manifest["groups"] == {split: len(found) for split, found in people.items()}
    assert any("no split shares a group with another" in note for note in manifest["notes"])


def test_where_given_splits_share_a_group_its_images_leave_train_and_never_test(listed: Path) -> None:
    rows = rows_of("{n}.png,{kind},{split},p{person}")  # person 6 is in train (18, 19) and in test (20)
    table(listed / "labels.csv", "image,label,split,person", *rows)
    manifest = use("listed", columns={"image": None, "label": None, "split": None, "group": "person"})
    assert set(load_split("test").ids) == {f"images/{n}.png" for n in range(20, 30)}
    people = people_by_split()
    assert people["test"] == {6, 7, 8, 9}
    assert people["train"] | people["val"] == {0, 1, 2, 3, 4, 5}
    assert not people["train"] & people["val"]
    left_out = [note for note in manifest["notes"] if "were left out" in note]
    assert sum(int(note.split()[0]) for note in left_out) == 2
    assert "such as 'p6'" in left_out[0]


def test_names_of_frames_are_pointed_out_with_a_pattern_that_works(root: Path) -> None:
    for number in range(60):
        save(root / "photos" / KINDS[number // 4 % 3] / f"IMG_{1000 + number // 4}_frame_{number % 4}.png", number)
    notes = [note for note in use("photos")["notes"] if "look as if several images were of one group" in note]
    assert len(notes) == 1
    pattern = notes[0].split("groups: '")[1].split("'`")[0]
    manifest = use("photos", groups=pattern)
    assert sum(manifest["groups"].values()) == 15
    assert not [note for note in manifest["notes"] if "look as if" in note]


def test_a_column_of_people_is_pointed_out(listed: Path) -> None:
    table(listed / "labels.csv", "image,label,Patient ID", *rows_of("{n}.png,{kind},p{person}"))
    assert any("has a column 'Patient ID'" in note for note in use("listed")["notes"])


# ------------------------------------------------------------------------------------------------- NumPy archives


def medmnist(file: Path, channels: int = 0, **changes: Any) -> None:
    """As MedMNIST stores its data sets: labels N×1, images N×28×28 or N×28×28×3."""
    arrays: dict[str, np.ndarray] = {}
    for split, count in (("train", 30), ("val", 6), ("test", 9)):
        shape = (count, 28, 28, *([channels] if channels else []))
        arrays[f"{split}_images"] = np.random.default_rng(count).integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count) % 3)[:, None].astype(np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, **(arrays | changes))


@pytest.mark.parametrize("channels", [0, 1, 3])
def test_an_archive_in_medmnists_layout(root: Path, channels: int) -> None:
    medmnist(root / "bloodmnist.npz", channels)
    manifest = use("bloodmnist", classes=list(KINDS))
    assert counts(manifest) == {"train": 30, "val": 6, "test": 9}
    assert manifest["grey"] == (channels != 3)
    stored = np.load(root / "bloodmnist.npz")
    for split in ("train", "val", "test"):
        wanted = stored[f"{split}_images"].reshape(-1, 28, 28, channels or 1)
        np.testing.assert_array_equal(load_split(split).images, np.broadcast_to(wanted, (*wanted.shape[:3], 3)))
        np.testing.assert_array_equal(load_split(split).labels, stored[f"{split}_labels"][:, 0])
    assert not list(layout.WORK.glob("npz-*"))


def test_arrays_by_keras_names_and_a_single_pair(root: Path) -> None:
    images, labels = np.zeros((40, 9, 9), np.uint8), np.arange(40) % 2
    images += np.arange(40, dtype=np.uint8)[:, None, None]
    root.mkdir(exist_ok=True)
    np.savez(root / "bloodmnist.npz", x_train=images[:30], y_train=labels[:30], x_test=images[30:], y_test=labels[30:])
    assert counts(use("bloodmnist", classes=None))["test"] == 10
    np.savez(root / "bloodmnist.npz", images=images, labels=labels)
    manifest = use("bloodmnist", classes=None)
    assert sum(counts(manifest).values()) == 40
    assert manifest["classes"] == ["0", "1"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"train_labels": np.zeros((30, 14), np.uint8)},
            ["train_labels is uint8 of the shape (30, 14)", "one for each"],
        ),
        ({"val_images": np.zeros((6, 28, 28), np.float32)}, ["val_images is float32", "images are uint8"]),
        ({"test_images": np.zeros((9, 28, 28, 28), np.uint8)}, ["test_images is uint8 of the shape (9, 28, 28, 28)"]),
        ({"test_images": np.zeros((8, 28, 28), np.uint8)}, ["test_images has 8 images, but 9 labels"]),
        ({"test_labels": np.full((9, 1), 8)}, ["a label is 8, but only 3 classes are named"]),
        ({"train_labels": np.array([{}] * 30)}, ["train_labels cannot be read"]),
    ],
)
def test_arrays_that_are_no_images_or_labels_are_one_sentence(root: Path, changes: Any, words: list[str]) -> None:
    medmnist(root / "bloodmnist.npz", **changes)
    with pytest.raises(PipelineError) as error:
        use("bloodmnist", classes=list(KINDS))
    for word in ["bloodmnist.npz", *words]:
        assert word in str(error.value)


def test_a_cut_off_archive_and_one_of_other_arrays_are_one_sentence(root: Path) -> None:
    medmnist(root / "bloodmnist.npz")
    whole = (root / "bloodmnist.npz").read_bytes()
    (root / "bloodmnist.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PipelineError, match=r"cannot be read as an \.npz archive"):
        use("bloodmnist")
    np.savez(root / "bloodmnist.npz", weights=np.zeros(3))
    with pytest.raises(PipelineError, match=r"holds weights, but no train_images with train_labels"):
        use("bloodmnist")


# -------------------------------------------------------------------------------------------------------- Parquet


@pytest.fixture
def hub(root: Path) -> Path:
    return Path(shutil.copytree(FILES / "hub", root / "hub"))


def test_what_the_hubs_library_wrote_is_read(hub: Path) -> None:
    from pyarrow import parquet

    manifest = use("hub")
    assert manifest["classes"] == list(KINDS)
    assert manifest["splits"]["test"]["per_class"] == [3, 3, 3]
    rows = parquet.read_table(hub / "data" / "test-00000-of-00001.parquet").to_pylist()
    test = load_split("test")
    for row, image, label in zip(rows, test.images, test.labels, strict=True):
        np.testing.assert_array_equal(image, np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))))
        assert row["label"] == label


def test_no_patient_of_a_parquet_column_is_in_two_splits(hub: Path) -> None:
    (hub / "data" / "test-00000-of-00001.parquet").unlink()
    manifest = use("hub", columns={"image": None, "label": None, "group": "patient"})
    assert sum(manifest["groups"].values()) == 6
    patients = {split: {int(name[-6:]) // 4 for name in load_split(split).ids} for split in ("train", "val", "test")}
    assert sum(len(found) for found in patients.values()) == 6


def write_parquet(path: Path, **columns: Any) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), path, row_group_size=7)


def encoded(number: int) -> bytes:
    return bytes(cv2.imencode(".png", picture(number))[1])


def test_parquet_of_another_tool_needs_no_description(root: Path) -> None:
    path = root / "hub" / "train" / "0000.parquet"
    write_parquet(path, picture=[encoded(n) for n in range(30)], label=[KINDS[n % 3] for n in range(30)])
    manifest = use("hub")
    assert manifest["classes"] == list(KINDS)
    labels = labels_by_id()
    assert labels == {f"train/0000.parquet/{n:06}": n % 3 for n in range(30)}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"a": "images", "what": "labels"}, ["which column it is is not described", "columns.label", "a, what"]),
        ({"a": "images", "b": "images", "label": "labels"}, ["could be a or b", "datasets.hub.columns.image"]),
        ({"label": "labels"}, ["columns.image"]),
    ],
)
def test_unclear_columns_of_parquet_are_a_question(root: Path, columns: dict[str, str], words: list[str]) -> None:
    values = {"images": [encoded(n) for n in range(9)], "labels": [n % 3 for n in range(9)]}
    write_parquet(root / "hub" / "a.parquet", **{name: values[what] for name, what in columns.items()})
    with pytest.raises(PipelineError) as error:
        use("hub")
    for word in ["a.parquet", *words]:
        assert word in str(error.value)


def test_rows_without_label_or_bytes_are_left_aside_and_skipped(root: Path) -> None:
    images = [None if n == 4 else encoded(n) for n in range(32)]
    labels = [-1 if n > 29 else n % 3 for n in range(32)]
    write_parquet(root / "hub" / "a.parquet", image=images, label=labels)
    edit(Path(), {"prepare.max_bad_percent": 10.0})
    manifest = use("hub")
    assert any("2 images without a label" in note for note in manifest["notes"])
    assert manifest["skipped"][0]["reason"] == "the table holds no bytes of it"
    assert manifest["classes"] == ["0", "1", "2"]


def test_a_damaged_parquet_file_is_one_sentence(hub: Path) -> None:
    path = hub / "data" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(PipelineError, match=r"train-00000-of-00001\.parquet: cannot be read as Parquet .*fetch it"):
        use("hub")


# ----------------------------------------------------------------------------------------------------------- tars


@pytest.fixture
def tars(root: Path) -> Path:
    return Path(shutil.copytree(FILES / "webdataset", root / "tars"))


@pytest.mark.parametrize(("label", "classes"), [(None, ["0", "1", "2"]), ("json:name", list(KINDS))])
def test_what_webdataset_wrote_is_read(tars: Path, label: str | None, classes: list[str]) -> None:
    manifest = use("tars", label=label)
    assert manifest["classes"] == classes
    assert manifest["splits"]["test"]["per_class"] == [3, 3, 3]
    with tarfile.open(tars / "test-000000.tar") as tar:
        raw = {f"test-000000.tar/{name}": tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
    test = load_split("test")
    for name, image, given in zip(test.ids, test.images, test.labels, strict=True):
        np.testing.assert_array_equal(image, np.asarray(Image.open(io.BytesIO(raw[name])).convert("RGB")))
        assert raw[name.replace(".jpg", ".cls")] == str(given).encode()


def test_a_tar_without_the_label_cut_off_or_compressed_is_one_sentence(tars: Path) -> None:
    with pytest.raises(
        PipelineError, match=r"has no \.txt, which would say .*cls, jpg, json; set `datasets\.tars\.label`"
    ):
        use("tars", label="txt")
    with pytest.raises(PipelineError, match=r"\.json does not say what the image shows \(KeyError\('kind'\)\)"):
        use("tars", label="json:kind")
    path = tars / "train-000000.tar"
    whole = path.read_bytes()
    path.write_bytes(whole[:5000])
    with pytest.raises(PipelineError, match=r"train-000000\.tar: cannot be read as a tar"):
        use("tars", label=None)
    path.unlink()
    with tarfile.open(tars / "train-000000.tar.gz", "w:gz") as tar:
        tar.add(tars / "test-000000.tar", "a.jpg")
    with pytest.raises(PipelineError, match=r"train-000000\.tar\.gz: cannot be read as a tar without compression"):
        use("tars", label=None)


# ------------------------------------------------------------------------------------------------------- ImageNet


SYNSETS = ("n01440764", "n02102040", "n03028079")


@pytest.fixture
def imagenet(root: Path) -> Path:
    """Train in folders, val flat, as the archives unpack; image number 5 of val shows class 2."""
    folder = root / "imagenet"
    for number in range(30):
        save(folder / "train" / SYNSETS[number % 3] / f"{SYNSETS[number % 3]}_{number}.JPEG", number)
    for number in range(1, 10):
        save(folder / "val" / f"ILSVRC2012_val_{number:08}.JPEG", 100 + number)
    return folder


def kit_number(label: int) -> int:
    """The development kit numbers its classes otherwise than the alphabet does."""
    return (2, 3, 1)[label]


def competition(folder: Path) -> None:
    rows = [f"ILSVRC2012_val_{n:08},{SYNSETS[n % 3]} 1 2 3 4 {SYNSETS[n % 3]} 5 6 7 8" for n in range(1, 10)]
    table(folder / "labels", "ImageId,PredictionString", *rows)
    (folder / "labels").rename(folder / "labels.csv")


def caffe(folder: Path) -> None:
    table(folder / "labels.txt", *(f"ILSVRC2012_val_{n:08}.JPEG {n % 3}" for n in range(1, 10)))


def synsets(folder: Path) -> None:
    table(folder / "labels.txt", *(SYNSETS[n % 3] for n in range(1, 10)))


def kit(folder: Path) -> None:
    table(folder / "labels.txt", *(str(kit_number(n % 3)) for n in range(1, 10)))
    kinds = np.zeros(3, [("ILSVRC2012_ID", object), ("WNID", object), ("words", object)])
    for label, name in enumerate(SYNSETS):
        kinds[label] = (kit_number(label), name, "a word")
    savemat(folder / "meta.mat", {"synsets": kinds[:, None]})


def kit_as_text(folder: Path) -> None:
    kit(folder)
    (folder / "meta.mat").unlink()
    table(folder / "map_clsloc.txt", *(f"{name} {kit_number(label)} a_word" for label, name in enumerate(SYNSETS)))


@pytest.mark.parametrize("write", [competition, caffe, synsets, kit, kit_as_text])
def test_a_flat_val_gets_its_labels_from_a_file_as_shipped(imagenet: Path, write: Callable[[Path], None]) -> None:
    write(imagenet)
    file = next(path.name for path in imagenet.iterdir() if path.stem == "labels")
    manifest = use("imagenet", labels={"val": file})
    assert manifest["given_splits"] == ["train", "val"]
    assert counts(manifest)["test"] == 9
    test = load_split("test")
    assert {name: int(label) for name, label in zip(test.ids, test.labels, strict=True)} == {
        f"val/ILSVRC2012_val_{number:08}.JPEG": number % 3 for number in range(1, 10)
    }


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([SYNSETS[0]] * 8, ["has 8 labels, but", "holds 9 images"]),
        (["n99999999"] * 9, ["shows 'n99999999', which is no class of train"]),
        (["1"] * 9, ["numbers of ImageNet's development kit", "meta.mat"]),
        ([f"ILSVRC2012_val_{n:08}.JPEG 0" for n in range(2, 10)], ["has no label for ILSVRC2012_val_00000001.JPEG"]),
        (["a b c"] * 9, ["is no file of labels"]),
    ],
)
def test_a_file_of_labels_that_does_not_fit_is_one_sentence(imagenet: Path, lines: list[str], words: list[str]) -> None:
    table(imagenet / "labels.txt", *lines)
    with pytest.raises(PipelineError) as error:
        use("imagenet", labels={"val": "labels.txt"})
    for word in ["labels.txt", *words]:
        assert word in str(error.value)


def test_a_flat_val_without_labels_names_the_file_that_lies_there(imagenet: Path) -> None:
    with pytest.raises(PipelineError, match=r"of ImageNet, a file such as LOC_val_solution\.csv"):
        use("imagenet")
    synsets(imagenet)
    (imagenet / "labels.txt").rename(imagenet / "imagenet_2012_validation_synset_labels.txt")
    with pytest.raises(PipelineError, match=r"labels: \{val: imagenet_2012_validation_synset_labels\.txt\}`"):
        use("imagenet")


def test_labels_for_a_split_that_needs_none_are_refused(imagenet: Path) -> None:
    synsets(imagenet)
    with pytest.raises(
        PipelineError, match=r"`datasets\.imagenet\.labels` names a file for test, but there is no test"
    ):
        use("imagenet", labels={"val": "labels.txt", "test": "labels.txt"})


def test_flat_splits_beside_a_table_are_told_of_the_source_for_tables(root: Path) -> None:
    for number in range(12):
        save(root / "photos" / ("train" if number < 8 else "test") / f"{number}.png", number)
    table(root / "photos" / "train.csv", "id,breed", *(f"{n},{KINDS[n % 3]}" for n in range(8)))
    with pytest.raises(PipelineError, match=r"if train\.csv says it, set `datasets\.photos\.source: manifest`"):
        use("photos")
