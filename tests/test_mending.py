"""Damaged where no pixel is: mended and counted. Damaged elsewhere, or of unknown range: a sentence."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from pipeline import layout
from pipeline import settings as project_settings
from pipeline.data.blank import blank
from pipeline.data.decode import Unreadable, decode, decoded
from pipeline.data.preparation import prepare
from tests.conftest import edit

LIMITS = (8, 100.0)


def smooth(side: int = 64, seed: int = 0) -> np.ndarray:
    """A colourful picture without noise, uint8 (side, side, 3)."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)


def jpeg(progressive: bool = False, seed: int = 0, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(smooth(seed=seed)).save(out, "JPEG", progressive=progressive, quality=90, **options)
    return out.getvalue()


def png(mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.fromarray(smooth()).convert(mode).save(out, "PNG")
    return out.getvalue()


def with_chunk(raw: bytes, kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    """A PNG with another chunk behind its header."""
    right = zlib.crc32(kind + data) if checksum is None else checksum
    return raw[:33] + struct.pack(">I", len(data)) + kind + data + struct.pack(">I", right) + raw[33:]


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("shape", [None, (16, 16)])
def test_a_jpeg_without_its_end_marker_is_the_same_picture(
    progressive: bool, missing: int, shape: tuple[int, int] | None
) -> None:
    raw = jpeg(progressive)
    found = decoded(raw[:-missing], shape, *LIMITS)
    np.testing.assert_array_equal(found.pixels, decode(raw, shape, *LIMITS))
    assert found.mended == "JPEG without its end marker"
    assert decoded(raw, shape, *LIMITS).mended is None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.booleans())
def test_what_stands_behind_the_end_marker_is_no_damage(more: bytes, progressive: bool) -> None:
    """Phones put films there, in which any two bytes occur, those that begin a scan as well."""
    raw = jpeg(progressive)
    found = decoded(raw + more + b"\xff\xda" + more, None, *LIMITS)
    np.testing.assert_array_equal(found.pixels, decode(raw, None, *LIMITS))
    assert found.mended is None


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 20), st.floats(0.2, 0.97), st.booleans())
def test_a_jpeg_that_is_cut_off_is_never_read_as_if_it_were_whole(seed: int, share: float, progressive: bool) -> None:
    raw = jpeg(progressive, seed)
    with pytest.raises(Unreadable):
        decode(raw[: int(len(raw) * share)], None, *LIMITS)


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: with_chunk(raw, b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 2_000_000)),
        lambda raw: with_chunk(raw, b"tEXt", b"Comment\0hello", checksum=0),
        lambda raw: with_chunk(raw, b"iCCP", b"profile\0\0" + b"no zlib", checksum=7),
        lambda raw: with_chunk(raw, b"gAMA", b"\0", checksum=1),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "P", "L", "RGBA"])
def test_a_png_with_a_bad_extra_chunk_is_the_same_picture(damage: Any, mode: str) -> None:
    raw = png(mode)
    found = decoded(damage(raw), None, *LIMITS)
    np.testing.assert_array_equal(found.pixels, decode(raw, None, *LIMITS))
    assert found.mended == "PNG with a bad or huge extra chunk"


def test_mending_a_png_keeps_its_transparency() -> None:
    out = io.BytesIO()
    paletted = Image.fromarray(smooth()).quantize(8)
    paletted.save(out, "PNG", transparency=0)
    raw = out.getvalue()
    found = decoded(with_chunk(raw, b"tEXt", b"Comment\0hello", checksum=0), None, *LIMITS)
    np.testing.assert_array_equal(found.pixels, decode(raw, None, *LIMITS))
    assert (found.pixels[np.asarray(paletted) == 0] == 255).all()


def test_a_png_whose_pixels_are_damaged_is_not_mended() -> None:
    raw = bytearray(png())
    raw[len(raw) // 2] ^= 1
    with pytest.raises(Unreadable, match="damaged"):
        decode(bytes(raw), None, *LIMITS)
    with pytest.raises(Unreadable, match="damaged"):
        decode(png()[:-40], None, *LIMITS)


def encoded(ending: str, pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(ending, pixels)[1])


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (
            encoded(".png", (smooth()[..., 0].astype(np.uint16) * 16)),
            "its 16-bit pixels reach .* as if they had 12 bits",
        ),
        (encoded(".png", smooth()[..., 0].astype(np.uint16)), "as if they had 8 bits"),
        (encoded(".pfm", smooth().astype(np.float32) / 255), "floating-point pixels have no known range"),
        (encoded(".hdr", smooth().astype(np.float32) / 255), "floating-point pixels have no known range"),
        (encoded(".tiff", smooth()[..., 0].astype(np.float32)), "floating-point pixels have no known range"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + b"\0" * 100, "a camera's raw file.*export it"),
        (encoded(".png", np.zeros((300, 300), np.uint8)), "`prepare.max_megapixels` lets in 0.05 million"),
    ],
)
def test_pixels_of_unknown_meaning_are_a_sentence(raw: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        decode(raw, None, 8, 0.05)


def test_sixteen_bits_are_scaled_to_eight() -> None:
    grey = smooth()[..., 0]
    found = decode(encoded(".png", grey.astype(np.uint16) * 257), None, *LIMITS)
    np.testing.assert_array_equal(found, np.repeat(grey[..., None], 3, axis=2))
    assert (decode(encoded(".png", np.zeros((9, 9), np.uint16)), None, *LIMITS) == 0).all()


@pytest.mark.parametrize("tags", [{50706: b"\1\4\0\0"}, {254: 1, 330: (8,)}])
def test_a_raw_photograph_in_a_tiff_is_not_taken_for_its_preview(tags: dict[int, Any]) -> None:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        directory[tag] = value
    out = io.BytesIO()
    Image.fromarray(smooth()).save(out, "TIFF", tiffinfo=directory)
    with pytest.raises(Unreadable, match="a camera's raw file"):
        decode(out.getvalue(), None, *LIMITS)
    plain = io.BytesIO()
    Image.fromarray(smooth()).save(plain, "TIFF")
    np.testing.assert_array_equal(decode(plain.getvalue(), None, *LIMITS), smooth())


def test_images_that_show_nothing_are_told_from_dark_and_pale_ones() -> None:
    random = np.random.default_rng(0)
    black = random.integers(0, 16, (64, 64, 3))
    even = np.full((64, 64, 3), (200, 10, 90)) + random.integers(-2, 3, (64, 64, 3))
    dark = smooth() // 6
    digit = np.zeros((64, 64, 3), np.uint8)
    digit[20:40, 30:34] = 255
    pale = 255 - smooth() // 8
    images = np.stack([black, even, dark, digit, pale]).astype(np.uint8)
    assert blank(images).tolist() == [True, True, False, False, False]
    assert blank(images[:0]).tolist() == []


def test_what_was_mended_and_what_shows_nothing_is_counted_and_said(project: Path, capsys: Any) -> None:
    for kind in ("a", "b"):
        folder = project / "datasets" / "photos" / kind
        folder.mkdir(parents=True)
        for number in range(12):
            (folder / f"{number}.jpg").write_bytes(
                jpeg(seed=number + 100 * (kind == "b"))[: -2 if number < 3 else None]
            )
        Image.new("RGB", (40, 40), (7, 7, 7 if kind == "a" else 9)).save(folder / "black.png")
    edit(project, {"dataset": "photos", "datasets.photos.image_size": 32})
    manifest = prepare(project_settings.load(), layout.DATA)
    assert manifest["mended"] == {"JPEG without its end marker": 6}
    assert manifest["blank_count"] == 2
    assert sorted(manifest["blank"]) == ["a/black.png", "b/black.png"]
    assert sum(split["count"] for split in manifest["splits"].values()) == 26
    said = capsys.readouterr().err
    for words in ("6 damaged files were read all the same", "2 images are nearly black", "black.png"):
        assert words in said
        assert any(words in note for note in manifest["notes"])
