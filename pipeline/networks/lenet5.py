"""LeNet-5 (LeCun, Bottou, Bengio & Haffner, Proc. IEEE 1998, section II.B): 60,000 trained numbers.

As in the paper: 32×32 input, C1 with 6 maps, trainable subsampling, C3 with its table of partial connections, C5, F6
with 84 units, scaled tanh, and output units that measure the distance to a picture of their class, trained with the
criterion of equation 9. Departures, stated in the report:

- Weights start with standard deviation fan-in^-½, the rule of the same authors' "Efficient BackProp" (1998). The
  paper's ±2.4/fan-in is there as the switch `start: paper`.
- Mini-batches and momentum in the place of single images, and SGD in the place of the stochastic Levenberg-Marquardt
  method of appendix C, which is there as `optimizer: levenberg_marquardt`.
- Images of other sizes are brought to 32×32 (smaller ones by continuing their border, larger ones by averaging), and
  colour images enter C1 with three channels.
- Classes that aren't the ten digits have random codes for pictures.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from pipeline.networks.parts import bitmaps
from pipeline.networks.parts.layers import EuclideanRadialBasis, PartialConv2d, ScaledTanh, Subsampling
from pipeline.networks.parts.sizes import listed, to_32, variant_32
from pipeline.networks.parts.start import lecun, lenet
from pipeline.settings import Training

#: Table I of the paper: which maps of S2 each map of C3 sees.
C3_TABLE = (
    [[(start + offset) % 6 for offset in range(3)] for start in range(6)]
    + [[(start + offset) % 6 for offset in range(4)] for start in range(6)]
    + [[start, start + 1, (start + 3) % 6, (start + 4) % 6] for start in range(3)]
    + [list(range(6))]
)
#: Equation 9's j: how far an image of no class lies from all of them. Half the distance between two random codes.
RUBBISH = 84.0


class Settings(Training):
    """Nothing beside how it is trained."""


class LeNet5(nn.Sequential):
    """The layers, named as in the paper."""

    rubbish = RUBBISH  # the one more answer of its criterion, for training/curvature.py

    def __init__(self, channels: int, classes: int, start: Callable[[nn.Module], None]) -> None:
        super().__init__()
        pictures = bitmaps.digits() if classes == 10 else bitmaps.codes(classes)
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
            ("output", EuclideanRadialBasis(pictures)),
        ):
            self.add_module(name, layer)
        self.apply(start)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) → (B, classes)."""
        scores: torch.Tensor = super().forward(to_32(x))
        return scores

    @staticmethod
    def loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Equation 9, mean over the batch: cross-entropy with one more class, of rubbish, at a constant distance."""
        rubbish = scores.new_full((len(scores), 1), -RUBBISH)
        return nn.functional.cross_entropy(torch.cat([scores, rubbish], dim=1), labels)


def build(settings: Settings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """LeNet-5 for images of (channels, H, W)."""
    return LeNet5(image_shape[0], classes, lenet if settings.start == "paper" else lecun)


def variant(settings: Settings, image_shape: tuple[int, int, int]) -> str:
    """What is not the paper's network for grey 32×32 images."""
    start = "start with deviation fan-in^-½" if settings.start is None else ""
    by_sgd = "trained by SGD with momentum" if settings.optimizer == "sgd" else ""
    return listed(variant_32(image_shape), start, by_sgd, "weight decay" if settings.weight_decay else "")
