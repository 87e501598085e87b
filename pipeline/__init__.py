"""Hand-crafted features and SVMs against networks, on anyone's images.

`from pipeline import load_model` gives a fitted model for use in other programs (see pipeline/prediction/loaded.py).
"""

from __future__ import annotations

from typing import Any

__all__ = ["load_model"]


def __getattr__(name: str) -> Any:
    """Import only what is asked for: `python -m pipeline` and DVC start many processes."""
    if name == "load_model":
        from pipeline.prediction.loaded import load_model

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
