"""What names of folders and files mean: splits in any common spelling, and what systems and tools leave behind."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Literal, get_args

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

#: Words for each split, in small letters, without what stands around them.
WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn", "learn", "learning"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "devel", "development"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation", "holdout"), "test"),
}
#: What may stand beside the word: training_set, test-images, val2017, cifar10_train.
BESIDE = frozenset("set split data dataset images image imgs img pictures photos folder dir".split())

#: Folders of systems and tools, in small letters; those that begin with a dot are left out as well.
SYSTEM_FOLDERS = frozenset(
    [
        "__macosx", "@eadir", "#recycle", "@recycle", "@recently-snapshot", "#snapshot", "$recycle.bin", "recycler",
        "system volume information", "lost+found", "__pycache__", "found.000", "thumbs", "node_modules",
    ]
)  # fmt: skip
SYSTEM_FILES = frozenset(["thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "zbthumbnail.info"])


def one_form(name: str) -> str:
    """A name as it is compared: composed Unicode, without spaces at its ends."""
    return unicodedata.normalize("NFC", name).strip()


def split_of(name: str) -> Split | None:
    """The split that a folder's name spells, such as training_set, Testing, valid, dev, train2017; None for others."""
    parts = [part for part in re.split(r"[\W_]+|(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", one_form(name).casefold()) if part]
    parts = [part for part in parts if part not in BESIDE and not part.isdigit()]
    if len(parts) != 1:
        return None
    word = parts[0]
    for ending in ("", "set", "split", "data"):  # trainset, testdata
        if word.endswith(ending) and (found := WORDS.get(word.removesuffix(ending) if ending else word)):
            return found
    return None


def split_of_shard(path: Path) -> Split | None:
    """The split that a file among several spells (train-00000-of-00002.parquet, val-000001.tar), or a folder above it.

    Args:
        path: below the data set's folder.
    """
    stem = re.sub(r"[-_.]?\d+(-of-\d+)?$", "", path.name.split(".", 1)[0])
    names = [stem, *reversed(path.parent.parts)]
    return next((split for name in names if (split := split_of(name)) is not None), None)


def is_system_folder(name: str) -> bool:
    """Whether a system or tool made it: its pictures are thumbnails, copies or deleted ones."""
    return name.startswith(".") or name.casefold() in SYSTEM_FOLDERS


def is_system_file(name: str) -> bool:
    """The same of a file; ._x.jpg is what macOS keeps beside x.jpg on foreign disks."""
    return name.startswith(".") or name.casefold() in SYSTEM_FILES
