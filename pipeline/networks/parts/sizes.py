"""Images of sizes that a network was not made for."""

from __future__ import annotations

from torch import Tensor, nn

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


def other_size(image_shape: tuple[int, int, int], published: tuple[int, ...]) -> str:
    """What to say of images (channels, H, W) of none of the published sides; nothing for those that are."""
    height, width = image_shape[1:]
    if height == width and height in published:
        return ""
    return f"made for {published[0]}×{published[0]}, here {width}×{height}"


def other_width(width: float) -> str:
    """What to say of a network with `width` times the published maps and units; nothing where that is 1."""
    return "" if width == 1 else f"{width:g} times as wide"


def listed(*differences: str) -> str:
    """What differs from a publication, as one text; what does not differ is empty and left out."""
    return "; ".join(difference for difference in differences if difference)


LENET = 32


def to_32(x: Tensor) -> Tensor:
    """Images (B, C, H, W) brought to LeNet-5's 32×32: larger by averaging, smaller by continuing their border."""
    height, width = x.shape[-2:]
    if height > LENET or width > LENET:
        x = nn.functional.adaptive_avg_pool2d(x, (min(height, LENET), min(width, LENET)))
        height, width = x.shape[-2:]
    if height == width == LENET:
        return x
    top, left = (LENET - height) // 2, (LENET - width) // 2
    return nn.functional.pad(x, (left, LENET - width - left, top, LENET - height - top), mode="replicate")


def variant_32(image_shape: tuple[int, int, int]) -> str:
    """What images other than grey ones of 32×32 change in LeNet-5."""
    channels, height, width = image_shape
    size = "" if height == width == LENET else f"images of {width}×{height} brought to 32×32"
    return listed(size, "" if channels == 1 else "colour in C1")
