"""What learns once more, from train and val together, when all has been chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import settings
from pipeline.classifiers.fitting import fit_svm, refit_svm
from pipeline.classifiers.linear_svm import LinearSVM, Solver
from pipeline.classifiers.vectors import Dense, Joined, Scaling
from pipeline.data import pooled
from pipeline.data.contract import Split, TrainingData
from pipeline.models import families
from pipeline.models.delivery import Prepared
from pipeline.models.network import Network
from pipeline.models.recipe import Recipe
from pipeline.settings import Svm
from pipeline.stages import cnn, codebook, features, fuse, prepare, svm
from pipeline.training.checkpoint import save_checkpoint
from pipeline.training.pace import Pace
from tests.conftest import edit
from tests.test_models import scores_of

CPU = torch.device("cpu")


def split(count: int, seed: int, name: str = "train") -> Split:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return Split(name, images, np.arange(count) % 2, [f"{name}/{number}" for number in range(count)])


@pytest.mark.parametrize("limit", [pooled.IN_MEMORY, 0])
def test_joined_images_are_those_of_both_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(pooled, "IN_MEMORY", limit)
    monkeypatch.setattr(pooled, "ROWS", 3)
    first, second = split(7, 0), split(5, 1, "val")
    pool = pooled.Pooled.of(TrainingData(first, second, ["a", "b"], False, "these"))
    both = pool.rows("both", np.ones(len(pool), bool), tmp_path / "work")
    np.testing.assert_array_equal(both.images, np.concatenate([first.images, second.images]))
    assert both.labels.tolist() == [*first.labels, *second.labels]
    assert both.ids == [*first.ids, *second.ids]
    assert isinstance(both.images, np.memmap) == (limit == 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_joined_vectors_are_those_of_both_in_order(dtype: Any) -> None:
    random = np.random.default_rng(0)
    one, two = (random.standard_normal((count, 6)).astype(dtype) for count in (9, 4))
    whole, both = Dense(np.concatenate([one, two])), Joined(Dense(one), Dense(two))
    assert both.shape == whole.shape == (13, 6)
    mean = random.standard_normal(6).astype(np.float32)
    for rows in (slice(0, 13), slice(2, 9), slice(7, 11), slice(9, 13), slice(12, 13)):
        torch.testing.assert_close(both.rows(rows, CPU), whole.rows(rows, CPU))
        found, expected = (np.empty((rows.stop - rows.start, 3), np.float32) for _ in range(2))
        both.tile(rows, slice(1, 4), mean, found)
        whole.tile(rows, slice(1, 4), mean, expected)
        np.testing.assert_array_equal(found, expected)
    every = slice(0, 5)
    torch.testing.assert_close(both.every(3).rows(every, CPU), whole.every(3).rows(every, CPU))
    assert Scaling.of(both).scale == pytest.approx(Scaling.of(whole).scale, rel=1e-6)


def problem(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    return (random.standard_normal((count, 12)) + 2 * np.eye(12)[labels]).astype(np.float32), labels


def test_an_svm_goes_the_same_way_again() -> None:
    """On the same vectors it ends at the solution that was kept; on more of them at what a solver finds there."""
    train, labels = problem(90, 0)
    val, truth = problem(60, 1)
    wanted = Svm(C=[0.01, 0.1, 1.0, 10.0], positive_weight=[1.0], tolerance=0.001, patience=2)
    scaling = Scaling.of(Dense(train))

    def val_scores(model: LinearSVM) -> np.ndarray:
        return model.scores(Dense(val), CPU, 1)

    kept, trials = fit_svm("x", Dense(train), labels, 3, wanted, val_scores, truth, scaling, CPU, 1)
    again = refit_svm("x", Dense(train), labels, 3, wanted, trials, scaling, CPU, 1)
    np.testing.assert_array_equal(again.weights, kept.weights)
    both, of_both = Joined(Dense(train), Dense(val)), np.concatenate([labels, truth])
    scaling = Scaling.of(both)
    more = refit_svm("x", both, of_both, 3, wanted, trials, scaling, CPU, 1)
    chosen = next(trial for trial in trials if trial["chosen"])
    direct = Solver(both, of_both, 3, scaling).solve(chosen["value"], tolerance=0.001)
    right = [(model.scores(both, CPU, 1).argmax(axis=1) == of_both).mean() for model in (more, direct)]
    assert right[0] == pytest.approx(right[1], abs=0.03)
    assert (more.weights != kept.weights).any()


@pytest.fixture
def chosen(project: Path) -> settings.Settings:
    edit(project, {"features": ["hog"], "fusions": [], "networks": ["lenet5"], "refit": True})
    prepare.run()
    return settings.load()


@pytest.mark.parametrize("key", ["hog", "lenet5"])
def test_all_choices_are_those_without_and_the_model_is_another(
    chosen: settings.Settings, tmp_path: Path, key: str
) -> None:
    data, family = Prepared.read().data, "feature" if key == "hog" else "network"
    recipe = Recipe.of(chosen, key, family)  # type: ignore[arg-type]
    assert recipe.refit
    without = families.fit(replace(recipe, refit=False), data, chosen.compute, tmp_path / "a")
    again = families.fit(recipe, data, chosen.compute, tmp_path / "b")
    np.testing.assert_array_equal(again.val_scores, without.val_scores)
    assert again.trials == without.trials
    before, after = without.model.arrays(), again.model.arrays()
    weights = "svm/weights" if key == "hog" else next(name for name in before if name.endswith("weight"))
    assert (before[weights] != after[weights]).any()
    other = data.val.labels.copy()
    other[:] = (other + 1) % len(data.classes)  # the model does learn from val's labels
    changed = replace(data, val=replace(data.val, labels=other))
    if key == "hog":
        third = families.fit(recipe, changed, chosen.compute, tmp_path / "c").model.arrays()
        assert (third[weights] != after[weights]).any()


def test_a_network_is_trained_up_to_the_epoch_that_val_chose(
    chosen: settings.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.training import loop, tuning

    asked: list[tuple[int, int | None]] = []

    def fit(*arguments: Any, **named: Any) -> Any:
        network, progress = loop.fit(*arguments, **named)
        until = named.get("until")
        asked.append((progress.epoch, until))
        if until is None and arguments[4] is not None:
            progress.best_epoch = 1  # as if val had liked the first best
        return network, progress

    monkeypatch.setattr(tuning, "fit", fit)
    data = Prepared.read().data
    fitted = families.fit(Recipe.of(chosen, "lenet5", "network"), data, chosen.compute, tmp_path / "a")
    assert asked[-1] == (1, 1)
    assert isinstance(fitted.model, Network)
    (checkpoint,) = (tmp_path / "a").glob("checkpoint-again-*.pt")
    rate = next(trial["value"] for trial in fitted.trials if trial["chosen"])
    assert checkpoint.name == f"checkpoint-again-{rate:g}.pt"  # of another rate it would be no start


def test_the_second_training_passes_over_its_images_as_often(
    chosen: settings.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more images an epoch could have fewer passes, and the network that learned from more would learn less."""
    from pipeline.training import loop, tuning

    paces: list[Pace] = []
    real = loop.fit

    def fit(task: Any, plan: Any, rate: float, epochs: int, checkpoint: Any, *others: Any, **named: Any) -> Any:
        if checkpoint is not None:
            paces.append(Pace.of(plan, len(task.train)))
        return real(task, plan, rate, epochs, checkpoint, *others, **named)

    monkeypatch.setattr(tuning, "fit", fit)
    data = Prepared.read().data
    recipe = Recipe.of(chosen, "lenet5", "network")
    plan = recipe.settings.model_copy(update={"batch_size": 32})
    one_pass = plan.epochs * Pace.of(plan.model_copy(update={"least_steps": 1}), len(data.train)).steps
    plan = plan.model_copy(update={"least_steps": one_pass + 1})  # so that an epoch has two
    families.fit(replace(recipe, settings=plan), data, chosen.compute, tmp_path / "a")
    first, second = paces[0], paces[-1]
    assert second.images == first.images + len(data.val)
    assert second.passes == first.passes > 1
    assert second.steps_an_epoch >= first.steps_an_epoch


@pytest.mark.parametrize("fate", ["diverged", "fell back to guessing"])
def test_where_the_second_training_fails_the_first_network_is_kept_and_that_is_said(
    chosen: settings.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    from pipeline.training import loop, tuning

    recipe, data = Recipe.of(chosen, "lenet5", "network"), Prepared.read().data
    expected = families.fit(replace(recipe, refit=False), data, chosen.compute, tmp_path / "a")
    real = loop.fit

    def fit(*arguments: Any, **named: Any) -> Any:
        if named.get("until") is not None:
            if fate == "diverged":
                raise loop.Diverged("the loss is no longer a finite number")
            return None, loop.Progress(history=[{"train_error": 0.95}])
        network, history = real(*arguments, **named)
        history.history[-1]["train_error"] = 0.3
        return network, history

    monkeypatch.setattr(tuning, "fit", fit)
    found = families.fit(recipe, data, chosen.compute, tmp_path / "b")
    for name, array in expected.model.arrays().items():
        np.testing.assert_array_equal(found.model.arrays()[name], array)
    (trial,) = (trial for trial in found.trials if trial["chosen"])
    assert f", {fate} on train and val together, so the network of train alone is kept" in trial["candidate"]


def test_an_interrupted_second_training_goes_on_to_the_same_weights(
    chosen: settings.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, data = Recipe.of(chosen, "lenet5", "network"), Prepared.read().data
    expected = families.fit(recipe, data, chosen.compute, tmp_path / "whole").model.arrays()
    real, seen = save_checkpoint, []

    def killed(path: Path, state: Any) -> None:
        real(path, state)
        seen.append(path.name)
        if path.name.startswith("checkpoint-again"):
            raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.training.loop.save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        families.fit(recipe, data, chosen.compute, tmp_path / "killed")
    monkeypatch.setattr("pipeline.training.loop.save_checkpoint", real)
    found = families.fit(recipe, data, chosen.compute, tmp_path / "killed").model.arrays()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_stages_deliver_the_second_model_and_the_page_says_so(chosen: settings.Settings, project: Path) -> None:
    from pipeline import layout
    from pipeline.files import read_json
    from pipeline.stages import evaluate, report

    edit(project, {"features": ["hog", "color_histogram"], "fusions": ["all_classical"]})
    for key in ("hog", "color_histogram"):
        for stage in (codebook, features, svm):
            stage.run(key)
    fuse.run("all_classical")
    cnn.run("lenet5")
    evaluate.run()
    report.run()
    assert "each SVM and each network learned once more" in layout.PAGE.read_text(encoding="utf-8")
    assert read_json(layout.model_of("hog") / "card.json", "svm")["refit"]
    with_both = scores_of("hog")
    edit(project, {"refit": False})
    svm.run("hog")
    alone = scores_of("hog")
    np.testing.assert_array_equal(with_both["val"], alone["val"])
    assert (with_both["test"] != alone["test"]).any()
