"""Downloads that are checksummed, resumable and atomic, with a progress bar (pooch does the checking)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from pipeline import progress
from pipeline.data.archives import extract
from pipeline.errors import PipelineError
from pipeline.settings import Files

CHUNK = 1 << 14  # bytes: what a broken connection loses at most
TIMEOUT_SECONDS = 60


def ensure(settings: Files, folder: Path, names: Iterable[str]) -> None:
    """Fetch files from the data set's address into `folder`.

    Raises:
        PipelineError: there is no address, the download fails, or a checksum is wrong.
    """
    for name in names:
        if settings.url is None or name not in settings.checksums:
            raise PipelineError(
                f"{folder / name}: is missing, and it can't be fetched; "
                "put the file there, or point `prepare.data_root` at the folder that has it"
            )
        fetch(settings.url.rstrip("/") + "/" + name, folder / name, settings.checksums[name])


def ensure_shards(settings: Files, folder: Path, pattern: str) -> list[Path]:
    """The files of a data set that lie below `folder`; those with a checksum that are missing are fetched.

    Args:
        pattern: of their names, such as *.parquet.

    Raises:
        PipelineError: there is none, and none can be fetched.
    """
    missing = [name for name in settings.checksums if not (folder / name).is_file()]
    if missing or not folder.is_dir():
        ensure(settings, folder, missing or [pattern])
    found = sorted(path for path in folder.rglob(pattern) if path.is_file())
    if not found:
        raise PipelineError(f"{folder}: holds no file {pattern}; put some there")
    return found


def fetch_and_unpack(settings: Files, root: Path, folder: Path) -> None:
    """Make `folder` out of the data set's archives, which lie in `root` or are fetched.

    Raises:
        PipelineError: there is no address, or the archives hold no such folder.
    """
    if settings.url is None:
        raise PipelineError(
            f"{folder}: there is no such folder; make it and put your images in it, "
            "or set `prepare.data_root` to where it lies"
        )
    for archive, checksum in settings.checksums.items():
        if not (root / archive).is_file():
            ensure(settings, root, [archive])
        extract(root / archive, root, checksum)
    if not folder.is_dir():
        raise PipelineError(f"{root}: the unpacked archive holds no folder {settings.path}")


def fetch(url: str, target: Path, checksum: str | None) -> None:
    """Download `url` to `target`; an interrupted download goes on where it stopped.

    Args:
        checksum: "md5:…" or "sha256:…"; a file that doesn't match is thrown away. None: whoever asks checks it.
    """
    import pooch
    import requests

    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        pooch.retrieve(url, checksum, fname=target.name, path=target.parent, downloader=_Resumable(part))
    except (requests.exceptions.MissingSchema, requests.exceptions.InvalidURL) as error:
        raise PipelineError(f"{url}: is no address ({error}); correct its `url`") from error
    except ValueError as error:  # pooch's word for a wrong hash, and for an address it can't read
        if "hash" not in str(error):
            raise PipelineError(f"{url}: is no address ({error}); correct its `url`") from error
        part.unlink(missing_ok=True)
        raise PipelineError(
            f"{url}: what was downloaded has another checksum than {checksum}; it was thrown away, "
            "try again, or correct `checksums`"
        ) from error
    except OSError as error:  # requests' exceptions and a full disk alike
        raise PipelineError(
            f"{url}: could not be fetched ({error}); run again to go on from where it stopped, or put the "
            f"file at {target} yourself"
        ) from error


class _Resumable:
    """A downloader for pooch that keeps what has arrived in a .part file."""

    def __init__(self, part: Path) -> None:
        self._part = part

    def __call__(self, url: str, output_file: str | IO[bytes], pooch: Any) -> None:
        import requests

        have = self._part.stat().st_size if self._part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as answer:
            if answer.status_code == 416:  # nothing is missing any more
                have = self._part.stat().st_size
            else:
                answer.raise_for_status()
                if answer.status_code != 206:  # the server knows no ranges: from the start
                    have = 0
                self._append(answer, have, url)
        if isinstance(output_file, (str, os.PathLike)):
            os.replace(self._part, output_file)
        else:
            with open(self._part, "rb") as file:
                shutil.copyfileobj(file, output_file)
            self._part.unlink()

    def _append(self, answer: Any, have: int, url: str) -> None:
        length = answer.headers.get("Content-Length")
        total = int(length) + have if length else None
        with (
            open(self._part, "ab" if have else "wb") as file,
            progress.bar(url.rsplit("/", 1)[-1], total, unit="bytes") as bar,
        ):
            bar.advance(have)
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                bar.advance(len(chunk))
        if total is not None and self._part.stat().st_size < total:
            raise OSError(f"the connection ended after {self._part.stat().st_size:,} of {total:,} bytes")
