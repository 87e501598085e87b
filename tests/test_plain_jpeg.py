"""JPEGs that OpenCV decodes: the same bytes as Pillow's, and no file that needs what only Pillow does."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from pipeline.data import decode as decoding
from pipeline.data.decode import Unreadable, decode
from pipeline.data.plain_jpeg import Frame, decode_plain, plain_frame

PHOTOGRAPH = Image.fromarray(data.astronaut())


def jpeg(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    width=st.integers(8, 150),
    height=st.integers(8, 150),
    quality=st.integers(5, 100),
    subsampling=st.sampled_from([0, 1, 2]),
    progressive=st.booleans(),
    grey=st.booleans(),
)
def test_the_bytes_are_pillows(
    width: int, height: int, quality: int, subsampling: int, progressive: bool, grey: bool
) -> None:
    image = PHOTOGRAPH.resize((width, height)).convert("L" if grey else "RGB")
    raw = jpeg(image, quality=quality, subsampling=subsampling, progressive=progressive)
    assert plain_frame(raw) == Frame(width, height)
    np.testing.assert_array_equal(decode_plain(raw), np.asarray(Image.open(io.BytesIO(raw)).convert("RGB")))


@pytest.mark.parametrize("shape", [None, (40, 40), (48, 32), (60, 60), (25, 25)])
def test_scaling_and_cutting_are_the_same_either_way(
    shape: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    raws = [jpeg(PHOTOGRAPH.resize(size), quality=90) for size in ((60, 60), (75, 50), (119, 100), (301, 205))]
    ours = [decode(raw, shape, 8, 10) for raw in raws]
    monkeypatch.setattr(decoding, "plain_frame", lambda raw: None)
    for raw, found in zip(raws, ours, strict=True):
        np.testing.assert_array_equal(found, decode(raw, shape, 8, 10))


def with_orientation() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(PHOTOGRAPH.resize((60, 40)), exif=exif)


@pytest.mark.parametrize(
    "raw",
    [
        with_orientation(),
        jpeg(PHOTOGRAPH.resize((60, 40)).convert("CMYK")),
        jpeg(PHOTOGRAPH.resize((60, 40)))[:-2],
        jpeg(PHOTOGRAPH.resize((60, 40))) + b"more",
        jpeg(PHOTOGRAPH.resize((60, 40)))[:30] + b"\xff\xd9",
        jpeg(PHOTOGRAPH.resize((60, 40)))[:100].replace(b"\xff\xda", b"\xff\xdb") + b"\xff\xd9",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff" + b"\xff" * 40 + b"\xff\xd9",
        b"\x89PNG\xff\xd9",
        b"",
    ],
)
def test_everything_else_is_left_to_pillow(raw: bytes) -> None:
    assert plain_frame(raw) is None


def test_an_orientation_is_followed_and_limits_hold() -> None:
    assert decode(with_orientation(), None, 8, 10).shape == (60, 40, 3)
    raw = jpeg(PHOTOGRAPH.resize((60, 40)))
    with pytest.raises(Unreadable, match="too small"):
        decode(raw, None, 50, 10)
    with pytest.raises(Unreadable, match="too large"):
        decode(raw, None, 8, 0.001)


@hypothesis_settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 400), value=st.integers(0, 255))
def test_a_flipped_byte_is_read_or_refused_and_never_more(at: int, value: int) -> None:
    raw = bytearray(jpeg(PHOTOGRAPH.resize((40, 40))))
    raw[at] = value
    try:
        found = decode(bytes(raw), (20, 20), 8, 10)
    except Unreadable:
        return
    assert found.shape == (20, 20, 3)
