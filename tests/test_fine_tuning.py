"""Networks that go on from where other images left them: published weights, and networks of an earlier run."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import layout, settings
from pipeline.context import Context
from pipeline.data.contract import load_split
from pipeline.errors import PipelineError
from pipeline.evaluation.scores import read_scores
from pipeline.evaluation.summary import _saw_these
from pipeline.models.folder import ARRAYS, load
from pipeline.models.network import Network
from pipeline.models.recipe import Recipe
from pipeline.networks.parts.layers import EuclideanRadialBasis
from pipeline.prediction.onnx import export, largest_difference
from pipeline.pretrained import earlier_run, earlier_run_tuned, efficientnet_lite0_tuned, off_the_shelf
from pipeline.pretrained.backbone import Body, Entry, without_last
from pipeline.pretrained.fine_tuning import FineTuned
from pipeline.settings import Weights
from pipeline.stages import (
    cnn,
    codebook,
    evaluate,
    features,
    fine_tuned,
    inputs,
    prepare,
    pretrained,
    report,
    svm,
    unlike,
)
from pipeline.training.images import Normalisation
from pipeline.training.tasks import build, rebuild
from tests.conftest import edit, pipeline
from tests.test_report import Tags

KEY, EARLIER, EARLIER_TUNED = "efficientnet_lite0_tuned", "earlier_run", "earlier_run_tuned"
SHAPE = (3, 32, 32)


def chosen(key: str = KEY) -> Any:
    """The settings of a fine-tuned network in the current folder's params.yaml."""
    return settings.load().network(key, family="fine_tuned")


def some_images(count: int = 6, side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def inputs_of(images: np.ndarray) -> torch.Tensor:
    """As a network with normalisation `none` gets them."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


# ---------------------------------------------------------------------------------------------------- the entry


def test_an_entry_brings_channels_size_and_normalisation() -> None:
    colours = torch.tensor([255.0, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 4, 6)
    grey = Entry(1, (4, 6), (10.0,), (2.0,))(colours)
    torch.testing.assert_close(grey, torch.full((1, 1, 4, 6), (0.299 * 255 - 10) / 2))
    three = Entry(3, 8, (0.0, 1.0, 2.0), (1.0, 1.0, 2.0))(torch.full((1, 1, 4, 6), 100.0))
    assert three.shape == (1, 3, 8, 12)
    torch.testing.assert_close(three[0, :, 4, 5], torch.tensor([100.0, 99.0, 49.0]))
    assert Entry(3, (5, 5), (0.0,) * 3, (1.0,) * 3)(colours).shape == (1, 3, 5, 5)


# ---------------------------------------------------------------------------------------------------- the network


def test_it_starts_as_the_body_that_was_published_with_a_silent_last_layer(project: Path) -> None:
    network = build(KEY, chosen(), SHAPE, 7)
    assert isinstance(network, FineTuned)
    images = some_images()
    assert network.eval()(inputs_of(images)).abs().max() == 0
    feature = off_the_shelf.Settings(weights=chosen().weights, side=chosen().side, norm="none")
    method = off_the_shelf.OffTheShelf(efficientnet_lite0_tuned.METHOD.backbone)
    expected = method.transform(images, feature, method.fit(images, feature, Context(0)), Context(0, training=True))
    with torch.no_grad():
        found = network.body(255 * inputs_of(images)).numpy()
    np.testing.assert_allclose(found, expected, atol=0.05 * expected.max())  # bf16, where that is native
    network.learn_from(inputs_of(images))
    with torch.no_grad():
        sizes = (network.body(255 * inputs_of(images)) / network.size).square().mean().sqrt()
    assert float(sizes) == pytest.approx(1, abs=1e-3)


def test_all_layers_learn_and_statistics_stay(project: Path) -> None:
    network = build(KEY, chosen(), SHAPE, 3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    x, labels = inputs_of(some_images()), torch.tensor([0, 1, 2, 0, 1, 2])
    network.train()
    for _ in range(2):  # with zeros in the last layer, the others hear nothing in the first
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), labels).backward()
        optimizer.step()
    after = network.state_dict()
    parameters = dict(network.named_parameters())
    for name, value in after.items():
        same = torch.equal(value, before[name])
        assert same != (name in parameters), name
    seen = network(x)
    torch.testing.assert_close(network.eval()(x), seen)


def test_it_is_built_again_without_the_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(KEY, chosen(), SHAPE, 3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape))
    network.size.fill_(2.5)  # type: ignore[operator]
    monkeypatch.setattr("pipeline.pretrained.backbone.read_weights", lambda weights: pytest.fail("looked for it"))
    again = rebuild(KEY, chosen(), SHAPE, 3, network.state_dict())
    x = inputs_of(some_images())
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(x), network.eval()(x), rtol=0, atol=0)


def test_it_scores_as_onnx_as_it_does_itself(project: Path, tmp_path: Path) -> None:
    edit(project, {f"{KEY}.side": 64})
    recipe = Recipe.of(settings.load(), KEY, "fine_tuned")
    network = build(KEY, recipe.settings, SHAPE, 10).eval()
    torch.nn.init.normal_(network.last.weight)  # type: ignore[union-attr,arg-type]
    normal = Normalisation([0.0] * 3, [255.0] * 3)
    model = Network(recipe, network, SHAPE, normal, torch.device("cpu"), torch.float32)
    export(model, tmp_path / "a.onnx")
    difference, spread = largest_difference(model, tmp_path / "a.onnx", some_images())
    assert spread > 1
    assert difference <= 1e-4 * spread


def test_dropout_is_the_one_switch_that_it_has(project: Path) -> None:
    edit(project, {f"{KEY}.dropout": 0.5})
    network = build(KEY, chosen(), SHAPE, 3)
    assert any(isinstance(module, torch.nn.Dropout) for module in network.modules())
    rebuild(KEY, chosen(), SHAPE, 3, network.state_dict())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({f"{KEY}.batch_norm": True}, [f"{KEY}.batch_norm", "True"]),
        ({"training.start": "he"}, [f"{KEY}.start", "he"]),
        ({f"{KEY}.optimizer": "muon"}, [f"{KEY}.optimizer", "muon", "sgd"]),
        ({f"{KEY}.normalisation": "channel"}, [f"{KEY}.normalisation", "channel", "none"]),
        ({f"{KEY}.weights": "lite"}, [f"{KEY}.weights", "'lite'", "efficientnet_lite0"]),
        ({f"{KEY}.learning_rates": [0.1]}, [f"{KEY}.learning_rates", "tuning_trials"]),
        ({"fine_tuned": ["lenet5"]}, ["fine_tuned", "'lenet5'", KEY]),
        ({"networks": [KEY]}, ["networks", KEY]),
        ({"weights.earlier_run.file": "../models/lenet5"}, ["weights.earlier_run.file", "../models/lenet5"]),
    ],
)
def test_wrong_settings_are_one_sentence(project: Path, changes: dict[str, Any], words: list[str]) -> None:
    edit(project, {"fine_tuned": [KEY]} | changes)
    done = pipeline(project, "prepare")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in done.stderr


# ---------------------------------------------------------------------------------------------------- the method


def only(project: Path, **selected: list[str]) -> None:
    """Select these methods alone."""
    lists = ("features", "matchers", "fusions", "networks", "pretrained", "fine_tuned")
    edit(project, {name: selected.get(name, []) for name in lists})


def test_it_is_trained_scored_and_kept_like_every_network(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(project, features=["color_histogram"], fine_tuned=[KEY])
    prepare.run()
    fine_tuned.run(KEY)
    assert not list(layout.WORK.glob(f"fine_tuned-{KEY}-*"))
    test = load_split("test")
    scores = read_scores(layout.results_of("fine_tuned", KEY), {"test": test, "val": load_split("val")}, 20, "")["test"]
    with monkeypatch.context() as without:
        without.setattr("pipeline.pretrained.backbone.read_weights", lambda weights: pytest.fail("looked for it"))
        stored = load(layout.model_of(KEY), settings.load().compute)
    np.testing.assert_array_equal(stored.model.see(np.asarray(test.images)).scores, scores)
    assert stored.card.era == "pretrained"
    for stage in (codebook, features, svm):
        stage.run("color_histogram")
    for alone in (unlike, evaluate, report):
        alone.run()
    text = " ".join(Tags(layout.PAGE.read_text(encoding="utf-8")).text.split())
    assert "EfficientNet-Lite0, fine-tuned errs on" in text
    assert "learned from other images" in text
    assert "its features were learned from ImageNet" in text
    metrics = json.loads(layout.METRICS.read_text())["methods"][KEY]
    assert metrics["learned_from"]["saw_these"] is False


def test_without_its_weights_it_is_left_out(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only(project, pretrained=["efficientnet_lite0"], fine_tuned=["resnet18_tuned"])
    edit(project, {"weights.resnet18_imagenet.url": None, "resnet18_tuned.side": 112})
    inputs.run()
    missing, other = layout.retries_of("resnet18_tuned"), layout.retries_of("efficientnet_lite0")
    before = missing.read_bytes(), other.read_bytes()
    prepare.run()
    fine_tuned.run("resnet18_tuned")
    assert "is left out, and the next run tries again: weights/resnet18" in capsys.readouterr().err
    inputs.run()
    assert missing.read_bytes() != before[0]
    assert other.read_bytes() == before[1]  # or all others would be fitted again, too


# ---------------------------------------------------------------------------------------------------- an earlier run


def as_earlier(project: Path, key: str) -> Weights:
    """A network of this project, trained now, as an entry of `weights` for the next run."""
    only(project, networks=[key])
    prepare.run()
    cnn.run(key)
    target = layout.WEIGHTS / "earlier_run"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(layout.model_of(key), target)
    digest = hashlib.sha256((target / ARRAYS).read_bytes()).hexdigest()
    edit(project, {"weights.earlier_run.sha256": digest[:16]})
    return settings.load().weights["earlier_run"]


@pytest.mark.parametrize("key", ["lenet5", "alexnet", "airbench", "resnet20"])
def test_features_of_an_earlier_run_are_what_enters_its_last_layer(project: Path, key: str) -> None:
    """One that ends with distances, one whose full layers fix the size, two with statistics."""
    short: dict[str, Any] = {f"{key}.epochs": 1, f"{key}.trial_epochs": 1, f"{key}.precision": "fp32"}
    edit(project, short | ({} if key == "lenet5" else {f"{key}.width": 0.1}))
    weights = as_earlier(project, key)
    model = load(layout.model_of(key), settings.load().compute).model
    chosen = earlier_run.Settings(weights=weights, norm="none")
    images = some_images(5)
    fitted = earlier_run.fit(images, chosen, Context(0))
    shutil.rmtree(layout.WEIGHTS)
    found = earlier_run.transform(images, chosen, fitted, Context(0, training=True))
    expected = model.embed(images)
    scale = np.abs(expected).max() / np.abs(found).max()  # what comes behind the last layer may multiply
    np.testing.assert_allclose(found * scale, expected, atol=0.03 * np.abs(expected).max())
    other = earlier_run.transform(some_images(2, side=41), chosen, fitted, Context(0, training=True))
    assert other.shape == (2, expected.shape[1])


def test_an_earlier_run_is_tuned_and_needs_its_folder_no_more(project: Path) -> None:
    as_earlier(project, "lenet5")
    only(project, pretrained=[EARLIER], fine_tuned=[EARLIER_TUNED])
    edit(project, {"datasets.objects.image_size": 40, f"{EARLIER_TUNED}.precision": "fp32"})
    prepare.run()
    pretrained.run(EARLIER)
    fine_tuned.run(EARLIER_TUNED)
    shutil.rmtree(layout.WEIGHTS)
    splits = {name: load_split(name) for name in ("val", "test")}
    for family, key in (("pretrained", EARLIER), ("fine_tuned", EARLIER_TUNED)):
        scores = read_scores(layout.results_of(family, key), splits, 20, "")["test"]
        stored = load(layout.model_of(key), settings.load().compute)
        np.testing.assert_allclose(stored.model.see(np.asarray(splits["test"].images)).scores, scores, atol=1e-4)
    network = load(layout.model_of(EARLIER_TUNED), settings.load().compute).model.network  # type: ignore[attr-defined]
    assert not any(isinstance(module, EuclideanRadialBasis) for module in network.modules())


def test_an_earlier_run_on_the_same_images_is_no_win(project: Path) -> None:
    as_earlier(project, "lenet5")
    only(project, pretrained=[EARLIER])
    assert _saw_these(settings.load(), EARLIER)
    card = json.loads((layout.WEIGHTS / "earlier_run" / "card.json").read_text())
    edit(project, {"prepare.classes": card["classes"][:2]})
    assert _saw_these(settings.load(), EARLIER)
    card["classes"] = [f"other {name}" for name in card["classes"]]
    (layout.WEIGHTS / "earlier_run" / "card.json").write_text(json.dumps(card))
    assert not _saw_these(settings.load(), EARLIER)
    edit(project, {"dataset": "digits", "prepare.classes": None})
    assert not _saw_these(settings.load(), EARLIER)


def test_a_network_of_grey_images_takes_colours(project: Path) -> None:
    edit(project, {"dataset": "digits"})
    weights = as_earlier(project, "lenet5")
    chosen = earlier_run.Settings(weights=weights, norm="root")
    images = some_images(3)
    grey = np.repeat(np.round(images @ [0.299, 0.587, 0.114])[..., None], 3, axis=3).astype(np.uint8)
    fitted = earlier_run.fit(images, chosen, Context(0))
    one, two = (earlier_run.transform(some, chosen, fitted, Context(0, training=True)) for some in (images, grey))
    np.testing.assert_allclose(one, two, atol=0.05)
    assert (one < 0).any()  # signs are kept


def test_what_is_no_earlier_network_is_told(project: Path) -> None:
    weights = as_earlier(project, "lenet5")
    backbone = earlier_run_tuned.METHOD.backbone
    with pytest.raises(
        PipelineError, match=r"arrays\.safetensors: is damaged or another file: its SHA-256 is [0-9a-f]"
    ):
        backbone.load(weights.model_copy(update={"sha256": "0" * 8}), None)
    only(project, features=["color_histogram"])
    for stage in (codebook, features, svm):
        stage.run("color_histogram")
    shutil.copytree(layout.model_of("color_histogram"), layout.WEIGHTS / "histogram")
    digest = hashlib.sha256((layout.WEIGHTS / "histogram" / ARRAYS).read_bytes()).hexdigest()
    with pytest.raises(PipelineError, match=r"is the model of color_histogram, which is no network"):
        backbone.load(weights.model_copy(update={"file": "histogram", "sha256": digest}), None)
    (layout.WEIGHTS / "a.pth").write_bytes(b"")
    with pytest.raises(PipelineError, match=r"a\.pth: is no folder of a fitted model; copy one here"):
        backbone.load(weights.model_copy(update={"file": "a.pth"}), None)
    with pytest.raises(PipelineError, match=r"earlier_run: is a folder, and this method takes a file of weights"):
        efficientnet_lite0_tuned.METHOD.backbone.load(weights, 32)
    path = layout.WEIGHTS / "earlier_run" / ARRAYS
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(PipelineError, match=r"has 100 bytes, but the card says"):
        backbone.load(weights, None)


def test_a_body_of_a_network_with_one_layer_is_its_entry() -> None:
    body = Body(Entry(3, (2, 2), (0.0,) * 3, (1.0,) * 3), without_last(torch.nn.Linear(12, 4)))
    assert body(torch.ones(2, 3, 2, 2)).shape == (2, 12)
