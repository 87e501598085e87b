"""Files that say what the images of a flat folder show: ImageNet's in the forms it is shipped in, and tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipeline.data.folders.names import one_form
from pipeline.data.tables import Table, is_table
from pipeline.errors import PipelineError

#: What such files are called: of the competition, the development kit, and its usual conversions.
KNOWN = (
    "LOC_val_solution.csv",
    "ILSVRC2012_validation_ground_truth.txt",
    "imagenet_2012_validation_synset_labels.txt",
    "val.txt",
)
#: Where the numbers of the development kit's ground truth are given their WordNet numbers.
NUMBERS = ("meta.mat", "map_clsloc.txt")


def read_labels(file: Path, images: Sequence[Path], classes: Sequence[str]) -> list[str]:
    """The class of every image of a flat folder.

    Three forms are read: a table with a column of images and one of labels (of the competition's LOC_val_solution.csv,
    the first word of PredictionString); lines "IMAGE LABEL"; and one label a line, for the images in order of their
    names. A label is the name of one of train's folders, the place of one among them in order, from 0 (only in lines
    with an image, as Caffe's val.txt), or the development kit's number, from 1 (only without an image), for which
    meta.mat or map_clsloc.txt must lie beside the file.

    Args:
        file: such a file.
        images: of the folder.
        classes: names of train's folders, in order.

    Raises:
        PipelineError: it can't be read, or leaves an image without a label of train.
    """
    if is_table(file):
        labels = Table.read(file).labels_of(file).items()
        short = {name: _first_word(value, classes) for name, value in labels if value}
        return _by_name(file, short, images, classes)
    rows = [line.split() for line in _lines(file) if line.strip()]
    if rows and all(len(row) == 1 for row in rows):
        return _in_order(file, [row[0] for row in rows], images, classes)
    if rows and all(len(row) == 2 for row in rows):
        places = {str(place): name for place, name in enumerate(classes)}
        known = {name: places.get(label, label) if label.isdecimal() else label for name, label in rows}
        return _by_name(file, known, images, classes)
    raise PipelineError(
        f"{file}: is no file of labels; allowed: a table with columns for images and labels, lines of an image and its "
        "label, or one label a line in the order of the images' names"
    )


def _first_word(label: str, classes: Sequence[str]) -> str:
    """The competition writes a box behind each label: "n03995372 85 1 499 272"."""
    return label if one_form(label) in classes else label.split()[0]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"{file}: cannot be read ({error}); correct the data set's `labels`") from error


def _by_name(file: Path, labels: Mapping[str, str], images: Sequence[Path], classes: Sequence[str]) -> list[str]:
    short = {Path(name).stem: label for name, label in labels.items()}
    found = [labels.get(path.name, short.get(path.stem)) for path in images]
    return _checked(file, found, images, classes)


def _in_order(file: Path, labels: Sequence[str], images: Sequence[Path], classes: Sequence[str]) -> list[str]:
    if len(labels) != len(images):
        raise PipelineError(
            f"{file}: has {len(labels):,} labels, but {images[0].parent} holds {len(images):,} images; a file with a "
            "label a line must have one for each image, in the order of their names"
        )
    if all(label.isdecimal() for label in labels) and not set(labels) <= set(classes):
        names = _numbers(file)
        labels = [names.get(int(label), label) for label in labels]
    return _checked(file, labels, sorted(images, key=lambda path: path.name), classes, images)


def _checked(
    file: Path,
    labels: Sequence[str | None],
    images: Sequence[Path],
    classes: Sequence[str],
    order: Sequence[Path] | None = None,
) -> list[str]:
    known, found = set(classes), {}
    for path, label in zip(images, labels, strict=True):
        if label is None:
            raise PipelineError(f"{file}: has no label for {path.name}; add one, or move the image away")
        if one_form(label) not in known:
            raise PipelineError(
                f"{file}: says that {path.name} shows {label!r}, which is no class of train; correct the file, or "
                "name another one in the data set's `labels`"
            )
        found[path] = one_form(label)
    return [found[path] for path in order or images]


def _numbers(file: Path) -> dict[int, str]:
    """WordNet numbers by the development kit's own."""
    for folder in (file.parent, file.parent / "data"):
        for name, read in READERS.items():
            if (folder / name).is_file():
                return read(folder / name)
    raise PipelineError(
        f"{file}: holds the numbers of ImageNet's development kit, and nothing beside it says which class each is; "
        f"put the kit's {NUMBERS[0]} (or {NUMBERS[1]}) into {file.parent}"
    )


def _from_matlab(path: Path) -> dict[int, str]:
    """The kit's table of synsets."""
    from scipy.io import loadmat

    try:
        synsets = loadmat(path, squeeze_me=True, struct_as_record=False)["synsets"]
        return {int(synset.ILSVRC2012_ID): str(synset.WNID) for synset in synsets}
    except Exception as error:  # loadmat raises nearly anything on damaged files
        raise PipelineError(f"{path}: is not the development kit's meta.mat ({error}); copy it again") from error


def _from_text(path: Path) -> dict[int, str]:
    """Lines such as `n02119789 1 kit_fox`."""
    rows = [re.match(r"(n\d+)\s+(\d+)\b", line) for line in _lines(path)]
    return {int(row[2]): row[1] for row in rows if row}


READERS: dict[str, Callable[[Path], dict[int, str]]] = {NUMBERS[0]: _from_matlab, NUMBERS[1]: _from_text}
