"""What a hand-crafted method may use beside the images, whether it learns from them or describes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.passes import Passes
from pipeline.passes_on_device import OnDevice

#: What a feature has learned from train, as named arrays; a part of the fitted model.
Codebook = dict[str, np.ndarray]


@dataclass(frozen=True)
class Context:
    """What a feature may use beside the images.

    Attributes:
        seed: for random choices, together with the name of the step.
        workers: threads or processes; results must not depend on it.
        backend: joblib's.
        advance: call with the number of images done, for the progress bar.
        training: whether the images are of train, whose vectors may be compressed: they are many, and are read again
            and again.
        device: where a feature that has a version for GPUs computes: auto, cpu or cuda.
        elsewhere: who makes passes over many rows; None: this machine.
    """

    seed: int
    workers: int = 1
    backend: str = "loky"
    advance: Callable[[int], None] = lambda count: None
    training: bool = False
    device: str = "cpu"
    elsewhere: Passes | None = None

    @property
    def passes(self) -> Passes:
        """Who makes passes over many rows."""
        return self.elsewhere or OnDevice(self.device, self.workers)
