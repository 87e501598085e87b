"""Images of sizes that a network was not made for."""

from __future__ import annotations

from pipeline.errors import PipelineError


def require(key: str, image_shape: tuple[int, int, int], smallest: int, instead: str = "") -> int:
    """The shorter side of images (channels, H, W), if a network can take them.

    Args:
        smallest: pixels a side.
        instead: a network that takes smaller ones.

    Raises:
        PipelineError: they are too small; it names the smallest size, and what to use.
    """
    _, height, width = image_shape
    side = min(height, width)
    if side < smallest:
        other = f", or select {instead} in its place" if instead else ""
        raise PipelineError(
            f"{key} needs images of at least {smallest} pixels a side, these have {width}×{height}; set the data set's "
            f"`image_size` to {smallest} or more{other}, or leave {key} out of `networks`"
        )
    return side
