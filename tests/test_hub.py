"""Data sets of the Hugging Face hub by name: a commit's files, checked by the hub's own SHA-256, asked for once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import layout, settings
from pipeline.data import inputs
from pipeline.data.preparation import prepare
from pipeline.errors import PipelineError
from tests.conftest import ROOT, edit
from tests.server import Server

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TREE = f"/api/datasets/shapes/three/tree/{COMMIT}?recursive=true"
STORED = ROOT / "tests" / "files" / "hub"


def entry(name: str, body: bytes) -> dict[str, Any]:
    oid = hashlib.sha256(body).hexdigest()
    return {"type": "file", "path": name, "size": len(body), "oid": "0" * 40, "lfs": {"oid": oid, "size": len(body)}}


@pytest.fixture
def hub(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The files of tests/files/hub on a server that answers as the hub does, its list on two pages."""
    bodies = {path.relative_to(STORED).as_posix(): path.read_bytes() for path in STORED.rglob("*.parquet")}
    entries = [entry(name, body) for name, body in bodies.items()]
    readme = {"type": "file", "path": "README.md", "size": 3, "oid": "1" * 40}
    server = Server(
        {f"/datasets/shapes/three/resolve/{COMMIT}/{name}": body for name, body in bodies.items()}
        | {
            TREE: json.dumps([readme, {"type": "directory", "path": "data", "oid": "2" * 40}, *entries[:1]]).encode(),
            TREE + "&cursor=2": json.dumps(entries[1:]).encode(),
            "/api/datasets/shapes/three/revision/main": json.dumps({"sha": COMMIT}).encode(),
        }
    )
    server.following[TREE] = TREE.removeprefix("/") + "&cursor=2"
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    yield server
    server.close()


def use(**changes: Any) -> dict[str, Any]:
    wanted = {"name": "shapes/three", "revision": COMMIT, "files": "*.parquet"} | changes
    edit(Path(), {"dataset": "hub", "datasets.hub.image_size": None, "datasets.hub.hub": wanted})
    return prepare(settings.load(), layout.DATA)


def test_a_name_and_a_commit_are_enough(hub: Server) -> None:
    manifest = use()
    assert manifest["classes"] == ["disc", "square", "stripes"]
    fetched = sorted(path.relative_to("datasets/hub").as_posix() for path in Path("datasets/hub").rglob("*.parquet"))
    assert fetched == sorted(path.relative_to(STORED).as_posix() for path in STORED.rglob("*.parquet"))
    listing = Path("datasets/hub/hub.json")
    written = listing.stat().st_mtime_ns
    asked = len(hub.asked)
    assert use()["splits"] == manifest["splits"]
    assert len(hub.asked) == asked  # nothing is asked again, so that a later run needs no network
    assert listing.stat().st_mtime_ns == written
    assert inputs.fingerprint(settings.load()) == {}  # known by checksums: DVC need not look whether it changed


def test_files_that_are_not_what_the_hub_says_are_thrown_away(hub: Server) -> None:
    path = next(path for path in hub.files if path.endswith(".parquet"))
    hub.files[path] = hub.files[path][:-1] + b"?"
    with pytest.raises(PipelineError, match="another checksum"):
        use()
    assert not (Path("datasets/hub") / path.split(COMMIT + "/")[1]).exists()


def test_a_branch_is_answered_with_its_commit(hub: Server) -> None:
    for revision in (None, "main"):
        with pytest.raises(PipelineError, match=rf"set `datasets\.hub\.hub\.revision: {COMMIT}`"):
            use(revision=revision)


def test_another_commit_does_not_take_the_files_of_the_first(hub: Server) -> None:
    use()
    with pytest.raises(PipelineError, match=f"holds files of shapes/three at {COMMIT}.*another `path`"):
        use(revision=COMMIT[::-1])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"files": "*.tar"}, r"holds no file \*\.tar .*refs/convert/parquet"),
        ({"name": "shapes/four"}, r"the hub has no shapes/four .*without a login"),
        ({"name": "a/b/c"}, r"datasets\.hub\.hub\.name"),
    ],
)
def test_what_the_hub_does_not_have_is_one_sentence(hub: Server, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(PipelineError, match=words):
        use(**changes)


def test_no_file_may_lead_out_of_its_folder(hub: Server) -> None:
    hub.files[TREE] = json.dumps([entry("../../evil.parquet", b"")]).encode()
    with pytest.raises(PipelineError, match="would lie outside"):
        use()


def test_a_hub_out_of_reach_is_one_sentence(hub: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(PipelineError, match="could not be asked which files shapes/three has"):
        use()


def test_two_origins_are_refused(hub: Server) -> None:
    edit(Path(), {"datasets.hub.url": hub.url, "datasets.hub.checksums": {"a.parquet": "md5:00"}})
    with pytest.raises(PipelineError, match="give one of them"):
        use()
