from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline import layout, settings
from pipeline.errors import PipelineError
from pipeline.files import read_json
from pipeline.models import network
from pipeline.report.faults import Faults
from pipeline.report.networks import ablations
from pipeline.stages import ablate, prepare
from pipeline.training.prediction import predict_and_watch
from pipeline.training.tuning import tune_and_train
from tests.conftest import edit

CHANGES = [
    {"activation": "sigmoid"},
    {"activation": "maxout"},
    {"batch_size": 20, "weight_decay": 0.001},
    {"dropout": 0.5},
]


@pytest.fixture
def ablated(project: Path) -> Path:
    """A project in which LeNet-5 is to be changed."""
    edit(
        project,
        {
            "ablate.networks": ["lenet5"],
            "ablate.changes": CHANGES,
            "features": [],
            "fusions": [],
            "networks": ["lenet5"],
            "training.trial_epochs": 1,
            "tuning_trials": 1,
            "lenet5.learning_rates": [0.02],
            "lenet5.epochs": 1,
        },
    )
    prepare.run()
    return project


def test_every_change_has_a_row_and_a_senseless_one_says_why(ablated: Path) -> None:
    ablate.run("lenet5")
    rows = read_json(layout.RESULTS / "ablate" / "lenet5" / "table.json", "ablate@lenet5")
    assert [row["change"] for row in rows] == [
        "as it is",
        "activation: sigmoid",
        "activation: maxout",
        "batch_size: 20, weight_decay: 0.001",
        "dropout: 0.5",
    ]
    assert rows[2]["error"] is None
    assert "maxout" in rows[2]["note"]
    for row in (rows[0], rows[1], rows[3]):
        assert row["low"] <= row["error"] <= row["high"]
        assert row["gradient_ratio"] > 0
    # Sigmoids shrink what comes back to the first layer.
    assert rows[1]["gradient_ratio"] < rows[0]["gradient_ratio"]
    faults = Faults()
    assert ablations(settings.load(), faults)[0]["title"] == "LeNet-5"
    assert not faults.sentences
    assert not list(layout.WORK.glob("ablate-*"))


def test_a_killed_ablation_does_not_train_a_finished_row_again(ablated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tune_and_train
    calls: list[str] = []

    def counted(title: str, task: Any, parameters: Any, work: Path, *watch: Any) -> Any:
        calls.append(str(parameters.activation))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(title, task, parameters, work)

    monkeypatch.setattr(network, "tune_and_train", counted)
    with pytest.raises(KeyboardInterrupt):
        ablate.run("lenet5")
    ablate.run("lenet5")
    assert calls == ["None", "sigmoid", "sigmoid", "None", "None"]


def test_other_rates_are_another_row_and_so_is_a_divergence(ablated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [{"learning_rates": [1e30]}, {"learning_rates": [0.01]}, {"activation": "tanh", "batch_norm": False}]
    edit(ablated, {"ablate.changes": changes, "training.batch_norm": False})
    real = tune_and_train
    calls: list[float] = []

    def counted(title: str, task: Any, parameters: Any, work: Path, *watch: Any) -> Any:
        calls.append(parameters.learning_rates[0])
        if calls == [0.02, 1e30, 0.01]:
            raise KeyboardInterrupt
        return real(title, task, parameters, work)

    monkeypatch.setattr(network, "tune_and_train", counted)
    with pytest.raises(KeyboardInterrupt):
        ablate.run("lenet5")
    ablate.run()  # all of `ablate.networks`
    assert calls == [0.02, 1e30, 0.01, 0.01, 0.02]
    rows = read_json(layout.RESULTS / "ablate" / "lenet5" / "table.json", "ablate@lenet5")
    assert [row.get("learning_rate") for row in rows] == [0.02, None, 0.01, 0.02]
    assert rows[1]["note"].startswith("diverged: ")
    assert not list(layout.WORK.glob("ablate-*"))


def test_a_change_that_changes_nothing_is_not_trained(ablated: Path) -> None:
    edit(
        ablated,
        {
            "ablate.changes": [
                {"batch_norm": False},
                {"dropout": 0.0},
                {"views": "mirror"},
                {"batch_norm": False, "views": "mirror"},
            ]
        },
    )
    ablate.run("lenet5")
    rows = read_json(layout.RESULTS / "ablate" / "lenet5" / "table.json", "ablate@lenet5")
    assert [row["note"] for row in rows] == ["", "lenet5 is so already", "lenet5 is so already", "", ""]


def test_views_are_scored_as_the_row_says(ablated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(ablated, {"ablate.changes": [{"views": "mirror"}]})
    seen: list[str] = []

    def watched(trained: Any, on: Any, images: Any, views: str, layers: Any) -> Any:
        seen.append(views)
        return predict_and_watch(trained, on, images, views, layers)

    monkeypatch.setattr(network, "predict_and_watch", watched)
    ablate.run("lenet5")
    assert list(dict.fromkeys(seen)) == ["single", "mirror"]
    assert seen == sorted(seen, reverse=True)


def test_an_ablation_of_nothing_or_of_several_processes_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PipelineError, match=r"`ablate\.networks` is empty"):
        ablate.run()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(PipelineError, match="ablate runs in one process"):
        ablate.run("lenet5")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"ablate.changes": [{"activation": "step"}]}, ["`ablate.changes.activation` is 'step'"]),
        ({"ablate.changes": [{"width": 2.0}]}, ["`ablate.changes`: 'width' is not a setting of `training`"]),
        ({"ablate.networks": ["lenet"]}, ["`ablate.networks`: 'lenet' is not a network", "did you mean lenet5?"]),
    ],
)
def test_wrong_ablations_are_sentences(project: Path, changes: dict[str, Any], parts: list[str]) -> None:
    edit(project, {"ablate.networks": ["lenet5"]} | changes)
    with pytest.raises(PipelineError) as error:
        settings.load().check_methods()
    for part in parts:
        assert part in str(error.value)
