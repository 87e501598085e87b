"""A fitted network as an ONNX file that takes images as bytes: scaling and normalisation are inside the graph."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pipeline.errors import PipelineError
from pipeline.models.network import Network
from pipeline.training.images import Normalisation, to_input
from pipeline.training.prediction import views_of

OPSET = 17
INPUT, OUTPUT = "images", "scores"


class FromBytes(nn.Module):
    """Images uint8 (N, H, W, 3) → scores float32 (N, classes), views averaged as the network scores them."""

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.network, self.views = model.network, model.recipe.settings.views
        self.channels, self.normalisation = model.image_shape[0], model.normalisation

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """In float32, whatever the network computed in."""
        normal: Normalisation = self.normalisation
        x = to_input(images[..., : self.channels], normal)
        return torch.stack([weight * self.network(view) for weight, view in views_of(x, self.views)]).sum(0)


def export(model: Network, target: Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        PipelineError: a package is missing, the network has a part that ONNX lacks, or the disk refuses.
    """
    _need("onnx")
    height, width = model.image_shape[1:]
    example = torch.zeros((2, height, width, 3), dtype=torch.uint8)
    network = FromBytes(model).cpu().eval()  # in evaluation mode, which the exporter leaves as it finds it
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that sizes become constants of the graph: they are those of the data set
            torch.onnx.export(
                network, (example,), temporary, input_names=[INPUT], output_names=[OUTPUT], opset_version=OPSET,
                dynamic_axes={INPUT: {0: "images"}, OUTPUT: {0: "images"}}, dynamo=False,
            )  # fmt: skip
        os.replace(temporary, target)
    except OSError as error:
        raise PipelineError(f"{target}: cannot be written ({error.strerror or error})") from error
    except (RuntimeError, ValueError, TypeError) as error:  # torch's exporter has no class of its own for it
        reason = " ".join(str(error).split())[:200]
        raise PipelineError(f"{model.recipe.key} cannot be written as ONNX ({reason})") from error
    finally:
        temporary.unlink(missing_ok=True)
        network.to(model.device)


def largest_difference(model: Network, path: Path, images: np.ndarray) -> tuple[float, float]:
    """Of the file's scores by onnxruntime and of the model's own, and the own scores' standard deviation.

    Args:
        images: uint8 (N, H, W, 3).

    Raises:
        PipelineError: onnxruntime is not installed.
    """
    _need("onnxruntime")
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {INPUT: np.asarray(images)})[0]
    own = model.scores(images)
    return float(np.abs(found - own).max()), float(own.std())


def _need(package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise PipelineError(
            f"exporting needs the package {package}; install it with: pip install 'before-and-after-2012[onnx]'"
        )
