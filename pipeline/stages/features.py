"""features: one feature of every image → features/<feature>/{train,val,test}.npy.

Behind the training images stand their augmented copies, and behind those of val and test their mirror images where two
views are asked for; in the same order, so row i belongs to image i mod N.
"""

from pathlib import Path

import numpy as np

from pipeline import layout, progress, settings
from pipeline.data.contract import SPLITS, Split, load_manifest, load_split
from pipeline.features.base import Codebook, Context, load_feature
from pipeline.features.extraction import Shards
from pipeline.files import read_arrays, write_json
from pipeline.settings import STILL, Section, Settings
from pipeline.training.colors import principal_colors
from pipeline.workfolder import work_folder

PLAIN_MIRROR = STILL.model_copy(update={"mirror": True})


def run(key: str) -> None:
    """Compute one feature for all splits; a killed run goes on after its last finished shard."""
    chosen = settings.load()
    feature, parameters = load_feature(chosen, key)
    codebook = read_arrays(layout.MODELS / key / "codebook.npz", f"codebook@{key}")
    copies = chosen.augmentation.copies if _augments(chosen) else 0
    shards = Shards(_work_folder(key, chosen, parameters, codebook, copies))
    splits = {name: load_split(name) for name in SPLITS}
    allowed = chosen.source.augmentation
    views = chosen.augmentation.views if allowed.mirror else 1
    palette = principal_colors(splits["train"].images) if allowed.color and copies else None
    rows = {name: len(split) * (1 + copies if name == "train" else views) for name, split in splits.items()}
    # Kernels compile on their first use; that is no cost of the method.
    feature.transform(
        _images(splits["train"], slice(0, 2), chosen, palette), parameters, codebook, Context(chosen.seed)
    )
    seconds = {}
    with progress.bar(f"features {key}", sum(rows.values())) as bar:
        compute = chosen.compute
        for name, split in splits.items():
            context = Context(
                chosen.seed, compute.worker_count, compute.backend, training=name == "train", device=compute.device
            )

            def vectors(part: slice, split: Split = split, context: Context = context) -> np.ndarray:
                return feature.transform(_images(split, part, chosen, palette), parameters, codebook, context)

            seconds[name] = shards.write(name, vectors, rows[name], bar.advance)
    target = layout.FEATURES / key
    shards.publish(target, list(SPLITS))
    cost = {
        "training_seconds": seconds["train"],
        "prediction_seconds": seconds["test"] / len(splits["test"]),
        "copies": copies,
        "views": views,
    }
    write_json(target / "cost.json", cost)


def _augments(chosen: Settings) -> bool:
    allowed = chosen.source.augmentation
    return allowed != STILL


def _images(split: Split, part: slice, chosen: Settings, palette: np.ndarray | None) -> np.ndarray:
    """Rows of a split; beyond its end come augmented copies of train, or mirror images of val and test.

    Where mirroring is allowed the first copy is the mirror image, so that features see each image both ways round, and
    of the further ones every other is mirrored.
    """
    rows = np.arange(part.start, part.stop)
    numbers = rows % len(split)
    images = np.asarray(split.images[numbers])
    copy = rows // len(split)
    if copy.max() == 0:
        return images
    if split.name != "train":
        images[copy > 0] = images[copy > 0, :, ::-1]
        return images
    import torch

    from pipeline.training.augmentation import Augmenter

    for number in np.unique(copy[copy > 0]):
        chosen_rows = copy == number
        batch = torch.from_numpy(images[chosen_rows])
        allowed, odd = chosen.source.augmentation, bool(number % 2)
        if number == 1 and allowed.mirror:
            allowed = PLAIN_MIRROR
        augmenter = Augmenter(allowed, chosen.seed, palette=palette)
        images[chosen_rows] = augmenter(batch, numbers[chosen_rows], int(number), mirror=odd).numpy()
    return images


def _work_folder(key: str, chosen: Settings, parameters: Section, codebook: Codebook, copies: int) -> Path:
    code = Path(__file__).parents[1]
    return work_folder(
        f"features-{key}",
        [
            code / "features",
            code / "descriptors",
            code / "encoding",
            *(code / "training" / name for name in ("augmentation.py", "bending.py", "colors.py")),
            code / "randomness.py",
            code / "stages" / "features.py",
        ],
        parameters=parameters.model_dump(),
        splits=load_manifest()["splits"],
        codebook={name: [list(values.shape), float(values.sum())] for name, values in codebook.items()},
        copies=copies,
        views=chosen.augmentation.views,
        augmentation=chosen.source.augmentation.model_dump(),
        seed=chosen.seed,
        device=chosen.compute.device,
    )
