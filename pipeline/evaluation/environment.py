"""What the results were made with."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.cores import cores

PACKAGES = ("numpy", "scipy", "scikit-learn", "scikit-image", "opencv-python", "numba", "torch", "dvc")


def environment() -> dict[str, Any]:
    """Machine, versions and the code's commit."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": round(_memory() / 2**30, 1),
        "packages": {package: _version(package) for package in PACKAGES},
        "commit": _commit(),
    }


def versions() -> dict[str, str]:
    """Of Python and the packages that results depend on."""
    return {"python": platform.python_version()} | {package: _version(package) for package in PACKAGES}


def _version(package: str) -> str:
    for name in (package, f"{package}-headless"):
        try:
            return version(name)
        except ModuleNotFoundError:
            continue
    return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _memory() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "not in a git checkout"
    return done.stdout.strip()
