"""params.yaml as typed, validated settings, with errors that a person can act on.

No setting has a default in code: params.yaml is the whole truth, so that DVC, which tracks its values, sees every
change that can change a result. The only exception is a key that is a pure convenience (marked below).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline import catalogue, layout
from pipeline.errors import PipelineError

BUDGETS = ("demo", "standard", "paper")
Budget = Literal["demo", "standard", "paper"]


class Section(BaseModel):
    """A mapping in params.yaml: no unknown keys, no silent conversion of types, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


SectionType = TypeVar("SectionType", bound=Section)
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Dial = Annotated[float, Field(ge=0, le=1)]


# ---------------------------------------------------------------------------------------------- data


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
    """What every data set has."""

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


class ImageFolder(Files):
    """A folder per class, optionally below train/, val/ and test/."""

    source: Literal["imagefolder"]
    class_names: dict[str, str]


AnyDataset = Annotated[Objects | Digits | Idx | Cifar | ImageFolder, Field(discriminator="source")]


class Prepare(Section):
    """How images become packed arrays with one frozen split."""

    data_root: str
    val_fraction: Fraction
    test_fraction: Fraction
    train_limit: Positive | None
    duplicates: Literal["auto", "report", "drop_exact", "drop_near"]
    on_bad_image: Literal["skip", "fail"]
    max_bad_percent: Annotated[float, Field(ge=0, le=100)]
    min_side: Positive
    max_megapixels: Annotated[float, Field(gt=0)]


# ------------------------------------------------------------------------------------------- methods


class Svm(Section):
    """The linear classifier behind a feature; every C is tried with every `positive_weight`, and val chooses.

    `positive_weight`: how much more a sample of the class itself weighs than one of the others. `tolerance`: a class
    stops when its objective is certainly at most this share above the optimum. `patience`: a candidate is given up
    after this many Newton steps without a lower error on val.
    """

    C: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    positive_weight: Annotated[list[Annotated[float, Field(gt=0, le=1000)]], Field(min_length=1)]
    tolerance: Fraction
    patience: Annotated[int, Field(ge=1)]

    @property
    def candidates(self) -> list[tuple[float, float]]:
        """Pairs of C and positive weight, in rising order of C for each weight: each starts where the last ended."""
        return [(c, weight) for weight in sorted(self.positive_weight) for c in sorted(self.C)]


class Fusion(Section):
    """Which classical methods are fused: `all` that are selected, or a list of names."""

    members: Literal["all"] | Annotated[list[str], Field(min_length=2)]


class Switches(Section):
    """What can be changed on any network, to see what it does; null leaves it as the network has it.

    `activation`: in the place of every non-linearity. `dropout`: the share that is dropped where the network drops,
    else before its last layer. `batch_norm`: after every convolution and hidden full layer, or nowhere. `pooling`: all
    of this kind. `start`: how weights start; `paper` is the publication's way where ours departs from it.
    """

    activation: Literal["sigmoid", "tanh", "relu", "leaky_relu", "maxout", "elu"] | None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None
    batch_norm: bool | None
    pooling: Literal["max", "average"] | None
    start: Literal["paper", "he", "xavier", "lecun", "small"] | None


class Training(Switches):
    """How a network is trained; each network's own settings extend this.

    The learning rate is chosen on val: each candidate trains for `trial_epochs`, the best one trains in full.
    """

    learning_rates: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    trial_epochs: Positive
    epochs: Positive
    batch_size: Positive
    optimizer: Literal["sgd", "muon"]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    schedule: Literal["one_cycle", "cosine", "step"]
    warm_up: Annotated[float, Field(ge=0, lt=1)]
    drops: list[Fraction]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    average: Annotated[float, Field(gt=0, lt=1)] | None
    flip: Literal["random", "alternating"]
    shift: Annotated[int, Field(ge=0)] | None
    output: Literal["softmax", "sigmoid"]
    normalisation: Literal["channel", "lenet", "none"]
    patience: Positive
    precision: Literal["auto", "fp32", "bf16"]
    compile: bool
    views: Literal["single", "mirror", "mirror_shift"]


# ---------------------------------------------------------------------------------------- everything


class AugmentedCopies(Section):
    """Hand-crafted features see this many augmented copies of each training image (networks: fresh every epoch).

    `views`: 2 scores val and test images together with their mirror images, where the data set allows a mirror.
    """

    copies: Annotated[int, Field(ge=0)]
    views: Literal[1, 2]


class Ablate(Section):
    """Networks to train with one thing changed at a time, and what is changed: settings of `training`."""

    networks: list[str]
    changes: list[dict[str, Any]]


class Evaluation(Section):
    """How certain the intervals are and how many pictures the report shows."""

    confidence: Fraction
    gallery: Positive


class Compute(Section):
    """What the machine is used with; none of it changes a score on the same device."""

    device: Literal["auto", "cpu", "cuda"]
    workers: Literal["auto"] | Positive
    backend: Literal["loky", "multiprocessing", "threading"]

    @property
    def worker_count(self) -> int:
        """`workers`, or the number of cores."""
        from pipeline.parallel import cores

        return cores() if self.workers == "auto" else self.workers


class Settings(Section):
    """All of params.yaml. A method's own mapping is read by `method`, which imports what implements it."""

    path: str
    dataset: str
    budget: Budget
    seed: Annotated[int, Field(ge=0)]
    tuning_trials: Positive
    features: list[str]
    matchers: list[str]
    fusions: list[str]
    networks: list[str]
    prepare: Prepare
    datasets: dict[str, AnyDataset]
    augmentation: AugmentedCopies
    ablate: Ablate
    evaluation: Evaluation
    compute: Compute
    training: Training
    methods: dict[str, dict[str, Any]]

    @property
    def source(self) -> Objects | Digits | Idx | Cifar | ImageFolder:
        """The settings of the chosen data set."""
        return self.datasets[self.dataset]

    @property
    def selected(self) -> list[str]:
        """Every selected method, hand-crafted first."""
        return [*self.features, *self.matchers, *self.fusions, *self.networks]

    def feature(self, key: str) -> Any:
        """The typed settings of one feature, as its module declares them."""
        return self._part(key, "features", catalogue.BY_KEY[key].load().Settings)

    def svm(self, key: str) -> Svm:
        """The classifier's settings behind one feature."""
        svm = self._part(key, "svm", Svm)
        self._same_tries(f"{key}.svm.C × positive_weight", len(svm.candidates))
        return svm

    def matcher(self, key: str) -> Any:
        """The typed settings of one matcher, as its module declares them."""
        matcher = _validated(catalogue.BY_KEY[key].load().Settings, self.methods[key], self.path, (key,))
        self._same_tries(f"{key}.ratios", len(matcher.ratios))
        return matcher

    def network(self, key: str, change: dict[str, Any] | None = None) -> Any:
        """The typed settings of one network, as its module declares them: its own mapping over `training`.

        Args:
            change: goes over both; for `ablate`.
        """
        merged = self.training.model_dump() | self.methods[key] | (change or {})
        where = ("ablate", "changes") if change else (key,)
        network = _validated(catalogue.BY_KEY[key].load().Settings, merged, self.path, where)
        self._same_tries(f"{key}.learning_rates", len(network.learning_rates))
        return network

    def members(self, key: str) -> list[str]:
        """The features that a fusion joins."""
        members = _validated(Fusion, self.methods[key], self.path, (key,)).members
        if members == "all":
            return self.features
        _check_names(members, catalogue.keys("feature"), self.path, f"{key}.members", "a feature")
        missing = [member for member in members if member not in self.features]
        if missing:
            raise PipelineError(
                f"{self.path}: `{key}.members` names {missing[0]}, which `features` does not select; add it there, "
                f"or take {key} out of `fusions`"
            )
        return members

    def check_methods(self) -> None:
        """Validate every selected method, so that a slip shows before the first long stage and not after it."""
        for key in self.features:
            self._known_parts(key)
            self.feature(key)
            self.svm(key)
        for key in self.fusions:
            if len(self.members(key)) < 2:
                raise PipelineError(
                    f"{self.path}: `fusions` names {key}, which needs at least two features; "
                    f"`features` selects {self.features}; select more, or take {key} out of `fusions`"
                )
        for key in self.matchers:
            self.matcher(key)
        for key in self.networks:
            self.network(key)
        for key in self.ablate.networks:
            for change in self.ablate.changes:
                _check_names(
                    change, list(Training.model_fields), self.path, "ablate.changes", "a setting of `training`"
                )
                self.network(key, change)

    def _part(self, key: str, part: str, model: type[SectionType]) -> SectionType:
        mapping = self.methods[key]
        if part not in mapping:
            raise PipelineError(f"{self.path}: `{key}.{part}` is missing; add that mapping")
        return _validated(model, mapping[part], self.path, (key, part))

    def _known_parts(self, key: str) -> None:
        _check_names(self.methods[key], ["features", "svm"], self.path, key, "a key here")

    def _same_tries(self, where: str, count: int) -> None:
        if count != self.tuning_trials:
            raise PipelineError(
                f"{self.path}: `{where}` lists {count} values, but `tuning_trials` is {self.tuning_trials}: "
                f"for a fair comparison every method tries that many; list {self.tuning_trials}"
            )


def load(path: Path = layout.PARAMS) -> Settings:
    """Read and validate params.yaml.

    Raises:
        PipelineError: one sentence with the key's path, what was found, what is allowed, the nearest right name.
    """
    where = str(path)
    raw = _for_budget(_read(path), where)
    methods = {key: raw.pop(key) for key in list(raw) if key in catalogue.BY_KEY}
    _check_names(raw, [*Settings.model_fields, *catalogue.BY_KEY], where, "", "a key here")
    for reserved in ("path", "methods"):
        if reserved in raw:
            raise PipelineError(f"{where}: `{reserved}` is not a known key")
    _check_datasets(raw, where)
    settings = _validated(Settings, {**raw, "path": where, "methods": {}}, where, ())
    for key, mapping in methods.items():
        if not isinstance(mapping, dict):
            raise PipelineError(f"{where}: `{key}` is {mapping!r}; allowed: a mapping of its settings")
    settings = settings.model_copy(update={"methods": methods})
    _check_selection(settings)
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PipelineError(f"{path} is missing; run this from the project's folder") from error
    except OSError as error:
        raise PipelineError(f"{path} cannot be read ({error.strerror})") from error
    except (YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise PipelineError(f"{path} is not valid YAML: {reason}") from error
    if not isinstance(raw, dict):
        raise PipelineError(f"{path} holds no settings: it must be a mapping of keys to values")
    return raw


def _for_budget(raw: dict[str, Any], where: str) -> dict[str, Any]:
    """Replace every mapping of the three budgets by the chosen budget's value."""
    budget = raw.get("budget")
    if budget not in BUDGETS:
        raise PipelineError(_wrong_name(where, "budget", budget, BUDGETS, "a budget"))

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if set(value) == set(BUDGETS):
                return value[budget]
            return {key: resolve(inner) for key, inner in value.items()}
        return value

    resolved: dict[str, Any] = resolve(raw)
    return resolved


def _check_datasets(raw: dict[str, Any], where: str) -> None:
    datasets = raw.get("datasets")
    if not isinstance(datasets, dict) or not datasets:
        raise PipelineError(f"{where}: `datasets` is {datasets!r}; allowed: a mapping of names to data sets")
    sources: dict[str, type[Dataset]] = {
        model.model_fields["source"].annotation.__args__[0]: model  # type: ignore[union-attr]
        for model in (Objects, Digits, Idx, Cifar, ImageFolder)
    }
    for name, dataset in datasets.items():
        place = f"datasets.{name}"
        if not isinstance(dataset, dict):
            raise PipelineError(f"{where}: `{place}` is {dataset!r}; allowed: a mapping of its settings")
        _check_names([dataset.get("source")], list(sources), where, f"{place}.source", "a source")
        _validated(sources[dataset["source"]], dataset, where, ("datasets", name))
    _check_names([raw.get("dataset")], list(datasets), where, "dataset", "a data set")


def _check_selection(settings: Settings) -> None:
    families: tuple[tuple[str, catalogue.Family], ...] = (
        ("features", "feature"),
        ("matchers", "matcher"),
        ("fusions", "fusion"),
        ("networks", "network"),
    )
    for key, family in families:
        names: list[str] = getattr(settings, key)
        _check_names(names, catalogue.keys(family), settings.path, key, f"a {family}")
        if key == "networks":
            _check_names(
                settings.ablate.networks, catalogue.keys(family), settings.path, "ablate.networks", "a network"
            )
            names = [*names, *(name for name in settings.ablate.networks if name not in names)]
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise PipelineError(f"{settings.path}: `{key}` names {repeated[0]} twice; name it once")
        for name in names:
            if name not in settings.methods:
                raise PipelineError(f"{settings.path}: `{key}` selects {name}, but the mapping `{name}` is missing")
    if not settings.selected:
        raise PipelineError(
            f"{settings.path}: `features`, `matchers` and `networks` are empty; select at least one method"
        )


def _validated(model: type[SectionType], value: Any, where: str, location: tuple[str, ...]) -> SectionType:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise PipelineError(_sentence(error.errors(), location, where, model)) from error


def _sentence(errors: Sequence[Mapping[str, Any]], location: tuple[str, ...], where: str, model: type[Section]) -> str:
    """One sentence about the first thing that is wrong; a misspelt key goes before the key that it leaves missing."""
    error = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    path = _path(error["loc"])
    key = ".".join([*location, *path])
    kind, message = error["type"], str(error["msg"])
    if kind == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        return f"{where}: `{key}` is not a known key{_nearest(path[-1], known)}; allowed: {', '.join(known)}"
    if kind == "missing":
        return f"{where}: `{key}` is missing"
    if kind == "value_error":
        return f"{where}: `{key}`: {message.removeprefix('Value error, ')}"
    # A value that may be of several kinds has an error for each: all that is allowed belongs together.
    same = [str(other["msg"]).removeprefix("Input should be ") for other in errors if _path(other["loc"]) == path]
    allowed = " or ".join(dict.fromkeys(same))
    found = error["input"]
    hint = _nearest(found, re.findall(r"'([^']+)'", allowed)) if isinstance(found, str) else ""
    return f"{where}: `{key}` is {found!r}; allowed: {allowed}{hint}"


def _path(location: Sequence[Any]) -> list[str]:
    """Keys only: pydantic also names the alternative of a union that it tried."""
    alternative = re.compile(r"(literal|list|dict|constrained|nullable)\b[\[-]|(int|float|str|none)$")
    return [str(part) for part in location if not (isinstance(part, str) and alternative.match(part))]


def _keys_at(model: Any, path: Sequence[str]) -> list[str]:
    """The keys of the section that a path leads to."""
    for key in path:
        field = model.model_fields.get(key) if isinstance(model, type) and issubclass(model, BaseModel) else None
        model = field.annotation if field is not None else None
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _check_names(names: Iterable[Any], known: list[str], where: str, key: str, what: str) -> None:
    for name in names:
        if name not in known:
            raise PipelineError(_wrong_name(where, key, name, known, what))


def _wrong_name(where: str, key: str, name: Any, known: Iterable[str], what: str) -> str:
    known = list(known)
    place = f"`{key}`: " if key else ""
    hint = _nearest(str(name), known)
    return f"{where}: {place}{name!r} is not {what}{hint}; allowed: {', '.join(known) or 'none'}"


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
