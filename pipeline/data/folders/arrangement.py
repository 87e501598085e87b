"""What the folders of a data set mean: classes, or splits that hold classes. Nothing is guessed.

Folders whose names spell splits are splits where each of them holds folders of classes. One that holds images itself,
beside others that do, is a class that happens to be called so. Whatever could be read in two ways is refused, with both
readings and the setting that decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.data.folders.contents import Contents, subfolders
from pipeline.data.folders.label_file import KNOWN
from pipeline.data.folders.names import SPLITS, Split, split_of
from pipeline.data.tables import is_table
from pipeline.errors import PipelineError
from pipeline.settings import ImageFolder

SHOWN = 5  # folders that a sentence names


@dataclass(frozen=True)
class Aside:
    """Images without labels, which take no part.

    Attributes:
        folder: where they lie.
        images: how many.
    """

    folder: Path
    images: int


@dataclass(frozen=True)
class Flat:
    """Images without folders of classes, whose labels stand in a file.

    Attributes:
        folder: where the images lie.
        labels: the file.
    """

    folder: Path
    labels: Path


@dataclass(frozen=True)
class Arrangement:
    """What the folders mean.

    Attributes:
        parts: the folder of each split, which holds folders of classes; "all" alone where there are no splits.
        aside: folders of images without labels.
        flat: splits without folders of classes.
    """

    parts: dict[str, Path]
    aside: tuple[Aside, ...] = ()
    flat: dict[str, Flat] = field(default_factory=dict)


def arrange(folder: Path, settings: ImageFolder, key: str) -> Arrangement:
    """Decide what the folders below `folder` mean.

    Args:
        key: where the settings stand in params.yaml, for sentences.

    Raises:
        PipelineError: they can be read in two ways, or as none; a split holds no image, or is there twice.
    """
    if settings.layout == "classes":
        return Arrangement({"all": folder})
    contents = {path: Contents.of(path) for path in subfolders(folder)}
    spelled = {path: split for path in contents if (split := _split(path, settings)) is not None}
    others = [path for path in contents if path not in spelled and contents[path].any_image]
    if settings.layout == "splits":
        return _splits(folder, spelled, contents, settings, key)
    labelled = [path for path in spelled if contents[path].classes]
    if not spelled or (others and not labelled and len(spelled) == 1):
        return Arrangement({"all": folder})
    if others:
        raise PipelineError(_two_readings(folder, spelled, others, key))
    if not labelled and any(contents[path].images for path in spelled):
        raise PipelineError(_no_class_folders(folder, spelled, key))
    return _splits(folder, spelled, contents, settings, key)


def _split(path: Path, settings: ImageFolder) -> Split | None:
    if not settings.split_names:
        return split_of(path.name)
    return next((split for split in SPLITS if path.name in settings.split_names.get(split, [])), None)


def _splits(
    folder: Path, spelled: dict[Path, Split], contents: dict[Path, Contents], settings: ImageFolder, key: str
) -> Arrangement:
    parts: dict[str, Path] = {}
    flat: dict[str, Flat] = {}
    aside = []
    for path, split in spelled.items():
        if not contents[path].any_image:
            raise PipelineError(f"{path}: holds no image; put some in it, or remove the folder")
        if contents[path].classes:
            if split in parts or split in flat:
                other = parts.get(split) or flat[split].folder
                raise PipelineError(
                    f"{path} and {other} would both be the split {split}; remove one, or say in `{key}.split_names` "
                    "which folder is which split"
                )
            parts[split] = path
        elif split != "train" and split in settings.labels:
            flat[split] = Flat(path, folder / settings.labels[split])
        elif split == "test" or settings.unlabelled == "aside":
            aside.append(Aside(path, contents[path].images))
        else:
            raise PipelineError(_unlabelled(path, split, contents[path].images, key))
    if "train" not in parts:
        there = " and ".join(sorted(path.name for path in spelled)) or "no folder of a split"
        raise PipelineError(f"{folder}: has {there} but no train; add train/ with class folders")
    for split in settings.labels.keys() - flat.keys():
        raise PipelineError(
            f"{folder}: `{key}.labels` names a file for {split}, but there is no {split} of images without folders of "
            "classes; take it out"
        )
    return Arrangement(parts, tuple(aside), flat)


def _two_readings(folder: Path, spelled: Iterable[Path], others: list[Path], key: str) -> str:
    splits, rest = _listed(spelled), _listed(others)
    return (
        f"{folder}: holds {splits}, whose names are those of splits, beside {rest}, so its folders can be read in two "
        f"ways: set `{key}.layout: splits` to take {splits} as splits and leave {rest} out, or `{key}.layout: classes` "
        "to take each of them as a class"
    )


def _no_class_folders(folder: Path, spelled: Iterable[Path], key: str) -> str:
    splits = _listed(spelled)
    tables = sorted(path.name for path in folder.iterdir() if is_table(path))
    by_table = (
        f"; if {' or '.join(tables[:SHOWN])} says it, set `{key}.source: manifest`, with the settings that the data "
        "set `listed` in params.yaml has"
    )
    return (
        f"{folder}: holds {splits}, whose names are those of splits, but images lie in them without class folders, so "
        f"nothing says what they show; sort them into a folder per class, or set `{key}.layout: classes` if "
        f"{splits} are classes{by_table if tables else ''}"
    )


def _unlabelled(path: Path, split: Split, images: int, key: str) -> str:
    folder = path.parent
    found = [name for name in KNOWN if (folder / name).is_file()]
    file = found[0] if found else KNOWN[0]
    there = f"{file} lies beside it and may say it" if found else f"of ImageNet, a file such as {', '.join(KNOWN)} does"
    return (
        f"{path}: holds {images:,} images and no class folders, so nothing says what they show; {there}: set "
        f"`{key}.labels: {{{split}: {file}}}`, or sort them into a folder per class, as train/ has them, or set "
        f"`{key}.unlabelled: aside` to go on without them"
    )


def _listed(paths: Iterable[Path]) -> str:
    names = [f"{path.name}/" for path in paths]
    shown = names[:SHOWN] + ([f"{len(names) - SHOWN} more"] if len(names) > SHOWN else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
