"""How a training goes through its images: few need as many steps as many do, and not as many epochs."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline import progress
from pipeline.settings import Training

SMALLEST_BATCH = 8  # statistics of fewer images say little


@dataclass(frozen=True)
class Pace:
    """Batches, and passes over train.

    Attributes:
        images: how many train has.
        batch_size: images a step.
        steps: of one pass.
        passes: over train in each epoch. Patience and looks at val are counted in epochs, as on many images.
    """

    images: int
    batch_size: int
    steps: int
    passes: int

    @staticmethod
    def of(parameters: Training, images: int) -> Pace:
        """As `batch_size`, `least_batches` and `least_steps` say.

        Args:
            images: how many train has.
        """
        smaller = max(SMALLEST_BATCH, images // parameters.least_batches)
        size = min(parameters.batch_size, smaller, images)
        steps = steps_of(images, size)
        return Pace(images, size, steps, max(1, -(-parameters.least_steps // (parameters.epochs * steps))))

    @property
    def steps_an_epoch(self) -> int:
        """Of all passes."""
        return self.steps * self.passes

    @property
    def images_an_epoch(self) -> int:
        """That are learned from, each one as often as there are passes."""
        return self.images * self.passes


def paced(key: str, parameters: Training, images: int) -> Training:
    """The same parameters with the batches that so few images allow; where anything changes, that is said."""
    pace = Pace.of(parameters, images)
    if pace.batch_size < parameters.batch_size or pace.passes > 1:
        passes = f", {pace.passes} passes over them are an epoch" if pace.passes > 1 else ""
        progress.say(f"train has {images} images: {key} learns from {pace.batch_size} at once{passes}")
    return parameters.model_copy(update={"batch_size": pace.batch_size})


def steps_of(images: int, batch_size: int) -> int:
    """Batches of one pass: an image that would be left for a batch of its own, which has no variance, joins another."""
    return max(1, -(-(images - 1) // batch_size))
