"""LeNet-5 (LeCun, Bottou, Bengio & Haffner, Proc. IEEE 1998, section II.B).

As in the paper: 32×32 input, C1 with 6 maps, trainable subsampling, C3 with its table of partial connections, C5, F6
with 84 units, scaled tanh. Departures, stated in the report:

- The output is a linear layer with softmax in the place of the RBF units.
- Weights start with standard deviation fan-in^-½, the rule of the same authors' "Efficient BackProp" (1998); the
  paper's ±2.4/fan-in lets signals fade through the layers and needs updates after every single image to recover.
- Images of other sizes are brought to 32×32 (smaller ones by continuing their border, larger ones by averaging), and
  colour images enter C1 with three channels.
"""

from __future__ import annotations

import torch
from torch import nn

from pipeline.networks.layers import PartialConv2d, ScaledTanh, Subsampling
from pipeline.settings import Training

SIDE = 32
#: Table I of the paper: which maps of S2 each map of C3 sees.
C3_TABLE = (
    [[(start + offset) % 6 for offset in range(3)] for start in range(6)]
    + [[(start + offset) % 6 for offset in range(4)] for start in range(6)]
    + [[start, start + 1, (start + 3) % 6, (start + 4) % 6] for start in range(3)]
    + [list(range(6))]
)


class Settings(Training):
    """Nothing beside how it is trained."""


class LeNet5(nn.Sequential):
    """The layers, named as in the paper."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        for name, layer in (
            ("C1", nn.Conv2d(channels, 6, 5)),
            ("f1", ScaledTanh()),
            ("S2", Subsampling(6)),
            ("f2", ScaledTanh()),
            ("C3", PartialConv2d(C3_TABLE, 6, 5)),
            ("f3", ScaledTanh()),
            ("S4", Subsampling(16)),
            ("f4", ScaledTanh()),
            ("C5", nn.Conv2d(16, 120, 5)),
            ("f5", ScaledTanh()),
            ("flatten", nn.Flatten()),
            ("F6", nn.Linear(120, 84)),
            ("f6", ScaledTanh()),
            ("output", nn.Linear(84, classes)),
        ):
            self.add_module(name, layer)
        self.apply(_start)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) → (B, classes)."""
        scores: torch.Tensor = super().forward(_to_32(x))
        return scores


def build(settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """LeNet-5 for images of (channels, H, W)."""
    return LeNet5(image_shape[0], classes)


def _to_32(x: torch.Tensor) -> torch.Tensor:
    height, width = x.shape[-2:]
    if height > SIDE or width > SIDE:
        x = nn.functional.adaptive_avg_pool2d(x, (min(height, SIDE), min(width, SIDE)))
        height, width = x.shape[-2:]
    if height == width == SIDE:
        return x
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    return nn.functional.pad(x, (left, SIDE - width - left, top, SIDE - height - top), mode="replicate")


def _start(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        fan_in = module.weight[0].numel()
        if isinstance(module, PartialConv2d):
            fan_in = int(module.mask[0].sum()) * module.kernel_size[0] * module.kernel_size[1]
        nn.init.normal_(module.weight, std=fan_in**-0.5)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
