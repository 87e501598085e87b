from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import skimage.data
from hypothesis import given, strategies
from hypothesis import settings as hypothesis_settings

from pipeline import layout, settings
from pipeline.data import duplicates, packing, preparation
from pipeline.data.contract import ImageWriter, load_manifest, load_split
from pipeline.data.packed_chunks import Chunk
from pipeline.data.sources import base
from pipeline.data.sources.base import Part, Source, part_of_array
from pipeline.data.splits import Assignment, assign, stratified
from pipeline.errors import PipelineError
from tests.conftest import edit

RANDOM = np.random.default_rng(0)
PHOTOGRAPH = skimage.data.astronaut()


def crops(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    corners = random.integers(0, 512 - 48, (count, 2))
    return np.stack([PHOTOGRAPH[y : y + 48, x : x + 48] for y, x in corners])


# ------------------------------------------------------------------------------------------------------ splits


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    strategies.lists(strategies.integers(3, 40), min_size=2, max_size=6),
    strategies.floats(0.05, 0.5),
    strategies.floats(0.05, 0.5),
    strategies.integers(0, 5),
)
def test_splits_are_disjoint_complete_and_hold_every_class(
    counts: list[int], val: float, test: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    classes = [str(label) for label in range(len(counts))]
    splits = assign({"all": labels}, classes, val, test, None, seed)
    together = np.concatenate([split.indices for split in splits.values()])
    assert sorted(together.tolist()) == list(range(len(labels)))
    for split in splits.values():
        assert set(labels[split.indices]) == set(range(len(counts)))
        assert (np.diff(split.indices) > 0).all()
    again = assign({"all": labels}, classes, val, test, None, seed)
    for name, split in splits.items():
        np.testing.assert_array_equal(split.indices, again[name].indices)


def test_shares_follow_the_classes_sizes() -> None:
    labels = np.repeat([0, 1, 2], [1000, 500, 10])
    drawn = stratified(labels, 0.1, np.random.default_rng(0), ["a", "b", "c"])
    assert np.bincount(labels[drawn]).tolist() == [100, 50, 1]


def test_another_seed_draws_another_split() -> None:
    labels = {"all": np.repeat([0, 1], 50)}
    one, two = (assign(labels, ["a", "b"], 0.2, 0.2, None, seed)["test"].indices for seed in (0, 1))
    assert one.tolist() != two.tolist()


def test_a_limit_keeps_a_stratified_share_of_train_and_leaves_the_rest_alone() -> None:
    labels = {"train": np.repeat([0, 1], [300, 100]), "test": np.repeat([0, 1], 10)}
    full, limited = (assign(labels, ["a", "b"], 0.1, 0.2, limit, 0) for limit in (None, 40))
    assert np.bincount(labels["train"][limited["train"].indices]).tolist() == [30, 10]
    for name in ("val", "test"):
        np.testing.assert_array_equal(full[name].indices, limited[name].indices)
    assert set(limited["train"].indices) < set(full["train"].indices)


def test_a_limit_may_leave_nothing_of_a_small_class_behind() -> None:
    labels = {"all": np.repeat([0, 1], [100, 3])}
    splits = assign(labels, ["a", "b"], 0.1, 0.2, 20, 0)
    assert np.bincount(labels["all"][splits["train"].indices]).tolist() == [20, 1]


# -------------------------------------------------------------------------------------------------- duplicates


def changed(images: np.ndarray) -> dict[str, np.ndarray]:
    import cv2

    def jpeg(image: np.ndarray) -> np.ndarray:
        encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
        return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))

    return {
        "recompressed": np.stack([jpeg(image) for image in images]),
        "brighter": np.clip(images.astype(int) + 12, 0, 255).astype(np.uint8),
        "smaller and back": np.stack(
            [cv2.resize(cv2.resize(i, (36, 36), interpolation=cv2.INTER_AREA), (48, 48)) for i in images]
        ),
    }


@pytest.mark.parametrize("change", ["recompressed", "brighter", "smaller and back"])
def test_near_twins_are_found_and_others_are_not(change: str) -> None:
    train, test = crops(60, seed=1), crops(40, seed=2)
    test[:10] = changed(train[20:30])[change]
    found = duplicates.across({"train": duplicates.sign(train), "test": duplicates.sign(test)})
    near = {(pair.later_index, pair.earlier_index) for pair in found.pairs}
    assert {index for index, _ in near} <= set(range(10))
    assert len(near & {(i, 20 + i) for i in range(10)}) >= 8
    assert {pair.kind for pair in found.pairs} == {"near"}


def test_exact_twins_are_all_found() -> None:
    train, test = crops(30, seed=1), crops(5, seed=2)
    train[[3, 7]] = test[2]
    found = duplicates.across({"train": duplicates.sign(train), "test": duplicates.sign(test)})
    assert [(pair.later_index, pair.earlier_index, pair.kind) for pair in found.pairs] == [(2, 3, "exact")]
    assert found.exact["train"] == {3, 7}


def test_near_twins_of_an_image_with_an_exact_twin_are_found_too() -> None:
    test = crops(4, seed=2)
    train = np.concatenate([crops(20, seed=1), test[:1], changed(test[:1])["brighter"]])
    found = duplicates.across({"train": duplicates.sign(train), "test": duplicates.sign(test)})
    assert found.exact["train"] == {20}
    assert found.near["train"] == {21}
    assert [(pair.kind, pair.earlier_index) for pair in found.pairs] == [("exact", 20)]


def test_constant_images_are_not_twins_of_everything() -> None:
    flat = np.stack([np.full((32, 32, 3), value, np.uint8) for value in range(40)])
    found = duplicates.across({"train": duplicates.sign(flat[:20]), "test": duplicates.sign(flat[20:])})
    assert found.pairs == []


def test_hashing_by_bands_finds_what_comparing_all_pairs_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MIN_CORRELATION", -2.0)
    a, b = crops(150, seed=3), crops(150, seed=4)
    b[:75] = np.clip(a[:75].astype(int) + RANDOM.integers(-30, 30, a[:75].shape), 0, 255).astype(np.uint8)
    first, second = duplicates.sign(a), duplicates.sign(b)
    distance = np.bitwise_count(second.perceptual[:, None] ^ first.perceptual[None])
    expected = set(np.flatnonzero((distance <= duplicates.MAX_DISTANCE).any(axis=0)).tolist())
    assert duplicates.across({"train": first, "test": second}).near["train"] == expected
    assert len(expected) > 30


def source(train: np.ndarray, test: np.ndarray | None = None) -> Source:
    labels = np.arange(len(train)) % 3
    parts = {"all" if test is None else "train": part_of_array(train, labels, "train", None)}
    if test is not None:
        parts["test"] = part_of_array(test, np.arange(len(test)) % 3, "test", None)
    return Source(["a", "b", "c"], parts, "made for a test")


@pytest.mark.parametrize(
    ("policy", "dropped"),
    [("auto", 0), ("report", 0), ("drop_exact", 2), ("drop_near", 3)],
)
def test_duplicates_are_dropped_from_train_and_never_from_test(
    project: Path, monkeypatch: pytest.MonkeyPatch, policy: str, dropped: int
) -> None:
    train, test = crops(90, seed=5), crops(12, seed=6)
    edit(project, {"prepare.duplicates": policy})
    chosen = settings.load()
    rows = assign({"train": np.arange(90) % 3, "test": np.arange(12) % 3}, ["a", "b", "c"], 0.1, 0.2, None, 0)["train"]
    train[rows.indices[:2]] = test[4]
    train[rows.indices[2]] = changed(test[5:6])["recompressed"][0]
    monkeypatch.setattr(preparation, "open_source", lambda _: source(train, test))
    manifest = preparation.prepare(chosen, layout.DATA)
    assert manifest["duplicates"]["counts"] == {"exact: test in train": 1, "near: test in train": 1}
    assert manifest["duplicates"]["dropped"] == ({"train": dropped} if dropped else {})
    assert manifest["splits"]["train"]["count"] == len(rows.indices) - dropped == len(load_split("train"))
    assert manifest["splits"]["test"]["count"] == 12
    kept = {image.tobytes() for image in load_split("train").images}
    assert (test[4].tobytes() in kept) == (dropped == 0)


def test_where_we_split_exact_twins_are_dropped_by_default(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.concatenate([crops(60, seed=7)] * 2)
    monkeypatch.setattr(preparation, "open_source", lambda _: source(images))
    preparation.prepare(settings.load(), layout.DATA)
    contents = {name: {image.tobytes() for image in load_split(name).images} for name in ("train", "val", "test")}
    assert not contents["train"] & contents["test"]
    assert not contents["val"] & contents["test"]
    assert not contents["train"] & contents["val"]


# ----------------------------------------------------------------------------------------------------- packing


def test_packing_keeps_images_labels_and_names_together(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.zeros((700, 8, 8, 3), np.uint8)
    images[:, 0, 0] = np.stack([np.arange(700) // 256, np.arange(700) % 256, np.arange(700) % 3], axis=1)
    monkeypatch.setattr(packing, "CHUNK", 64)
    monkeypatch.setattr(preparation, "open_source", lambda _: source(images))
    edit(project, {"prepare.duplicates": "report"})
    preparation.prepare(settings.load(), layout.DATA)
    for name in ("train", "val", "test"):
        split = load_split(name)
        number = split.images[:, 0, 0, 0].astype(int) * 256 + split.images[:, 0, 0, 1]
        assert split.images.dtype == np.uint8
        assert split.ids == [f"train/{index:06d}" for index in number]
        np.testing.assert_array_equal(split.labels, split.images[:, 0, 0, 2])


def test_the_fingerprint_sees_a_pixel_a_label_and_a_name() -> None:
    images = crops(6)

    def packed(images: np.ndarray, labels: list[int], ids: list[str]) -> str:
        signed = duplicates.sign(images)
        return packing.fingerprint(packing.Packed(np.array(labels), ids, signed, False, (48, 48, 3), [], Counter(), []))

    labels, ids = [0, 1, 2, 0, 1, 2], list("abcdef")
    other = images.copy()
    other[5, 47, 47, 2] ^= 1
    prints = {
        packed(images, labels, ids),
        packed(other, labels, ids),
        packed(images, [0, 1, 2, 0, 1, 1], ids),
        packed(images, labels, list("abcdeg")),
        packed(images[::-1].copy(), labels, ids),
    }
    assert len(prints) == 5


def test_the_image_writers_file_is_an_ordinary_npy(tmp_path: Path) -> None:
    images = crops(11)
    with ImageWriter(tmp_path / "a.npy") as writer:
        for part in (images[:4], images[4:4], images[4:]):
            writer.append(part)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), images)
    with ImageWriter(tmp_path / "a.npy") as writer:
        writer.append(images)
        with pytest.raises(PipelineError, match=r"48×20 after 48×48.*image_size"):
            writer.append(images[:, :20])


def test_grey_is_noticed() -> None:
    grey = np.repeat(RANDOM.integers(0, 256, (3, 9, 9, 1), dtype=np.uint8), 3, axis=3)
    assert packing.is_grey(grey)
    grey[2, 8, 8, 1] ^= 1
    assert not packing.is_grey(grey)


def test_a_full_disk_leaves_the_old_data_whole(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(project, {"dataset": "digits"})
    chosen = settings.load()
    before = preparation.prepare(chosen, layout.DATA)

    class FullDisk:
        def __init__(self, file: IO[bytes]) -> None:
            self._file, self._room = file, 100_000

        def write(self, data: bytes) -> int:
            self._room -= len(memoryview(data).cast("B"))
            if self._room < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self._file.write(data)

        def __getattr__(self, name: str) -> object:
            return getattr(self._file, name)

    start = ImageWriter.__init__

    def opened(self: ImageWriter, *arguments: Any) -> None:
        start(self, *arguments)
        self._file = FullDisk(self._file)  # type: ignore[assignment]

    monkeypatch.setattr(ImageWriter, "__init__", opened)
    with pytest.raises(PipelineError, match="No space left on device"):
        preparation.prepare(chosen, layout.DATA)
    assert load_manifest() == before
    assert len(load_split("train")) == before["splits"]["train"]["count"]


def read_counts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each chunk has that is read from now on."""
    read, counts = packing._pack_chunk, []

    def counted(part: Part, indices: np.ndarray, writer: ImageWriter) -> Chunk:
        counts.append(len(indices))
        return read(part, indices, writer)

    monkeypatch.setattr(packing, "_pack_chunk", counted)
    return counts


def test_a_killed_prepare_goes_on_after_its_last_chunk(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(project, {"datasets.objects.images_per_class": {"train": 150, "val": 3, "test": 3}})
    running = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "prepare"], cwd=project, start_new_session=True, stderr=subprocess.DEVNULL
    )
    while len(list((project / "work").glob("prepare-*/train/chunks/*.npz"))) < 2:
        assert running.poll() is None, "prepare ended before it could be killed"
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert not Path("data").exists()
    counts = read_counts(monkeypatch)
    resumed = preparation.prepare(settings.load(), layout.DATA)
    assert 0 < sum(counts) <= 3000 + 120 - 2 * packing.CHUNK
    resumed_bytes = {path.name: path.read_bytes() for path in layout.DATA.glob("train/*")}
    assert resumed_bytes.keys() == {"images.npy", "labels.npy", "ids.json", "together.npy"}
    assert not list(layout.WORK.glob("prepare*"))
    counts.clear()
    assert preparation.prepare(settings.load(), layout.DATA) == resumed
    assert sum(counts) == 3000 + 120
    assert {path.name: path.read_bytes() for path in layout.DATA.glob("train/*")} == resumed_bytes


@pytest.mark.parametrize("damage", ["record", "images", "both there"])
def test_what_a_kill_left_is_used_only_as_far_as_it_is_whole(
    damage: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twins are taken out of train, and images left out that can't be read, before and after the interruption."""
    edit(project, {"dataset": "digits", "prepare.duplicates": "drop_near"})
    monkeypatch.setattr(packing, "CHUNK", 100)
    monkeypatch.setattr(duplicates, "MIN_CORRELATION", 0.9)
    expected = preparation.prepare(settings.load(), layout.DATA)
    assert expected["duplicates"]["dropped"]["train"] > 0
    finish = packing.finish
    monkeypatch.setattr(packing, "finish", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        preparation.prepare(settings.load(), layout.DATA)
    (train,) = layout.WORK.glob("prepare-*/train")
    assert (train / "images.npy").is_file()
    left = len(list(train.glob("chunks/*.npz")))
    if damage == "record":
        (train / "chunks" / "0000002.npz").write_bytes(b"PK")
    elif damage == "images":
        (train / "packed.npy").write_bytes((train / "packed.npy").read_bytes()[:1000])
    monkeypatch.setattr(packing, "finish", finish)
    counts = read_counts(monkeypatch)
    assert preparation.prepare(settings.load(), layout.DATA) == expected
    assert len(counts) == {"record": left - 2, "images": left, "both there": 0}[damage]


def of_files(names: list[str], bad: set[str], asked: list[int]) -> Source:
    """Images whose every pixel is their name's number; some can't be read. `asked` tells how many were, each time."""

    def read(indices: np.ndarray) -> base.Batch:
        asked.append(len(indices))
        there = [int(names[int(index)]) for index in indices if names[int(index)] not in bad]
        reasons = {at: "damaged" for at, index in enumerate(indices) if names[int(index)] in bad}
        images = np.array(there, np.uint8)[:, None, None, None]
        return base.Batch(np.broadcast_to(images, (len(there), 8, 8, 3)).copy(), reasons)

    part = base.Part(np.zeros(len(names), np.int64), names, read)
    return Source(["a", "b"], {"all": part}, "")


def test_what_could_not_be_read_is_tried_again_and_another_listing_is_not_mixed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "CHUNK", 10)
    names = [str(number) for number in range(40)]

    def pack(names: list[str], bad: set[str], rows: list[int]) -> packing.Packed:
        asked.clear()
        source = of_files(names, bad, asked)
        return packing.pack(source, Assignment("all", np.array(rows)), tmp_path, lambda count: None)

    asked: list[int] = []
    first = pack(names, {"13"}, list(range(40)))
    assert [one["id"] for one in first.skipped] == ["13"]
    again = pack(names, {"13"}, list(range(40)))
    assert again.ids == first.ids
    assert asked == [1]  # only what could not be read is tried once more
    mended = pack(names, set(), list(range(40)))  # its package is installed now
    assert mended.ids == names
    assert not mended.skipped
    order = [*range(20), *range(39, 19, -1)]
    other = pack(names, set(), order)  # the records of the last twenty are of other images
    assert other.ids == [names[row] for row in order]
    images = np.load(tmp_path / "packed.npy")
    assert images[:, 0, 0, 0].tolist() == [int(name) for name in other.ids]


def test_other_settings_do_not_go_on_with_what_a_kill_left(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(project, {"dataset": "digits"})
    finish = packing.finish
    monkeypatch.setattr(packing, "finish", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        preparation.prepare(settings.load(), layout.DATA)
    monkeypatch.setattr(packing, "finish", finish)
    edit(project, {"prepare.val_fraction": 0.3})
    counts = read_counts(monkeypatch)
    preparation.prepare(settings.load(), layout.DATA)
    assert sum(counts) == 1797
    assert not list(layout.WORK.glob("prepare*"))


def test_the_same_seed_gives_the_same_data_for_any_workers_and_backend(project: Path) -> None:
    manifests = []
    for workers, backend in ((1, "loky"), (2, "loky"), (2, "threading"), (2, "multiprocessing")):
        edit(project, {"compute.workers": workers, "compute.backend": backend})
        manifests.append(preparation.prepare(settings.load(), layout.DATA))
    assert all(manifest == manifests[0] for manifest in manifests)


def test_damaged_data_names_the_stage(project: Path) -> None:
    edit(project, {"dataset": "digits"})
    preparation.prepare(settings.load(), layout.DATA)
    labels = layout.DATA / "val" / "labels.npy"
    np.save(labels, np.load(labels)[:-1])
    with pytest.raises(PipelineError, match="don't fit together; rerun the stage prepare"):
        load_split("val")
    labels.write_bytes(b"")
    with pytest.raises(PipelineError, match="rerun the stage prepare"):
        load_split("val")


def test_images_are_scaled_to_the_centre_square() -> None:
    wide = np.zeros((1, 20, 60, 3), np.uint8)
    wide[:, :, 20:40] = 200
    part = base.part_of_array(wide, np.zeros(1, int), "x", 10)
    scaled = part.read(np.array([0])).images
    assert scaled.shape == (1, 10, 10, 3)
    assert (scaled == 200).all()
