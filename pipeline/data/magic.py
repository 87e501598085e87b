"""Is a file an image, whatever it is called? Its first bytes tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

HEAD = 32  # bytes
DNG_VERSION, SUBFILE_TYPE, SUB_DIRECTORIES = 0xC612, 0x00FE, 0x014A  # tags of TIFF
MAGIC = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\0",  # TIFF, and most cameras' raw formats
    b"MM\0*",
    b"\0\0\0\x0cjP  ",  # JPEG 2000
    b"\xff\x4f\xff\x51",
    b"\x76\x2f\x31\x01",  # OpenEXR
    b"#?RADIANCE",
    b"8BPS",  # Photoshop
    b"qoif",
    b"DDS ",
    b"\x59\xa6\x6a\x95",  # Sun raster
    b"\0\0\x01\0",  # icon
    b"FUJIFILMCCD-RAW",
    b"IIRO",  # Olympus
    b"IIRS",
    b"IIU\0",  # Panasonic
)
RAW_HEADS = (b"II*\0", b"MM\0*", b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"IIU\0")
NETPBM = frozenset(b"1234567FfH")  # after P, before white space
HEIF = frozenset([b"heic", b"heix", b"heim", b"mif1", b"msf1", b"hevc"])
BRANDS = HEIF | {b"avif", b"avis", b"crx "}  # AVIF, and Canon's raw


def looks_like_an_image(path: Path) -> bool:
    """Whether a file begins as an image does; False where it can't be opened."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    return is_image_head(head)


def is_camera_raw(raw: bytes, image: Image.Image) -> bool:
    """Whether it is a raw photograph in the form of a TIFF (CR2, NEF, ARW, DNG), in which decoders find a preview.

    Canon's have CR behind the TIFF's header; DNG has its version's tag; in others the first picture is declared a
    thumbnail (bit 0 of NewSubfileType) and the photograph lies in a sub-directory.
    """
    if image.format != "TIFF":
        return False
    tags = getattr(image, "tag_v2", {})
    return raw[8:10] == b"CR" or DNG_VERSION in tags or bool(tags.get(SUBFILE_TYPE, 0) & 1 and SUB_DIRECTORIES in tags)


def is_camera_raw_head(raw: bytes) -> bool:
    """Whether bytes that no decoder knows begin as cameras' raw files do; most are TIFFs of a kind."""
    return raw.startswith(RAW_HEADS) or raw[4:12] == b"ftypcrx "


def is_heif(raw: bytes) -> bool:
    """Whether it is a photograph as Apple's phones store them, HEIC."""
    return raw[4:8] == b"ftyp" and raw[8:12] in HEIF


def is_image_head(head: bytes) -> bool:
    """The same of a file's first bytes."""
    if head.startswith(MAGIC):
        return not head.startswith(b"BM") or _is_bitmap(head)
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    if head[4:8] == b"ftyp":
        return head[8:12] in BRANDS
    return len(head) > 2 and head[:1] == b"P" and head[1] in NETPBM and head[2:3].isspace()


def _is_bitmap(head: bytes) -> bool:
    """Two letters are few: a bitmap's reserved bytes are zero and its header has one of few lengths."""
    return head[6:10] == b"\0\0\0\0" and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124)
