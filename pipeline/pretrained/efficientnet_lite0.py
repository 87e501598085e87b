"""EfficientNet-Lite0 as ImageNet taught it (Tan & Le, ICML 2019): 1,280 activations of an image."""

from __future__ import annotations

import re

from pipeline.networks.parts.efficientnet_lite import EfficientNetLite0
from pipeline.pretrained.backbone import Published
from pipeline.pretrained.off_the_shelf import OffTheShelf, Settings

__all__ = ["Settings", "fit", "ours", "transform"]

CLASSES = 1000  # of ImageNet, in the layer that is left out
#: Beginnings of names in the published file, and of ours.
OUTSIDE = {"_conv_stem": "stem.0", "_bn0": "stem.1", "_conv_head": "head.0", "_bn1": "head.1", "_fc": "last"}
WITHIN = {
    "_expand_conv": "up.0", "_bn0": "up.1", "_depthwise_conv": "depthwise.0", "_bn1": "depthwise.1",
    "_project_conv": "down.0", "_bn2": "down.1",
}  # fmt: skip


def ours(name: str) -> str:
    """A name in the published file as our network has it; an unknown one stays as it is."""
    if found := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
        block, layer, kind = found.groups()
        return f"blocks.{block}.{WITHIN.get(layer, layer)}.{kind}"
    layer, _, kind = name.partition(".")
    return f"{OUTSIDE.get(layer, layer)}.{kind}"


BACKBONE = Published(lambda side: EfficientNetLite0(CLASSES), ours, centre=(127.0,) * 3, spread=(128.0,) * 3)
METHOD = OffTheShelf(BACKBONE)
fit, transform = METHOD.fit, METHOD.transform
