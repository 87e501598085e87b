"""A fitted model as a folder: models/<method>/card.json and arrays.safetensors. Nothing is pickled.

The folder is all one needs: copied to a machine that has only this package, it scores there. A fusion's folder names
its members, whose folders must lie beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from pipeline import catalogue
from pipeline.errors import PipelineError
from pipeline.files import write_json
from pipeline.models.card import FORMAT, Card, File
from pipeline.models.familiarity import Familiarity
from pipeline.models.families import family_of
from pipeline.models.model import Model, with_prefix, without_prefix
from pipeline.settings import Compute

CARD, ARRAYS = "card.json", "arrays.safetensors"


@dataclass(frozen=True)
class Stored:
    """A model that was read back.

    Attributes:
        model: itself.
        card: all that is known of it.
        familiarity: what tells images of none of its classes.
        members: of a fusion, by their keys.
    """

    model: Model
    card: Card
    familiarity: Familiarity
    members: Mapping[str, Stored]


def save(folder: Path, model: Model, familiarity: Familiarity, card: dict[str, Any]) -> Card:
    """Write a model's folder, whole or not at all.

    Args:
        card: all of Card but `format` and `files`.

    Raises:
        PipelineError: the disk refuses; what was there before is as it was.
    """
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        arrays = with_prefix("model", model.arrays()) | with_prefix("familiarity", familiarity.arrays())
        save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, temporary / ARRAYS)
        files = {ARRAYS: _file(temporary / ARRAYS)}
        checked = Card(format=1, **card, files=files)
        write_json(temporary / CARD, checked.model_dump(mode="json"))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PipelineError(f"{folder}: the fitted model cannot be written ({reason}); make room, and rerun") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return checked


def load(folder: Path, compute: Compute, loaded: dict[Path, Stored] | None = None) -> Stored:
    """Read a model's folder, and those of its members.

    Args:
        compute: where it is to score.
        loaded: what was loaded before by its folder, and is not loaded again; what is loaded is added.

    Raises:
        PipelineError: a file is missing, damaged, of another model, or of a newer version of this project.
    """
    known = {} if loaded is None else loaded
    if folder not in known:
        known[folder] = _load(folder, compute, known)
    return known[folder]


def _load(folder: Path, compute: Compute, loaded: dict[Path, Stored]) -> Stored:
    card = read_card(folder)
    arrays = _arrays(folder, card)
    members = {key: load(folder.parent / key, compute, loaded) for key in card.members}
    for key, member in members.items():
        _same_data(folder, card, folder.parent / key, member.card)
    try:
        model = _restore(card, without_prefix("model", arrays), members, compute)
        familiarity = Familiarity.restore(without_prefix("familiarity", arrays))
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise PipelineError(
            f"{folder}: its arrays and its card don't belong together, or were written by another version of this "
            f"project ({_short(error)}); copy the folder again, or fit the model again"
        ) from error
    return Stored(model, card, familiarity, members)


def _restore(card: Card, arrays: dict[str, np.ndarray], members: Mapping[str, Stored], compute: Compute) -> Model:
    if members:
        recipe = card.recipe(tuple(member.card.recipe() for member in members.values()))
        models = {key: member.model for key, member in members.items()}
        fusion: Model = family_of("fusion").restore(recipe, arrays, models)
        return fusion
    recipe = card.recipe()
    model: Model = family_of(recipe.method.family).restore(recipe, arrays, card, compute)
    return model


def read_card(folder: Path) -> Card:
    """A model's card, checked.

    Raises:
        PipelineError: it is missing, damaged, of another kind, or of a newer version of this project.
    """
    path = folder / CARD
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PipelineError(
            f"{folder}: is no folder of a fitted model, since it holds no {CARD}; name a folder that the pipeline "
            "wrote, such as models/hog"
        ) from error
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path}: cannot be read ({error}); copy the folder again") from error
    found = raw.get("format") if isinstance(raw, dict) else None
    if not isinstance(found, int):
        raise PipelineError(f"{path}: is no card of a fitted model; name a folder that the pipeline wrote")
    if found > FORMAT:
        raise PipelineError(
            f"{path}: has format {found}, and this version of the project reads formats up to {FORMAT}; install a "
            "newer version"
        )
    try:
        card = Card.model_validate_json(json.dumps(raw))
        _ = card.calibrated
    except (ValidationError, ValueError) as error:
        raise PipelineError(
            f"{path}: is damaged, or was written by another version of this project ({_short(error)}); copy the folder "
            "again, or fit the model again"
        ) from error
    if card.method not in catalogue.BY_KEY:
        raise PipelineError(
            f"{path}: is of the method {card.method!r}, which this version of the project does not know"
        )
    return card


def _arrays(folder: Path, card: Card) -> dict[str, np.ndarray]:
    path = folder / ARRAYS
    try:
        known, found = card.files.get(ARRAYS), _file(path)
        if known is None or found.bytes != known.bytes:
            wanted = "none" if known is None else f"{known.bytes:,}"
            raise PipelineError(
                f"{path}: has {found.bytes:,} bytes, but the card says {wanted}: it is incomplete, or another model's; "
                "copy the folder again"
            )
        if found.blake2b != known.blake2b:
            raise PipelineError(f"{path}: is not the file that the card names, or is damaged; copy the folder again")
        arrays: dict[str, np.ndarray] = load_file(path)
    except FileNotFoundError as error:
        raise PipelineError(f"{path}: is missing; copy the folder again, with all its files") from error
    except (OSError, SafetensorError) as error:
        raise PipelineError(f"{path}: cannot be read ({_short(error)}); copy the folder again") from error
    return arrays


def _same_data(folder: Path, card: Card, other: Path, member: Card) -> None:
    if (member.classes, member.image, member.fingerprints) != (card.classes, card.image, card.fingerprints):
        raise PipelineError(
            f"{folder}: joins the scores of {other}, which was fitted to other images; copy both from the same run"
        )


def _file(path: Path) -> File:
    with open(path, "rb") as file:
        return File(bytes=path.stat().st_size, blake2b=hashlib.file_digest(file, "blake2b").hexdigest())


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
