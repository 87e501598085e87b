"""Where images come from. Each source is one module; `open_source` picks the one that params.yaml names."""

from __future__ import annotations

from pathlib import Path

from pipeline.data.sources.base import Part, Source
from pipeline.data.sources.some_classes import keep_classes
from pipeline.files import expanded
from pipeline.project import own_folder
from pipeline.settings import (
    AnyDataset,
    Cifar,
    Digits,
    Idx,
    ImageFolder,
    Manifest,
    Npz,
    Objects,
    Parquet,
    Settings,
    WebDataset,
)

__all__ = ["Part", "Source", "open_source"]


def open_source(settings: Settings) -> Source:
    """Open the chosen data set, fetching it first where it is missing and has a public address.

    Raises:
        PipelineError: it is not there, is not what params.yaml says, or lacks a class that `prepare.classes` names.
    """
    source = _open(settings)
    wanted = settings.prepare.classes
    return source if wanted is None else keep_classes(source, wanted, settings.path)


def _open(settings: Settings) -> Source:
    dataset = settings.source
    root = own_folder() / expanded(settings.prepare.data_root)
    if isinstance(dataset, Objects):
        from pipeline.data.sources.objects.source import open_objects

        return open_objects(dataset, settings.seed, settings.compute)
    if isinstance(dataset, Digits):
        from pipeline.data.sources.digits import open_digits

        return open_digits(dataset)
    if isinstance(dataset, Idx):
        from pipeline.data.sources.idx import open_idx

        return open_idx(dataset, root)
    if isinstance(dataset, Cifar):
        from pipeline.data.sources.cifar import open_cifar

        return open_cifar(dataset, root)
    return _open_own(dataset, root, settings)


def _open_own(dataset: AnyDataset, root: Path, settings: Settings) -> Source:
    """One of the sources that people bring."""
    from pipeline.data.sources.encoded import Reading

    reading = Reading.of(settings)
    if isinstance(dataset, ImageFolder):
        from pipeline.data.sources.imagefolder import open_imagefolder

        return open_imagefolder(dataset, root, reading)
    if isinstance(dataset, Manifest):
        from pipeline.data.sources.manifest import open_manifest

        return open_manifest(dataset, root, reading)
    if isinstance(dataset, Parquet):
        from pipeline.data.sources.parquet import open_parquet

        return open_parquet(dataset, root, reading)
    if isinstance(dataset, WebDataset):
        from pipeline.data.sources.webdataset import open_webdataset

        return open_webdataset(dataset, root, reading)
    assert isinstance(dataset, Npz)
    from pipeline.data.sources.npz import open_npz

    return open_npz(dataset, root)
