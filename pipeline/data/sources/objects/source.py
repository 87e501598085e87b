"""The source `objects`: every picture is a pure function of (seed, split, number)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.data.sources.base import Batch, Part, Source
from pipeline.data.sources.objects.scene import NAMES, Picture, picture, render
from pipeline.parallel import processes
from pipeline.randomness import seed_for
from pipeline.settings import Compute, Dials, Objects

TASK = 64  # pictures a task


def open_objects(settings: Objects, seed: int, compute: Compute) -> Source:
    """Open the generated data set; its splits are of the sizes that params.yaml gives."""
    size = settings.image_size
    counts = settings.images_per_class

    def part(split: str, per_class: int) -> Part:
        labels = np.tile(np.arange(len(NAMES)), per_class)
        split_seed = seed_for(seed, f"objects {split}")

        def read(indices: np.ndarray) -> Batch:
            tasks = [
                (split_seed, indices[at : at + TASK], labels[indices[at : at + TASK]], size, settings.dials)
                for at in range(0, len(indices), TASK)
            ]
            drawn = list(processes(draw, tasks, compute.worker_count, compute.joblib))
            return Batch(np.concatenate(drawn))

        ids = [f"{split}/{NAMES[label]}/{index:06d}" for index, label in enumerate(labels)]
        return Part(labels, ids, read)

    parts = {"train": part("train", counts.train), "val": part("val", counts.val), "test": part("test", counts.test)}
    dials = ", ".join(f"{name} {value:g}" for name, value in settings.dials.model_dump().items())
    return Source(
        classes=NAMES,
        parts=parts,
        description=f"Generated pictures of {len(NAMES)} kinds of things (dials: {dials}).",
        synthetic=True,
        notes=(
            "These pictures are synthetic: outlines drawn by this project's code, surfaces and backgrounds cut from "
            "photographs that scikit-image ships. Errors here say how methods compare under the dials' difficulties, "
            "not how they do on photographs.",
        ),
    )


def pictures(settings: Objects, seed: int, ids: Sequence[str]) -> Iterator[Picture]:
    """Draw pictures again by their ids, with their layers, one after the other: they are large."""
    for one in ids:
        split, name, index = one.split("/")
        random = np.random.default_rng([seed_for(seed, f"objects {split}"), int(index)])
        yield picture(NAMES.index(name), random, settings.image_size, settings.dials)


def draw(task: tuple[int, np.ndarray, np.ndarray, int, Dials]) -> np.ndarray:
    """Draw some pictures, uint8 (n, size, size, 3)."""
    seed, indices, labels, size, dials = task
    return np.stack(
        [
            render(int(label), np.random.default_rng([seed, int(index)]), size, dials)
            for index, label in zip(indices, labels, strict=True)
        ]
    )
