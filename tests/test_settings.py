from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import catalogue, settings
from pipeline.errors import PipelineError
from pipeline.files import parse_yaml
from tests.conftest import ROOT, edit


def test_the_shipped_params_are_valid_for_every_budget_and_every_method(project: Path) -> None:
    everything = {name: catalogue.keys(family) for family, name in catalogue.SELECTED_BY.items()}
    for budget in settings.BUDGETS:
        edit(project, {"budget": budget, **everything})
        loaded = settings.load()
        loaded.check_methods()
        assert set(loaded.selected) == set(catalogue.BY_KEY)


def test_a_value_by_budget_is_resolved(project: Path) -> None:
    edit(project, {"lenet5.epochs": {"demo": 1, "standard": 2, "paper": 3}, "budget": "standard"})
    assert settings.load().network("lenet5").epochs == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset": "cifar"}, ["dataset", "'cifar'", "did you mean cifar10", "objects"]),
        ({"budget": "huge"}, ["budget", "'huge'", "demo, standard, paper"]),
        ({"features": ["hgo"]}, ["features", "'hgo'", "did you mean hog"]),
        ({"features": ["hog", "hog"]}, ["features", "hog twice"]),
        ({"ablate.networks": ["lenet5", "lenet5"]}, ["`ablate.networks` names lenet5 twice"]),
        ({"networks": ["hog"]}, ["networks", "'hog' is not a network"]),
        ({"features": [], "fusions": [], "networks": []}, ["at least one method"]),
        ({"sed": 1}, ["'sed'", "did you mean seed"]),
        ({"seed": -1}, ["`seed` is -1", "greater than or equal to 0"]),
        ({"seed": "zero"}, ["`seed` is 'zero'", "integer"]),
        ({"prepare.val_fraction": 1.5}, ["`prepare.val_fraction` is 1.5", "less than 1"]),
        ({"prepare.on_bad_image": "skp"}, ["`prepare.on_bad_image`", "did you mean skip"]),
        ({"prepare.on_bad_imge": "skip"}, ["`prepare.on_bad_imge` is not a known key", "did you mean on_bad_image"]),
        ({"datasets.objects.dials.cluter": 0.1}, ["dials.cluter` is not a known key", "did you mean clutter"]),
        ({"compute.workers": 0}, ["`compute.workers` is 0", "'auto' or greater than or equal to 1"]),
        ({"compute.workers": "all"}, ["`compute.workers` is 'all'", "'auto' or a valid integer"]),
        ({"datasets.photos": 3}, ["`datasets.photos` is 3", "a mapping"]),
        ({"compute.device": "gpu"}, ["`compute.device` is 'gpu'", "'cuda'"]),
        ({"datasets.objects.image_size": 4}, ["`datasets.objects.image_size` is 4", "16"]),
        ({"datasets.objects.source": "objcts"}, ["datasets.objects.source", "'objcts'", "did you mean objects"]),
        ({"datasets.mnist.checksums": {}}, ["datasets.mnist", "belong together"]),
        ({"datasets.objects.dials.clutter": 2.0}, ["`datasets.objects.dials.clutter` is 2.0", "1"]),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(project: Path, changes: dict, words: list[str]) -> None:
    edit(project, changes)
    with pytest.raises(PipelineError) as error:
        settings.load()
    for word in ["params.yaml", *words]:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hog.features.orientation": 9}, ["`hog.features.orientation`", "did you mean orientations"]),
        ({"hog.features.orientations": 9.5}, ["`hog.features.orientations` is 9.5", "integer"]),
        ({"hog.svm.C": [1.0]}, ["`hog.svm.C × positive_weight` lists 1 values", "`tuning_trials` is 4"]),
        ({"hog.svm.positive_weight": [1.0, 2.0]}, ["C × positive_weight` lists 8 values", "list 4"]),
        ({"hog.features.rbf": {"landmark": 9, "width": 1.0}}, ["rbf.landmark`", "did you mean landmarks", "width"]),
        ({"hog.svm.patience": 0}, ["`hog.svm.patience` is 0", "greater than or equal to 1"]),
        ({"hog.features.rbf": {"landmarks": 1, "width": 1.0}}, ["`hog.features.rbf.landmarks` is 1", "2"]),
        ({"hog.svm.C": [1.0, -1.0, 2.0, 3.0]}, ["`hog.svm.C.1` is -1.0", "greater than 0"]),
        ({"lenet5.learning_rates": [0.1, 0.2]}, ["`lenet5.learning_rates` lists 2 values"]),
        ({"lenet5.width": 1.0}, ["`lenet5.width` is not a known key"]),
        ({"features": ["hog"], "fusions": ["all_classical"]}, ["all_classical", "at least two features"]),
        ({"features": ["hog", "sift_fv"]}, ["`xrce2011.members` names color_fv", "take xrce2011 out of `fusions`"]),
        (
            {"fusions": ["all_classical"], "all_classical.members": ["hog", "sift"]},
            ["all_classical.members", "'sift'", "did you mean sift_fv"],
        ),
        ({"color_histogram.features.bins": [8, 8]}, ["`color_histogram.features.bins`", "at least 3"]),
    ],
)
def test_a_wrong_method_setting_is_found_before_the_first_stage(project: Path, changes: dict, words: list[str]) -> None:
    edit(project, changes)
    with pytest.raises(PipelineError) as error:
        settings.load().check_methods()
    for word in ["params.yaml", *words]:
        assert word in str(error.value)


def test_a_missing_key_and_a_missing_method_are_named(project: Path) -> None:
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace('"seed": 0,', "", 1))
    with pytest.raises(PipelineError, match="`seed` is missing"):
        settings.load()
    params = parse_yaml(text)
    del params["xrce2011"]
    (project / "params.yaml").write_text(json.dumps(params))
    with pytest.raises(PipelineError, match="selects xrce2011, but the mapping"):
        settings.load()


def test_broken_yaml_is_one_sentence(project: Path) -> None:
    (project / "params.yaml").write_text("dataset: [")
    with pytest.raises(PipelineError, match=r"params\.yaml is not valid YAML") as error:
        settings.load()
    assert "\n" not in str(error.value)


def test_scientific_notation_is_a_number(project: Path) -> None:
    text = (project / "params.yaml").read_text().replace("weight_decay: 0.0005", "weight_decay: 5e-4")
    (project / "params.yaml").write_text(text)
    assert settings.load().network("vgg11").weight_decay == 0.0005


def test_dvc_yaml_depends_on_files_that_exist() -> None:
    from ruamel.yaml import YAML

    graph = YAML(typ="safe").load(ROOT / "dvc.yaml")
    keys = {family: catalogue.keys(family) for family in ("feature", "matcher", "fusion", "network")}
    items = dict.fromkeys(("codebook", "features", "svm", "pictures"), "feature")
    items |= {"match": "matcher", "fuse": "fusion", "cnn": "network", "kernels": "network", "ablate": "network"}
    for name, stage in graph["stages"].items():
        body = stage.get("do", stage)
        for dep in body.get("deps", []):
            if dep.startswith("pipeline"):
                for item in keys[items[name]] if name in items else [""]:
                    assert (ROOT / dep.replace("${item}", item)).exists(), dep


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("hog.svm.C", [0.1, 0.1, 1.0, 3.0], r"`hog\.svm\.C`: \[0\.1, 0\.1, 1\.0, 3\.0\] lists a value twice"),
        ("lenet5.learning_rates", [0.1, 0.2, 0.2, 0.3], r"`lenet5\.learning_rates`: .* lists a value twice"),
    ],
)
def test_the_same_value_twice_is_one_try(project: Path, key: str, value: list[float], sentence: str) -> None:
    edit(project, {key: value})
    with pytest.raises(PipelineError, match=sentence):
        settings.load().check_methods()


@pytest.mark.parametrize(
    ("text", "place"), [(".inf", "training.momentum"), ("[1, -.inf]", "hog.svm.C.1"), (".nan", "seed")]
)
def test_infinity_is_no_setting(project: Path, text: str, place: str) -> None:
    key = place.removesuffix(".1")
    edit(project, {key: "HERE"})
    path = project / "params.yaml"
    path.write_text(path.read_text().replace('"HERE"', text))
    with pytest.raises(PipelineError, match=rf"`{place}` is -?(inf|nan); allowed: a finite number"):
        settings.load()
