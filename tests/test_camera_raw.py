"""Cameras' raw files are developed, or one sentence names the package that does it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from pipeline import layout, settings
from pipeline.data import camera_raw
from pipeline.data.decode import Unreadable, decode
from pipeline.data.magic import looks_like_an_image
from pipeline.data.preparation import prepare
from tests.conftest import edit

LIMITS = (8, 100.0)
TO_CAMERA = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])  # sRGB's own


def scene() -> np.ndarray:
    """Red on the left, blue on the right, grey along the top: uint8 (64, 96, 3)."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:, :48], picture[:, 48:], picture[:16] = (200, 30, 30), (30, 60, 200), (128, 128, 128)
    return picture


def dng(path: Path, picture: np.ndarray, orientation: int = 1, cut: int | None = None) -> Path:
    """What a sensor with Bayer's colour filter sees of a picture, as a DNG file."""
    linear = (picture / 255) ** 2.2 * 65535
    mosaic = np.zeros(picture.shape[:2], np.uint16)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2] = linear[row::2, column::2, channel]
    matrix = [number for value in TO_CAMERA.ravel() for number in (round(value * 10000), 10000)]
    tags = [
        (274, "H", 1, orientation, True),
        (33421, "H", 2, (2, 2), True),  # the filter's size
        (33422, "B", 4, (0, 1, 1, 2), True),  # and its colours
        (50706, "B", 4, (1, 4, 0, 0), True),  # the version of DNG
        (50708, "s", 0, "A camera", True),
        (50717, "H", 1, 65535, True),  # white
        (50721, "2i", 9, tuple(matrix), True),
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),  # what is neutral
        (50778, "H", 1, 21, True),  # daylight
    ]
    tifffile.imwrite(path, mosaic, photometric=32803, extratags=tags, metadata=None)
    if cut is not None:
        path.write_bytes(path.read_bytes()[:cut])
    return path


def colours(pixels: np.ndarray) -> list[str]:
    """The strongest channel in the middle of the left, right, upper and lower edge; - for grey."""
    height, width = pixels.shape[:2]
    places = ((height // 2, 6), (height // 2, width - 7), (6, width // 2), (height - 7, width // 2 - 12))
    return ["-" if np.ptp(pixels[place].astype(int)) < 30 else "rgb"[int(pixels[place].argmax())] for place in places]


def test_a_raw_file_looks_as_a_viewer_shows_it(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    path = dng(tmp_path / "a.dng", scene())
    assert looks_like_an_image(path)
    pixels = decode(path.read_bytes(), None, *LIMITS)
    assert pixels.shape == (64, 96, 3)
    assert pixels.dtype == np.uint8
    assert colours(pixels) == ["r", "b", "-", "r"]
    turned = decode(dng(tmp_path / "b.dng", scene(), orientation=6).read_bytes(), None, *LIMITS)
    assert turned.shape == (96, 64, 3)
    assert colours(turned)[1:3] == ["-", "r"]  # what was above is on the right, what was left is above


def test_it_is_developed_at_half_its_size_where_that_is_enough(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    raw = dng(tmp_path / "a.dng", np.kron(scene(), np.ones((4, 4, 1), np.uint8))).read_bytes()
    sizes: list[tuple[int, int]] = []
    small = camera_raw.develop(raw, lambda *size: sizes.append(size), lambda *_: True)
    assert (small.shape, sizes) == ((128, 192, 3), [(384, 256)])
    assert colours(decode(raw, (64, 64), *LIMITS)) == ["r", "b", "-", "r"]


@pytest.mark.parametrize(("limits", "sentence"), [((65, 100.0), "too small"), ((8, 0.005), "too large")])
def test_limits_hold_for_raw_files(tmp_path: Path, limits: tuple[int, float], sentence: str) -> None:
    pytest.importorskip("rawpy")
    with pytest.raises(Unreadable, match=sentence):
        decode(dng(tmp_path / "a.dng", scene()).read_bytes(), None, *limits)


def test_without_the_package_the_sentence_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_raw, "find_spec", lambda _: None)
    for raw in (dng(tmp_path / "a.dng", scene()).read_bytes(), b"FUJIFILMCCD-RAW 0201" + bytes(200)):
        with pytest.raises(Unreadable, match=r"before-and-after-2012\[raw\]"):
            decode(raw, None, *LIMITS)


def test_a_raw_file_that_is_cut_off_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unreadable):
        decode(dng(tmp_path / "a.dng", scene(), cut=4000).read_bytes(), None, *LIMITS)


def test_a_folder_of_raw_files_is_a_data_set(project: Path) -> None:
    pytest.importorskip("rawpy")
    for kind, channels in (("a", [0, 1, 2]), ("b", [1, 0, 2])):
        (project / "datasets" / "photos" / kind).mkdir(parents=True)
        for number in range(12):
            picture = np.roll(scene(), 3 * number, axis=1)[:, :, channels]
            dng(project / "datasets" / "photos" / kind / f"{number}.{'dng' if number else 'raw_large'}", picture)
    edit(project, {"dataset": "photos", "datasets.photos.image_size": 32})
    manifest = prepare(settings.load(), layout.DATA)
    assert sum(split["count"] for split in manifest["splits"].values()) == 24
    assert (manifest["skipped_count"], manifest["blank_count"]) == (0, 0)
