from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline import layout, settings
from pipeline.data.contract import load_manifest, load_split
from pipeline.data.decode import Unreadable, read_image
from pipeline.data.preparation import prepare
from pipeline.errors import PipelineError
from tests.conftest import edit

RANDOM = np.random.default_rng(0)


def picture(width: int = 40, height: int = 30) -> Image.Image:
    return Image.fromarray(RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8))


def fill(folder: Path, classes: dict[str, int], suffix: str = ".png") -> None:
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            picture().save(folder / name / f"{number}{suffix}")


def photos(project: Path, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    edit(project, {"dataset": "photos", "datasets.photos.image_size": 16} | (changes or {}))
    return prepare(settings.load(), layout.DATA)


@pytest.fixture
def folder(project: Path) -> Path:
    return project / "datasets" / "photos"


def test_class_folders_are_split_by_class(project: Path, folder: Path) -> None:
    fill(folder, {"cat": 20, "dog": 10})
    manifest = photos(project)
    assert manifest["classes"] == ["cat", "dog"]
    per_class = {name: split["per_class"] for name, split in manifest["splits"].items()}
    assert per_class == {"train": [15, 7], "val": [1, 1], "test": [4, 2]}
    ids = [name for split in ("train", "val", "test") for name in load_split(split).ids]
    assert len(set(ids)) == 30


def test_given_splits_are_kept_and_val_comes_out_of_train(project: Path, folder: Path) -> None:
    fill(folder / "train", {"cat": 20, "dog": 20})
    fill(folder / "test", {"cat": 3, "dog": 5})
    manifest = photos(project)
    assert manifest["splits"]["test"]["per_class"] == [3, 5]
    assert manifest["splits"]["val"]["per_class"] == [2, 2]
    assert all(name.startswith("train/") for name in load_split("val").ids)


def test_val_serves_as_test_where_there_is_no_test(project: Path, folder: Path) -> None:
    fill(folder / "train", {"cat": 20, "dog": 20})
    fill(folder / "val", {"cat": 3, "dog": 5})
    assert photos(project)["splits"]["test"]["per_class"] == [3, 5]


def test_three_given_splits_stay_as_they_are(project: Path, folder: Path) -> None:
    for name, count in (("train", 9), ("valid", 4), ("test", 3)):
        fill(folder / name, {"cat": count, "dog": count})
    counts = {name: split["count"] for name, split in photos(project)["splits"].items()}
    assert counts == {"train": 18, "val": 8, "test": 6}


def test_wordnet_numbers_get_their_names(project: Path, folder: Path) -> None:
    fill(folder, {"n01": 5, "n02": 5, "n03": 5})
    (folder / "LOC_synset_mapping.txt").write_text("n01 tench, Tinca tinca\nn02 crane\nn03 crane\n")
    assert photos(project)["classes"] == ["tench", "crane (n02)", "crane (n03)"]


def test_tiny_imagenets_annotations_are_read(project: Path, folder: Path) -> None:
    for name in ("n01", "n02"):
        fill(folder / "train" / name, {"images": 6})
    fill(folder / "val", {"images": 4})
    fill(folder / "test", {"images": 4})
    rows = [f"{number}.png\tn0{1 + number % 2}\t0\t0\t9\t9" for number in range(4)]
    (folder / "val" / "val_annotations.txt").write_text("\n".join(rows) + "\n")
    assert photos(project)["splits"]["test"]["per_class"] == [2, 2]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: None, ["no such folder", "prepare.data_root"]),
        (lambda folder: folder.mkdir(parents=True), ["no class folder"]),
        (lambda folder: fill(folder, {"cat": 5}), ["one class, 'cat'", "at least two"]),
        (lambda folder: fill(folder, {"cat": 5, "dog": 1}), ["class 'dog' has too few images", "at least three"]),
        (lambda folder: fill(folder, {"cat": 5, "dog": 0}), ["dog: holds no image"]),
    ],
)
def test_what_cannot_be_split_is_one_sentence(project: Path, folder: Path, make: Any, words: list[str]) -> None:
    make(folder)
    with pytest.raises(PipelineError) as error:
        photos(project)
    for word in words:
        assert word in str(error.value)
    assert not Path("data").exists()


def bad_images(folder: Path) -> dict[str, str]:
    """Unreadable files and the reason each should get."""
    whole = folder / "whole.jpg"
    picture(200, 150).save(whole)
    (folder / "cut.jpg").write_bytes(whole.read_bytes()[:2000])
    whole.unlink()
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("this is no picture")
    picture(1, 1).save(folder / "dot.png")
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")
    os.symlink(folder / "nowhere.png", folder / "broken.png")
    os.symlink(folder / "loop.png", folder / "loop.png")
    return {
        "cut.jpg": "damaged",
        "empty.png": "empty",
        "text.jpg": "no image format",
        "dot.png": "too small (1×1",
        "bomb.png": "too large (20000×20000",
        "broken.png": "can't be opened",
        "loop.png": "can't be opened",
    }


def test_bad_images_are_skipped_and_listed_with_their_reason(project: Path, folder: Path) -> None:
    fill(folder, {"cat": 20, "dog": 20})
    reasons = bad_images(folder / "cat")
    manifest = photos(project, {"prepare.max_bad_percent": 50.0})
    assert manifest["skipped_count"] == len(reasons)
    listed = {Path(image["id"]).name: image["reason"] for image in manifest["skipped"]}
    assert listed.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in listed[name], name
    assert sum(split["count"] for split in load_manifest()["splits"].values()) == 40


def test_ten_bad_images_are_named_and_a_file_has_all(project: Path, folder: Path) -> None:
    fill(folder, {"cat": 20, "dog": 20})
    for number in range(14):
        (folder / "cat" / f"bad{number:02}.jpg").write_text("no picture")
    with pytest.raises(PipelineError) as error:
        photos(project)
    sentence = str(error.value)
    assert sentence.count("no image format") == 10
    assert "and 4 more, see work/skipped.csv" in sentence
    rows = list(csv.DictReader((layout.WORK / "skipped.csv").open()))
    assert sorted(Path(row["id"]).name for row in rows) == [f"bad{number:02}.jpg" for number in range(14)]
    assert {row["split"] for row in rows} <= {"train", "val", "test"}
    assert all("no image format" in row["reason"] for row in rows)
    for path in (folder / "cat").glob("bad*"):
        path.unlink()
    photos(project)
    assert not (layout.WORK / "skipped.csv").exists()


def test_too_many_bad_images_stop_the_run(project: Path, folder: Path) -> None:
    fill(folder, {"cat": 20, "dog": 20})
    (folder / "cat" / "x.jpg").write_text("x")
    with pytest.raises(PipelineError, match=r"1 of 41 images \(2\.4 %\).*cat/x\.jpg.*max_bad_percent"):
        photos(project)
    with pytest.raises(PipelineError, match="on_bad_image: skip"):
        photos(project, {"prepare.on_bad_image": "fail"})
    assert not Path("data").exists()


def test_a_folder_that_links_to_itself_ends(project: Path, folder: Path) -> None:
    fill(folder, {"cat": 9, "dog": 9})
    os.symlink(folder / "cat", folder / "cat" / "again")
    os.symlink(folder, folder / "dog" / "up")
    os.symlink(folder, folder / "again")
    manifest = photos(project, {"prepare.duplicates": "report"})
    assert manifest["classes"] == ["cat", "dog"]
    assert sum(split["count"] for split in manifest["splits"].values()) == 18
    for name in ("train", "val", "test"):
        split = load_split(name)
        assert [image.split("/")[0] for image in split.ids] == [["cat", "dog"][label] for label in split.labels]


def test_split_folders_are_known_by_any_usual_name(project: Path, folder: Path) -> None:
    for name, count in (("Training", 9), ("Testing", 3)):
        fill(folder / name, {"cat": count, "dog": count})
    assert photos(project)["splits"]["test"]["count"] == 6


def test_a_class_may_be_called_train(project: Path, folder: Path) -> None:
    fill(folder, {"bus": 9, "car": 9, "train": 9})
    assert photos(project)["classes"] == ["bus", "car", "train"]


@pytest.mark.parametrize(
    ("names", "words"),
    [(["val", "test"], "has test and val but no train"), (["train", "val", "valid"], "would both be the split val")],
)
def test_splits_that_make_no_sense_are_refused(project: Path, folder: Path, names: list[str], words: str) -> None:
    for name in names:
        fill(folder / name, {"cat": 4, "dog": 4})
    with pytest.raises(PipelineError, match=words):
        photos(project)


def test_an_empty_test_folder_is_refused(project: Path, folder: Path) -> None:
    fill(folder / "train", {"cat": 9, "dog": 9})
    (folder / "test" / "cat").mkdir(parents=True)
    with pytest.raises(PipelineError, match="test: holds no image"):
        photos(project)


def test_a_class_that_duplicates_empty_is_refused(project: Path, folder: Path) -> None:
    fill(folder, {"cat": 9, "dog": 0})
    for number in range(3):
        (folder / "dog" / f"{number}.png").write_bytes((folder / "cat" / "0.png").read_bytes())
    with pytest.raises(PipelineError, match="class 'dog' has no image left in train"):
        photos(project)


def test_photographs_of_a_kind_nobody_reads_are_listed(project: Path, folder: Path) -> None:
    fill(folder, {"cat": 20, "dog": 20})
    (folder / "cat" / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (folder / "cat" / "notes.txt").write_text("no image, and not meant to be one")
    manifest = photos(project, {"prepare.max_bad_percent": 5.0})
    assert [image["id"] for image in manifest["skipped"]] == ["cat/phone.HEIC"]


@pytest.mark.parametrize("orientation", [1, 6])
def test_phones_photographs_are_read_upright(tmp_path: Path, orientation: int) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    left = Image.new("RGB", (64, 40), (200, 30, 30))
    left.paste((30, 30, 200), (32, 0, 64, 40))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pillow_heif.from_pillow(left).save(tmp_path / "x.heic", quality=90, exif=exif.tobytes())
    found = read_image(tmp_path / "x.heic", None, 8, 10)
    turned = found if orientation == 1 else np.rot90(found)
    assert turned.shape == (40, 64, 3)
    np.testing.assert_allclose(turned[20, 10], (200, 30, 30), atol=12)
    np.testing.assert_allclose(turned[20, 54], (30, 30, 200), atol=12)


def test_without_its_package_a_phones_photograph_is_told_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.data import decode

    monkeypatch.setattr(decode, "find_spec", lambda name: None)
    monkeypatch.setattr(decode, "plain_frame", lambda raw: None)
    with pytest.raises(Unreadable, match=r"a HEIC photograph.*pip install 'before-and-after-2012\[heic\]'"):
        decode.decode(b"\0\0\0\x18ftypheic" + b"\0" * 40, None, 8, 10)


def test_names_with_spaces_and_other_alphabets(project: Path, folder: Path) -> None:
    fill(folder, {"büyük köpek": 9, "<b>кошка</b> 猫": 9})
    picture().save(folder / "büyük köpek" / 'a "quoted" name.png')
    with open(os.fsencode(folder / "büyük köpek") + b"/\xff.png", "wb") as file:
        picture().save(file, "PNG")
    photos(project)
    names = [name for split in ("train", "val", "test") for name in load_split(split).ids]
    assert 'büyük köpek/a "quoted" name.png' in names
    assert "büyük köpek/\\xff.png" in names


def test_sizes_that_differ_need_an_image_size(project: Path, folder: Path) -> None:
    fill(folder, {"cat": 9, "dog": 9})
    picture(50, 50).save(folder / "cat" / "other.png")
    with pytest.raises(PipelineError, match="image_size"):
        photos(project, {"datasets.photos.image_size": None})


# ---------------------------------------------------------------------------------------- every kind of image


def read(path: Path, size: int | None = None) -> np.ndarray:
    return read_image(path, size, min_side=1, max_megapixels=100)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".gif", ".webp", ".ppm", ".jpg", ".jp2", ".tga"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    flat = Image.new("RGB", (24, 16), (200, 100, 50))
    flat.save(tmp_path / f"a{suffix}")
    pixels = read(tmp_path / f"a{suffix}")
    assert pixels.shape == (16, 24, 3)
    assert np.abs(pixels.astype(int) - [200, 100, 50]).max() <= 3


def test_sixteen_bits_grey_keep_their_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    np.testing.assert_allclose(read(tmp_path / "a.png")[..., 0].ravel(), np.arange(256), atol=1)


def test_sixteen_bits_colour(tmp_path: Path) -> None:
    import cv2

    colour = np.full((12, 12, 3), (10_000, 30_000, 60_000), np.uint16)  # blue, green, red
    cv2.imwrite(str(tmp_path / "a.png"), colour)
    assert np.abs(read(tmp_path / "a.png")[0, 0].astype(int) - [233, 117, 39]).max() <= 1


def test_cmyk(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    red, green, blue = read(tmp_path / "a.jpg")[8, 8].astype(int)
    assert red > 240
    assert green < 15
    assert blue < 15


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    layer = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    layer.paste((0, 0, 255, 255), (0, 0, 8, 16))
    layer.save(tmp_path / "a.png")
    pixels = read(tmp_path / "a.png")
    assert pixels[4, 2].tolist() == [0, 0, 255]
    assert pixels[4, 12].tolist() == [255, 255, 255]
    layer.convert("P").save(tmp_path / "b.png", transparency=0)
    assert read(tmp_path / "b.png").shape == (16, 16, 3)


def test_palette_and_grey(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), (0, 128, 0)).convert("P").save(tmp_path / "a.png")
    assert np.abs(read(tmp_path / "a.png")[0, 0].astype(int) - [0, 128, 0]).max() < 30
    Image.new("L", (16, 16), 99).save(tmp_path / "b.png")
    assert (read(tmp_path / "b.png") == 99).all()


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise to see it upright
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    pixels = read(tmp_path / "a.jpg")
    assert pixels.shape == (40, 20, 3)
    assert pixels[5].mean() < 10
    assert pixels[35].mean() > 245


def test_floating_point_pixels_have_no_range(tmp_path: Path) -> None:
    Image.fromarray(RANDOM.random((16, 16)).astype(np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(Unreadable, match="floating-point"):
        read(tmp_path / "a.tif")


def test_scaling_takes_the_centre_square(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 100), (255, 0, 0))
    image.paste((0, 0, 255), (100, 0, 200, 100))
    image.save(tmp_path / "a.png")
    pixels = read(tmp_path / "a.png", 32)
    assert pixels.shape == (32, 32, 3)
    assert (pixels[:, 2:-2] == [0, 0, 255]).all()


def test_a_fast_jpeg_decode_is_close_to_the_full_one(tmp_path: Path) -> None:
    import skimage.data

    photograph = Image.fromarray(skimage.data.astronaut())
    photograph.save(tmp_path / "a.jpg", quality=95)
    fast = read(tmp_path / "a.jpg", 64).astype(int)
    full = np.asarray(photograph.resize((64, 64), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(fast - full).mean() < 3
