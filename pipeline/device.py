"""Which device, and which precision it computes natively."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch

from pipeline.errors import PipelineError


def pick_device(wanted: str) -> torch.device:
    """`auto` is the GPU where there is one.

    Raises:
        PipelineError: cuda is asked for and not there.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise PipelineError(
            "params.yaml: `compute.device` is cuda, but torch sees no GPU here; set it to auto or cpu, or install a "
            "CUDA build of torch and its driver"
        )
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def to_device(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """The array as a tensor there. A GPU fetches it by itself when its turn comes, and the host does not wait."""
    if device.type != "cuda":
        return torch.from_numpy(values).to(device)
    return torch.from_numpy(values).pin_memory().to(device, non_blocking=True)


def device_name(device: torch.device) -> str:
    """What to call it in the report."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "cpu"


@cache
def pick_precision(wanted: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the device multiplies it natively, else float32."""
    if wanted == "auto":
        native = torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_has_bf16()
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if wanted == "bf16" else torch.float32


@cache
def _cpu_has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)
