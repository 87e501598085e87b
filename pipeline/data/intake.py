"""How a photograph from anywhere is brought to the form in which a fitted model takes images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import Field

from pipeline.data.decode import decode, read_file
from pipeline.settings import Positive, Section


class Intake(Section):
    """The size of a data set's images, and what `prepare` refuses.

    Decoding, orientation, transparency, scaling and resampling are those of `prepare` (data/decode.py): the image is
    scaled to cover the size, and its centre is cut out. Where all images of the data set are grey, a colour photograph
    becomes its luminance.
    """

    height: Positive
    width: Positive
    grey: bool
    min_side: Positive
    max_megapixels: float = Field(gt=0)

    def read(self, path: Path) -> np.ndarray:
        """One file as uint8 (H, W, 3).

        Raises:
            Unreadable: with the reason.
        """
        return self.decode(read_file(path))

    def decode(self, raw: bytes) -> np.ndarray:
        """A file's bytes as uint8 (H, W, 3).

        Raises:
            Unreadable: with the reason.
        """
        pixels = decode(raw, (self.height, self.width), self.min_side, self.max_megapixels)
        if not self.grey:
            return pixels
        luminance = np.asarray(Image.fromarray(pixels).convert("L"))
        return np.repeat(luminance[:, :, None], 3, axis=2)
