"""Where images come from. Each source is one module; `open_source` picks the one that params.yaml names."""

from __future__ import annotations

from pathlib import Path

from pipeline.data.sources.base import Part, Source
from pipeline.files import expanded
from pipeline.settings import Cifar, Digits, Idx, ImageFolder, Objects, Settings

__all__ = ["Part", "Source", "open_source"]


def open_source(settings: Settings) -> Source:
    """Open the chosen data set, fetching it first where it is missing and has a public address."""
    dataset = settings.source
    root = Path(expanded(settings.prepare.data_root))
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
    assert isinstance(dataset, ImageFolder)
    from pipeline.data.sources.imagefolder import open_imagefolder

    key = f"datasets.{settings.dataset}"
    return open_imagefolder(dataset, root, settings.prepare, settings.compute.worker_count, key)
