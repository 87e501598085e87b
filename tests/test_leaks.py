"""Nothing is fitted or chosen on test, and codebooks see no val: with other images there, what is learned stays.

Leaks that are planted here, each by changing one function, make the very same comparison fail; so it is able to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from pipeline import catalogue, layout
from pipeline.classifiers.fusion import fit_weights
from pipeline.classifiers.vectors import Scaling
from pipeline.data.contract import Split, TrainingData, load_split
from pipeline.evaluation.calibration import Calibration, calibrate
from pipeline.evaluation.metrics import top_k_error
from pipeline.models.feature_vectors import learn_codebook
from pipeline.models.folder import ARRAYS, CARD
from pipeline.models.recipe import Recipe
from pipeline.models.space import Space
from pipeline.settings import Compute
from pipeline.training.images import Normalisation
from pipeline.training.tasks import make_task
from tests.test_models import ALL, fit_and_deliver, scores_of, strangeness_of, tiny_project

#: One of each way to learn; all others are marked slow.
QUICK = {
    "hog",
    "sift_bow",
    "sift_vlad",
    "sift_fv",
    "xrce2011",
    "sift_matching",
    "lenet5",
    "airbench",
    "efficientnet_lite0",
}
KEYS = [key if key in QUICK else pytest.param(key, marks=pytest.mark.slow) for key in ALL]
Learned = dict[str, Any]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with tiny_project(tmp_path_factory.mktemp("leaks")) as folder:
        yield folder


def learned(key: str, work: Path) -> Learned:
    """All that comes of a fit but the scores of test: arrays, val's scores, what was tried, the card."""
    fit_and_deliver(key, work)
    results = layout.results_of(catalogue.BY_KEY[key].family, key)
    card = json.loads((layout.model_of(key) / CARD).read_text())
    kept = ("calibration", "unlike", "settings", "members", "copies", "views")
    arrays = load_file(layout.model_of(key) / ARRAYS)
    return {
        **{f"array {name}": array.tobytes() for name, array in arrays.items()},
        "val scores": scores_of(key)["val"].tobytes(),
        "val strangeness": strangeness_of(key)["val"].tobytes(),
        "tried": (results / "tuning.json").read_bytes(),
        "errors on val": card["errors"]["val"],
        **{name: card[name] for name in kept},
    }


@contextmanager
def others_in(name: str) -> Iterator[None]:
    """A split whose every pixel and label is another; what was there comes back."""
    paths = [layout.DATA / name / file for file in ("images.npy", "labels.npy")]
    before = [path.read_bytes() for path in paths]
    images, labels = (np.load(path) for path in paths)
    try:
        np.save(paths[0], np.random.default_rng(5).integers(0, 256, images.shape, dtype=np.uint8))
        np.save(paths[1], np.roll(labels, 7))
        yield
    finally:
        for path, raw in zip(paths, before, strict=True):
            path.write_bytes(raw)


def differing(key: str, folder: Path, split: str = "test") -> set[str]:
    """What is learned otherwise when a split has other images and labels."""
    first = learned(key, folder / "first")
    with others_in(split):
        second = learned(key, folder / "second")
    assert first.keys() == second.keys()
    return {name for name in first if first[name] != second[name]}


@pytest.mark.parametrize("key", KEYS)
def test_another_test_set_changes_nothing_that_is_learned(key: str, project: Path, tmp_path: Path) -> None:
    assert differing(key, tmp_path) == set()


@pytest.mark.parametrize("key", ["sift_bow", "sift_vlad", "sift_fv", "textons"])
def test_another_val_changes_no_codebook(key: str, project: Path, tmp_path: Path) -> None:
    found = differing(key, tmp_path, "val")
    assert "val scores" in found
    assert not codebooks(found)
    assert codebooks(learned(key, tmp_path / "third"))  # there is one


def codebooks(names: Iterable[str]) -> set[str]:
    """Those that are arrays of a codebook."""
    return {name for name in names if name.startswith("array model/codebook/")}


# ------------------------------------------------------------------------------------------------ planted leaks

Patch = pytest.MonkeyPatch


def together(train: Split, other: Split) -> Split:
    """Two splits as one."""
    images = np.concatenate([train.images, other.images])
    return Split("train", images, np.concatenate([train.labels, other.labels]), [*train.ids, *other.ids])


def codebook_of_test(patch: Patch) -> None:
    def leaking(recipe: Recipe, data: TrainingData, compute: Compute) -> Any:
        return learn_codebook(recipe, replace(data, train=together(data.train, load_split("test"))), compute)

    patch.setattr("pipeline.models.feature_svm.learn_codebook", leaking)


def test_a_codebook_that_learns_from_val_is_found(project: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    def leaking(recipe: Recipe, data: TrainingData, compute: Compute) -> Any:
        return learn_codebook(recipe, replace(data, train=together(data.train, data.val)), compute)

    monkeypatch.setattr("pipeline.models.feature_svm.learn_codebook", leaking)
    assert codebooks(differing("sift_bow", tmp_path, "val"))


def scaling_of_test(patch: Patch) -> None:
    measure = Scaling.of

    def leaking(vectors: Any, workers: int = 1) -> Scaling:
        found = measure(vectors, workers)
        return Scaling(found.mean, found.scale * (1 + float(load_split("test").images.mean()) / 1000))

    patch.setattr(Scaling, "of", staticmethod(leaking))


def choice_on_test(patch: Patch) -> None:
    def leaking(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
        return top_k_error(scores, load_split("test").labels, k)

    patch.setattr("pipeline.classifiers.fitting.top_k_error", leaking)


def stopping_on_test(patch: Patch) -> None:
    def leaking(key: str, settings: Any, allowed: Any, seed: int, data: TrainingData, *others: Any) -> Any:
        return make_task(key, settings, allowed, seed, replace(data, val=load_split("test")), *others)

    patch.setattr("pipeline.models.network.make_task", leaking)


def normalisation_of_test(patch: Patch) -> None:
    measure = Normalisation.of
    patch.setattr(Normalisation, "of", staticmethod(lambda split, *others: measure(load_split("test"), *others)))


def weights_of_test(patch: Patch) -> None:
    def leaking(members: list[np.ndarray], labels: np.ndarray) -> np.ndarray:
        return fit_weights(members, load_split("test").labels)

    patch.setattr("pipeline.models.fusion.fit_weights", leaking)


def calibration_on_test(patch: Patch) -> None:
    def leaking(scores: np.ndarray, labels: np.ndarray) -> Calibration:
        return calibrate(scores, load_split("test").labels)

    patch.setattr("pipeline.models.delivery.calibrate", leaking)


def threshold_of_test(patch: Patch) -> None:
    span = Space.of

    def leaking(vectors: np.ndarray, seed: int) -> Any:
        return span(vectors + np.float32(load_split("test").images.mean()), seed)

    patch.setattr(Space, "of", staticmethod(leaking))


@pytest.mark.parametrize(
    ("leak", "key"),
    [
        (codebook_of_test, "sift_bow"),
        (codebook_of_test, "sift_fv"),
        (scaling_of_test, "hog"),
        (choice_on_test, "hog"),
        (stopping_on_test, "lenet5"),
        (normalisation_of_test, "lenet5_modern"),
        (weights_of_test, "xrce2011"),
        (calibration_on_test, "hog"),
        (threshold_of_test, "hog"),
    ],
)
def test_a_planted_leak_is_found(
    leak: Callable[[Patch], None], key: str, project: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    leak(monkeypatch)
    assert differing(key, tmp_path) != set()
