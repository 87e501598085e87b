"""Codebooks follow the number of images: few images are described by fewer words, centres or Gaussians."""

from __future__ import annotations

from pipeline import progress
from pipeline.errors import PipelineError

EACH = 10  # descriptors for a word, centre or Gaussian, at least


def as_many_as(wanted: int, descriptors: int, sample: int, where: str) -> int:
    """How many words, centres or Gaussians are learned: `wanted`, or fewer where the images give few descriptors.

    Args:
        descriptors: that were found.
        sample: that were asked for.
        where: `wanted` stands in params.yaml.

    Raises:
        PipelineError: not the images are too few, but `sample` is too small.
    """
    if wanted > sample:
        raise PipelineError(
            f"`{where}` is {wanted}, but `sample` gives {sample} descriptors; take at most {sample}, or a larger sample"
        )
    possible = min(wanted, max(1, descriptors // EACH))
    if descriptors < sample and possible < wanted:
        progress.say(f"`{where}` is {wanted}, but train gives {descriptors} descriptors; {possible} are learned")
        return possible
    return wanted
