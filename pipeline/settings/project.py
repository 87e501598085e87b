"""All of params.yaml."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline import catalogue
from pipeline.errors import PipelineError
from pipeline.settings.base import Budget, Fraction, Positive, Section
from pipeline.settings.curve import Curve, Seed
from pipeline.settings.data import AnyDataset, Prepare
from pipeline.settings.methods import Ablate, Fusion, Svm, Training
from pipeline.settings.robustness import Robustness
from pipeline.settings.sentences import check_names, validated
from pipeline.settings.weights import Weights


class AugmentedCopies(Section):
    """Hand-crafted features see this many augmented copies of each training image (networks: fresh every epoch).

    `views`: 2 scores val and test images together with their mirror images, where the data set allows a mirror.
    """

    copies: Annotated[int, Field(ge=0)]
    views: Literal[1, 2]


class Evaluation(Section):
    """How certain the intervals are, how many pictures the report shows, and what strangers the models are shown."""

    confidence: Fraction
    gallery: Positive
    strangers: list[str]


class Compute(Section):
    """What the machine is used with; none of it changes a score on the same device.

    `backend`: joblib's, or dask, which also knows other machines. `scheduler`: of Dask, an address or the file that it
    writes; null: processes of this machine.
    """

    device: Literal["auto", "cpu", "cuda"]
    workers: Literal["auto"] | Positive
    backend: Literal["loky", "multiprocessing", "threading", "dask"]
    scheduler: str | None

    @model_validator(mode="after")
    def _scheduler_is_dasks(self) -> Compute:
        if self.scheduler is not None and self.backend != "dask":
            raise ValueError(f"`scheduler` is for `backend: dask`, which is {self.backend}; change one of them")
        return self

    @property
    def joblib(self) -> str:
        """The backend for what this process shares out by itself."""
        return "loky" if self.backend == "dask" else self.backend

    @property
    def worker_count(self) -> int:
        """`workers`, or the number of cores."""
        from pipeline.cores import cores

        return cores() if self.workers == "auto" else self.workers


class Settings(Section):
    """All of params.yaml. A method's own mapping is read by `method`, which imports what implements it."""

    path: str
    dataset: str
    budget: Budget
    seed: Seed
    seeds: Annotated[list[Seed], Field(min_length=1)] | None
    tuning_trials: Positive
    refit: bool
    features: list[str]
    matchers: list[str]
    fusions: list[str]
    networks: list[str]
    pretrained: list[str]
    fine_tuned: list[str]
    prepare: Prepare
    datasets: dict[str, AnyDataset]
    weights: dict[str, Weights]
    augmentation: AugmentedCopies
    curve: Curve
    ablate: Ablate
    evaluation: Evaluation
    robustness: Robustness
    compute: Compute
    training: Training
    methods: dict[str, dict[str, Any]]

    @field_validator("seeds")
    @classmethod
    def _with_this_one(cls, seeds: list[int] | None, info: ValidationInfo) -> list[int] | None:
        twice = [seed for seed, count in Counter(seeds or []).items() if count > 1]
        if twice:
            raise ValueError(f"{seeds} names {twice[0]} twice; name each seed once")
        seed = info.data.get("seed")
        if seeds is not None and seed is not None and seed not in seeds:
            raise ValueError(f"{seeds} lacks {seed}, which is `seed`; add it, or change `seed` to one of these")
        return seeds

    @property
    def other_seeds(self) -> list[int]:
        """Those of `seeds` beside `seed`, from which every method is trained as well."""
        return [seed for seed in self.seeds or [] if seed != self.seed]

    @property
    def source(self) -> AnyDataset:
        """The settings of the chosen data set."""
        return self.datasets[self.dataset]

    @property
    def selected(self) -> list[str]:
        """Every selected method, hand-crafted first."""
        return [*self.features, *self.matchers, *self.fusions, *self.networks, *self.from_elsewhere]

    @property
    def from_elsewhere(self) -> list[str]:
        """Those that learned from other images before."""
        return [*self.pretrained, *self.fine_tuned]

    def feature(self, key: str, family: catalogue.Family = "feature") -> Any:
        """The typed settings of one feature, as its module declares them; a name of weights is replaced by their entry.

        Args:
            family: feature, or pretrained.
        """
        values = self._part(key, family, "features")
        if family == "pretrained" and isinstance(values, dict):
            values = self._with_weights(values, f"{key}.features")
        return validated(catalogue.BY_KEY[key].load().Settings, values, self.path, (key, "features"))

    def svm(self, key: str, family: catalogue.Family = "feature") -> Svm:
        """The classifier's settings behind one feature."""
        svm = validated(Svm, self._part(key, family, "svm"), self.path, (key, "svm"))
        sides = getattr(self.feature(key, family), "side", None)
        if isinstance(sides, list):
            self._same_tries(f"{key}.features.side × svm.C × positive_weight", len(sides) * len(svm.candidates))
        else:
            self._same_tries(f"{key}.svm.C × positive_weight", len(svm.candidates))
        return svm

    def matcher(self, key: str) -> Any:
        """The typed settings of one matcher, as its module declares them."""
        matcher = validated(catalogue.BY_KEY[key].load().Settings, self._mapping(key, "matcher"), self.path, (key,))
        self._same_tries(f"{key}.ratios", len(matcher.ratios))
        return matcher

    def network(self, key: str, change: dict[str, Any] | None = None, family: catalogue.Family = "network") -> Any:
        """The typed settings of one network, as its module declares them: its own mapping over `training`.

        Args:
            change: goes over both; for `ablate`.
            family: network, or fine_tuned, where a name of weights is replaced by their entry.
        """
        merged = self.training.model_dump() | self._mapping(key, family) | (change or {})
        if family == "fine_tuned":
            merged = self._with_weights(merged, key)
        where = ("ablate", "changes") if change else (key,)
        network = validated(catalogue.BY_KEY[key].load().Settings, merged, self.path, where)
        self._same_tries(f"{key}.learning_rates", len(network.learning_rates))
        return network

    def weights_of(self, key: str) -> Weights:
        """Those that a selected method learned from elsewhere with."""
        family = catalogue.BY_KEY[key].family
        chosen = self.feature(key, family) if family == "pretrained" else self.network(key, family=family)
        weights: Weights = chosen.weights
        return weights

    def members(self, key: str) -> list[str]:
        """The features that a fusion joins."""
        members = validated(Fusion, self._mapping(key, "fusion"), self.path, (key,)).members
        if members == "all":
            return self.features
        check_names(members, catalogue.keys("feature"), self.path, f"{key}.members", "a feature")
        missing = [member for member in members if member not in self.features]
        if missing:
            raise PipelineError(
                f"{self.path}: `{key}.members` names {missing[0]}, which `features` does not select; add it there, "
                f"or take {key} out of `fusions`"
            )
        return members

    def with_dataset(self, name: str, image_size: int) -> Settings:
        """The same project with another data set, its images brought to this side."""
        other = self.datasets[name].model_copy(update={"image_size": image_size})
        prepare = self.prepare.model_copy(update={"classes": None})  # they are the chosen data set's
        return self.model_copy(update={"dataset": name, "datasets": self.datasets | {name: other}, "prepare": prepare})

    def check_curve(self, key: str) -> None:
        """A curve may be of any selected method.

        Raises:
            PipelineError: it is not selected.
        """
        check_names([key], list(catalogue.BY_KEY), self.path, "curve.methods", "a method")
        if key not in self.selected:
            where = catalogue.SELECTED_BY[catalogue.BY_KEY[key].family]
            raise PipelineError(
                f"{self.path}: `curve.methods` names {key}, which `{where}` does not select; add it there, or take it "
                "out of `curve.methods`"
            )

    def check_methods(self) -> None:
        """Validate every selected method, so that a slip shows before the first long stage and not after it.

        Strangers and changes of the test images are checked as well: their stages are among the last.
        """
        from pipeline.robustness.changes import names  # its kernels take a moment to import

        check_names(self.robustness.changes, names(), self.path, "robustness.changes", "a change, or a group of them")
        if self.robustness.reference is not None:
            known = list(catalogue.BY_KEY)
            check_names([self.robustness.reference], known, self.path, "robustness.reference", "a method")
        others = [name for name in self.datasets if name != self.dataset]
        check_names(self.evaluation.strangers, others, self.path, "evaluation.strangers", "another data set")
        for name, weights in self.weights.items():
            check_names(weights.saw, list(self.datasets), self.path, f"weights.{name}.saw", "a data set")
        for key in (*self.features, *self.pretrained):
            family = catalogue.BY_KEY[key].family
            self._known_parts(key)
            self.feature(key, family)
            self.svm(key, family)
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
        for key in self.fine_tuned:
            self.network(key, family="fine_tuned")
        for key in self.curve.methods:
            self.check_curve(key)
        for key in self.ablate.networks:
            for change in self.ablate.changes:
                check_names(change, list(Training.model_fields), self.path, "ablate.changes", "a setting of `training`")
                self.network(key, change)

    def _mapping(self, key: str, family: catalogue.Family) -> dict[str, Any]:
        """A method's own mapping; of a name that somebody typed, perhaps."""
        check_names([key], catalogue.keys(family), self.path, "", f"a {family}")
        return self.methods[key]

    def _part(self, key: str, family: catalogue.Family, part: str) -> Any:
        mapping = self._mapping(key, family)
        if part not in mapping:
            raise PipelineError(f"{self.path}: `{key}.{part}` is missing; add that mapping")
        return mapping[part]

    def _with_weights(self, values: dict[str, Any], where: str) -> dict[str, Any]:
        named = values.get("weights")
        check_names([named], list(self.weights), self.path, f"{where}.weights", "an entry of `weights`")
        return values | {"weights": self.weights[str(named)].model_dump()}

    def _known_parts(self, key: str) -> None:
        check_names(self.methods[key], ["features", "svm"], self.path, key, "a key here")

    def _same_tries(self, where: str, count: int) -> None:
        if count != self.tuning_trials:
            raise PipelineError(
                f"{self.path}: `{where}` lists {count} values, but `tuning_trials` is {self.tuning_trials}: "
                f"for a fair comparison every method tries that many; list {self.tuning_trials}"
            )
