"""The model contract: fitted, stored, read back, scored from files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ruamel.yaml import YAML
from safetensors import SafetensorError

from pipeline import catalogue, layout, settings
from pipeline.data.contract import Split, TrainingData
from pipeline.errors import PipelineError
from pipeline.files import read_json, write_json
from pipeline.models import families, folder
from pipeline.models.delivery import Prepared, deliver, score_test
from pipeline.models.fitted import Fitted
from pipeline.models.look import look_at
from pipeline.models.model import Look
from pipeline.models.recipe import Recipe
from pipeline.stages import codebook, features, prepare, svm
from tests.conftest import edit, make_project

#: Whose weights come along; what those compute that must be fetched is tested in test_pretrained.py.
AT_HAND = ("efficientnet_lite0", "efficientnet_lite0_fv", "efficientnet_lite0_tuned")
ALL = [method.key for method in catalogue.METHODS if method.era != "pretrained" or method.key in AT_HAND]
NARROW = 0.25  # as wide as published; in narrower deep networks numbers become so small that CPUs compute slowly


def tiny(raw: dict[str, Any]) -> dict[str, Any]:
    """Changes to params.yaml by which every method of the catalogue is fitted in moments, with one try."""
    changes: dict[str, Any] = {"tuning_trials": 1, "fusions": ["xrce2011", "all_classical"], "matchers": []}
    # As many images in each split as in a batch: CPUs compile what networks compute for each number of images anew.
    changes["datasets.objects.images_per_class"] = {"train": 2, "val": 2, "test": 2}
    changes["features"] = ["color_histogram", "sift_fv", "color_fv"]
    for method in catalogue.METHODS:
        own = raw.get(method.key, {})
        if method.has_svm:
            changes[f"{method.key}.svm.C"] = [1.0]
        if method.is_network:
            plan = {"learning_rates": [0.005], "epochs": 1, "trial_epochs": 1, "batch_size": 40, "precision": "fp32"}
            changes |= {f"{method.key}.{name}": value for name, value in plan.items()}
            if "width" in own:
                changes[f"{method.key}.width"] = NARROW
    return changes | {
        "sift_matching.ratios": [0.8],
        "sift_matching.examples": 2,
        "sift_vlad.features.centres": 4,
        "sift_vlad.features.sample": 2000,
        "sift_vlad.features.dimensions": 16,
        "neocognitron.features.cells": [8, 8],
        "neocognitron.features.sample": 500,
    }


@contextmanager
def tiny_project(folder: Path) -> Iterator[Path]:
    """A prepared project with tiny settings, which is the current folder meanwhile."""
    project = make_project(folder / "project")
    edit(project, tiny(YAML(typ="safe").load((project / "params.yaml").read_text())))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        prepare.run()
        yield project


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """For all tests here, which only add to it."""
    with tiny_project(tmp_path_factory.mktemp("models")) as project:
        yield project


def fit_and_deliver(key: str, work: Path, change: dict[str, Any] | None = None) -> tuple[Recipe, Fitted]:
    chosen, found = settings.load(), Prepared.read()
    recipe = Recipe.of(chosen, key, catalogue.BY_KEY[key].family, change)
    if recipe.method.family == "fusion":
        for member in recipe.settings:
            if not layout.model_of(member.key).exists():
                fit_and_deliver(member.key, work)
    fitted = families.fit(recipe, found.data, chosen.compute, work / key)
    deliver(recipe, chosen.budget, fitted, found, score_test(fitted, found.test))
    return recipe, fitted


def scores_of(key: str) -> dict[str, np.ndarray]:
    with np.load(layout.results_of(catalogue.BY_KEY[key].family, key) / "scores.npz") as found:
        return {name: found[name] for name in ("val", "test")}


def strangeness_of(key: str) -> dict[str, np.ndarray]:
    with np.load(layout.results_of(catalogue.BY_KEY[key].family, key) / "scores.npz") as found:
        return {name: found[f"{name}_strangeness"] for name in ("val", "test")}


def from_files(where: Path, key: str, models: Path) -> Look:
    """What is found in the test images, written as PNG and read as any photograph is."""
    stored = folder.load(models / key, settings.load().compute)
    images = np.load(layout.DATA / "test" / "images.npy")
    for number, image in enumerate(images):
        cv2.imwrite(str(where / f"{number:03d}.png"), image[:, :, ::-1])
    read = [stored.card.image.read(path) for path in sorted(where.glob("*.png"))]
    np.testing.assert_array_equal(np.stack(read), images)
    return look_at(stored, np.stack(read))


@pytest.mark.parametrize("key", ALL)
def test_test_images_as_files_get_the_scores_of_the_run(key: str, prepared: Path, tmp_path: Path) -> None:
    fit_and_deliver(key, tmp_path / "work")
    moved = tmp_path / "elsewhere"
    shutil.copytree(layout.MODELS, moved)
    found = from_files(tmp_path, key, moved)
    np.testing.assert_array_equal(found.scores, scores_of(key)["test"])
    np.testing.assert_array_equal(found.strangeness, strangeness_of(key)["test"])


def test_a_network_in_bfloat16_scores_within_a_thousandth(prepared: Path, tmp_path: Path) -> None:
    fit_and_deliver("lenet5_modern", tmp_path / "work", {"precision": "bf16"})
    before, now = scores_of("lenet5_modern")["test"], from_files(tmp_path, "lenet5_modern", layout.MODELS).scores
    assert folder.read_card(layout.model_of("lenet5_modern")).cost.precision == "bf16"
    np.testing.assert_allclose(now, before, atol=1e-3)
    same = np.argsort(-now, axis=1)[:, :5] == np.argsort(-before, axis=1)[:, :5]
    assert same.all(axis=1).mean() >= 0.999


def test_stages_and_the_two_halves_make_the_same_model(prepared: Path, tmp_path: Path) -> None:
    for stage in (codebook, features, svm):
        stage.run("sift_bow")
    by_stages = folder.load(layout.model_of("sift_bow"), settings.load().compute).model.arrays()
    scores, strangeness = scores_of("sift_bow"), strangeness_of("sift_bow")
    _, fitted = fit_and_deliver("sift_bow", tmp_path)
    arrays = fitted.model.arrays()
    assert arrays.keys() == by_stages.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, by_stages[name], err_msg=name)
    for name, values in scores_of("sift_bow").items():
        np.testing.assert_array_equal(values, scores[name])
        np.testing.assert_array_equal(strangeness_of("sift_bow")[name], strangeness[name])


def test_fitting_reads_and_writes_no_folder_but_its_own(prepared: Path, tmp_path: Path) -> None:
    found, chosen = Prepared.read(), settings.load()
    recipe = Recipe.of(chosen, "all_classical", "fusion")
    train, val = (
        Split(split.name, np.array(split.images), split.labels, split.ids)
        for split in (found.data.train, found.data.val)
    )
    in_memory = TrainingData(train, val, found.data.classes, False, "in memory")
    with pytest.MonkeyPatch.context() as patch:
        (tmp_path / "empty").mkdir()
        patch.chdir(tmp_path / "empty")
        fitted = families.fit(recipe, in_memory, chosen.compute, tmp_path / "work")
        assert not list(Path().iterdir())
    assert fitted.val_scores.shape == (len(found.data.val), 20)
    np.testing.assert_array_equal(fitted.model.scores(in_memory.val.images), fitted.val_scores)


def test_a_model_of_grey_images_takes_colour_photographs_by_their_luminance(prepared: Path, tmp_path: Path) -> None:
    from pipeline.data.intake import Intake

    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image[:, :, ::-1])
    intake = Intake(height=20, width=20, grey=True, min_side=8, max_megapixels=1.0)
    read = intake.read(tmp_path / "a.png").astype(int)
    assert (read[:, :, 0] == read[:, :, 1]).all()
    np.testing.assert_allclose(read[:, :, 0], image @ [0.299, 0.587, 0.114], atol=1)
    grey = np.repeat(image[:, :, :1], 3, axis=2)
    cv2.imwrite(str(tmp_path / "b.png"), grey)
    np.testing.assert_array_equal(intake.read(tmp_path / "b.png"), grey)
    wide = Intake(height=10, width=20, grey=False, min_side=8, max_megapixels=1.0)
    np.testing.assert_array_equal(wide.read(tmp_path / "b.png"), grey[5:15])


@pytest.fixture
def stored(prepared: Path, tmp_path: Path) -> Path:
    """A copy of one model's folder that a test may damage."""
    if not layout.model_of("color_histogram").exists():
        fit_and_deliver("color_histogram", tmp_path / "work")
    return Path(shutil.copytree(layout.model_of("color_histogram"), tmp_path / "copy" / "color_histogram"))


def damage_card(stored: Path, **changes: Any) -> None:
    write_json(stored / "card.json", read_json(stored / "card.json", "") | changes)


def flip_a_byte(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda at: shutil.rmtree(at), r"is no folder of a fitted model, since it holds no card\.json"),
        (lambda at: (at / "card.json").write_text("{"), r"card\.json: cannot be read"),
        (lambda at: (at / "card.json").write_text("[1]"), r"card\.json: is no card of a fitted model"),
        (lambda at: damage_card(at, format=2), "has format 2, and this version of the project reads formats up to 1"),
        (lambda at: damage_card(at, method="cnn9000"), "of the method 'cnn9000', which this version"),
        (lambda at: damage_card(at, classes=["one"]), "damaged, or was written by another version"),
        (lambda at: damage_card(at, calibration={}), "damaged, or was written by another version"),
        (lambda at: damage_card(at, settings={"features": {}, "svm": {}}), "don't belong together"),
        (lambda at: (at / "arrays.safetensors").unlink(), "is missing; copy the folder again, with all its files"),
        (lambda at: (at / "arrays.safetensors").write_bytes(b"short"), "has 5 bytes, but the card says .*incomplete"),
        (lambda at: flip_a_byte(at / "arrays.safetensors"), "not the file that the card names, or is damaged"),
    ],
)
def test_damaged_foreign_and_newer_folders_are_one_sentence(damage: Any, sentence: str, stored: Path) -> None:
    damage(stored)
    with pytest.raises(PipelineError, match=sentence) as error:
        folder.load(stored, settings.load().compute)
    assert "\n" not in str(error.value)
    assert "color_histogram" in str(error.value)


def test_a_fusion_of_other_images_or_without_a_member_is_a_sentence(prepared: Path, tmp_path: Path) -> None:
    fit_and_deliver("xrce2011", tmp_path / "work")
    copied = tmp_path / "copy"
    for key in ("xrce2011", "sift_fv", "color_fv"):
        shutil.copytree(layout.model_of(key), copied / key)
    damage_card(copied / "sift_fv", fingerprints={"train": "1", "val": "2", "test": "3"})
    with pytest.raises(PipelineError, match=r"joins the scores of .*sift_fv, which was fitted to other images"):
        folder.load(copied / "xrce2011", settings.load().compute)
    shutil.rmtree(copied / "sift_fv")
    with pytest.raises(PipelineError, match=r"sift_fv: is no folder of a fitted model"):
        folder.load(copied / "xrce2011", settings.load().compute)


def test_a_full_disk_leaves_the_model_before(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(arrays: Any, path: Path) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    found = folder.load(stored, settings.load().compute)
    card = json.loads((stored / "card.json").read_text())
    before = {path.name: path.read_bytes() for path in stored.iterdir()}
    monkeypatch.setattr(folder, "save_file", full)
    rest = {name: card[name] for name in card.keys() - {"format", "files"}}
    with pytest.raises(PipelineError, match=r"No space left .*make room, and rerun"):
        folder.save(stored, found.model, found.familiarity, rest)
    assert {path.name: path.read_bytes() for path in stored.iterdir()} == before
    assert [path.name for path in stored.parent.iterdir()] == ["color_histogram"]


def test_a_diverged_model_is_not_delivered(prepared: Path, tmp_path: Path) -> None:
    chosen, found = settings.load(), Prepared.read()
    recipe = Recipe.of(chosen, "hog", "feature")
    fitted = families.fit(recipe, found.data, chosen.compute, tmp_path / "work")
    scores = fitted.model.scores(found.test.images)
    scores[0, 0] = np.nan
    shutil.rmtree(layout.model_of("hog"), ignore_errors=True)
    with pytest.raises(PipelineError, match="NaN or infinite scores"):
        deliver(recipe, chosen.budget, fitted, found, Look(scores, np.zeros(len(scores), np.float32), 1.0))
    assert not layout.model_of("hog").exists()
