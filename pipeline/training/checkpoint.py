"""Checkpoints that survive a kill at any moment."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import PipelineError
from pipeline.files import atomic


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; the one before stays whole until the new one is.

    Raises:
        PipelineError: the disk is full, or the like.
    """
    try:
        with atomic(path) as file:
            torch.save(state, file)
    except (PipelineError, RuntimeError) as error:  # torch's writer has a RuntimeError for a full disk
        reason = str(error) if isinstance(error, PipelineError) else f"{path}: cannot be written"
        raise PipelineError(
            f"{reason}; the checkpoint before it is kept: make room, and start the same command again"
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint: tensors and plain values only; None where there is none, or a damaged one.

    Raises:
        PipelineError: it may not be read, and so might be overwritten.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise PipelineError(
            f"{path}: the checkpoint cannot be read ({error.strerror}); mend that, or delete it"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        return None
    return state
