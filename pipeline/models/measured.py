"""A method fitted to some images and measured on others, for those who do that many times; each is kept on disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import progress
from pipeline.catalogue import Method
from pipeline.data.contract import Split, TrainingData
from pipeline.device import pick_device
from pipeline.errors import PipelineError
from pipeline.evaluation.metrics import top_k_error
from pipeline.evaluation.scores import check
from pipeline.files import read_arrays, write_arrays
from pipeline.models.families import fit
from pipeline.models.fitted import Fitted
from pipeline.models.fusion import fit_on_looks, look_together
from pipeline.models.look import look_at
from pipeline.models.model import Facts, Look
from pipeline.models.recipe import Recipe
from pipeline.settings import Compute
from pipeline.workfolder import work_folder

PACKAGE = Path(__file__).parents[1]
#: How subsets and folds are drawn, on which the scores of all families depend.
DRAWN = ("randomness.py", "data/pooled.py", "data/splits.py", "cross_validation/pool.py", "curves/subsets.py")
UNLIMITED = 1_000_000  # patience of what shall not stop early
#: In which order codebooks are summed up, and where.
PASSES = ("passes.py", "passes_on_device.py")
#: What scores of each family depend on, beside the method's own module; a change to another method fits nothing anew.
CODE: dict[str, tuple[str, ...]] = {
    "feature": ("augmentation", "classifiers", "descriptors", "encoding", "features/extraction.py",
                "models/feature_svm.py", "models/feature_vectors.py", *PASSES),
    "matcher": ("descriptors", "models/matcher.py"),
    "pretrained": ("augmentation", "classifiers", "encoding", "features/extraction.py", "models/feature_svm.py",
                   "models/feature_vectors.py", "models/pretrained_svm.py", "networks", "pretrained", *PASSES),
    "network": ("augmentation", "networks/parts", "training", "models/network.py"),
    "fine_tuned": ("augmentation", "networks", "pretrained", "training", "models/network.py"),
}  # fmt: skip


@dataclass(frozen=True)
class Price:
    """What a fit took and what it led to.

    Attributes:
        training_seconds: from images to the model, tuning included.
        bytes: of the model.
        steps: of the optimiser, in the training that val chose.
        chosen: what val chose: the number of the candidate, its name and value; of a fusion none.
    """

    training_seconds: float
    bytes: int
    steps: int
    chosen: dict[str, Any] | None


@dataclass(frozen=True)
class Measured:
    """What a fitted method found in val and in test, and its price.

    Attributes:
        val_error: top-1 on val, 0-1.
    """

    val: Look
    test: Look
    price: Price
    val_error: float


def kept_in(step: str, recipe: Recipe, compute: Compute, **ingredients: Any) -> Path:
    """The folder for what one method is measured on, again and again: another one for whatever leads to other scores.

    Args:
        step: what it is measured for.
        ingredients: what else scores depend on, as JSON can hold it.
    """
    method = recipe.method
    code = [PACKAGE / name for name in (*DRAWN, "models/measured.py", *CODE[method.family])]
    return work_folder(
        f"{step}/{recipe.key}",
        [*code, PACKAGE.parent.joinpath(*method.module.split(".")).with_suffix(".py")],
        settings=recipe.settings_as_json(),
        allowed=recipe.allowed.model_dump(),
        copies=recipe.copies,
        views=recipe.views,
        **({"refit": True} if recipe.refit else {}),
        device=pick_device(compute.device).type,
        **ingredients,
    )


def forget_others(kept: set[Path]) -> None:
    """Remove what earlier runs with other images or settings left of the same methods."""
    for folder in kept:
        name = folder.name.rsplit("-", 1)[0]
        for other in folder.parent.glob(f"{name}-*"):
            if other not in kept and other.name.rsplit("-", 1)[0] == name:
                shutil.rmtree(other, ignore_errors=True)


def measure(recipe: Recipe, data: TrainingData, test: Split, compute: Compute, folder: Path, title: str) -> Measured:
    """Fit and score one method, or read what an earlier run did.

    Args:
        folder: of this fit alone; what is kept lies beside it, with the ending .npz.
        title: of the work, for the person who waits.
    """
    kept = folder.with_name(f"{folder.name}.npz")
    if kept.is_file():
        return _read(kept)
    progress.say(title)
    if not recipe.method.is_network:  # a network goes on after its last epoch
        shutil.rmtree(folder, ignore_errors=True)
    done = fit(recipe, data, compute, folder)
    seen = look_at(done, test.images)
    check(seen.scores, len(test), len(data.classes), title)
    found = _measured(done, seen, price_of(done), data.val.labels)
    _write(kept, found)
    shutil.rmtree(folder, ignore_errors=True)
    return found


def measure_fusion(recipe: Recipe, members: Mapping[str, Measured], val_labels: np.ndarray) -> Measured:
    """Fuse what the members found; only the weights are fitted.

    Raises:
        PipelineError: a member is missing.
    """
    wanted = [member.key for member in recipe.settings]
    if missing := [key for key in wanted if key not in members]:
        raise PipelineError(f"it needs {', '.join(missing)}, which failed")
    there = {key: members[key] for key in wanted}
    costs = {key: Facts(one.price.bytes, 0, None, "", "", 0) for key, one in there.items()}
    before = sum(one.price.training_seconds for one in there.values())
    done = fit_on_looks({key: one.val for key, one in there.items()}, costs, val_labels, before)
    test = look_together(done.model, done.familiarity, {key: one.test for key, one in there.items()})  # type: ignore[arg-type]
    price = Price(done.training_seconds, done.model.facts().bytes, sum(one.price.steps for one in there.values()), None)
    return _measured(done, test, price, val_labels)


def _measured(done: Fitted, test: Look, price: Price, val_labels: np.ndarray) -> Measured:
    val = Look(done.val_scores, done.val_strangeness, 0.0)
    return Measured(val, test, price, top_k_error(done.val_scores, val_labels, 1))


def price_of(done: Fitted) -> Price:
    """Of a fitted method."""
    number = next(number for number, trial in enumerate(done.trials) if trial["chosen"])
    trial = done.trials[number]
    steps = done.history.steps if done.history is not None else int(trial.get("steps", 0))
    chosen = {"number": number, "candidate": trial["candidate"], "value": trial["value"]}
    return Price(done.training_seconds, done.model.facts().bytes, steps, chosen)


def with_candidate(recipe: Recipe, number: int, value: float) -> Recipe:
    """The recipe that tries one value of its main hyper-parameter only, and does not stop before its end.

    Of all epochs, or of the solver's steps, the one with the lowest error on val is still kept.

    Args:
        number: of the candidate, as `Price.chosen` has it.
        value: likewise.
    """
    settings: Any = recipe.settings
    if recipe.method.has_svm:
        side, number = divmod(number, len(settings.svm.candidates))
        settings = recipe.at_each_side()[side].settings
        c, weight = settings.svm.candidates[number]
        svm = settings.svm.model_copy(update={"C": [c], "positive_weight": [weight], "patience": UNLIMITED})
        settings = settings.model_copy(update={"svm": svm})
    else:
        matcher = recipe.method.family == "matcher"
        update = {"ratios": [value]} if matcher else {"learning_rates": [value], "patience": UNLIMITED}
        settings = settings.model_copy(update=update)
    return replace(recipe, settings=settings)


def is_fusion(method: Method) -> bool:
    """Whether it is made of others' scores."""
    return method.family == "fusion"


def _write(path: Path, found: Measured) -> None:
    arrays = {
        f"{split}_{name}": getattr(getattr(found, split), name)
        for split in ("val", "test")
        for name in ("scores", "strangeness")
    }
    price = np.array(json.dumps(asdict(found.price)))
    numbers = {"test_seconds": np.array(found.test.seconds), "val_error": np.array(found.val_error)}
    write_arrays(path, **arrays, **numbers, price=price)


def _read(path: Path) -> Measured:
    arrays = read_arrays(path, "that wrote it")
    try:
        val = Look(arrays["val_scores"], arrays["val_strangeness"], 0.0)
        test = Look(arrays["test_scores"], arrays["test_strangeness"], float(arrays["test_seconds"]))
        return Measured(val, test, Price(**json.loads(str(arrays["price"]))), float(arrays["val_error"]))
    except (KeyError, TypeError, ValueError) as error:
        raise PipelineError(f"{path}: is damaged ({error}); remove it, and run again") from error
