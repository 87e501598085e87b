"""JPEGs as most data sets have them, decoded by OpenCV: several times faster than by Pillow where images are small.

Both libraries carry libjpeg-turbo and give the same bytes (a test compares them); what Pillow does beside decoding is
left to it: orientation, CMYK, decoding at a fraction of the size, and telling that a file is cut off.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

START, END = b"\xff\xd8\xff", b"\xff\xd9"
BASELINE, EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2  # frames that are Huffman-coded
SCAN = 0xDA
METADATA, ADOBE = 0xE1, 0xEE  # APP1 may hold an orientation, APP14 another meaning of the components
LENGTHLESS = frozenset([0x01, *range(0xD0, 0xD8)])


@dataclass(frozen=True)
class Frame:
    """Width and height in pixels."""

    width: int
    height: int


def plain_frame(raw: bytes) -> Frame | None:
    """The frame of a JPEG of 8 bits, grey or YCbCr, whole and without metadata; None for any other file."""
    if not raw.startswith(START) or not raw.endswith(END):
        return None
    at, frame = 2, None
    while at + 9 < len(raw) and raw[at] == 0xFF:
        marker = raw[at + 1]
        if marker in LENGTHLESS or marker in (METADATA, ADOBE):
            return None
        if marker == SCAN:
            return frame
        if marker in (BASELINE, EXTENDED, PROGRESSIVE):
            bits, components = raw[at + 4], raw[at + 9]
            if bits != 8 or components not in (1, 3):
                return None
            frame = Frame(int.from_bytes(raw[at + 7 : at + 9], "big"), int.from_bytes(raw[at + 5 : at + 7], "big"))
        at += 2 + int.from_bytes(raw[at + 2 : at + 4], "big")
    return None


def decode_plain(raw: bytes) -> np.ndarray | None:
    """Such a file as RGB, uint8 (H, W, 3); None where OpenCV refuses it."""
    try:
        return cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None
