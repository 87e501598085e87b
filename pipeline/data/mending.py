"""Files that are damaged where no pixel is: a JPEG without its last two bytes, a PNG with a bad chunk of text.

OpenCV and browsers show them; Pillow refuses them. What is changed here is the file's bytes, which are then decoded as
any other's, and the image is counted as mended.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np

from pipeline.data.plain_jpeg import BASELINE, END, EXTENDED, PROGRESSIVE, SCAN, START

PNG = b"\x89PNG\r\n\x1a\n"
FRAMES = (BASELINE, EXTENDED, PROGRESSIVE)
NO_END = "JPEG without its end marker"
KEPT = frozenset([b"tRNS", b"eXIf"])  # of a PNG's ancillary chunks: transparency and orientation change what one sees
#: A marker other than those without a length; in coded data, 0xFF is followed by zero or by RST0 to RST7.
MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
#: Bytes of Huffman-coded data that stand for something in any picture that is not yet complete.
FILLING = b"\x55\xaa\x3c\x5a" * 64


def mended(raw: bytes) -> tuple[bytes, str] | None:
    """A file that shows the same picture and that decoders take, and what was wrong; None where nothing is known."""
    if raw.startswith(START) and not raw.endswith(END):
        data = raw.removesuffix(END[:1])
        return (data + END, NO_END) if _only_the_end_is_missing(data) else None
    if raw.startswith(PNG) and (essential := _essential_chunks(raw)) is not None and essential != raw:
        return essential, "PNG with a bad or huge extra chunk"
    return None


def lacks_its_end(raw: bytes) -> bool:
    """Whether a JPEG has no end marker, though a decoder may have made do without.

    Phones put films and more behind a photograph's end marker: that is none of the picture's business.
    """
    return raw.startswith(START) and not raw.endswith(END) and all(marker != END[1] for marker, _ in _markers(raw))


def _only_the_end_is_missing(raw: bytes) -> bool:
    """Whether all pixels are there: then what stands between the data and the end marker changes none of them."""
    if not _all_scans_begun(raw):
        return False
    one, other = (_pixels(raw + more + END) for more in (b"", FILLING))
    return one is not None and other is not None and np.array_equal(one, other)


def _all_scans_begun(raw: bytes) -> bool:
    """Whether every coefficient is given to its last bit by some scan: a progressive JPEG has many scans.

    ITU-T T.81, B.2.3 and G.1.1: a scan names its components, the coefficients from Ss to Se, and the bit Al that it
    brings them to; without progression there are all of them at once.
    """
    progressive, components = False, set()
    missing: dict[int, set[int]] = {}
    for marker, body in _markers(raw):
        if marker in FRAMES and len(body) > 5:
            progressive = marker == PROGRESSIVE
            components = set(body[6::3])
            missing = {component: set(range(64)) for component in components}
        if marker == SCAN and len(body) > 3 and len(body) == 4 + 2 * body[0]:
            first, last, low = body[-3], body[-2], body[-1] & 15
            for component in body[1:-3:2]:
                if not progressive or low == 0:
                    missing.get(component, set()).difference_update(range(first, last + 1))
    return bool(components) and not any(missing.values())


def _markers(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The markers of a JPEG and what belongs to each, up to its end marker, which is the last one."""
    at = 2
    while (found := MARKER.search(raw, at)) is not None:
        marker, at = raw[found.start() + 1], found.end()
        if marker == END[1]:
            yield marker, b""
            return
        length = int.from_bytes(raw[at : at + 2], "big")
        yield marker, raw[at + 2 : at + length]
        at += length


def _pixels(raw: bytes) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def _essential_chunks(raw: bytes) -> bytes | None:
    """A PNG without its ancillary chunks but for two; None where an essential one is damaged.

    PNG specification, third edition, section 5: a chunk is its length, its type, its data and a checksum; a capital
    first letter marks it as critical.
    """
    kept, at = [PNG], len(PNG)
    while at + 12 <= len(raw):
        (length,) = struct.unpack(">I", raw[at : at + 4])
        kind, end = raw[at + 4 : at + 8], at + 12 + length
        if end > len(raw):
            return None
        whole = zlib.crc32(raw[at + 4 : end - 4]) == struct.unpack(">I", raw[end - 4 : end])[0]
        critical = kind[:1].isupper()
        if critical and not whole:
            return None
        if critical or (whole and kind in KEPT):
            kept.append(raw[at:end])
        if kind == b"IEND":
            return b"".join(kept)
        at = end
    return None
