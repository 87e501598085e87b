"""A copy of the project with other settings, to run stages in."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
#: What a benchmark measures it names itself; of what params.yaml selects beside that, nothing is left.
NOTHING_ELSE: dict[str, Any] = {
    "pretrained": [],
    "fine_tuned": [],
    "seeds": None,
    "curve.methods": [],
    "curve.sizes": [],
}


def make_project(folder: Path, changes: dict[str, Any]) -> Path:
    """Copy the code, and params.yaml with dotted keys changed: what is edited meanwhile does not disturb a run."""
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "pipeline", folder / "pipeline")  # with the compiled kernels
    shutil.copy(ROOT / "params.yaml", folder)
    edit(folder, NOTHING_ELSE | changes)
    shutil.copy(ROOT / "dvc.yaml", folder)
    return folder


def edit(folder: Path, changes: dict[str, Any]) -> None:
    """Set dotted keys in a folder's params.yaml; its comments stay."""
    yaml = YAML()
    path = folder / "params.yaml"
    params = yaml.load(path)
    for key, value in changes.items():
        *above, last = key.split(".")
        section = params
        for name in above:
            section = section[name]
        section[last] = value
    with open(path, "w", encoding="utf-8") as file:
        yaml.dump(params, file)
