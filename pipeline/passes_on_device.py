"""Passes on a GPU, where there is one and where they have a version for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pipeline.passes import Advance, Arrays, Here, Pass, Passes, quiet

if TYPE_CHECKING:
    import torch

WORTH = 1 << 33  # multiplications: a shorter pass is over before PyTorch is imported


@dataclass(frozen=True)
class OnDevice(Passes):
    """Passes on a device, and short ones by threads of this machine.

    Attributes:
        wanted: auto, cpu or cuda.
        workers: see Passes.
    """

    wanted: str
    workers: int = 1

    def each(self, one: Pass, advance: Advance = quiet) -> Iterator[Arrays]:
        """See Passes."""
        if one.on_device is not None and one.products >= WORTH:
            from pipeline.device import pick_device

            device = pick_device(self.wanted)
            if device.type != "cpu":
                return Here(1).each(there(one, device), advance)
        return Here(self.workers).each(one, advance)


def there(one: Pass, device: torch.device) -> Pass:
    """The pass as torch makes it; one that has a version for torch."""
    assert one.on_device is not None
    return replace(one, make=partial(one.on_device, device=device))
