"""export: models/<network>/ → an ONNX file, checked against onnxruntime."""

from pathlib import Path

import numpy as np

from pipeline import catalogue, layout, progress
from pipeline.data.contract import load_split
from pipeline.errors import PipelineError
from pipeline.models.folder import load
from pipeline.models.network import Network
from pipeline.prediction.choosing import cards_below, compute_here
from pipeline.prediction.onnx import export, largest_difference
from pipeline.randomness import generator
from pipeline.settings.sentences import check_names

CHECKED = 100  # images


def run(key: str, target: Path, models: Path) -> None:
    """Write one network's file, and say by how much its scores differ from the model's.

    Raises:
        PipelineError: the method is no network, or its model can't be used.
    """
    check_names([key], list(cards_below(models)), str(models), "", "a fitted model here")
    if not catalogue.BY_KEY[key].is_network:
        raise PipelineError(
            f"{key} is no network, and ONNX knows nothing of its features; its model folder {models / key} is the "
            "portable form: copy it, and score with `python -m pipeline predict --models`"
        )
    model = load(models / key, compute_here()).model
    assert isinstance(model, Network)
    export(model, target)
    images, what = _images(model)
    difference, spread = largest_difference(model, target, images)
    progress.say(
        f"{target}: takes images as uint8 (N, {model.image_shape[1]}, {model.image_shape[2]}, 3), RGB, gives scores. "
        f"On {len(images)} {what} its scores differ from the model's by at most {difference:.1e}; "
        f"the scores' standard deviation is {spread:.2g}."
    )


def _images(model: Network) -> tuple[np.ndarray, str]:
    """Test images where the project has some of this size, else noise."""
    try:
        found = np.asarray(load_split("test", layout.DATA).images[:CHECKED])
        if found.shape[1:3] == model.image_shape[1:]:
            return found, "test images"
    except PipelineError:
        pass
    shape = (CHECKED, *model.image_shape[1:], 3)
    return generator(0, "export").integers(0, 256, shape, dtype=np.uint8), "images of noise"
