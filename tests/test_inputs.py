"""Changed photographs are noticed, and nothing else is taken for a change."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline import layout, settings
from pipeline.data.inputs import fingerprint
from pipeline.errors import PipelineError
from tests.conftest import command, edit


@pytest.fixture
def folder(project: Path) -> Path:
    edit(project, {"dataset": "photos", "datasets.photos.image_size": 16})
    folder = project / "datasets" / "photos"
    for number in range(12):
        save(folder / "ab"[number % 2] / f"{number}.png", number)
    return folder


def save(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def now() -> dict[str, Any]:
    return fingerprint(settings.load())


def test_every_kind_of_change_is_seen(folder: Path) -> None:
    seen = [now()]
    assert seen[0]["files"] == 12

    def changed() -> bool:
        seen.append(now())
        return seen[-1]["digest"] not in {one["digest"] for one in seen[:-1]}

    assert not changed()
    save(folder / "a" / "more.png", 99)
    assert changed()
    (folder / "a" / "more.png").rename(folder / "b" / "more.png")
    assert changed()
    (folder / "b" / "more.png").unlink()
    assert now() == seen[0]
    before = (folder / "a" / "0.png").stat()
    os.utime(folder / "a" / "0.png", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert changed()
    (folder / "labels.csv").write_text("a table\n")
    assert changed()
    (folder / "a").rename(folder / "c")
    assert changed()


def test_links_are_followed_once_and_broken_ones_stop_nothing(folder: Path, tmp_path: Path) -> None:
    before = now()
    (folder / "a" / "up").symlink_to(folder)
    (folder / "a" / "itself").symlink_to(folder / "a" / "itself")
    (folder / "a" / "nowhere.png").symlink_to(tmp_path / "nowhere.png")
    assert now()["files"] == before["files"] + 2
    save(tmp_path / "outside" / "1.png", 1)
    (folder / "c").symlink_to(tmp_path / "outside")
    linked = now()
    assert linked["files"] == before["files"] + 3
    save(tmp_path / "outside" / "2.png", 2)
    assert now()["files"] == linked["files"] + 1


def test_names_that_are_no_text_count_as_any(folder: Path) -> None:
    before = now()
    with open(os.fsencode(folder) + b"/a/\xff\n.png", "wb") as file:
        file.write(b"x")
    assert now()["digest"] != before["digest"]


def test_one_file_and_what_is_fetched_or_generated(project: Path) -> None:
    assert now() == {}  # objects
    edit(project, {"dataset": "cifar10"})
    assert now() == {}
    edit(project, {"dataset": "photos"})
    assert now()["files"] == 0  # not there yet
    edit(project, {"dataset": "bloodmnist", "datasets.bloodmnist.url": None, "datasets.bloodmnist.checksums": {}})
    (project / "datasets").mkdir()
    (project / "datasets" / "bloodmnist.npz").write_bytes(b"123")
    assert (now()["files"], now()["bytes"]) == (1, 3)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list any folder")
def test_a_folder_that_cannot_be_listed_is_a_sentence(folder: Path) -> None:
    (folder / "a").chmod(0)
    with pytest.raises(PipelineError, match=r"photos/a: cannot be listed \(Permission denied\)"):
        now()
    (folder / "a").chmod(0o700)


def test_dvc_prepares_again_only_what_changed(folder: Path, project: Path) -> None:
    (project / ".dvc").mkdir()
    (project / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")

    def ran() -> list[str]:
        done = command(project, sys.executable, "-m", "dvc", "repro", "prepare")
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return re.findall(r"Running stage '([^']+)'", done.stdout)

    assert ran() == ["inputs", "prepare"]
    assert ran() == ["inputs"]
    save(folder / "a" / "more.png", 99)
    assert ran() == ["inputs", "prepare"]
    counts = [split["count"] for split in json.loads((layout.DATA / "manifest.json").read_text())["splits"].values()]
    assert sum(counts) == 13
