"""One image file → RGB pixels, whatever format and mode it has."""

from __future__ import annotations

import io
import warnings
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.data.scaling import centre_square

#: Our own limit on pixels (params.yaml) takes the place of Pillow's.
Image.MAX_IMAGE_PIXELS = None

#: Formats that only OpenCV reads, and photographs of phones that neither reads: those are listed as skipped.
_MORE_EXTENSIONS = frozenset(".sr .ras .exr .hdr .heic .heif .jxl .cr2 .cr3 .nef .arw .dng".split())
#: What Pillow registers but no folder of photographs means: documents, films, fonts, data.
_NOT_PICTURES = frozenset(".pdf .ps .eps .mpg .mpeg .h5 .hdf .fit .fits .grib .bufr .wmf .emf .iim .msp .xbm".split())


@cache
def extensions() -> frozenset[str]:
    """File name endings that count as images, lower case."""
    Image.init()
    return (frozenset(Image.registered_extensions()) | _MORE_EXTENSIONS) - _NOT_PICTURES


class Unreadable(Exception):
    """Why one image can't be used."""


def read_image(path: Path, size: int | None, min_side: int, max_megapixels: float) -> np.ndarray:
    """Read one file as RGB.

    EXIF orientation is applied, CMYK, palette and 16-bit images are converted, transparency is laid over white.

    Args:
        size: scale the shorter side to this and cut the centre square; None keeps the image.
        min_side: refuse images with a shorter side than this.
        max_megapixels: refuse larger images before decoding them.

    Returns:
        uint8 (H, W, 3).

    Raises:
        Unreadable: with the reason.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"can't be opened ({error.strerror})") from error
    if not raw:
        raise Unreadable("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(raw)) as image:
                _check_size(*image.size, min_side, max_megapixels)
                return _pixels(_to_rgb(_oriented(image, size)), size)
    except UnidentifiedImageError:
        return _read_with_opencv(raw, size, min_side, max_megapixels)
    except Unreadable:
        raise
    except Exception as error:  # Pillow's plugins raise nearly anything on damaged files
        raise Unreadable(f"damaged ({error})") from error


def _check_size(width: int, height: int, min_side: int, max_megapixels: float) -> None:
    if min(width, height) < min_side:
        raise Unreadable(f"too small ({width}×{height}; the shorter side must be at least {min_side})")
    if width * height > max_megapixels * 1e6:
        raise Unreadable(f"too large ({width}×{height} pixels; at most {max_megapixels:g} megapixels)")


def _oriented(image: Image.Image, size: int | None) -> Image.Image:
    if size is not None:
        # A JPEG decodes several times faster at a half, quarter or eighth; twice the size leaves the quality.
        image.draft("RGB", (2 * size, 2 * size))
    return ImageOps.exif_transpose(image)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _sixteen_bit(np.asarray(image))
    if image.mode == "F":
        raise Unreadable("floating-point pixels have no known range; save it as 8 or 16 bits")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _sixteen_bit(values: np.ndarray) -> Image.Image:
    top = int(values.max(initial=0))
    if top > 65535 or int(values.min(initial=0)) < 0:
        raise Unreadable("32-bit integer pixels have no known range; save it as 8 or 16 bits")
    grey = (values.astype(np.uint32) + 128) // 257
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")


def _pixels(image: Image.Image, size: int | None) -> np.ndarray:
    if size is not None:
        box = centre_square(*image.size)
        image = image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    return np.asarray(image)


def _read_with_opencv(raw: bytes, size: int | None, min_side: int, max_megapixels: float) -> np.ndarray:
    try:
        pixels = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise Unreadable(f"damaged ({error.err})") from error
    if pixels is None:
        raise Unreadable("no image format that Pillow or OpenCV knows")
    height, width = pixels.shape[:2]
    _check_size(width, height, min_side, max_megapixels)
    return _pixels(Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)), size)
