"""The steps of `prepare`: open the source, split, pack, look for duplicates, write the manifest."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import layout, progress
from pipeline.data import duplicates, packing
from pipeline.data.contract import SPLITS
from pipeline.data.folds import Folds, fold_all, together_in
from pipeline.data.inputs import fingerprint
from pipeline.data.intake import Intake
from pipeline.data.planning import Grouped, plan_splits
from pipeline.data.sources import Source, open_source
from pipeline.data.splits import Assignment
from pipeline.errors import PipelineError
from pipeline.files import atomic, write_csv, write_json
from pipeline.settings import Prepare, Settings
from pipeline.workfolder import work_folder

NAMED = 10  # skipped images that a sentence names
LISTED = 1000  # skipped images and duplicates that the manifest names; all are counted


#: What packed images depend on, beside their files and the settings.
CODE = ("data", "files.py", "randomness.py", "settings")
DECODERS = ("pillow", "opencv-python", "pillow-heif", "rawpy", "pyarrow")


def prepare(settings: Settings, target: Path) -> dict[str, Any]:
    """Write `target` (data/) anew and return its manifest.

    A kill or an error in the middle leaves `target` as it was, and the next run goes on after the last chunk of images,
    as long as files, settings and code are the same.
    """
    source = open_source(settings)
    plan, grouped = plan_splits(source, settings)
    temporary = _folder(settings, source, plan)
    for other in layout.WORK.glob("prepare-*"):
        if other != temporary:
            shutil.rmtree(other, ignore_errors=True)
    try:
        for note in grouped.notes:
            progress.say(note)
        splits = _pack_all(source, plan, settings, temporary)
        _check_skipped(splits, settings)
        _check_filled(splits, source.classes)
        twins = duplicates.across({name: split.signatures for name, split in splits.items()})
        named = _named(twins.pairs, splits)
        policy = _policy(settings.prepare, source)
        dropped = _drop(splits, twins, policy, temporary)
        _check_filled(splits, source.classes)
        found = {"policy": policy, "counts": _count(twins.pairs), "dropped": dropped, "pairs": named}
        together = together_in(source, splits)
        drawn = fold_all(settings, source, splits, together)
        manifest = _manifest(settings, source, splits, found, grouped, drawn)
        for name, split in splits.items():
            packing.finish(split, temporary / name)
        _write_together(together, splits, temporary)
        drawn.write(splits, temporary)
        write_json(temporary / "manifest.json", manifest)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)
    except OSError as error:
        raise PipelineError(f"{error.filename or target}: cannot be written ({error.strerror or error})") from error
    return manifest


def _folder(settings: Settings, source: Source, plan: dict[str, Assignment]) -> Path:
    """Where images are packed: another folder for whatever leads to others."""
    code = Path(__file__).parents[1]
    listing = hashlib.blake2b(digest_size=16)
    for name, assignment in plan.items():
        ids = source.parts[assignment.part].ids
        names = "\0".join(str(ids[int(index)]) for index in assignment.indices)
        listing.update(f"{name} {assignment.part} {len(ids)}\0{names}\0".encode("utf-8", "surrogateescape"))
        listing.update(assignment.indices.tobytes())
    return work_folder(
        "prepare",
        [code / name for name in CODE],
        dataset=settings.dataset,
        source=settings.source.model_dump(),
        prepare=settings.prepare.model_dump(),
        seed=settings.seed,
        files=fingerprint(settings),
        listing=listing.hexdigest(),
        decoders={name: _version(name) for name in DECODERS},
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _write_together(together: np.ndarray, splits: dict[str, packing.Packed], folder: Path) -> None:
    ends = np.cumsum([len(split.ids) for split in splits.values()])
    for name, part in zip(splits, np.split(together, ends[:-1]), strict=True):
        with atomic(folder / name / "together.npy") as file:
            np.save(file, part)


def _pack_all(
    source: Source, plan: dict[str, Assignment], settings: Settings, folder: Path
) -> dict[str, packing.Packed]:
    total = sum(len(assignment.indices) for assignment in plan.values())
    with progress.bar(f"prepare {settings.dataset}", total) as bar:
        packed = {name: packing.pack(source, plan[name], folder / name, bar.advance) for name in SPLITS}
    shapes = {split.shape for split in packed.values() if len(split.ids)}
    if len(shapes) > 1:
        raise PipelineError(
            f"{settings.path}: `datasets.{settings.dataset}.image_size` is null, but the splits hold images of "
            f"different sizes {sorted(shape[:2] for shape in shapes)}; set a size"
        )
    return packed


def _check_skipped(splits: dict[str, packing.Packed], settings: Settings) -> None:
    chosen = settings.prepare
    skipped = [{"split": name, **image} for name, split in splits.items() for image in split.skipped]
    total = sum(len(split.ids) for split in splits.values()) + len(skipped)
    if not skipped:
        layout.SKIPPED.unlink(missing_ok=True)
        return
    write_csv(layout.SKIPPED, skipped, ["split", "id", "reason"])
    first = _first(skipped)
    if chosen.on_bad_image == "fail":
        raise PipelineError(
            f"{len(skipped)} of {total} images can't be used ({first}); mend or remove them, "
            f"or set `prepare.on_bad_image: skip` in {settings.path}"
        )
    percent = 100 * len(skipped) / total
    if percent > chosen.max_bad_percent:
        raise PipelineError(
            f"{len(skipped)} of {total} images ({percent:.1f} %) can't be used ({first}); mend or remove them, or "
            f"raise `prepare.max_bad_percent` (now {chosen.max_bad_percent:g}) in {settings.path}"
        )
    progress.say(f"{len(skipped)} images skipped ({first}); {layout.SKIPPED} lists them")


def _first(skipped: list[dict[str, str]]) -> str:
    """The first of them with their reasons, and where all stand."""
    shown = "; ".join(f"{image['id']}: {image['reason']}" for image in skipped[:NAMED])
    return shown if len(skipped) <= NAMED else f"{shown}; and {len(skipped) - NAMED} more, see {layout.SKIPPED}"


def _check_filled(splits: dict[str, packing.Packed], classes: list[str]) -> None:
    """After skipping and dropping, every split must hold images, and train some of every class."""
    for name, split in splits.items():
        if len(split.ids) == 0:
            raise PipelineError(f"{name} has no image; look for an empty folder, unreadable images or duplicates")
    missing = np.flatnonzero(np.bincount(splits["train"].labels, minlength=len(classes)) == 0)
    if len(missing):
        raise PipelineError(
            f"class {classes[missing[0]]!r} has no image left in train: all were unreadable or duplicates of test "
            "images; add more, or remove the class"
        )


def _policy(chosen: Prepare, source: Source) -> str:
    if chosen.duplicates != "auto":
        return chosen.duplicates
    return "report" if {"val", "test"} & source.parts.keys() else "drop_exact"


def _drop(splits: dict[str, packing.Packed], twins: duplicates.Found, policy: str, folder: Path) -> dict[str, int]:
    """Remove twins from the earlier split of each pair (train, or val), never from test."""
    dropped = {}
    for name in ("train", "val"):
        rows = set() if policy == "report" else twins.exact[name]
        if policy == "drop_near":
            rows = rows | twins.near[name]
        if not rows:
            continue
        splits[name] = packing.drop(splits[name], rows, folder / name)
        dropped[name] = len(rows)
    return dropped


def _manifest(
    settings: Settings,
    source: Source,
    splits: dict[str, packing.Packed],
    found: dict[str, Any],
    grouped: Grouped,
    folds: Folds,
) -> dict[str, Any]:
    skipped = [{"split": name, **image} for name, split in splits.items() for image in split.skipped]
    grey = all(split.grey for split in splits.values())
    height, width = splits["train"].shape[:2]
    intake = Intake(
        height=height,
        width=width,
        grey=grey,
        min_side=settings.prepare.min_side,
        max_megapixels=settings.prepare.max_megapixels,
    )
    return {
        "dataset": settings.dataset,
        "description": source.description,
        "synthetic": source.synthetic,
        "notes": [*source.notes, *grouped.notes, *folds.notes, *_about_files(splits)],
        "folds": folds.count,
        "groups": grouped.counts,
        "left_out": source.left_out,
        "licence": settings.source.licence,
        "classes": source.classes,
        "image_shape": list(splits["train"].shape),
        "grey": grey,
        "intake": intake.model_dump(),
        "given_splits": [name for name in source.parts if name != "all"],
        "splits": {
            name: {
                "count": len(split.ids),
                "per_class": np.bincount(split.labels, minlength=len(source.classes)).tolist(),
                "fingerprint": packing.fingerprint(split),
            }
            for name, split in splits.items()
        },
        "skipped_count": len(skipped),
        "skipped": skipped[:LISTED],
        "mended": dict(sum((split.mended for split in splits.values()), Counter())),
        "blank_count": sum(len(split.blank) for split in splits.values()),
        "blank": [name for split in splits.values() for name in split.blank][:LISTED],
        "duplicates": found,
    }


def _about_files(splits: dict[str, packing.Packed]) -> list[str]:
    """What the report says of files that were mended and of images that show nothing."""
    mended = sum((split.mended for split in splits.values()), Counter())
    notes = [
        f"{sum(mended.values()):,} damaged files were read all the same, since all their pixels are there "
        f"({', '.join(f'{count:,} × {what}' for what, count in mended.most_common())})."
    ]
    blank = [name for split in splits.values() for name in split.blank]
    notes.append(
        f"{len(blank):,} images are nearly black or nearly all of one colour, such as {', '.join(blank[:3])}: look at "
        "them, since they may have been stored in an unusual way."
    )
    found = [note for note, there in zip(notes, (mended, blank), strict=True) if there]
    for note in found:
        progress.say(note)
    return found


def _count(pairs: list[duplicates.Pair]) -> dict[str, int]:
    return dict(sorted(Counter(f"{pair.kind}: {pair.later} in {pair.earlier}" for pair in pairs).items()))


def _named(pairs: list[duplicates.Pair], splits: dict[str, packing.Packed]) -> list[dict[str, str]]:
    return [
        {
            "kind": pair.kind,
            "image": splits[pair.later].ids[pair.later_index],
            "split": pair.later,
            "twin": splits[pair.earlier].ids[pair.earlier_index],
            "twin_split": pair.earlier,
        }
        for pair in pairs[:LISTED]
    ]
