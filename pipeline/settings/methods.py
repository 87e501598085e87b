"""What methods have in common: the classifier behind features, fusions, how networks are trained and changed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from pipeline.settings.base import Fraction, Positive, Section


def different(values: list[float]) -> list[float]:
    """Tries that are all different: the same value twice is one try."""
    if len(set(values)) < len(values):
        raise ValueError(f"{values} lists a value twice, which is one try and not two; give different ones")
    return values


#: Values of a hyper-parameter above zero that are tried, all different.
Tries = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1), AfterValidator(different)]


class Svm(Section):
    """The linear classifier behind a feature; every C is tried with every `positive_weight`, and val chooses.

    `positive_weight`: how much more a sample of the class itself weighs than one of the others. `tolerance`: a class
    stops when its objective is certainly at most this share above the optimum. `patience`: a candidate is given up
    after this many Newton steps without a lower error on val.
    """

    C: Tries
    positive_weight: Annotated[
        list[Annotated[float, Field(gt=0, le=1000)]], Field(min_length=1), AfterValidator(different)
    ]
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

    The learning rate is chosen on val: each candidate trains for `trial_epochs`, the best one trains in full. On few
    images batches become smaller, until a pass over train has `least_batches` of them, and an epoch is so many passes
    that all epochs together have `least_steps`.
    """

    learning_rates: Tries
    trial_epochs: Positive
    epochs: Positive
    batch_size: Positive
    least_batches: Positive
    least_steps: Positive
    optimizer: Literal["sgd", "muon", "levenberg_marquardt"]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    damping: Annotated[float, Field(gt=0)]
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


class Ablate(Section):
    """Networks to train with one thing changed at a time, and what is changed: settings of `training`."""

    networks: list[str]
    changes: list[dict[str, Any]]
