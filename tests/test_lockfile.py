"""dvc.lock, cut off at any place, is put in order, and nothing is computed again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from pipeline import lockfile
from pipeline.errors import PipelineError
from tests.conftest import command, pipeline

LOCK = """schema: '2.0'
stages:
  prepare:
    cmd: python -m pipeline prepare
    deps:
    - path: pipeline/data
      hash: md5
      md5: 0123456789abcdef0123456789abcdef.dir
      size: 1234
      nfiles: 12
    params:
      params.yaml:
        seed: 0
        prepare:
          data_root: datasets
    outs:
    - path: data
      hash: md5
      md5: fedcba9876543210fedcba9876543210.dir
      size: 567890
      nfiles: 10
  codebook@hög:
    cmd: python -m pipeline codebook hog
    outs:
    - path: codebooks/hog
      hash: md5
      md5: 00000000000000000000000000000000.dir
      size: 1
      nfiles: 1
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kept(text: str) -> None:
    lockfile.KEPT.parent.mkdir(exist_ok=True)
    lockfile.KEPT.write_text(text, encoding="utf-8")


@hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(st.integers(0, len(LOCK.encode()) - 1))
def test_a_file_cut_at_any_place_is_one_that_dvc_takes_afterwards(here: Path, length: int) -> None:
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from ruamel.yaml import YAML

    kept(LOCK)
    lockfile.LOCK.write_bytes(LOCK.encode()[:length])
    done = lockfile.mend()
    text = lockfile.LOCK.read_text(encoding="utf-8")
    COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe").load(text))
    assert (text == LOCK) == (done is not None)
    assert lockfile.mend() is None


@pytest.mark.parametrize("copy", ["", "schema: '2.0'\nstages:\n  a:\n", None])
def test_without_a_good_copy_the_file_is_taken_away(here: Path, copy: str | None) -> None:
    if copy is not None:
        kept(copy)
    lockfile.LOCK.write_text("")
    assert "run cache" in (lockfile.mend() or "")
    assert not lockfile.LOCK.exists()
    assert lockfile.mend() is None


def test_a_merge_conflict_is_left_to_the_person(here: Path) -> None:
    kept(LOCK)
    conflict = LOCK.replace("stages:\n", "stages:\n<<<<<<< HEAD\n")
    lockfile.LOCK.write_text(conflict)
    with pytest.raises(PipelineError, match=r"dvc\.lock: has the marks of a merge conflict"):
        lockfile.mend()
    assert lockfile.LOCK.read_text() == conflict


def test_a_stage_keeps_the_file_only_where_dvc_runs_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lockfile.LOCK.write_text(LOCK)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    lockfile.keep()
    assert not lockfile.KEPT.exists()
    monkeypatch.setenv("DVC_STAGE", "prepare")
    lockfile.keep()
    assert lockfile.KEPT.read_text() == LOCK


STAGES = """stages:
  one:
    cmd: python -m pipeline --help > one.txt && echo 1 >> ran.txt
    deps: [in.txt]
    outs: [one.txt]
  two:
    cmd: python -m pipeline no-such-stage > two.txt; echo 2 >> ran.txt; cat one.txt one.txt > two.txt
    deps: [one.txt]
    outs: [two.txt]
  three:
    cmd: cat two.txt two.txt > three.txt && echo 3 >> ran.txt
    deps: [two.txt]
    outs: [three.txt]
"""


def test_after_a_cut_dvc_computes_nothing_again(project: Path) -> None:
    (project / "dvc.yaml").write_text(STAGES)
    (project / "in.txt").write_text("in")
    assert command(project, "dvc", "init", "--no-scm", "-q").returncode == 0
    assert command(project, "dvc", "repro", "-q").returncode == 0
    whole = (project / "dvc.lock").read_bytes()
    ran = (project / "ran.txt").read_text()
    assert ran == "1\n2\n3\n"
    assert lockfile.KEPT.read_bytes() != whole  # stage two kept what was there before it ended
    for length in (0, len(whole) // 2, whole.rindex(b"md5: ") + 9, len(whole) - 1):
        (project / "dvc.lock").write_bytes(whole[:length])
        assert pipeline(project, "mend").returncode == 0
        done = command(project, "dvc", "repro")
        assert done.returncode == 0, done.stderr
        assert (project / "ran.txt").read_text() == ran
        assert (project / "dvc.lock").read_bytes() == whole
    assert "DVC_STAGE" not in os.environ
