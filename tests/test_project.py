"""Where a project lies: in a larger repository, in DVC's copy for an experiment, in an unpacked ZIP."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from pipeline import layout, settings
from pipeline.data import inputs
from pipeline.data.preparation import prepare
from pipeline.errors import PipelineError
from pipeline.evaluation.summary import VERSION
from pipeline.project import check_repository, in_repository, own_folder, repository
from tests.conftest import ROOT, command, edit, make_project, pipeline
from tests.test_ways_in import save

COPY = Path(".dvc/tmp/exps/standalone/tmp1234")


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_a_project_of_its_own_starts_its_paths_where_it_lies(tmp_path: Path) -> None:
    assert own_folder(made(tmp_path / "p")) == Path()


@pytest.mark.parametrize("copy", [COPY, Path(".dvc/tmp/exps/tmp77")])
def test_a_copy_for_an_experiment_starts_them_at_the_project(tmp_path: Path, copy: Path) -> None:
    made(tmp_path / "p" / copy / ".git")
    assert own_folder(tmp_path / "p" / copy) == tmp_path / "p"


def test_so_does_one_of_a_larger_repository(tmp_path: Path) -> None:
    below = tmp_path / "big" / "tools" / "vision"
    made(below / COPY / ".git")  # DVC knows the subfolder alone
    assert own_folder(made(below / COPY / "tools" / "vision")) == below
    made(tmp_path / "all" / COPY / ".git")  # DVC knows the whole repository
    assert own_folder(made(tmp_path / "all" / COPY / "tools" / "vision")) == tmp_path / "all" / "tools" / "vision"


def test_photographs_that_git_does_not_know_are_found_from_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "p")
    for number in range(30):
        save(project / "datasets" / "photos" / "ab"[number % 2] / f"{number}.png", number)
    edit(project, {"dataset": "photos"})
    monkeypatch.chdir(project)
    there = inputs.fingerprint(settings.load())
    made(project / COPY / ".git")
    (project / COPY / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
    monkeypatch.chdir(project / COPY)
    assert inputs.fingerprint(settings.load()) == there  # so that `prepare` need not run again
    assert sum(split["count"] for split in prepare(settings.load(), layout.DATA)["splits"].values()) == 30
    assert (project / COPY / "data").is_dir()


def test_runs_of_a_project_in_a_subfolder_are_compared(tmp_path: Path) -> None:
    big = made(tmp_path / "big")
    project = make_project(big / "tools" / "vision")
    summary = {
        "version": VERSION, "dataset": "objects", "budget": "demo", "seed": 0, "seeds": None, "failed": {},
        "confidence": 0.95,
        "images": {"train": 1, "val": 1, "test": 1}, "fingerprints": {"train": "", "val": "", "test": "a"},
        "methods": {
            "hog": {
                "test": {"top1_error": 12.5, "top1_low": 10.0, "top1_high": 15.0},
                "cost": {"training_seconds": 1.0, "device": "cpu", "views": 1},
            }
        },
    }  # fmt: skip
    layout_file = project / layout.METRICS
    layout_file.parent.mkdir(exist_ok=True)
    layout_file.write_text(json.dumps(summary))
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@example.org")
    assert command(big, *git, "init", "-q").returncode == 0
    assert command(project, sys.executable, "-m", "dvc", "init", "--subdir", "-q", "-f").returncode == 0
    command(big, *git, "add", "-f", "tools/vision/.dvc", "tools/vision/reports/metrics.json")
    assert command(big, *git, "commit", "-qm", "first").returncode == 0
    summary["methods"]["hog"]["test"]["top1_error"] = 11.0  # type: ignore[index]
    layout_file.write_text(json.dumps(summary))
    done = pipeline(project, "compare", "HEAD")
    assert done.returncode == 0, done.stderr
    assert "12.5" in done.stdout
    assert "-1.50" in done.stdout


def test_paths_are_named_from_the_root_of_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "big" / ".git")
    monkeypatch.chdir(made(tmp_path / "big" / "a" / "b"))
    assert in_repository(Path("reports/metrics.json")) == Path("a/b/reports/metrics.json")
    assert repository(ROOT) is not None


def test_a_downloaded_zip_gets_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.project.repository", lambda: None)
    monkeypatch.chdir(made(tmp_path / "zip"))
    with pytest.raises(PipelineError, match=r"no git repository.*git init && git add -A.*core\.no_scm true"):
        check_repository()
    made(Path(".dvc"))
    Path(".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    check_repository()


def test_a_repository_without_a_commit_gets_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made(tmp_path / "new"))
    assert command(tmp_path / "new", "git", "init", "-q").returncode == 0
    with pytest.raises(PipelineError, match=r"no commit yet.*git add -A && git commit -m start"):
        check_repository()
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    assert command(tmp_path / "new", "git", *identity, "commit", "-q", "--allow-empty", "-m", "start").returncode == 0
    check_repository()
    monkeypatch.setattr("pipeline.project.shutil.which", lambda name: None)
    check_repository()  # without git's program DVC will say what it lacks


#: DVC on a file system that has neither hard nor symbolic links, as FAT and many network shares.
WITHOUT_LINKS = """
import errno, os, sys
def refused(*_, **__):
    raise OSError(errno.EPERM, "Operation not permitted")
os.link = os.symlink = refused
from dvc.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_file_system_without_links_gets_copies(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", {"features": ["hog"], "fusions": [], "networks": []})
    shutil.copytree(ROOT / ".dvc", project / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local"))
    assert command(project, "git", "init", "-q").returncode == 0
    for arguments in (["repro", "prepare"], ["repro", "prepare"]):
        done = command(project, sys.executable, "-c", WITHOUT_LINKS, *arguments)
        assert done.returncode == 0, done.stderr[-2000:]
    assert "Running stage 'prepare'" not in done.stdout
    images = project / "data" / "train" / "images.npy"
    packed = images.read_bytes()
    assert images.stat().st_nlink == 1
    shutil.rmtree(project / "data")
    done = command(project, sys.executable, "-c", WITHOUT_LINKS, "checkout", "prepare")
    assert done.returncode == 0, done.stderr[-2000:]
    assert images.read_bytes() == packed
