"""Mapped arrays give their memory back, and lose nothing by it."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import numpy as np
import pytest

from pipeline import mapped
from pipeline.classifiers.linear_svm import Solver
from pipeline.classifiers.vectors import Dense, Scaling, finite, open_vectors
from pipeline.features.extraction import Shards

linux = pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="this system has no madvise")
STATUS = Path("/proc/self/status")


@pytest.fixture
def small_files_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "KEPT", 0)


def _of_files() -> int:
    """Bytes of this process's memory that are pages of files."""
    found = re.search(r"RssFile:\s+(\d+) kB", STATUS.read_text())
    assert found is not None
    return 1024 * int(found.group(1))


def _saved(folder: Path, array: np.ndarray) -> Path:
    path = folder / "vectors.npy"
    np.save(path, array)
    return path


@linux
@pytest.mark.skipif(not STATUS.exists(), reason="this system does not say what its memory is used for")
def test_memory_is_given_back_and_the_numbers_stay(tmp_path: Path, small_files_too: None) -> None:
    wanted = np.arange(16 << 20, dtype=np.uint32).reshape(1024, -1)  # 64 MiB
    array = np.load(_saved(tmp_path, wanted), mmap_mode="r")
    before = _of_files()
    total = int(array.sum(dtype=np.uint64))
    assert _of_files() - before > 60 << 20
    mapped.forget(array, slice(0, 512))
    assert 25 << 20 < _of_files() - before < 40 << 20
    mapped.forget(array[1::3], slice(0, None))  # a view of nearly all
    assert _of_files() - before < 4 << 20
    assert int(array.sum(dtype=np.uint64)) == total
    np.testing.assert_array_equal(array, wanted)


@linux
def test_what_was_written_stays_written(tmp_path: Path, small_files_too: None) -> None:
    array = np.lib.format.open_memmap(tmp_path / "out.npy", mode="w+", dtype=np.float16, shape=(3000, 41))
    wanted = np.random.default_rng(0).standard_normal(array.shape).astype(np.float16)
    for start in range(0, 3000, 1000):
        array[start : start + 1000] = wanted[start : start + 1000]
        mapped.forget(array, slice(start, start + 1000))  # not flushed before
    np.testing.assert_array_equal(array, wanted)
    del array
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), wanted)


def test_arrays_in_memory_and_no_rows_are_left_alone(tmp_path: Path, small_files_too: None) -> None:
    held = np.ones((4, 3))
    mapped.forget(held, slice(0, 4))
    array = np.load(_saved(tmp_path, held), mmap_mode="r")
    mapped.forget(array, slice(4, 9))
    mapped.forget(array, slice(0, 99))
    assert held.sum() == array.sum() == 12


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_an_svm_of_mapped_vectors_is_that_of_vectors_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: type
) -> None:
    """To the bit, though each block of rows is given back behind each product."""
    random = np.random.default_rng(0)
    array: np.ndarray = random.standard_normal((2500, 90)).astype(dtype)
    labels = random.integers(0, 3, len(array))
    held = Solver(Dense(array), labels, 3, workers=2).solve(1.0)
    given_back: list[slice] = []
    really = mapped.forget

    def counted(array: np.ndarray, rows: slice) -> None:
        given_back.append(rows)
        really(array, rows)

    monkeypatch.setattr(mapped, "KEPT", 0)
    monkeypatch.setattr("pipeline.classifiers.vectors.forget", counted)
    vectors = open_vectors(_saved(tmp_path, array), {})
    assert finite(vectors)
    solver = Solver(vectors, labels, 3, Scaling.of(vectors), workers=2)
    found = solver.solve(1.0)
    np.testing.assert_array_equal(found.weights, held.weights)
    np.testing.assert_array_equal(found.bias, held.bias)
    assert {rows.stop for rows in given_back} >= {1024, 2048, 2500}


def test_numbers_that_are_not_finite_are_still_noticed(tmp_path: Path, small_files_too: None) -> None:
    array = np.ones((1500, 5), np.float16)
    array[1400, 3] = np.inf
    assert not finite(open_vectors(_saved(tmp_path, array), {}))
    assert not finite(Dense(array.astype(np.float32)))
    assert finite(Dense(array[:1400]))


@linux
def test_shards_are_whole_though_their_memory_is_given_back(tmp_path: Path, small_files_too: None) -> None:
    wanted = np.random.default_rng(0).standard_normal((2500, 7)).astype(np.float32)
    shards = Shards(tmp_path / "work")
    shards.write("train", lambda part: wanted[part], len(wanted), lambda count: None)
    shards.publish(tmp_path / "features", ["train"])
    np.testing.assert_array_equal(np.load(tmp_path / "features" / "train.npy"), wanted)
