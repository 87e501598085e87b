"""One image file → RGB pixels, whatever format and mode it has."""

from __future__ import annotations

import io
import stat
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.data import camera_raw
from pipeline.data.magic import is_camera_raw, is_camera_raw_head, is_heif
from pipeline.data.mending import NO_END, PNG, lacks_its_end, mended
from pipeline.data.plain_jpeg import decode_plain, plain_frame
from pipeline.data.scaling import centre_box

if find_spec("pillow_heif") is not None:  # phones' photographs; an optional package
    from pillow_heif import register_heif_opener

    register_heif_opener()

#: Our own limit on pixels (params.yaml) takes the place of Pillow's.
Image.MAX_IMAGE_PIXELS = None

#: Formats that only OpenCV reads, and photographs of phones that neither reads: those are listed as skipped.
_MORE_EXTENSIONS = frozenset(".sr .ras .exr .hdr .heic .heif .jxl .cr2 .cr3 .nef .arw .dng .raf .orf .rw2 .pef".split())
#: What Pillow registers but no folder of photographs means: documents, films, fonts, data.
_NOT_PICTURES = frozenset(".pdf .ps .eps .mpg .mpeg .h5 .hdf .fit .fits .grib .bufr .wmf .emf .iim .msp .xbm".split())


DRAFT = 2  # times the wanted size: larger JPEGs are decoded at a fraction that is not below it
TWELVE_BITS = 4096  # of microscopes and X-rays, often stored in 16 bits
UNDEVELOPED = "a camera's raw file that LibRaw can't develop"
TIFF = (b"II*\0", b"MM\0*")
SMALL_FILE = 16_384  # bytes; a JPEG of some 200 × 200 pixels
NO_RANGE = "floating-point pixels have no known range; save it as 8 or 16 bits"
MOST_BYTES = 1_000_000_000  # of a file: no photograph has as many, and a file is read whole


@cache
def extensions() -> frozenset[str]:
    """File name endings that count as images, lower case."""
    Image.init()
    return (frozenset(Image.registered_extensions()) | _MORE_EXTENSIONS) - _NOT_PICTURES


class Unreadable(Exception):
    """Why one image can't be used."""


class Damaged(Unreadable):
    """Its file is; another decoder may make sense of it."""


def threads_for(files: Sequence[Path], workers: int) -> int:
    """How many threads read these files fastest: one where they are small.

    Threads then wait for the interpreter's lock longer than for the decoder, and take it from whoever computes.
    """
    some = files[:: max(1, len(files) // 32)]
    sizes = [path.stat().st_size for path in some if path.is_file()]
    return 1 if sizes and sum(sizes) / len(sizes) < SMALL_FILE else workers


def read_image(path: Path, size: int | None, min_side: int, max_megapixels: float) -> np.ndarray:
    """Read one file as RGB; see decode.

    Args:
        size: scale the shorter side to this and cut the centre square; None keeps the image.

    Returns:
        uint8 (H, W, 3).

    Raises:
        Unreadable: with the reason.
    """
    return decode(read_file(path), None if size is None else (size, size), min_side, max_megapixels)


def read_file(path: Path) -> bytes:
    """The bytes of an image file.

    Raises:
        Unreadable: it can't be opened, is empty, no file at all, or larger than any photograph.
    """
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise Unreadable("is a folder")
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable("is no file, but a device, a pipe or a socket")
        if found.st_size > MOST_BYTES:
            raise Unreadable(f"the file has {found.st_size / 1e9:.1f} GB; at most {MOST_BYTES / 1e9:g} GB are read")
        raw = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"can't be opened ({error.strerror})") from error
    except ValueError as error:
        raise Unreadable(f"can't be opened ({error})") from error
    if not raw:
        raise Unreadable("the file is empty")
    return raw


@dataclass(frozen=True)
class Decoded:
    """An image.

    Attributes:
        pixels: uint8 (H, W, 3), RGB.
        mended: what was wrong with its file and did not matter; None for most.
    """

    pixels: np.ndarray
    mended: str | None = None


def decode(raw: bytes, shape: tuple[int, int] | None, min_side: int, max_megapixels: float) -> np.ndarray:
    """The pixels alone; see `decoded`."""
    return decoded(raw, shape, min_side, max_megapixels).pixels


def decoded(raw: bytes, shape: tuple[int, int] | None, min_side: int, max_megapixels: float) -> Decoded:
    """Decode an image file as RGB.

    EXIF orientation is applied, CMYK, palette and 16-bit images are converted, transparency is laid over white. Of an
    image with several frames the first is taken. A file that is damaged where no pixel is, is mended first.

    Args:
        raw: the file.
        shape: (H, W): scale the image to cover it, and cut out the centre; None keeps the image.
        min_side: refuse images with a shorter side than this.
        max_megapixels: refuse larger images before decoding them.

    Raises:
        Unreadable: with the reason.
    """
    try:
        return Decoded(_decoded(raw, shape, min_side, max_megapixels), NO_END if lacks_its_end(raw) else None)
    except Damaged:
        if (found := mended(raw)) is None:
            raise
    whole, what = found
    return Decoded(_decoded(whole, shape, min_side, max_megapixels), what)


def _decoded(raw: bytes, shape: tuple[int, int] | None, min_side: int, max_megapixels: float) -> np.ndarray:
    frame = plain_frame(raw)
    if frame is not None and not _drafted(frame.width, frame.height, shape):
        _check_size(frame.width, frame.height, min_side, max_megapixels)
        if (pixels := decode_plain(raw)) is not None:
            return _brought_to(pixels, shape)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(raw)) as image:
                if is_camera_raw(raw, image):
                    return _developed(raw, shape, min_side, max_megapixels)
                _check_size(*image.size, min_side, max_megapixels)
                return _pixels(_to_rgb(_oriented(image, shape)), shape)
    except UnidentifiedImageError:
        if raw.startswith(PNG):  # OpenCV would show what it has of it
            raise Damaged("damaged (a chunk of the PNG is cut off or has a wrong checksum)") from None
        if is_camera_raw_head(raw) and camera_raw.knows(raw):
            return _developed(raw, shape, min_side, max_megapixels)
        return _read_with_opencv(raw, shape, min_side, max_megapixels)
    except Unreadable:
        raise
    except Exception as error:  # Pillow's plugins raise nearly anything on damaged files
        raise Damaged(f"damaged ({error})") from error


def _developed(raw: bytes, shape: tuple[int, int] | None, min_side: int, max_megapixels: float) -> np.ndarray:
    """A camera's raw file; without the package that develops it only a preview could be read, if anything."""
    if not camera_raw.can_be_developed():
        raise Unreadable(camera_raw.ADVICE)
    try:
        return _brought_to(
            camera_raw.develop(
                raw,
                lambda width, height: _check_size(width, height, min_side, max_megapixels),
                lambda width, height: _drafted(width, height, shape),
            ),
            shape,
        )
    except Unreadable:
        raise
    except Exception as error:  # LibRaw's own, and whatever a damaged file brings about
        why = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else error
        raise Unreadable(f"{UNDEVELOPED} ({why}); export it as JPEG or TIFF") from error


def _check_size(width: int, height: int, min_side: int, max_megapixels: float) -> None:
    if min(width, height) < min_side:
        raise Unreadable(f"too small ({width}×{height}; the shorter side must be at least {min_side})")
    if width * height > max_megapixels * 1e6:
        raise Unreadable(
            f"too large ({width}×{height} pixels; `prepare.max_megapixels` lets in {max_megapixels:g} million at most)"
        )


def _drafted(width: int, height: int, shape: tuple[int, int] | None) -> bool:
    """Whether `_oriented` decodes at a fraction of the size."""
    return shape is not None and min(width, height) >= 2 * DRAFT * max(shape)


def _oriented(image: Image.Image, shape: tuple[int, int] | None) -> Image.Image:
    if shape is not None:
        # A JPEG decodes several times faster at a half, quarter or eighth; twice the size leaves the quality.
        image.draft("RGB", (DRAFT * max(shape), DRAFT * max(shape)))
    return ImageOps.exif_transpose(image)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _sixteen_bit(np.asarray(image))
    if image.mode == "F":
        raise Unreadable(NO_RANGE)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _sixteen_bit(values: np.ndarray) -> Image.Image:
    top = int(values.max(initial=0))
    if top > 65535 or int(values.min(initial=0)) < 0:
        raise Unreadable("32-bit integer pixels have no known range; save it as 8 or 16 bits")
    if 0 < top < TWELVE_BITS:
        raise Unreadable(
            f"its 16-bit pixels reach {top} only, as if they had {top.bit_length()} bits, and would show nearly black; "
            "scale them to 16 or 8 bits"
        )
    grey = (values.astype(np.uint32) + 128) // 257
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")


def _pixels(image: Image.Image, shape: tuple[int, int] | None) -> np.ndarray:
    if shape is not None:
        height, width = shape
        box = centre_box(*image.size, width / height)
        image = image.resize((width, height), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    return np.asarray(image)


def _brought_to(pixels: np.ndarray, shape: tuple[int, int] | None) -> np.ndarray:
    """The same for pixels uint8 (H, W, 3), which are often of the right size."""
    if shape is None or pixels.shape[:2] == shape:
        return pixels
    return _pixels(Image.fromarray(pixels), shape)


def _unknown(raw: bytes) -> str:
    """Why nothing here reads these bytes, and what would."""
    if is_heif(raw) and find_spec("pillow_heif") is None:
        return "a HEIC photograph; to read it install a package: pip install 'before-and-after-2012[heic]'"
    if is_camera_raw_head(raw) and not camera_raw.can_be_developed():
        return f"no image format that Pillow or OpenCV knows; perhaps {camera_raw.ADVICE}"
    if is_camera_raw_head(raw) and not raw.startswith(TIFF):
        return f"{UNDEVELOPED}; export it as JPEG or TIFF"
    return "no image format that Pillow or OpenCV knows"


def _read_with_opencv(raw: bytes, shape: tuple[int, int] | None, min_side: int, max_megapixels: float) -> np.ndarray:
    try:
        pixels = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise Unreadable(f"damaged ({error.err})") from error
    if pixels is None:
        raise Unreadable(_unknown(raw))
    if pixels.dtype.kind == "f":
        raise Unreadable(NO_RANGE)
    if pixels.dtype != np.uint8:
        raise Unreadable(f"colour pixels of {pixels.dtype} in a format that Pillow does not know; save it as 8 bits")
    height, width = pixels.shape[:2]
    _check_size(width, height, min_side, max_megapixels)
    return _brought_to(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), shape)
