"""Where images come from, what is done to them, and which changes leave them in their class."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from pipeline.settings.base import Dial, Fraction, Positive, Section


class Distortion(Section):
    """How far an image may be bent: each image draws its own amounts, evenly up to these.

    `rotate` and `shear` in degrees; `scale`: 0.1 is 10 % larger or smaller, along each side by itself; `elastic`:
    pixels by which places move, each neighbourhood another way (standard deviation).
    """

    rotate: Annotated[float, Field(ge=0, le=180)]
    scale: Annotated[float, Field(ge=0, lt=1)]
    shear: Annotated[float, Field(ge=0, le=45)]
    elastic: Annotated[float, Field(ge=0, le=32)]


class Augmentation(Section):
    """Which changes keep an image in its class; on offer to both eras alike.

    `shift`: pixels. `crop`: the smallest share of the image's area that a part taken for the whole may have (the
    largest is 1). `color`: the standard deviation of AlexNet's noise along the principal colours. `cutout`: side of a
    square that is greyed out, in pixels.
    """

    mirror: bool
    shift: Annotated[int, Field(ge=0, le=64)]
    crop: Annotated[float, Field(gt=0, le=1)] | None
    distort: Distortion | None
    color: Annotated[float, Field(ge=0, le=1)]
    cutout: Annotated[int, Field(ge=0, le=256)]


#: Nothing may change.
STILL = Augmentation(mirror=False, shift=0, crop=None, distort=None, color=0.0, cutout=0)


class Dataset(Section):
    """What every data set has.

    `licence` tells whoever is given a model of these images under which terms they may be used.
    """

    licence: str
    image_size: Annotated[int, Field(ge=8, le=1024)] | None
    augmentation: Augmentation


class PerClass(Section):
    """Images of each class in each split."""

    train: Positive
    val: Positive
    test: Positive


class Dials(Section):
    """Why recognition is hard, each from 0 (none) to 1 (full)."""

    viewpoint: Dial
    lighting: Dial
    deformation: Dial
    clutter: Dial
    correlation: Dial


class Objects(Dataset):
    """Generated pictures of twenty kinds of things."""

    source: Literal["objects"]
    image_size: Annotated[int, Field(ge=16, le=1024)]
    images_per_class: PerClass
    dials: Dials


class Digits(Dataset):
    """The 8×8 digits inside scikit-learn."""

    source: Literal["digits"]


class Files(Dataset):
    """A data set that lies in files below `prepare.data_root`, fetched from `url` when they are not there.

    `checksums` maps each file to fetch to `md5:…` or `sha256:…`; without `url` nothing is fetched.
    """

    path: str
    url: str | None
    checksums: dict[str, Annotated[str, Field(pattern=r"^(md5|sha256):[0-9a-f]+$")]]

    @property
    def fetched(self) -> bool:
        """Whether what it holds is known by checksums, and not a person's own to change."""
        return self.url is not None

    @model_validator(mode="after")
    def _checksums_come_with_url(self) -> Files:
        if (self.url is None) != (not self.checksums):
            raise ValueError("`url` and `checksums` belong together: give both or neither (null and {})")
        return self


class Idx(Files):
    """IDX files, the format of MNIST."""

    source: Literal["idx"]
    classes: list[str] | None


class Cifar(Files):
    """CIFAR's binary archives."""

    source: Literal["cifar"]
    classes: Literal[10, 100]


Given = Literal["train", "val", "test"]


class OwnNames(Files):
    """What data sets have that people bring.

    `class_names`: what to call a class: the name that it has there, and another one. `groups`: a regular expression
    that finds in an image's name what it has in common with others; images of one group stay in one split.
    """

    class_names: dict[str, str]
    groups: str | None

    @field_validator("class_names", mode="before")
    @classmethod
    def _numbers_are_names(cls, value: Any) -> Any:
        return {str(name): word for name, word in value.items()} if isinstance(value, dict) else value

    @field_validator("groups")
    @classmethod
    def _is_a_pattern(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression ({error})") from error
        return value


class ImageFolder(OwnNames):
    """A folder per class, optionally below train/, val/ and test/.

    `layout`: what the folders mean; auto decides by their names, and refuses what is unclear. `split_names`: the names
    of splits' folders where they are others than usual. `labels`: files that say what the images of a val/ or test/
    without folders of classes show. `unlabelled`: what to do with a train/ or val/ of images of which nothing says
    it; a test/ like that is always left aside.
    """

    source: Literal["imagefolder"]
    layout: Literal["auto", "classes", "splits"]
    split_names: dict[Given, list[str]]
    labels: dict[Literal["val", "test"], str]
    unlabelled: Literal["refuse", "aside"]


class Columns(Section):
    """Names of a table's columns; null: the one that is called as such columns usually are (`group`: none)."""

    image: str | None
    label: str | None
    split: str | None
    group: str | None


class Manifest(OwnNames):
    """Images that tables name, CSV or TSV.

    `tables`: a table of all images, in which a column may say which split each is of (`all`), or one for each split.
    `split_names`: words in that column that mean a split, where they are others than usual.
    """

    source: Literal["manifest"]
    tables: Annotated[dict[Literal["all", "train", "val", "test"], str], Field(min_length=1)]
    columns: Columns
    split_names: dict[Given, list[str]]


class Npz(Files):
    """Arrays of a NumPy archive: train_images, train_labels and so on (MedMNIST), or x_train, y_train (Keras)."""

    source: Literal["npz"]
    classes: list[str] | None


class ParquetColumns(Section):
    """Names of columns in Parquet files."""

    image: str | None
    label: str | None
    group: str | None


class Hub(Section):
    """A data set of the Hugging Face hub: its name, a commit (40 digits), and which of its files (*.parquet)."""

    name: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
    revision: str | None
    files: str


class Parquet(OwnNames):
    """Tables of images' bytes and labels, as the Hugging Face hub stores data sets.

    `columns`: of images, labels and groups; null: as the files' own description says (`group`: none). `hub`: where the
    files come from when they are not there, instead of `url` and `checksums`.
    """

    source: Literal["parquet"]
    hub: Hub | None
    columns: ParquetColumns

    @property
    def fetched(self) -> bool:
        """See Files."""
        return self.url is not None or self.hub is not None

    @model_validator(mode="after")
    def _one_origin(self) -> Parquet:
        if self.hub is not None and self.url is not None:
            raise ValueError("`hub` and `url` both say where the files come from: give one of them")
        return self


class WebDataset(OwnNames):
    """Tars whose members belong together by their names: 0001.jpg and 0001.cls.

    `label`: the ending of the member that says what an image shows (cls), for JSON with a key behind it (json:label);
    null: .cls where there is one.
    """

    source: Literal["webdataset"]
    label: str | None


DATASETS = (Objects, Digits, Idx, Cifar, ImageFolder, Manifest, Npz, Parquet, WebDataset)
AnyDataset = Annotated[
    Objects | Digits | Idx | Cifar | ImageFolder | Manifest | Npz | Parquet | WebDataset, Field(discriminator="source")
]


def _different(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError(f"{names} names a class twice; name each once")
    return names


class Prepare(Section):
    """How images become packed arrays with one frozen split; `classes`: those that are used, null: all."""

    data_root: str
    classes: Annotated[list[str], Field(min_length=2), AfterValidator(_different)] | None
    val_fraction: Fraction
    test_fraction: Fraction
    train_limit: Positive | None
    folds: Literal["auto", 0] | Annotated[int, Field(ge=2)]
    duplicates: Literal["auto", "report", "drop_exact", "drop_near"]
    on_bad_image: Literal["skip", "fail"]
    max_bad_percent: Annotated[float, Field(ge=0, le=100)]
    min_side: Positive
    max_megapixels: Annotated[float, Field(gt=0)]
