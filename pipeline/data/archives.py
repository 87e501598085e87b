"""Archives are unpacked whole or not at all, and what is damaged, hostile or too large is one sentence."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, cast

from pipeline.errors import PipelineError

CHUNK = 1 << 20  # bytes
#: What readers of archives raise where one is damaged, encrypted, or packed in a way that they don't know.
DAMAGED = (
    EOFError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile,
    gzip.BadGzipFile,
)  # fmt: skip


def extract(archive: Path, folder: Path, checksum: str | None = None) -> None:
    """Unpack a tar (plain, gzip, bzip2, xz) or a zip into `folder`; a kill in the middle leaves nothing half-unpacked.

    Args:
        checksum: "md5:…" or "sha256:…", which the archive must have.

    Raises:
        PipelineError: it is damaged, encrypted, another file than the checksum says, larger than the disk, or a member
            would land outside the folder.
    """
    if checksum is not None:
        check(archive, checksum)
    for left in folder.glob(".unpack-*"):  # of a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    temporary = folder / f".unpack-{archive.name}"
    try:
        temporary.mkdir(parents=True)
        (_unpack_zip if _begins(archive, b"PK") else _unpack_tar)(archive, temporary)
        for top in temporary.iterdir():
            if not (folder / top.name).exists():
                os.replace(top, folder / top.name)
    except DAMAGED as error:
        raise PipelineError(f"{archive}: cannot be unpacked ({error}); delete it and run again") from error
    except OSError as error:
        raise PipelineError(f"{archive}: cannot be unpacked into {folder} ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check(archive: Path, checksum: str) -> None:
    """Compare a file with its checksum, whoever put it there.

    Raises:
        PipelineError: it is another file.
    """
    import pooch

    kind, wanted = checksum.split(":", 1)
    if (found := pooch.file_hash(str(archive), alg=kind)) != wanted:
        raise PipelineError(
            f"{archive}: has the checksum {kind}:{found}, but `checksums` says {wanted}; it is damaged or another "
            "version: fetch it again, or correct `checksums`"
        )


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        _check_room(archive, folder, sum(member.file_size for member in packed.infolist()))
        packed.extractall(folder)


def _unpack_tar(archive: Path, folder: Path) -> None:
    with _opened(archive) as stream:
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                _check_room(archive, folder, member.size)
                _extract_member(tar, member, folder)
        while stream.read(CHUNK):  # to the end, where the compression's own checksum stands
            pass


def _opened(archive: Path) -> IO[bytes]:
    """The tar inside, by the first bytes of the file."""
    if _begins(archive, b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(archive))
    if _begins(archive, b"BZh"):
        return cast(IO[bytes], bz2.open(archive))
    return lzma.open(archive) if _begins(archive, b"\xfd7zXZ") else open(archive, "rb")


def _begins(archive: Path, head: bytes) -> bool:
    """What kind it is stands in its first bytes; at its end, a tar of zips may look like one."""
    with open(archive, "rb") as file:
        return file.read(len(head)) == head


def _extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """With the standard library's filter; Python 3.11 has it from 3.11.4 on, before that only files and folders pass.

    Raises:
        tarfile.TarError: it would land outside.
    """
    if hasattr(tarfile, "data_filter"):
        tar.extract(member, folder, filter="data")
        return
    inside = (folder / member.name).resolve().is_relative_to(folder.resolve())
    if not inside or not (member.isfile() or member.isdir()):
        raise tarfile.TarError(f"{member.name!r} is no file or folder inside")
    tar.extract(member, folder)


def _check_room(archive: Path, folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise PipelineError(
            f"{archive}: holds {size / 1e9:,.1f} GB, and {folder.parent} has room for {free / 1e9:,.1f} GB; make room, "
            "or look whether it is the right archive"
        )
