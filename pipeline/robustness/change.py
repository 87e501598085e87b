"""One way in which an image may change, in steps of rising severity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pipeline.randomness import generator


@dataclass(frozen=True)
class Layers:
    """An image taken apart.

    Attributes:
        cover: float32 (H, W), the share of each pixel that belongs to the thing, 0 to 1.
        ground: uint8 (H, W, 3), the image as it would be without the thing.
    """

    cover: np.ndarray
    ground: np.ndarray


@dataclass(frozen=True)
class Beside:
    """What a change may use beside the image itself.

    Attributes:
        other: another image of the same size and, where there is one, of another class, uint8 (H, W, 3).
        known: layers of the image and of the other; None: not known.
    """

    other: np.ndarray
    known: tuple[Layers, Layers] | None = None

    @property
    def layers(self) -> tuple[Layers, Layers]:
        """For changes that are asked for only where layers are known."""
        assert self.known is not None
        return self.known


#: Image uint8 (H, W, 3), how strong, random numbers, what is beside it → uint8 (H, W, 3).
Apply = Callable[[np.ndarray, Any, np.random.Generator, Beside], np.ndarray]


@dataclass(frozen=True)
class Change:
    """A change, and how strong it gets.

    Attributes:
        key: in params.yaml, tables and files.
        title: as the report says it.
        reason: the group; see GROUPS.
        apply: what it does.
        levels: how strong it is at severity 1, 2, …; one for what has no degrees.
        named: each level in words, for sentences: "turned by 30°".
        smallest: side in pixels below which an image is too small for it.
        colour: whether it is about colour, which grey images don't have.
        draws: whether it needs random numbers.
        company: whether it needs another image.
        layers: whether it needs to know which pixels belong to the thing.
        by_channel: whether each channel has random numbers of its own; grey images have one channel.
    """

    key: str
    title: str
    reason: str
    apply: Apply
    levels: tuple[Any, ...]
    named: tuple[str, ...]
    smallest: int = 8
    colour: bool = False
    draws: bool = True
    company: bool = False
    layers: bool = False
    by_channel: bool = False

    def severities(self, wanted: tuple[int, ...]) -> list[int]:
        """Those of the wanted severities that it has; all where it has fewer than five."""
        own = range(1, len(self.levels) + 1)
        return [one for one in own if one in wanted or len(self.levels) < MOST]

    def on(
        self, image: np.ndarray, severity: int, seed: int, name: str, beside: Beside, grey: bool = False
    ) -> np.ndarray:
        """Change one image.

        Random numbers come from the seed, the image's name and the change alone: neither workers nor batches nor the
        method that looks on alter a pixel, and a higher severity is more of the same.

        Args:
            image: uint8 (H, W, 3), RGB.
            severity: from 1 on; 0 changes nothing.
            seed: of the run.
            name: of the image.
            beside: what it may use beside the image.
            grey: whether the image is grey and must stay so, in three equal channels.
        """
        if severity == 0:
            return image
        random = generator(seed, f"{self.key} {name}") if self.draws else UNDRAWN
        alone = grey and self.by_channel
        changed = self.apply(image[..., :1] if alone else image, self.levels[severity - 1], random, beside)
        if alone:
            changed = np.repeat(changed.reshape(*image.shape[:2], 1), 3, axis=2)
        elif grey:
            changed = np.repeat(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        return np.ascontiguousarray(changed, np.uint8)


MOST = 5  # severities
UNDRAWN = np.random.default_rng(0)  # what a change gets that draws nothing: to make a generator takes a moment

#: The lecture's reasons why recognition is hard, then others' corruptions, single cues, and things without their place.
GROUPS = {
    "viewpoint": "viewpoint",
    "lighting": "lighting",
    "deformation": "deformation",
    "clutter": "clutter and occlusion",
    "noise": "noise",
    "blur": "blur",
    "weather": "weather",
    "digital": "digital processing",
    "cue": "cues",
    "background": "background",
}
GREY = 128  # what covers, or stands behind, where nothing is to be seen
NOTHING = "background_alone"  # a picture without its thing: who errs on it is right, so it is in no mean


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Float (H, W, 3) or (256,), 0 to 255, to uint8: rounded, and cut off at the ends."""
    flat = np.ascontiguousarray(values, np.float32).reshape(
        len(values), -1
    )  # of several channels OpenCV scales the first
    return np.asarray(cv2.multiply(flat, 1.0, dtype=cv2.CV_8U)).reshape(values.shape)


def by_severity(words: str) -> tuple[str, ...]:
    """For a change whose levels mean nothing to a reader."""
    return tuple(f"{words} (severity {severity} of {MOST})" for severity in range(1, MOST + 1))
