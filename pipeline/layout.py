"""Where everything lies, relative to the folder of params.yaml."""

from __future__ import annotations

from pathlib import Path

PARAMS = Path("params.yaml")
DATA = Path("data")
CODEBOOKS = Path("codebooks")
MODELS = Path("models")
FEATURES = Path("features")
RESULTS = Path("results")
REPORTS = Path("reports")
METRICS = REPORTS / "metrics.json"
ERRORS = REPORTS / "errors.json"
TABLES = REPORTS / "tables"
PLOTS = REPORTS / "plots"
PAGE = REPORTS / "index.html"
SUMMARY = REPORTS / "summary.md"
CHARTS = REPORTS / "charts"

PICTURES = RESULTS / "pictures"
FOLDS = RESULTS / "folds"
CURVES = RESULTS / "curve"
SEEDS = RESULTS / "seeds"
ROBUSTNESS = RESULTS / "robustness"

#: What a killed run leaves for the next one; outside DVC's outputs, which are deleted before a stage runs.
WORK = Path("work")
WEIGHTS = Path("weights")  # files of weights that others trained, fetched or put there by hand
INPUTS = WORK / "inputs.json"  # whether a person's images changed
RETRIES = WORK / "retries"  # for each method: how often weights that could not be had were looked for again
SKIPPED = WORK / "skipped.csv"  # images that prepare could not use, with the reason

#: The folder below RESULTS of each family of methods. A stage that reads the results of a whole family depends
#: on this folder and not on RESULTS, which would also hold its own output.
FAMILY_FOLDER = {
    "feature": "svm",
    "fusion": "fuse",
    "network": "cnn",
    "matcher": "match",
    "pretrained": "pretrained",
    "fine_tuned": "fine_tuned",
}


def stage_of(family: str, key: str) -> str:
    """The stage that makes a method's results, as DVC names it."""
    return f"{FAMILY_FOLDER[family]}@{key}"


def retries_of(key: str) -> Path:
    """The file that changes when a method's weights are to be looked for again."""
    return RETRIES / f"{key}.json"


def model_of(key: str) -> Path:
    """The folder of one fitted model."""
    return MODELS / key


def curve_of(key: str) -> Path:
    """The folder of one method's learning curve."""
    return CURVES / key


def results_of(family: str, key: str) -> Path:
    """The folder of one method's scores and cost."""
    return RESULTS / FAMILY_FOLDER[family] / key
