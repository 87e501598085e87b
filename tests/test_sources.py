from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import archives, download
from pipeline.data.sources.cifar import PIXELS, open_cifar, read_records
from pipeline.data.sources.digits import open_digits
from pipeline.data.sources.idx import open_idx, read_idx
from pipeline.errors import PipelineError
from pipeline.settings import STILL, Cifar, Digits, Idx
from tests.server import Server

RANDOM = np.random.default_rng(0)


def idx_bytes(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def idx_files(folder: Path, compress: bool, train: int = 20, test: int = 8) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for stem, count in (("train", train), ("t10k", test)):
        arrays[f"{stem}-images-idx3-ubyte"] = RANDOM.integers(0, 256, (count, 9, 7), dtype=np.uint8)
        arrays[f"{stem}-labels-idx1-ubyte"] = (np.arange(count) % 4).astype(np.uint8)
    for name, values in arrays.items():
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(values)))
        else:
            (folder / name).write_bytes(idx_bytes(values))
    return arrays


def idx(url: str | None = None, checksums: dict[str, str] | None = None, classes: list[str] | None = None) -> Idx:
    return Idx(
        source="idx",
        licence="free",
        path="set",
        url=url,
        checksums=checksums or {},
        classes=classes,
        image_size=None,
        augmentation=STILL,
    )


@pytest.mark.parametrize("compress", [True, False])
def test_idx_is_read_as_it_was_written(tmp_path: Path, compress: bool) -> None:
    arrays = idx_files(tmp_path / "set", compress)
    source = open_idx(idx(), tmp_path)
    assert source.classes == ["0", "1", "2", "3"]
    batch = source.parts["test"].read(np.array([2, 5]))
    assert batch.images.shape == (2, 9, 7, 3)
    np.testing.assert_array_equal(batch.images[..., 1], arrays["t10k-images-idx3-ubyte"][[2, 5]])
    assert source.parts["train"].labels.tolist() == arrays["train-labels-idx1-ubyte"].tolist()


def test_damaged_idx_files_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a-idx3-ubyte"
    whole = idx_bytes(np.zeros((4, 9, 7), np.uint8))
    path.write_bytes(whole[:-10])
    with pytest.raises(PipelineError, match=r"truncated.*promises 252 bytes.*holds 242"):
        read_idx(path, 3)
    path.write_bytes(b"PNG" + whole)
    with pytest.raises(PipelineError, match="is not an IDX file"):
        read_idx(path, 3)
    zipped = path.with_suffix(".gz")
    zipped.write_bytes(gzip.compress(whole)[:-6])
    with pytest.raises(PipelineError, match="truncated, fetch it again"):
        read_idx(zipped, 3)


def test_an_idx_label_without_a_name_is_refused(tmp_path: Path) -> None:
    idx_files(tmp_path / "set", compress=False)
    with pytest.raises(PipelineError, match="a label is 3, but only 2 classes are named"):
        open_idx(idx(classes=["a", "b"]), tmp_path)


def test_missing_idx_files_say_where_to_put_them(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"train-images-idx3-ubyte\.gz: is missing.*prepare\.data_root"):
        open_idx(idx(), tmp_path)


# ------------------------------------------------------------------------------------------------------- CIFAR


def cifar_files(folder: Path, count: int = 10) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
    for name in names:
        records = RANDOM.integers(0, 256, (count, 1 + PIXELS), dtype=np.uint8)
        records[:, 0] = np.arange(count) % 10
        (folder / name).write_bytes(records.tobytes())
    (folder / "batches.meta.txt").write_text("\n".join("abcdefghij") + "\n\n")
    return records


def cifar(url: str | None = None, checksums: dict[str, str] | None = None) -> Cifar:
    return Cifar(
        licence="free",
        source="cifar",
        path="cifar-10-batches-bin",
        url=url,
        checksums=checksums or {},
        classes=10,
        image_size=None,
        augmentation=STILL,
    )


def test_cifar_planes_become_pixels(tmp_path: Path) -> None:
    records = cifar_files(tmp_path / "cifar-10-batches-bin")
    source = open_cifar(cifar(), tmp_path)
    assert source.classes == list("abcdefghij")
    assert len(source.parts["train"].labels) == 50
    image = source.parts["test"].read(np.array([3])).images[0]
    for channel in range(3):
        plane = records[3, 1 + channel * 1024 : 1 + (channel + 1) * 1024].reshape(32, 32)
        np.testing.assert_array_equal(image[..., channel], plane)


@pytest.mark.parametrize("name", ["../outside.bin", "/tmp/outside.bin", "cifar-10-batches-bin/link"])
def test_a_hostile_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    archive = tmp_path / "hostile.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        if name.endswith("link"):
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(PipelineError, match="is no file or folder inside"):
        archives.extract(archive, tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.parametrize("filters", [True, False])  # Python 3.11 has them from 3.11.4 on
def test_the_archive_is_as_good_as_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filters: bool) -> None:
    if not filters:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    cifar_files(tmp_path / "source" / "cifar-10-batches-bin")
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "source" / "cifar-10-batches-bin", "cifar-10-batches-bin")
    assert len(open_cifar(cifar(), tmp_path).parts["test"].labels) == 10
    assert not list(tmp_path.glob(".unpack-*"))


def test_damaged_cifar_files_are_one_sentence(tmp_path: Path) -> None:
    records = cifar_files(tmp_path)
    (tmp_path / "short.bin").write_bytes(records.tobytes()[:-5])
    with pytest.raises(PipelineError, match="truncated or damaged"):
        read_records(tmp_path / "short.bin", 10)
    records[4, 0] = 11
    (tmp_path / "label.bin").write_bytes(records.tobytes())
    with pytest.raises(PipelineError, match="the label of record 4 is 11, allowed: 0 to 9"):
        read_records(tmp_path / "label.bin", 10)
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"no archive")
    with pytest.raises(PipelineError, match="cannot be unpacked"):
        open_cifar(cifar(), tmp_path)
    assert not list(tmp_path.glob(".unpack-*"))


def test_cifar_100_takes_the_fine_label(tmp_path: Path) -> None:
    records = RANDOM.integers(0, 20, (6, 2 + PIXELS), dtype=np.uint8)
    records[:, 1] = [99, 0, 5, 7, 8, 9]
    (tmp_path / "test.bin").write_bytes(records.tobytes())
    images, labels = read_records(tmp_path / "test.bin", 100)
    assert labels.tolist() == [99, 0, 5, 7, 8, 9]
    assert images[0, 0, 0, 0] == records[0, 2]


def test_digits_use_the_whole_range() -> None:
    source = open_digits(Digits(source="digits", licence="free", image_size=16, augmentation=STILL))
    batch = source.parts["all"].read(np.arange(50))
    assert batch.images.shape == (50, 16, 16, 3)
    assert batch.images.max() > 240
    assert len(source.parts["all"].labels) == 1797


# --------------------------------------------------------------------------------------------------- downloads


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server({"/file.bin": bytes(range(256)) * 400})
    yield running
    running.close()


def md5(data: bytes) -> str:
    return "md5:" + hashlib.md5(data).hexdigest()


def test_a_download_is_checked_and_happens_once(tmp_path: Path, server: Server) -> None:
    body = server.files["/file.bin"]
    for _ in range(2):
        download.fetch(server.url + "file.bin", tmp_path / "sub" / "file.bin", md5(body))
    assert (tmp_path / "sub" / "file.bin").read_bytes() == body
    assert len(server.ranges) == 1


def test_an_interrupted_download_goes_on_where_it_stopped(tmp_path: Path, server: Server) -> None:
    body = server.files["/file.bin"]
    server.break_after = 30_000
    with pytest.raises(PipelineError, match="run again to go on"):
        download.fetch(server.url + "file.bin", tmp_path / "file.bin", md5(body))
    assert not (tmp_path / "file.bin").exists()
    server.break_after = None
    download.fetch(server.url + "file.bin", tmp_path / "file.bin", md5(body))
    assert (tmp_path / "file.bin").read_bytes() == body
    first, second = server.ranges
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 30_000
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_a_wrong_checksum_is_thrown_away(tmp_path: Path, server: Server) -> None:
    with pytest.raises(PipelineError, match=r"another checksum than md5:0+; it was thrown away"):
        download.fetch(server.url + "file.bin", tmp_path / "file.bin", "md5:" + "0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_names_its_address(tmp_path: Path, server: Server) -> None:
    with pytest.raises(PipelineError, match=r"nothing\.bin: could not be fetched.*404"):
        download.fetch(server.url + "nothing.bin", tmp_path / "nothing.bin", md5(b""))


def test_an_address_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"is no address.*correct its `url`"):
        download.fetch("example/file.bin", tmp_path / "file.bin", md5(b""))


def test_a_flipped_bit_in_an_archive_is_one_sentence(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(idx_bytes(RANDOM.integers(0, 256, (40, 9, 7), dtype=np.uint8))))
    packed[len(packed) // 2] ^= 0xFF
    (tmp_path / "a-idx3-ubyte.gz").write_bytes(bytes(packed))
    with pytest.raises(PipelineError, match=r"a-idx3-ubyte\.gz: cannot be read"):
        read_idx(tmp_path / "a-idx3-ubyte.gz", 3)
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(bytes(packed))
    with pytest.raises(PipelineError, match="cannot be unpacked"):
        open_cifar(cifar(), tmp_path)


def test_a_source_fetches_only_what_is_missing(tmp_path: Path, server: Server) -> None:
    arrays = idx_files(tmp_path / "set", compress=False)
    name = "t10k-labels-idx1-ubyte"
    (tmp_path / "set" / name).unlink()
    packed = gzip.compress(idx_bytes(arrays[name]))
    server.files[f"/{name}.gz"] = packed
    source = open_idx(idx(url=server.url, checksums={f"{name}.gz": md5(packed)}), tmp_path)
    assert len(source.parts["test"].labels) == 8
    assert len(server.ranges) == 1


# ------------------------------------------------------------------------------------------------------- archives


def tar_gz(path: Path, content: bytes = bytes(range(256)) * 40) -> None:
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("set/a.bin")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


def test_no_flipped_bit_of_a_tar_gz_goes_unseen(tmp_path: Path) -> None:
    tar_gz(tmp_path / "a.tar.gz")
    whole = (tmp_path / "a.tar.gz").read_bytes()
    archives.extract(tmp_path / "a.tar.gz", tmp_path / "good")
    assert (tmp_path / "good" / "set" / "a.bin").read_bytes() == bytes(range(256)) * 40
    for at in range(len(whole) - 8, len(whole)):  # checksum and length: all that gzip itself says of the content
        damaged = bytearray(whole)
        damaged[at] ^= 4
        (tmp_path / "b.tar.gz").write_bytes(bytes(damaged))
        with pytest.raises(PipelineError, match=r"b\.tar\.gz: cannot be unpacked"):
            archives.extract(tmp_path / "b.tar.gz", tmp_path / "bad")
        assert list((tmp_path / "bad").iterdir()) == []


def test_an_archive_that_a_person_put_there_is_compared_with_its_checksum(tmp_path: Path) -> None:
    tar_gz(tmp_path / "a.tar.gz")
    right = hashlib.sha256((tmp_path / "a.tar.gz").read_bytes()).hexdigest()
    archives.extract(tmp_path / "a.tar.gz", tmp_path / "good", f"sha256:{right}")
    with pytest.raises(PipelineError, match=rf"has the checksum sha256:{right}, but `checksums` says 00; .*correct"):
        archives.extract(tmp_path / "a.tar.gz", tmp_path / "bad", "sha256:00")
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_encrypted_and_unknown_zips_are_one_sentence(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", compression) as packed:
        packed.writestr("set/a.bin", bytes(range(256)) * 40)
    whole = path.read_bytes()
    archives.extract(path, tmp_path / "good")
    directory = whole.rindex(b"PK\1\2")
    for header, field, value in ((6, 8, 1), (8, 10, 93)):  # the flag of encryption, and a method nobody knows
        changed = bytearray(whole)
        changed[header] = changed[directory + field] = value
        path.write_bytes(bytes(changed))
        with pytest.raises(PipelineError, match=r"a\.zip: cannot be unpacked"):
            archives.extract(path, tmp_path / "bad")
    damaged = bytearray(whole)
    for at in range(45, 60):
        damaged[at] ^= 0x55
    path.write_bytes(bytes(damaged))
    with pytest.raises(PipelineError, match=r"a\.zip: cannot be unpacked"):
        archives.extract(path, tmp_path / "bad")
    assert list((tmp_path / "bad").iterdir()) == []


def test_a_tar_whose_last_file_is_a_zip_is_a_tar(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as packed:
        packed.writestr("b.bin", bytes(100))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("set/a.zip")
        member.size = len(inner.getvalue())
        tar.addfile(member, io.BytesIO(inner.getvalue()))
    archives.extract(tmp_path / "a.tar", tmp_path / "good")
    assert (tmp_path / "good" / "set" / "a.zip").read_bytes() == inner.getvalue()


def test_what_the_disk_cannot_hold_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tar_gz(tmp_path / "a.tar.gz")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("set/a.bin", bytes(10_240))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6 - 9999, 9999))
    for name in ("a.tar.gz", "a.zip"):
        with pytest.raises(PipelineError, match=rf"{name}: holds 0\.0 GB, and .* has room for 0\.0 GB; make room"):
            archives.extract(tmp_path / name, tmp_path / "bad")
    assert list((tmp_path / "bad").iterdir()) == []
