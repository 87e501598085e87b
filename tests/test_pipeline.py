"""The whole graph on tiny data, through DVC, as a person runs it."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from pipeline import catalogue, layout, settings
from pipeline.files import parse_yaml
from tests.conftest import ROOT, command, edit, make_project, pipeline

#: What the graph has of each kind: each stage is a process that takes seconds to start.
SELECTED = {
    "features": ["color_histogram", "hog"],
    "fusions": ["all_classical"],
    "networks": ["lenet5", "perceptron"],
    "pretrained": ["efficientnet_lite0"],
    "perceptron.epochs": 1,
    "perceptron.trial_epochs": 1,
}
METHODS = {"color_histogram", "hog", "all_classical", "lenet5", "perceptron", "efficientnet_lite0"}

#: Prints, as JSON, for each stage those that read what it writes, directly or not.
READERS = """
import json, networkx
from dvc.repo import Repo
graph = Repo().index.graph
found = {stage.addressing: [one.addressing for one in networkx.ancestors(graph, stage)] for stage in graph}
print(json.dumps(found))
"""


def git(folder: Path, *arguments: str) -> None:
    done = command(folder, "git", "-c", "user.name=test", "-c", "user.email=test@example.org", *arguments)
    assert done.returncode == 0, done.stderr


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "a state")


def repro(folder: Path) -> list[str]:
    """Run `dvc repro`; the stages that it ran, in order, but for the one that always runs."""
    done = command(folder, sys.executable, "-m", "dvc", "repro")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    ran = re.findall(r"Running stage '([^']+)'", done.stdout)
    assert ran[0] == "inputs"
    return ran[1:]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with the tiny project, once reproduced. Tests of this module change it in order."""
    folder = make_project(tmp_path_factory.mktemp("repository") / "project", SELECTED)
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local"))
    (folder / "reports").mkdir()
    git(folder, "init", "-q")
    commit(folder)
    stages = repro(folder)
    assert len(stages) == 7 + 4 * 2 + 1 + 2 * 2 + 1
    return folder


def outdated(folder: Path) -> set[str]:
    """The stages that `dvc repro` would run: those of which something changed, and those that read what they write."""
    status = command(folder, sys.executable, "-m", "dvc", "status", "--json")
    graph = command(folder, sys.executable, "-c", READERS)
    assert status.returncode == graph.returncode == 0, status.stderr[-3000:] + graph.stderr[-3000:]
    changed, readers = set(json.loads(status.stdout)) - {"inputs"}, json.loads(graph.stdout)
    return changed.union(*(readers[stage] for stage in changed))


def metrics(folder: Path) -> dict:
    return json.loads((folder / layout.METRICS).read_text())


def test_every_method_has_errors_and_the_report_stands(repository: Path) -> None:
    found = metrics(repository)["methods"]
    assert set(found) == METHODS
    for values in found.values():
        for split in ("val", "test"):
            for k in (1, 5):
                low, error, high = (values[split][f"top{k}_{name}"] for name in ("low", "error", "high"))
                assert 0 <= low <= error <= high <= 100
            assert values[split]["top5_error"] <= values[split]["top1_error"]
        assert values["cost"]["training_seconds"] > 0
    page = (repository / layout.PAGE).read_text()
    assert "Can I trust this?" in page
    shown = json.loads(re.search(r'id="data">(.*?)</script>', page).group(1))  # type: ignore[union-attr]
    assert {method["key"] for method in shown["methods"]} == METHODS
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_a_second_repro_runs_nothing(repository: Path) -> None:
    assert repro(repository) == []


def test_outputs_lie_on_the_disk_once(repository: Path) -> None:
    """Fisher vectors take tens of gigabytes; DVC's cache must not hold a second copy of them."""
    for path in ("data/train/images.npy", "features/hog/train.npy", "results/cnn/lenet5/scores.npz"):
        assert (repository / path).stat().st_nlink == 2, path


def test_git_sees_nothing_but_the_lock_file(repository: Path) -> None:
    status = command(repository, "git", "status", "--short").stdout.split()
    assert status == ["??", "dvc.lock"]
    commit(repository)  # so that later runs can be compared with this one


def test_dvc_shows_metrics_and_plots(repository: Path) -> None:
    shown = command(repository, sys.executable, "-m", "dvc", "metrics", "show", "--json")
    assert shown.returncode == 0, shown.stderr
    for key, values in metrics(repository)["methods"].items():
        assert f'"{key}": {values["test"]["top1_error"]}' in shown.stdout
    plots = command(repository, sys.executable, "-m", "dvc", "plots", "show", "-o", "plots-page")
    assert plots.returncode == 0, plots.stderr
    page = (repository / "plots-page" / "index.html").read_text()
    for text in ("Top-1 test error", "Error against training time", "Confusion of the best method", "Learning curves"):
        assert text in page
    shutil.rmtree(repository / "plots-page")


def test_the_summary_has_every_method_and_its_charts(repository: Path) -> None:
    text = (repository / layout.SUMMARY).read_text()
    for key in METHODS:
        assert f"| {catalogue.BY_KEY[key].title} |" in text
    charts = re.findall(r"\]\((charts/[a-z0-9-]+\.svg)\)", text)
    assert len(charts) == 2
    for chart in charts:
        assert (repository / layout.REPORTS / chart).read_text().startswith("<svg")


def test_one_methods_parameter_reruns_its_stages_and_what_reads_them(repository: Path) -> None:
    edit(repository, {"hog.features.orientations": 7})
    assert set(repro(repository)) == {
        *(f"{stage}@hog" for stage in ("codebook", "features", "svm", "pictures")),
        *("fuse@all_classical", "folds", "seeds", "unlike", "robustness", "evaluate", "report"),
    }


def test_a_run_is_compared_with_the_one_before(repository: Path) -> None:
    if not command(repository, "git", "ls-files", "dvc.lock").stdout:
        commit(repository)  # another worker has run the tests before this one
    before = json.loads(command(repository, sys.executable, "-m", "dvc", "metrics", "diff", "--json").stdout)
    shown = pipeline(repository, "compare", "HEAD", "workspace")
    assert shown.returncode == 0, shown.stderr
    row = next(line for line in shown.stdout.splitlines() if "HOG + SVM" in line)
    change = before.get("reports/errors.json", {}).get("hog", {"diff": 0.0})["diff"]
    assert f"{change:+.2f}" in row
    assert "other images" not in shown.stdout
    missing = pipeline(repository, "compare", "nowhere")
    assert missing.returncode == 1
    assert missing.stderr.startswith("error: nowhere: is neither a file or folder nor a revision")


def test_a_classifiers_parameter_computes_no_feature_again(repository: Path) -> None:
    before = parse_yaml((repository / "params.yaml").read_text())["hog"]["svm"]["C"]
    edit(repository, {"hog.svm.C": [0.02, 0.2, 2.0, 20.0]})
    assert outdated(repository) == {
        "svm@hog",
        "fuse@all_classical",
        "folds",
        "seeds",
        "unlike",
        "robustness",
        "evaluate",
        "report",
    }
    edit(repository, {"hog.svm.C": before})
    assert outdated(repository) == set()


def test_a_networks_parameter_leaves_the_others_alone(repository: Path) -> None:
    before = parse_yaml((repository / "params.yaml").read_text())["lenet5"]["weight_decay"]
    edit(repository, {"lenet5.weight_decay": 0.001})
    assert outdated(repository) == {
        "cnn@lenet5",
        "kernels@lenet5",
        "folds",
        "seeds",
        "unlike",
        "robustness",
        "evaluate",
        "report",
    }
    edit(repository, {"lenet5.weight_decay": before})


def test_the_reports_code_retrains_nothing(repository: Path) -> None:
    template = repository / "pipeline" / "report" / "templates" / "page.html"
    template.write_text(template.read_text().replace("Before and after 2012 on", "Who wins on"))
    assert repro(repository) == ["report"]
    assert "Who wins on objects" in (repository / layout.PAGE).read_text()


def test_a_removed_method_disappears(repository: Path) -> None:
    selected = {"features": ["hog"], "fusions": [], "networks": ["lenet5"], "pretrained": []}
    edit(repository, selected)
    assert set(repro(repository)) == {"folds", "seeds", "unlike", "robustness", "evaluate", "report"}
    assert set(metrics(repository)["methods"]) == {"hog", "lenet5"}
    page = (repository / layout.PAGE).read_text()
    table = page[page.index('<table id="board">') :].split("</table>")[0]
    assert "LeNet-5" in table
    assert "erceptron" not in table


def test_another_data_set_is_one_word(repository: Path) -> None:
    edit(repository, {"dataset": "digits", "features": ["hog"], "fusions": [], "networks": [], "pretrained": []})
    assert set(repro(repository)) == {
        "prepare",
        "codebook@hog",
        "features@hog",
        "svm@hog",
        "pictures@hog",
        "folds",
        "seeds",
        "unlike",
        "robustness",
        "evaluate",
        "report",
    }
    found = metrics(repository)
    assert found["dataset"] == "digits"
    assert found["methods"]["hog"]["test"]["top1_error"] < 15
    assert "Only hand-crafted methods were selected" in (repository / layout.PAGE).read_text()


# ------------------------------------------------------------------------------------------------- determinism


STAGES = (
    ["prepare"],
    *(["codebook", key] for key in ("hog", "sift_bow", "sift_fv")),
    *(["features", key] for key in ("hog", "sift_bow", "sift_fv")),
    *(["svm", key] for key in ("hog", "sift_bow", "sift_fv")),
    ["fuse", "all_classical"],
    ["cnn", "lenet5"],
)


def test_the_same_params_give_the_same_scores_for_any_number_of_workers(tmp_path: Path) -> None:
    scores: list[dict[str, np.ndarray]] = []
    for name, workers in (("one", 1), ("two", 2), ("again", 2)):
        changes = {
            "compute.workers": workers,
            "features": ["hog", "sift_bow", "sift_fv"],
            "fusions": ["all_classical"],
            "networks": ["lenet5"],
        }
        folder = make_project(tmp_path / name, changes)
        run_all = "import sys; from pipeline.__main__ import app\n"
        run_all += "".join(f"app({stage!r}, standalone_mode=False)\n" for stage in STAGES)
        done = command(folder, sys.executable, "-c", run_all)
        assert done.returncode == 0, done.stderr[-3000:]
        scores.append({})
        for path in sorted(folder.glob("results/*/*/scores.npz")):
            with np.load(path) as arrays:
                scores[-1] |= {f"{path.parent.name} {key}": arrays[key] for key in ("val", "test")}
    assert len(scores[0]) == 2 * 5
    for other in scores[1:]:
        for key, values in scores[0].items():
            np.testing.assert_array_equal(values, other[key], err_msg=key)


def test_a_killed_features_stage_goes_on_after_the_last_shard(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.features import extraction, hog
    from pipeline.stages import codebook, features, prepare

    monkeypatch.setattr(extraction, "SHARD", 40)
    prepare.run()
    codebook.run("hog")
    features.run("hog")
    expected = {name: np.load(layout.FEATURES / "hog" / f"{name}.npy") for name in ("train", "val")}
    assert len(expected["train"]) == 2 * 120  # the augmented copies stand behind the images
    assert (expected["train"][:120] != expected["train"][120:]).any()
    shutil.rmtree(layout.FEATURES)

    calls = 0
    whole = hog.transform

    def dies(*arguments: object) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls == 5:  # after the warm-up and three shards
            raise KeyboardInterrupt
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(hog, "transform", dies)
    with pytest.raises(KeyboardInterrupt):
        features.run("hog")
    assert not layout.FEATURES.exists()
    features.run("hog")
    # 6 shards of train, 2 of val: three were done before the kill, so the second run does 5, warmed up.
    assert calls == 5 + 1 + 5
    for name, values in expected.items():
        np.testing.assert_array_equal(np.load(layout.FEATURES / "hog" / f"{name}.npy"), values)
    assert not list(layout.WORK.glob("features-hog-*"))


def test_two_views_average_the_scores_of_an_image_and_its_mirror_image(project: Path) -> None:
    from pipeline.context import Context
    from pipeline.stages import codebook, evaluate, features, prepare, svm

    edit(project, {"features": ["hog"], "fusions": [], "networks": [], "augmentation.views": 2})
    for run in (prepare.run, *(lambda stage=stage: stage.run("hog") for stage in (codebook, features, svm))):
        run()
    images = np.load(layout.DATA / "test" / "images.npy")
    hog, chosen = catalogue.BY_KEY["hog"].load(), settings.load().feature("hog")
    views = np.concatenate([hog.transform(part, chosen, {}, Context(0)) for part in (images, images[:, :, ::-1])])

    folder = layout.results_of("feature", "hog")
    model = load_file(layout.model_of("hog") / "arrays.safetensors")
    with np.load(folder / "scores.npz") as found:
        mean, scale, weights, bias = (model[f"model/svm/{name}"] for name in ("mean", "scale", "weights", "bias"))
        scores = (views - mean) * scale @ weights.T + bias
        np.testing.assert_allclose(found["test"], scores.reshape(2, len(images), -1).mean(axis=0), atol=1e-3)
    evaluate.run()
    assert "HOG + SVM, 2 views" in (layout.TABLES / "leaderboard.csv").read_text()


def test_publishing_names_the_command_that_repeats_it(project: Path) -> None:
    from pipeline.stages import codebook, evaluate, features, prepare, publish, svm

    edit(project, {"features": ["hog"], "fusions": [], "networks": [], "prepare.train_limit": 100})
    prepare.run()
    for stage in (codebook, features, svm):
        stage.run("hog")
    evaluate.run()
    share = {"images": 200, "percent": 12.34567, "low": 8.0, "high": 17.0}
    (layout.RESULTS / "unlike").mkdir()
    (layout.RESULTS / "unlike" / "detection.json").write_text(json.dumps({"hog": {"noise": share}}))
    publish.run("2026-01-02", ["prepare.train_limit=100"], "few")
    rows = json.loads((layout.REPORTS / "published" / "objects" / "few.json").read_text())
    assert [row["method"] for row in rows] == ["hog"]
    assert rows[0]["train"] == 100
    assert rows[0]["date"] == "2026-01-02"
    assert "-S seed=0 -S 'features=[hog]' -S 'matchers=[]'" in rows[0]["command"]
    assert rows[0]["command"].endswith(" -S prepare.train_limit=100")
    assert rows[0]["top1_interval"][0] <= rows[0]["top1_error"] <= rows[0]["top1_interval"][1]
    calibration = json.loads(layout.METRICS.read_text())["methods"]["hog"]["calibration"]
    assert (rows[0]["ece"], rows[0]["at_least_0.9"]) == (calibration["ece_after"], calibration["at_least_0.9"])
    assert rows[0]["unlike_training"] == {"noise": 12.3457}

    # An ablation's table goes into a file of its own.
    edit(project, {"ablate.networks": ["lenet5"]})
    table = [{"change": "as it is", "error": 12.5}]
    (layout.RESULTS / "ablate" / "lenet5").mkdir(parents=True)
    (layout.RESULTS / "ablate" / "lenet5" / "table.json").write_text(json.dumps(table))
    publish.run("2026-01-02", [], "few")
    found = json.loads((layout.REPORTS / "published" / "objects" / "ablation-lenet5.json").read_text())
    assert (found["network"], found["errors_on"], found["train"]) == ("lenet5", "val", 100)
    assert found["rows"] == table
    assert "-S 'ablate.networks=[lenet5]'" in found["command"]

    # Another seed is averaged, another method stays.
    measured = json.loads(layout.METRICS.read_text())
    first = measured["methods"]["hog"]["test"]["top1_error"]
    measured["seed"] = 1
    measured["methods"]["hog"]["test"]["top1_error"] = first + 3
    measured["methods"]["color_histogram"] = measured["methods"]["hog"]
    layout.METRICS.write_text(json.dumps(measured))
    publish.run("2026-01-03", [], "few", add=True)
    del measured["methods"]["color_histogram"]
    measured["seed"] = 2
    layout.METRICS.write_text(json.dumps(measured))
    publish.run("2026-01-03", [], "few", add=True)
    rows = json.loads((layout.REPORTS / "published" / "objects" / "few.json").read_text())
    assert [row["method"] for row in rows] == ["color_histogram", "hog"]
    assert rows[0]["seeds"] == [1]
    assert rows[1]["seeds"] == [0, 1, 2]
    assert not {"ece", "at_least_0.9", "unlike_training"} & rows[1].keys()
    assert rows[1]["top1_error"] == pytest.approx(first + 2, abs=1e-3)
    assert rows[1]["top1_errors"] == [first, first + 3, first + 3]
    assert rows[1]["top1_interval"][0] < rows[1]["top1_error"] < rows[1]["top1_interval"][1]
    repeat = rows[1]["command"].replace("dvc exp run", "echo")
    ran = command(project, "sh", "-c", repeat).stdout.splitlines()
    assert [line.split()[5] for line in ran] == ["seed=0", "seed=1", "seed=2"]


def test_vectors_of_other_images_and_damaged_ones_are_refused_by_the_svm(project: Path) -> None:
    from pipeline.errors import PipelineError
    from pipeline.stages import codebook, features, prepare, svm

    prepare.run()
    codebook.run("hog")
    features.run("hog")
    path = layout.FEATURES / "hog" / "val.npy"
    whole = np.load(path)
    for damaged in (whole[:-1], whole[:, :-1]):
        np.save(path, damaged)
        with pytest.raises(PipelineError, match=r"val\.npy: has the shape .*rerun the stage features@hog"):
            svm.run("hog")
    np.save(path, whole)
    for name in ("train", "val"):
        path = layout.FEATURES / "hog" / f"{name}.npy"
        whole = np.load(path)
        damaged = whole.copy()
        damaged[-1, -1] = np.nan
        np.save(path, damaged)
        with pytest.raises(PipelineError, match=rf"{name}\.npy: holds NaN or infinite numbers; rerun the stage"):
            svm.run("hog")
        np.save(path, whole)


def test_a_full_disk_stops_features_with_a_sentence(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.errors import PipelineError
    from pipeline.features import extraction
    from pipeline.stages import codebook, features, prepare

    prepare.run()
    codebook.run("hog")

    def full(descriptor: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(extraction, "reserve", full)
        with pytest.raises(PipelineError, match=r"train\.npy: can't have the .* GB.*No space left on device"):
            features.run("hog")
    assert not layout.FEATURES.exists()
    features.run("hog")
    assert (layout.FEATURES / "hog" / "val.npy").exists()


# ------------------------------------------------------------------------------------------------ command line


@pytest.mark.parametrize(
    ("changes", "arguments", "words"),
    [
        ({"dataset": "nothing"}, ["prepare"], ["'nothing' is not a data set"]),
        ({"budget": "free"}, ["prepare"], ["'free' is not a budget"]),
        ({"dataset": "photos"}, ["prepare"], ["datasets/photos: there is no such folder"]),
        ({}, ["evaluate"], ["data/manifest.json: cannot be read", "rerun the stage prepare"]),
        ({}, ["ablate", "resnet21"], ["'resnet21' is not a network"]),
        ({}, ["cnn", "resnet21"], ["'resnet21' is not a network; did you mean resnet"]),
        ({}, ["svm", "hgo"], ["'hgo' is not a feature; did you mean hog?"]),
        ({}, ["fuse", "all_clasical"], ["did you mean all_classical?"]),
        ({}, ["features", "hog"], ["codebook.npz: cannot be read", "rerun the stage codebook@hog"]),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_1(
    project: Path, changes: dict, arguments: list[str], words: list[str]
) -> None:
    edit(project, changes)
    done = pipeline(project, *arguments)
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]


def test_help_names_every_stage_and_imports_nothing_heavy(project: Path) -> None:
    done = pipeline(project, "--help")
    assert done.returncode == 0
    for stage in ("prepare", "codebook", "features", "svm", "fuse", "cnn", "kernels", "ablate", "evaluate", "report"):
        assert stage in done.stdout
    code = (
        "import sys, pipeline.__main__; print([m for m in ('torch', 'numpy', 'pydantic', 'cv2') if m in sys.modules])"
    )
    assert command(project, sys.executable, "-c", code).stdout.strip() == "[]"


def test_outside_a_project_the_missing_params_are_named(tmp_path: Path) -> None:
    make_project(tmp_path / "p")
    (tmp_path / "p" / "params.yaml").unlink()
    done = pipeline(tmp_path / "p", "prepare")
    assert done.returncode == 1
    assert "params.yaml is missing" in done.stderr


def test_views_without_a_mirror_are_a_sentence(project: Path) -> None:
    from pipeline.errors import PipelineError
    from pipeline.stages import cnn, prepare

    edit(project, {"features": [], "fusions": [], "lenet5.views": "mirror"})
    edit(project, {"datasets.objects.augmentation.mirror": False})
    prepare.run()
    with pytest.raises(PipelineError, match=r"`lenet5.views` is mirror, but `datasets.objects.augmentation.mirror`"):
        cnn.run("lenet5")


def test_few_images_have_smaller_batches_and_that_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pipeline.stages import cnn, prepare

    edit(project, {"features": [], "fusions": [], "training.least_batches": 4})
    prepare.run()
    cnn.run("lenet5")
    assert "train has 120 images: lenet5 learns from 30 at once" in capsys.readouterr().err
    assert (layout.results_of("network", "lenet5") / "scores.npz").exists()
