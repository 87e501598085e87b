"""Data sets of the Hugging Face hub by their names: which files a commit holds, and with which checksums."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from pipeline import progress
from pipeline.data.download import TIMEOUT_SECONDS, fetch
from pipeline.errors import PipelineError
from pipeline.files import read_json, write_json
from pipeline.settings import Hub

LISTING = "hub.json"  # beside the files: what the commit holds, so that a later run needs no network
COMMIT = re.compile(r"[0-9a-f]{40}")


def ensure_hub(settings: Hub, folder: Path, key: str) -> None:
    """Fetch the files of a commit that are missing in `folder`, each checked against the hub's SHA-256.

    Args:
        key: where the setting stands in params.yaml.

    Raises:
        PipelineError: the commit is not named, holds no such file, or can't be reached; the folder is of another one.
    """
    if settings.revision is None or not COMMIT.fullmatch(settings.revision):
        raise PipelineError(_pin(settings, key))
    wanted = settings.model_dump()
    listing = folder / LISTING
    if listing.is_file():
        kept = read_json(listing, "prepare")
        if {name: kept.get(name) for name in wanted} != wanted:
            raise PipelineError(
                f"{folder}: holds files of {kept.get('name')} at {kept.get('revision')}, and `{key}` wants "
                f"{settings.name} at {settings.revision}; set another `path`, or remove that folder"
            )
        files = kept["checksums"]
    else:
        files = _files(settings, key)
    for name, checksum in files.items():
        if not (folder / name).is_file():
            fetch(f"{_endpoint()}/datasets/{settings.name}/resolve/{settings.revision}/{name}", folder / name, checksum)
    if not listing.is_file():
        write_json(listing, wanted | {"checksums": files})


def _pin(settings: Hub, key: str) -> str:
    """What to say where no commit is named: the one that the branch is at now, if the hub can be asked."""
    branch = settings.revision or "main"
    found = _ask(f"api/datasets/{settings.name}/revision/{quote(branch, safe='')}", settings, key)[0]
    commit = found.get("sha") if isinstance(found, dict) else None
    return (
        f"`{key}.revision` must be a commit of 40 digits, so that the data can't change unseen; {settings.name} is at "
        f"{commit} now: set `{key}.revision: {commit}`"
    )


def _files(settings: Hub, key: str) -> dict[str, str]:
    """Files of the commit that match the pattern, with their checksums."""
    address: str | None = f"api/datasets/{settings.name}/tree/{settings.revision}?recursive=true"
    entries: list[dict[str, Any]] = []
    while address is not None:
        page, address = _ask(address, settings, key)
        entries += page
    matching = [entry for entry in entries if entry.get("type") == "file" and fnmatch(entry["path"], settings.files)]
    if not matching:
        raise PipelineError(
            f"`{key}`: {settings.name} holds no file {settings.files} at {settings.revision}; many data sets have a "
            "copy in Parquet on the branch refs/convert/parquet; name it as `revision`, and the run tells its commit"
        )
    outside = [entry["path"] for entry in matching if _leads_out(entry["path"])]
    if outside:
        raise PipelineError(f"`{key}`: {settings.name} holds a file {outside[0]!r}, which would lie outside its folder")
    unchecked = [entry["path"] for entry in matching if "lfs" not in entry]
    if unchecked:
        raise PipelineError(
            f"`{key}`: the hub gives no SHA-256 of {unchecked[0]}; fetch it yourself and take `hub` out of the mapping"
        )
    size = sum(int(entry["lfs"]["size"]) for entry in matching)
    progress.say(f"{settings.name}: {len(matching):,} files, {size / 1e6:,.0f} MB")
    return {entry["path"]: f"sha256:{entry['lfs']['oid']}" for entry in matching}


def _leads_out(name: str) -> bool:
    return name.startswith("/") or ".." in PurePosixPath(name).parts


def _endpoint() -> str:
    """The hub's address; its own tools let a mirror be named in the same way."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _ask(address: str, settings: Hub, key: str) -> tuple[Any, str | None]:
    """What the hub answers, and the address of the next page."""
    import requests

    url = f"{_endpoint()}/{address}"
    try:
        answer = requests.get(url, timeout=TIMEOUT_SECONDS)
        if answer.status_code in (401, 403, 404):
            raise PipelineError(
                f"`{key}`: the hub has no {settings.name} at {settings.revision or 'main'}, or shows it to nobody "
                "without a login; correct the name, or download its files yourself and take `hub` out of the mapping"
            )
        answer.raise_for_status()
        following = answer.links.get("next", {}).get("url")
        return answer.json(), None if following is None else following.removeprefix(_endpoint()).lstrip("/")
    except (requests.exceptions.RequestException, ValueError) as error:
        raise PipelineError(
            f"{url}: could not be asked which files {settings.name} has ({error}); try again with a network, or "
            "download them yourself and take `hub` out of the mapping"
        ) from error
