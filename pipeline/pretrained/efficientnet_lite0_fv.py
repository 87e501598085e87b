"""Fisher vectors of EfficientNet-Lite0's last maps, before they are widened and averaged: 320 maps."""

from torch import nn

from pipeline.pretrained.backbone import Body
from pipeline.pretrained.efficientnet_lite0 import BACKBONE
from pipeline.pretrained.fisher_of_maps import FisherOfMaps, Settings

__all__ = ["Settings", "fit", "maps", "transform"]


def maps(body: Body) -> nn.Module:
    """Pixels → the maps that the last block gives."""
    network = body.network
    assert isinstance(network.stem, nn.Module)
    assert isinstance(network.blocks, nn.Module)
    return nn.Sequential(body.entry, network.stem, network.blocks)


METHOD = FisherOfMaps("efficientnet_lite0_fv", BACKBONE, maps)
fit, transform = METHOD.fit, METHOD.transform
