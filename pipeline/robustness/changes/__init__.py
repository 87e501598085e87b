"""All changes, by their keys; a new one is one entry in its group's list."""

from __future__ import annotations

from pipeline.robustness.change import GROUPS, Change
from pipeline.robustness.changes import (
    background,
    blur,
    clutter,
    cues,
    deformation,
    digital,
    lighting,
    noise,
    viewpoint,
    weather,
)

SMALL = 64  # pixels a side: up to it, corruptions have CIFAR-10-C's parameters, above it ImageNet-C's


def changes(side: int) -> dict[str, Change]:
    """For images of so many pixels a side.

    Corruptions have other parameters on small images: what ruins 32 pixels is hardly seen on 224.
    """
    small = side <= SMALL
    found = [
        *viewpoint.CHANGES,
        *lighting.CHANGES,
        *deformation.CHANGES,
        *clutter.CHANGES,
        *background.CHANGES,
        *noise.changes(small),
        *blur.changes(small),
        *weather.changes(small),
        *digital.changes(small),
        *cues.CHANGES,
    ]
    return {change.key: change for change in found}


def names() -> list[str]:
    """What params.yaml may name: groups and changes."""
    return [*GROUPS, *changes(SMALL)]
