"""Networks whose weights torchvision publishes, as ours: the names in its files, and how it wants pixels normalised."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from torch import nn

from pipeline.networks import alexnet_one_tower
from pipeline.networks.parts import resnet, vgg
from pipeline.pretrained import fine_tuning, off_the_shelf
from pipeline.pretrained.backbone import Published
from pipeline.settings.methods import different

CLASSES = 1000  # of ImageNet, in the layer that is left out
WIDE = 224  # pixels a side, on which all of them learned
#: ImageNet's mean and deviation of R, G and B, as torchvision has them, of pixels from 0 to 255.
CENTRE = (255 * 0.485, 255 * 0.456, 255 * 0.406)
SPREAD = (255 * 0.229, 255 * 0.224, 255 * 0.225)
#: Of the settings that a network is trained with, the two that say how it is built: as published.
PUBLISHED: dict[str, Any] = {"width": 1.0, "start": None}
#: Where the blocks of the four stages begin in our networks: behind convolution, normalisation, ReLU and pooling.
FIRST_BLOCK = 4
#: Full layers in the published files and in ours, counted from the layer behind the last convolution's pooling.
FULL = {"alexnet": {1: 1, 4: 4, 6: 7}, "vgg16": {0: 1, 3: 4, 6: 7}}


Side = Annotated[int, Field(ge=resnet.LARGE_STEM_FROM, le=512)]  # below, ours would have another stem


class AnySide(off_the_shelf.Settings):
    """For networks that take images of any size from 112 pixels on."""

    side: Side | Annotated[list[Side], Field(min_length=1), AfterValidator(different)]


class AnySideTuned(fine_tuning.Settings):
    """Those networks, where they go on learning."""

    side: Side


class OneSide(off_the_shelf.Settings):
    """For networks whose full layers fix the size of images."""

    side: Annotated[int, Field(ge=WIDE, le=WIDE)]


def residual(key: str) -> Published:
    """ResNet-18, 34 or 50, by the key of the network."""
    blocks, _ = resnet.CONFIGURATIONS_LARGE[key]
    settings = resnet.Settings.model_construct(**PUBLISHED)

    def named(name: str) -> str:
        layer, _, kind = name.rpartition(".")
        if found := re.fullmatch(r"layer(\d)\.(\d+)\.(\w+?)(\d)?(\.\d)?", layer):
            stage, block, what, number, place = found.groups()
            where = FIRST_BLOCK + sum(blocks[: int(stage) - 1]) + int(block)
            if what == "downsample":
                return f"{where}.shortcut{place}.{kind}"
            return f"{where}.residual.{3 * (int(number) - 1) + (what == 'bn')}.{kind}"
        outside = {"conv1": "0", "bn1": "1", "fc": str(FIRST_BLOCK + sum(blocks) + 2)}
        return f"{outside.get(layer, layer)}.{kind}"

    return Published(lambda side: resnet.large(key, settings, (3, side, side), CLASSES), named, CENTRE, SPREAD)


def _alexnet(side: int) -> nn.Module:
    settings = alexnet_one_tower.Settings.model_construct(**PUBLISHED)
    return alexnet_one_tower.build(settings, (3, side, side), CLASSES)


def _vgg16(side: int) -> nn.Module:
    return vgg.vgg("vgg16", False, vgg.Settings.model_construct(**PUBLISHED), (3, side, side), CLASSES)


def in_a_row(key: str) -> Published:
    """AlexNet in one tower, or VGG-16."""
    build, convolutions = {"alexnet": (_alexnet, 13), "vgg16": (_vgg16, 31)}[key]

    def named(name: str) -> str:
        part, _, rest = name.partition(".")
        number, _, kind = rest.partition(".")
        if part == "classifier" and number.isdigit() and int(number) in FULL[key]:
            return f"{convolutions + FULL[key][int(number)]}.{kind}"
        return rest if part == "features" else name

    return Published(build, named, CENTRE, SPREAD)
