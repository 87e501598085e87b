"""Settings that all dense descriptors share: how large the patches are, and how close they lie."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipeline.descriptors import grid
from pipeline.settings import Section

BinSize = Annotated[int, Field(ge=1, le=256)]


class DenseSettings(Section):
    """A grid of patches of 4×4 bins.

    `auto` grows with the images, but slower than they do, since larger images show more parts rather than larger ones:
    bins of u, 1.5u, 2u, 3u and 4u pixels with u = √side / 2.8, and a step of 0.8u. That is 2, 3, 4, 6, 8 and step 2
    for 32×32, and patches of 24 to 96 pixels, some 10,000 of them, for 256×256. `fine` is half of that step.
    """

    #: What `auto` multiplies u with, for the bins and for the step.
    scales: ClassVar[tuple[float, ...]] = (1, 1.5, 2, 3, 4)
    spacing: ClassVar[float] = 0.8

    bin_sizes: Literal["auto"] | Annotated[list[BinSize], Field(min_length=1)]
    step: Literal["auto", "fine"] | Annotated[int, Field(ge=1, le=64)]

    def grid_of(self, shape: tuple[int, ...], key: str) -> tuple[tuple[int, ...], int]:
        """Bin sizes and step for images of a shape (N, H, W, …).

        Raises:
            PipelineError: a patch is larger than the image; `key` names the method.
        """
        height, width = shape[1:3]
        unit = max(2, round(min(height, width) ** 0.5 / 2.8))
        sizes = self._fitting(unit, min(height, width)) if self.bin_sizes == "auto" else self.bin_sizes
        grid.check_fits(height, width, sizes, f"{key}.features.bin_sizes")
        return tuple(dict.fromkeys(sizes)), self._step(unit)

    def _step(self, unit: int) -> int:
        if isinstance(self.step, int):
            return self.step
        return max(1, round(self.spacing * unit * (0.5 if self.step == "fine" else 1)))

    def _fitting(self, unit: int, side: int) -> list[int]:
        """The scales' bins, without those that are too large for the image; at least one."""
        sizes = [max(1, int(scale * unit)) for scale in self.scales]
        return [size for size in sizes if grid.smallest_side(size) <= side] or sizes[:1]
