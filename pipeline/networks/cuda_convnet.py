"""AlexNet's forerunner for 32×32: the network of cuda-convnet's layers-conv-local (Krizhevsky, 2011).

Two convolutions of 64 maps with overlapping pooling and local response normalisation, then two layers of local
kernels that are not shared between places, 64 and 32 maps, then the classes. Published: 11 % error on CIFAR-10 by ten
views of crops of 24 pixels; here one view of whole images, shifted in training.

As in its layer-params-conv-local-11pct.cfg, weights of convolutions do not decay, those of the classes decay 2.5 times
as much as those of local layers (there 0.004, beside a rate of 0.001), and biases learn twice as fast and do not decay.
"""

from __future__ import annotations

from torch import nn

from pipeline.networks.parts.groups import Group
from pipeline.networks.parts.layers import LocallyConnected2d, LocalResponseNorm
from pipeline.networks.parts.sizes import listed, require
from pipeline.networks.parts.start import he
from pipeline.settings import Training

SMALLEST = 12  # two overlapping poolings leave 2
MAPS, LOCAL = 64, (64, 32)
CLASSES_DECAY = 2.5  # times that of local layers
BIAS_RATE = 2.0
#: Deviations from which weights started, layer by layer. The first is the published 0.0001 for images of bytes, times
#: 64: here they are divided by their deviation, which is about that.
PUBLISHED_START = (0.0064, 0.01, 0.04, 0.04, 0.01)
WEIGHTED = (nn.Conv2d, LocallyConnected2d, nn.Linear)


class Settings(Training):
    """Nothing beside how it is trained."""


class CudaConvnet(nn.Sequential):
    """Its layers, which are not all trained alike."""

    def parameter_groups(self) -> list[Group]:
        """Weights of convolutions, of local layers and of classes; then what is no layer's weight, such as biases."""
        layers = [module for module in self.modules() if isinstance(module, WEIGHTED)]

        def weights(kind: type[nn.Module]) -> list[nn.Parameter]:
            return [layer.get_parameter("weight") for layer in layers if isinstance(layer, kind)]

        biases = [layer.get_parameter("bias") for layer in layers if layer.bias is not None]
        known = {id(layer.weight) for layer in layers} | {id(bias) for bias in biases}
        return [
            Group(weights(nn.Conv2d), orthogonal=True, decay=0),
            Group(weights(LocallyConnected2d)),
            Group(weights(nn.Linear), decay=CLASSES_DECAY),
            Group(biases, rate=BIAS_RATE, decay=0),
            Group([parameter for parameter in self.parameters() if id(parameter) not in known], decay=0),
        ]


def build(settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """For images of (channels, H, W), at least 12 pixels a side."""
    require("cuda_convnet", image_shape, SMALLEST, "resnet20")
    channels, height, width = image_shape
    height, width = (_pooled(_pooled(side)) for side in (height, width))
    network = CudaConvnet(
        nn.Conv2d(channels, MAPS, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        LocalResponseNorm(MAPS, 9, 1e-3, 1.0),
        nn.Conv2d(MAPS, MAPS, 5, padding=2),
        nn.ReLU(inplace=True),
        LocalResponseNorm(MAPS, 9, 1e-3, 1.0),
        nn.MaxPool2d(3, 2),
        LocallyConnected2d(MAPS, LOCAL[0], 3, height, width),
        nn.ReLU(inplace=True),
        LocallyConnected2d(LOCAL[0], LOCAL[1], 3, height, width),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(LOCAL[1] * height * width, classes),
    )
    return _as_published(network) if settings.start == "paper" else network.apply(he)


def variant(settings: Settings, image_shape: tuple[int, int, int]) -> str:
    """What is not cuda-convnet's network for crops of 24×24."""
    size = f"whole images of {image_shape[2]}×{image_shape[1]} in the place of crops of 24×24"
    return listed(size, "He's start" if settings.start is None else "")


def _as_published(network: nn.Module) -> nn.Module:
    layers = [module for module in network.modules() if isinstance(module, WEIGHTED)]
    for layer, deviation in zip(layers, PUBLISHED_START, strict=True):
        nn.init.normal_(layer.weight, std=deviation)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return network


def _pooled(side: int) -> int:
    return (side - 3) // 2 + 1
