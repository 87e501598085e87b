"""Where a killed run leaves what the next one goes on from: keyed by all that the result depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline import layout


def work_folder(step: str, code: Iterable[Path], **ingredients: Any) -> Path:
    """A folder below work/ for one step; other code, params or inputs give another folder.

    Args:
        step: readable start of the folder's name.
        code: files and folders of Python code that the result depends on.
        ingredients: anything that JSON can hold: params, fingerprints of inputs, the seed.
    """
    digest = hashlib.blake2b(json.dumps(ingredients, sort_keys=True, default=str).encode(), digest_size=8)
    for path in code:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return layout.WORK / f"{step}-{digest.hexdigest()}"
