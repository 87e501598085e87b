"""What people get from fitted models: guesses on files, a check of the machine, ONNX."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from pipeline import catalogue, layout, settings
from pipeline.cluster import connection, guessing
from pipeline.data import decode
from pipeline.data.strangers import strangers, strangers_of
from pipeline.errors import PipelineError
from pipeline.models import folder
from pipeline.models.look import look_at, look_at_all
from pipeline.models.network import Network
from pipeline.models.recipe import Recipe
from pipeline.prediction import scoring
from pipeline.prediction.checking import agreement
from pipeline.prediction.choosing import cards_below, changes_since, choose, load_all
from pipeline.prediction.inputs import find_images
from pipeline.prediction.onnx import export, largest_difference
from pipeline.prediction.scoring import answer_files, answers
from pipeline.robustness.change import Beside
from pipeline.robustness.changes import changes
from pipeline.stages import predict
from pipeline.training.images import Normalisation
from pipeline.training.tasks import build
from tests.conftest import ROOT, edit, make_project, pipeline
from tests.test_models import fit_and_deliver, scores_of, tiny_project

MODELS = ("color_histogram", "sift_fv", "color_fv", "xrce2011", "lenet5_modern")
HARD_NAMES = ["constructor", "<b>&amp;", 'say "cheese"', "שלום", "a,b;c", "line\nbreak", "n" * 200]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run of a few methods; the current folder is its project."""
    with tiny_project(tmp_path_factory.mktemp("predict")) as project:
        edit(project, {"networks": ["lenet5_modern"], "fusions": ["xrce2011"]})
        for key in MODELS:
            fit_and_deliver(key, project / "fits")
        yield project


@pytest.fixture
def photos(run: Path, tmp_path: Path) -> Path:
    """Test images as files, and one that is none."""
    where = tmp_path / "photos"
    for number, image in enumerate(np.load(layout.DATA / "test" / "images.npy")[:8]):
        path = where / ("deep/er" if number % 2 else "") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image[:, :, ::-1])
    (where / "9.jpg").write_text("this is a text")
    return where


def by_json(*arguments: Any) -> list[dict[str, Any]]:
    target = Path("out.json")
    predict.run([str(argument) for argument in arguments], ["all"], 5, 0.0, None, str(target), layout.MODELS)
    found: list[dict[str, Any]] = json.loads(target.read_text(encoding="utf-8"))
    target.unlink()
    return found


def test_every_model_answers_for_every_image_and_a_bad_one_says_why(photos: Path) -> None:
    rows = by_json(photos)
    assert [row["method"] for row in rows[:5]] == sorted(MODELS, key=list(cards_below(layout.MODELS)).index)
    assert len(rows) == 5 * 9
    bad = [row for row in rows if row["error"]]
    assert {Path(row["path"]).name for row in bad} == {"9.jpg"}
    assert bad[0]["error"] == "no image format that Pillow or OpenCV knows"
    assert bad[0]["guesses"] == []
    classes = json.loads((layout.DATA / "manifest.json").read_text())["classes"]
    scores = scores_of("sift_fv")["test"]
    for row in rows:
        if row["method"] == "sift_fv" and not row["error"]:
            number = int(Path(row["path"]).stem)
            order = np.argsort(-scores[number], kind="stable")[:5]
            assert [guess["class"] for guess in row["guesses"]] == [classes[label] for label in order]
            probabilities = [guess["probability"] for guess in row["guesses"]]
            assert probabilities == sorted(probabilities, reverse=True)
            assert 0 < sum(probabilities) <= 1.00001


def test_the_command_reads_a_list_and_ends_with_1_after_a_bad_image(run: Path, photos: Path) -> None:
    good = pipeline(run, "predict", str(photos / "0.png"), "--method", "color_histogram", "--csv", "-", "--top", "2")
    assert good.returncode == 0, good.stderr
    (row,) = csv.DictReader(io.StringIO(good.stdout))
    assert list(row) == [
        "path", "method", "class_1", "probability_1", "class_2", "probability_2", "unsure", "unlike_training", "error",
    ]  # fmt: skip
    bad = pipeline(run, "predict", str(photos), "--method", "color_histogram", "--at-least", "0.99")
    assert bad.returncode == 1
    assert "cannot be read: no image format" in bad.stdout
    assert bad.stdout.count("not sure (") == 8
    assert "1 of 9 images could not be read" in bad.stderr
    assert "Traceback" not in bad.stderr


def test_photographs_can_be_changed_before_models_guess(photos: Path) -> None:
    """As the stage `robustness` changes them; an image that can't be read says so as before."""
    target = Path("out.json")
    every = [str(photos)], ["sift_fv"], 5, 0.0, None, str(target), layout.MODELS
    predict.run(*every, "grey")  # its middle severity
    rows = {Path(row["path"]).name: row for row in json.loads(target.read_text(encoding="utf-8"))}
    assert rows["9.jpg"]["error"] == "no image format that Pillow or OpenCV knows"
    stored = load_all(layout.MODELS, ["sift_fv"], settings.load().compute)["sift_fv"]
    for number, image in enumerate(np.load(layout.DATA / "test" / "images.npy")[:8]):
        changed = changes(image.shape[0])["grey"].on(image, 1, stored.card.seed, f"{number}.png", Beside(image))
        (expected,) = answers(stored, look_at(stored, changed[None]), 5, 0.0)
        guesses = rows[f"{number}.png"]["guesses"]
        assert [guess["class"] for guess in guesses] == [guess.name for guess in expected.guesses]
        assert guesses[0]["probability"] == pytest.approx(expected.guesses[0].probability, abs=1e-4)
    for change, severity, words in (
        ("rotated", 3, "`--change`: 'rotated' is not a change of a photograph; did you mean rotation?"),
        ("surrounded", 3, "`--change surrounded` needs an image of another class, and there is none"),
        ("grey", 2, "grey has severities from 1 to 1"),
    ):
        with pytest.raises(PipelineError, match=re.escape(words)):
            predict.run(*every, change, severity)


def test_dasks_workers_give_the_same_answers_though_one_is_killed(
    run: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.setattr(scoring, "CHUNK", 2)
    target, params = Path("out.json"), (run / "params.yaml").read_text(encoding="utf-8")
    every = [str(photos)], ["all"], 3, 0.5, None, str(target), layout.MODELS, "rotation", 2
    predict.run(*every)
    expected = target.read_bytes()
    edit(run, {"compute.backend": "dask", "compute.workers": 2})
    pids: list[int] = []
    submit = connection.Workers.submit

    def submit_and_kill(workers: connection.Workers, *arguments: Any) -> Any:
        if not pids:
            pids.extend(workers.client.run(os.getpid).values())
            psutil.Process(pids[0]).kill()
        return submit(workers, *arguments)

    monkeypatch.setattr(connection.Workers, "submit", submit_and_kill)
    monkeypatch.setattr(predict, "answer_files", lambda *arguments: pytest.fail("answered here"))
    predict.run(*every)
    assert pids
    assert target.read_bytes() == expected
    target.unlink()
    (run / "params.yaml").write_text(params, encoding="utf-8")


def test_models_that_were_fitted_anew_are_other_models_to_a_worker(tmp_path: Path) -> None:
    """A cluster outlives a run, and its workers keep the models that they have read."""
    for number, name in enumerate(("hog", "sift_fv")):
        (tmp_path / name).mkdir()
        (tmp_path / name / folder.CARD).write_text("{}")
        os.utime(tmp_path / name / folder.CARD, ns=(number, number))
    before = guessing.written_at(tmp_path)
    assert before == guessing.written_at(tmp_path) == (0, 1)
    os.utime(tmp_path / "sift_fv" / folder.CARD, ns=(2, 2))
    assert guessing.written_at(tmp_path) != before


def test_a_worker_that_sees_other_photographs_is_told(photos: Path) -> None:
    """What its machine has under the same names may be missing, or another file."""

    class Elsewhere:
        def __init__(self, sizes: list[int]) -> None:
            self.client, self.sizes = self, sizes

        def run(self, function: Callable[..., Any], names: list[str]) -> dict[str, list[int]]:
            assert [Path(name).is_absolute() for name in names] == [True, True]
            return {"tcp://first": function(names), "tcp://second": self.sizes}

    files = guessing._one_of_each_folder(find_images([str(photos)], io.StringIO()))
    assert len(files) == 2
    own = [file.stat().st_size for file in files]
    guessing._check_seen(Elsewhere(own), files, "the photographs")  # type: ignore[arg-type]
    for sizes in ([own[0], -1], [own[0], own[1] + 1]):
        with pytest.raises(PipelineError, match=f"worker tcp://second can't see {re.escape(str(files[1]))} as this"):
            guessing._check_seen(Elsewhere(sizes), files, "the photographs")  # type: ignore[arg-type]


def test_csv_has_one_row_an_image_whatever_classes_and_files_are_called(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in HARD_NAMES:
        shutil.copy(photos / "0.png", photos / f"{name.replace('/', '_')}.png")
    odd = os.fsencode(photos) + b"/bytes\xff.png"
    shutil.copy(os.fsencode(photos / "0.png"), odd)
    predict.run([str(photos)], ["all"], 2, 0.5, "out.csv", None, layout.MODELS)
    rows = list(csv.DictReader(open("out.csv", encoding="utf-8", newline="")))  # noqa: SIM115
    assert len(rows) == 9 + len(HARD_NAMES) + 1
    names = {Path(row["path"]).stem for row in rows}
    assert {name for name in HARD_NAMES if "/" not in name} <= names
    assert "bytes\\xff" in names
    assert rows[0]["xrce2011.class_1"]
    os.unlink("out.csv")


def test_a_killed_run_leaves_no_half_file(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring, "answers", dies)
    with pytest.raises(KeyboardInterrupt):
        predict.run([str(photos)], ["best"], 5, 0.0, "out.csv", None, layout.MODELS)
    assert not [path for path in Path().iterdir() if "out.csv" in path.name]


def test_only_a_chunk_of_images_is_in_memory(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "CHUNK", 2)
    sizes = []
    real = look_at_all

    def watched(stored: Any, images: np.ndarray) -> Any:
        sizes.append(len(images))
        return real(stored, images)

    monkeypatch.setattr(scoring, "look_at_all", watched)
    stored = load_all(layout.MODELS, ["color_histogram"], settings.load().compute)
    done: list[int] = []
    found = list(answer_files(stored, find_images([str(photos)], io.StringIO()), 5, 0.0, 2, done.append))
    assert len(found) == sum(done) == 9
    assert max(sizes) == 2


def test_a_fusion_and_its_members_compute_features_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.features import sift_fv

    stored = load_all(layout.MODELS, ["sift_fv", "color_fv", "xrce2011"], settings.load().compute)
    calls = []
    real = sift_fv.transform

    def counted(*given: Any) -> np.ndarray:
        calls.append(1)
        return real(*given)

    monkeypatch.setattr(sift_fv, "transform", counted)
    images = np.load(layout.DATA / "test" / "images.npy")
    found = look_at_all(stored, images)
    assert len(calls) == 1
    np.testing.assert_array_equal(found["xrce2011"].scores, scores_of("xrce2011")["test"])
    alone = look_at_all({"xrce2011": stored["xrce2011"]}, images)
    np.testing.assert_array_equal(alone["xrce2011"].scores, found["xrce2011"].scores)
    np.testing.assert_array_equal(alone["xrce2011"].strangeness, found["xrce2011"].strangeness)


def test_checking_this_machine_against_the_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict.check(["all"], layout.MODELS)
    assert capsys.readouterr().out.count("agrees with the run in every byte") == len(MODELS)
    before = np.random.default_rng(0).normal(size=(100, 7)).astype(np.float32)
    assert agreement(before, before * np.float32(1 + 1e-6)).good
    assert not agreement(before, before + np.random.default_rng(1).normal(0, 0.1, before.shape)).good
    swapped = before.copy()
    swapped[:10] = swapped[:10, ::-1]
    assert "DIFFERS" in agreement(before, swapped).words


def test_which_files_are_meant(photos: Path) -> None:
    listed = io.StringIO(f"{photos / '0.png'}\n\n{photos / '2.png'}\n")
    assert [path.name for path in find_images(["-"], listed)] == ["0.png", "2.png"]
    assert len(find_images([str(photos)], listed)) == 9
    assert [path.name for path in find_images([str(photos / "*.png"), str(photos / "0.png")], listed)] == [
        "0.png", "2.png", "4.png", "6.png",
    ]  # fmt: skip
    assert len(find_images([str(photos / "**" / "*.png")], listed)) == 8
    assert [path.name for path in find_images([str(photos / "missing.png")], listed)] == ["missing.png"]
    (photos / "none").mkdir()
    for name, sentence in ((photos / "none", "holds no image"), (photos / "x*.png", "no file matches this pattern")):
        with pytest.raises(PipelineError, match=sentence):
            find_images([str(name)], listed)
    with pytest.raises(PipelineError, match="no image is named"):
        find_images(["-"], io.StringIO(""))


def test_which_models_answer(run: Path, tmp_path: Path) -> None:
    cards = cards_below(layout.MODELS)
    best = min(cards, key=lambda key: cards[key].errors["val"].top1_error)
    assert choose(cards, ["best", best], layout.MODELS) == [best]
    assert set(choose(cards, ["all"], layout.MODELS)) == set(MODELS)
    with pytest.raises(PipelineError, match=r"'sift_vf' is not a fitted model here; did you mean sift_fv\?"):
        choose(cards, ["sift_vf"], layout.MODELS)
    with pytest.raises(PipelineError, match=r"holds no fitted model; run `make repro`"):
        cards_below(tmp_path)
    with pytest.raises(PipelineError, match=r"holds no fitted model; run `make repro`"):
        cards_below(tmp_path / "nowhere")


def test_models_of_another_run_are_neither_the_best_nor_among_all(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = layout.MODELS / "hog"
    shutil.copytree(layout.model_of("color_histogram"), stale)
    card = json.loads((stale / "card.json").read_text())
    card["errors"]["val"] |= {"top1_error": 0.0, "top1_low": 0.0}
    try:
        for changes in ({}, {"dataset": "digits"}):  # of a method that is not selected, then of another data set
            (stale / "card.json").write_text(json.dumps(card | {"method": "hog"} | changes))
            cards = cards_below(layout.MODELS)
            assert "hog" in cards
            assert set(choose(cards, ["all"], layout.MODELS)) == set(MODELS)
            assert choose(cards, ["best"], layout.MODELS) != ["hog"]
            assert choose(cards, ["hog"], layout.MODELS) == ["hog"]
            edit(run, {"features": [*MODELS[:3], "hog"]})
        (stale / "card.json").write_text(json.dumps(card | {"method": "hog"}))
        assert choose(cards_below(layout.MODELS), ["best"], layout.MODELS) == ["hog"]
        (stale / "card.json").write_text("{")
        assert set(cards_below(layout.MODELS)) == set(MODELS)
    finally:
        shutil.rmtree(stale)
        edit(run, {"features": list(MODELS[:3])})


def test_a_models_own_folder_works_where_nothing_else_lies(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Path(shutil.copytree(layout.model_of("lenet5_modern"), tmp_path / "elsewhere" / "lenet5_modern"))
    monkeypatch.chdir(tmp_path)
    assert predict.run([str(photos / "0.png")], ["best"], 5, 0.0, None, None, here) == 0
    assert capsys.readouterr().out.startswith("…" if len(str(photos)) > 40 else str(photos))


def test_changed_settings_are_named_and_the_cards_are_used(run: Path) -> None:
    cards = {key: card for key, card in cards_below(layout.MODELS).items() if key == "color_histogram"}
    assert changes_since(cards) == []
    kept = Path("params.yaml").read_text()
    edit(run, {"color_histogram.features.space": "rgb", "seed": 3})
    try:
        (sentence,) = changes_since(cards)
    finally:
        Path("params.yaml").write_text(kept)
    assert "seed was 0 and is 3" in sentence
    assert "color_histogram.features.space was 'hsv' and is 'rgb'" in sentence


def test_files_that_are_no_photographs_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty.jpg").touch()
    with open(tmp_path / "huge.jpg", "wb") as file:
        file.truncate(4 << 30)
    for name, reason in (
        ("pipe.jpg", "is no file, but a device, a pipe or a socket"),
        ("huge.jpg", r"the file has 4\.3 GB; at most 1 GB are read"),
        ("empty.jpg", "the file is empty"),
        (".", "is a folder"),
        ("no.jpg", "can't be opened"),
    ):
        with pytest.raises(decode.Unreadable, match=reason):
            decode.read_file(tmp_path / name)


def test_photographs_are_brought_to_the_size_as_prepare_does(run: Path, tmp_path: Path) -> None:
    from pipeline.data.decode import read_image

    photograph = np.random.default_rng(0).integers(0, 256, (75, 120, 3), dtype=np.uint8)
    rotated = Image.fromarray(photograph)
    exif = rotated.getexif()
    exif[0x0112] = 6
    rotated.save(tmp_path / "turned.jpg", exif=exif)
    layer = np.dstack([photograph, np.full((75, 120), 90, np.uint8)])
    Image.fromarray(layer).save(tmp_path / "clear.png")
    Image.fromarray(photograph).convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(photograph[:, :, 0].astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    intake = folder.read_card(layout.model_of("color_histogram")).image
    for name in ("turned.jpg", "clear.png", "cmyk.jpg", "sixteen.png"):
        np.testing.assert_array_equal(intake.read(tmp_path / name), read_image(tmp_path / name, 32, 8, 100.0))


@pytest.mark.parametrize("key", catalogue.keys("network"))
def test_every_network_scores_as_onnx_as_it_does_itself(key: str, tmp_path: Path) -> None:
    recipe = Recipe.of(settings.load(ROOT / "params.yaml"), key, "network")
    narrow = {"width": 0.25} if "width" in type(recipe.settings).model_fields else {}
    recipe = replace(recipe, settings=recipe.settings.model_copy(update=narrow | {"views": "mirror"}))
    torch.manual_seed(0)
    network = build(key, recipe.settings, (3, 32, 32), 10).eval()
    normal = Normalisation([100.0, 90.0, 80.0], [50.0, 60.0, 70.0])
    model = Network(recipe, network, (3, 32, 32), normal, torch.device("cpu"), torch.float32)
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    export(model, tmp_path / "a.onnx")
    difference, spread = largest_difference(model, tmp_path / "a.onnx", images)
    assert difference <= 1e-4 * spread
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_the_command_that_exports_says_how_near_it_comes(run: Path, tmp_path: Path) -> None:
    said = pipeline(run, "export", "lenet5_modern", "--onnx", str(tmp_path / "b.onnx"))
    assert said.returncode == 0, said.stderr
    assert "On 40 test images its scores differ from the model's by at most" in said.stderr
    refused = pipeline(run, "export", "color_histogram", "--onnx", str(tmp_path / "c.onnx"))
    assert refused.returncode == 1
    assert "its model folder models/color_histogram is the portable form" in refused.stderr
    assert not (tmp_path / "c.onnx").exists()
    wrong = pipeline(run, "export", "all", "--onnx", str(tmp_path / "c.onnx"))
    assert wrong.returncode == 1
    assert "'all' is not a fitted model here" in wrong.stderr


def test_strangers_are_of_the_size_and_the_same_each_time() -> None:
    kinds = strangers((32, 40), 0, 30, "cifar10")
    assert [kind.name for kind in kinds] == ["noise", "even grey", "pieces of photographs", "handwritten digits"]
    for kind, again in zip(kinds, strangers((32, 40), 0, 30, "cifar10"), strict=True):
        assert kind.images.shape == (30, 32, 40, 3)
        assert kind.images.dtype == np.uint8
        np.testing.assert_array_equal(kind.images, again.images)
    assert len({int(image.mean()) for image in kinds[1].images}) == 30
    assert "handwritten digits" not in [kind.name for kind in strangers((28, 28), 0, 3, "mnist")]


def test_another_data_set_is_brought_to_the_size_of_this_one(run: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(make_project(run / "others", {"evaluation.strangers": ["digits"]}))
        (found,) = strangers_of(settings.load(), (24, 40), 50)
    assert found.name == "images of digits"
    assert found.images.shape == (50, 24, 40, 3)
    assert (found.images[:, :, :8] == 0).all()
    assert (found.images[:, :, 32:] == 0).all()
    assert (found.images[:, :, 8:32].std(axis=(1, 2, 3)) > 20).all()


@pytest.mark.parametrize("name", ["mnits", "objects"])
def test_a_stranger_must_be_another_data_set(name: str, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(make_project(tmp_path / "project", {"evaluation.strangers": [name]}))
        with pytest.raises(PipelineError, match=rf"`evaluation.strangers`: '{name}' is not another data set"):
            settings.load().check_methods()


def test_the_stage_measures_every_model(run: Path) -> None:
    from pipeline.stages import unlike

    chosen = {"features": ["color_histogram", "sift_fv", "color_fv"], "fusions": ["xrce2011"], "networks": []}
    edit(run, chosen | {"evaluation.strangers": ["digits"]})
    unlike.run()
    found = json.loads((layout.RESULTS / "unlike" / "detection.json").read_text())
    assert set(found) == set(MODELS) - {"lenet5_modern"}
    for row in found.values():
        kinds = {"test", "noise", "even grey", "pieces of photographs", "handwritten digits", "images of digits"}
        assert set(row) == kinds
        assert all(0 <= share["low"] <= share["percent"] <= share["high"] <= 100 for share in row.values())


def test_other_programs_load_a_model(run: Path, photos: Path) -> None:
    from pipeline import load_model

    model = load_model("models/xrce2011")
    images = np.load(layout.DATA / "test" / "images.npy")
    np.testing.assert_array_equal(model.scores(images), scores_of("xrce2011")["test"])
    np.testing.assert_allclose(model.probabilities(images).sum(axis=1), 1)
    answer = model.guess(photos / "0.png", top=3, at_least=1.0)
    assert answer.unsure
    assert answer.guesses[0].name == model.classes[int(scores_of("xrce2011")["test"][0].argmax())]
    with pytest.raises(ValueError, match=r"the model takes uint8 \(N, 32, 32, 3\)"):
        model.scores(images[:, :16])
