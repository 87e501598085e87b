"""DINOv2's small vision transformer, taught without labels (Oquab et al., DINOv2, TMLR 2024): 384 numbers an image."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from pipeline.networks.parts.vision_transformer import SMALL_14, VisionTransformer
from pipeline.pretrained import off_the_shelf
from pipeline.pretrained.backbone import Published
from pipeline.pretrained.off_the_shelf import OffTheShelf
from pipeline.pretrained.torchvision_files import CENTRE, SPREAD
from pipeline.settings.methods import different

__all__ = ["Settings", "fit", "transform"]

Side = Annotated[int, Field(ge=28, le=518, multiple_of=SMALL_14.patch)]


class Settings(off_the_shelf.Settings):
    """Images are cut into patches of 14 pixels, so `side` is a multiple of that."""

    side: Side | Annotated[list[Side], Field(min_length=1), AfterValidator(different)]


BACKBONE = Published(
    build=lambda side: VisionTransformer(SMALL_14),
    named=lambda name: name,
    centre=CENTRE,
    spread=SPREAD,
    headed=False,
    passed_over=("mask_token",),  # for patches that are hidden while it is taught
)
METHOD = OffTheShelf(BACKBONE)
fit, transform = METHOD.fit, METHOD.transform
