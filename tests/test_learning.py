"""Real images, real training: minutes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.stages import cnn, codebook, evaluate, features, prepare, svm
from tests.conftest import edit


@pytest.mark.slow
def test_both_eras_read_handwritten_digits(project: Path) -> None:
    edit(project, {
        "dataset": "digits", "features": ["hog"], "fusions": [], "networks": ["lenet5"],
        "lenet5.epochs": 30, "lenet5.trial_epochs": 2,
    })  # fmt: skip
    prepare.run()
    for stage in (codebook, features, svm):
        stage.run("hog")
    cnn.run("lenet5")
    evaluate.run()
    methods = json.loads(layout.METRICS.read_text())["methods"]
    assert methods["hog"]["test"]["top1_error"] < 4
    assert methods["lenet5"]["test"]["top1_error"] < 4
