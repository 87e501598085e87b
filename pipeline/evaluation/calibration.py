"""Scores of any scale → probabilities, by one or two numbers that are fitted on val.

Two kinds are tried, and both keep the order of the scores:

- temperature: softmax(s / T), for all classes together (Guo et al., "On calibration of modern neural networks",
  ICML 2017);
- platt: sigmoid(a·s + b) for each class's score by itself, the same a and b for all (Platt, "Probabilistic outputs for
  support vector machines", 1999), divided by the sum over classes (Zadrozny & Elkan, KDD 2002).

Which one is used is decided by cross-fitting on val: each fifth of val is scored by numbers fitted to the other four.
This module needs numpy and scipy alone, so that a stored method can be used where there are no data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, log_softmax, logsumexp, softmax

from pipeline.evaluation.metrics import ranks
from pipeline.evaluation.reliability import expected_calibration_error

Kind = Literal["temperature", "platt"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FOLDS = 5
MOST = 2_000_000  # scores that are fitted to (200,000 images of ten classes, 2,000 of a thousand): more take long
FLATTEST, STEEPEST = 1e-6, 1e6  # slopes, for scores brought to a spread of one; the first is next to uniform
LARGEST = 1e200  # of a stored number: float32 scores times that are still finite
ADDED = 0.2  # images that are of every class alike: see `_fit_temperature`
UNFITTED = 1e-200, 0.0  # slope and shift where there is no image: uniform for float32 scores of any scale


@dataclass(frozen=True)
class Calibration:
    """How one method's scores become probabilities.

    Attributes:
        kind: temperature or platt.
        slope: 1 / T, or Platt's a; above 0.
        shift: Platt's b; 0 for a temperature.
        log_loss: of val, cross-fitted, by kind: mean of −ln of the true class's probability.
        ece: expected calibration error of val, cross-fitted, 0-1.
    """

    kind: Kind
    slope: float
    shift: float
    log_loss: dict[str, float]
    ece: float

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities, float64 (N, classes); each row adds up to 1.

        No class gets more than one that is scored above it. Very sure ones can round to the same probability, so the
        guess itself is to be read from the scores.

        Args:
            scores: float32 (N, classes), finite, larger is better.

        Raises:
            ValueError: the scores have another shape, or are not finite.
        """
        return probabilities(scores, self.kind, self.slope, self.shift)

    def as_dict(self) -> dict[str, Any]:
        """What JSON can hold; `of_dict` reads it."""
        return asdict(self)

    @staticmethod
    def of_dict(stored: Any) -> Calibration:
        """The calibration that `as_dict` wrote.

        Raises:
            ValueError: it is none.
        """
        if not isinstance(stored, Mapping):
            raise ValueError(f"a calibration is a mapping, not {stored!r}")
        kind = stored.get("kind")
        if kind not in KINDS:
            raise ValueError(f"kind of a calibration: {kind!r}, expected one of {', '.join(KINDS)}")
        losses = stored.get("log_loss")
        if not isinstance(losses, Mapping) or set(losses) != set(KINDS):
            raise ValueError(f"log_loss of a calibration: {losses!r}, expected a number for each of {', '.join(KINDS)}")
        slope, shift = _number(stored, "slope"), _number(stored, "shift")
        if slope <= 0:
            raise ValueError(f"slope of a calibration: {slope}, expected one above 0")
        return Calibration(kind, slope, shift, {name: _number(losses, name) for name in KINDS}, _number(stored, "ece"))


def calibrate(scores: np.ndarray, labels: np.ndarray) -> Calibration:
    """Fit both kinds, and keep the one that predicts held-out images better; of equals the temperature.

    Of more than MOST scores those of evenly spaced images are used, of each class its share.

    Args:
        scores: float32 (N, classes) of val, finite, larger is better; N ≥ 1.
        labels: int (N,).

    Raises:
        ValueError: there are no images, or scores and labels don't fit together.
    """
    scores, labels = _checked(scores), np.asarray(labels)
    if not len(scores) or labels.shape != (len(scores),):
        raise ValueError(f"{len(scores)} images and labels of the shape {labels.shape}: nothing to calibrate by")
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(f"labels from {labels.min()} to {labels.max()} for {scores.shape[1]} classes")
    if scores.size > MOST:
        places = np.linspace(0, len(labels) - 1, max(MOST // scores.shape[1], FOLDS)).astype(int)
        chosen = np.sort(_by_class(labels)[places])
        scores, labels = scores[chosen], labels[chosen]
    rows = np.arange(len(labels))
    held_out = {kind: cross_fitted(scores, labels, kind) for kind in KINDS}
    log_loss: dict[str, float] = {kind: float(-found[rows, labels].mean()) for kind, found in held_out.items()}
    kind = min(KINDS, key=lambda one: log_loss[one])
    slope, shift = _FITS[kind](scores, labels)
    top = np.exp(held_out[kind].max(axis=1))
    ece = expected_calibration_error(top, ranks(scores, labels) == 0)
    return Calibration(kind, slope, shift, log_loss, ece)


def probabilities(scores: np.ndarray, kind: Kind, slope: float, shift: float) -> np.ndarray:
    """Probabilities, float64 (N, classes), as `Calibration.probabilities` has them.

    Raises:
        ValueError: the scores have another shape, or are not finite.
    """
    return np.asarray(softmax(_logits(_checked(scores), kind, slope, shift), axis=1))


def cross_fitted(scores: np.ndarray, labels: np.ndarray, kind: Kind) -> np.ndarray:
    """Logarithms of probabilities, each image's by numbers fitted without its fold, float64 (N, classes).

    Args:
        scores: float64 (N, classes).
        labels: int (N,).
        kind: what is fitted.
    """
    fold_of = folds(labels)
    found = np.empty(scores.shape)
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        slope, shift = _FITS[kind](scores[~held_out], labels[~held_out])
        found[held_out] = log_softmax(_logits(scores[held_out], kind, slope, shift), axis=1)
    return found


def folds(labels: np.ndarray) -> np.ndarray:
    """The fold of each image, int (N,), 0 to FOLDS − 1: dealt out in turn, class by class; no chance is involved."""
    fold_of = np.empty(len(labels), int)
    fold_of[_by_class(labels)] = np.arange(len(labels)) % FOLDS
    return fold_of


def _by_class(labels: np.ndarray) -> np.ndarray:
    return np.argsort(labels, kind="stable")


def _logits(scores: np.ndarray, kind: Kind, slope: float, shift: float) -> np.ndarray:
    """What softmax makes the probabilities of: that of ln sigmoid divides sigmoids by their sum, and never 0 by 0."""
    scaled = slope * scores + shift
    return np.asarray(scaled if kind == "temperature" else log_expit(scaled))


def _fit_temperature(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """1 / T by likelihood, and no shift.

    To the N images a fifth of one is added that is of every class alike. Without it a method that makes no error on val
    would be the more likely the lower T is. On simulated scores (10 to 100 classes, 30 to 1,000 images, log loss of
    fresh ones) a whole image made T too high where val is small, and a twentieth too low where val has few errors.
    """
    if not len(labels):
        return UNFITTED
    spread = _positive(np.sqrt(np.mean((scores - scores.mean(axis=1, keepdims=True)) ** 2)))
    unit = scores / spread
    added = ADDED / (len(labels) + ADDED)
    wanted = (1 - added) * unit[np.arange(len(labels)), labels] + added * unit.mean(axis=1)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        slope = math.exp(parameters[0])
        expected = (softmax(slope * unit, axis=1) * unit).sum(axis=1)
        value = float((logsumexp(slope * unit, axis=1) - slope * wanted).mean())
        return value, np.array([slope * (expected - wanted).mean()])

    (exponent,) = _lowest(loss, [0.0], [(math.log(FLATTEST), math.log(STEEPEST))])
    return math.exp(exponent) / spread, 0.0


def _fit_platt(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Platt's a and b by the likelihood of "is it this class?", asked for every image and every class.

    As in his paper (section 2.2) the targets are not 1 and 0 but (N₊ + 1) / (N₊ + 2) and 1 / (N₋ + 2), which keeps a
    finite where the scores separate the classes perfectly.
    """
    if not len(labels):
        return UNFITTED
    count, classes = scores.shape
    centre, spread = float(scores.mean()), _positive(scores.std())
    unit = (scores - centre) / spread
    targets = np.full(scores.shape, 1 / (count * (classes - 1) + 2))
    targets[np.arange(count), labels] = (count + 1) / (count + 2)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = parameters[0] * unit + parameters[1]
        excess = expit(scaled) - targets
        value = float((np.logaddexp(0, scaled) - targets * scaled).sum() / count)
        return value, np.array([(excess * unit).sum(), excess.sum()]) / count

    start = [1.0, -math.log(max(classes - 1, 1))]
    slope, shift = _lowest(loss, start, [(FLATTEST, STEEPEST), (-STEEPEST, STEEPEST)])
    return slope / spread, shift - slope * centre / spread


_FITS: dict[Kind, Callable[[np.ndarray, np.ndarray], tuple[float, float]]] = {
    "temperature": _fit_temperature,
    "platt": _fit_platt,
}


def _lowest(loss: Callable[[np.ndarray], Any], start: list[float], bounds: list[tuple[float, float]]) -> list[float]:
    """Where a loss that gives its gradient too is lowest; it has one minimum."""
    options = {"ftol": 1e-13, "gtol": 1e-9, "maxiter": 200}
    found = minimize(loss, np.array(start), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return [float(value) for value in found.x]


def _positive(spread: float) -> float:
    """A spread to divide by: 1 where all scores are equal."""
    return float(spread) if spread > 0 else 1.0


def _checked(scores: np.ndarray) -> np.ndarray:
    """Scores as float64, in which float32 ones can be squared."""
    wide = np.asarray(scores, np.float64)
    if wide.ndim != 2 or not wide.shape[1]:
        raise ValueError(f"scores of the shape {wide.shape}, expected N×classes")
    if not np.isfinite(wide).all():
        raise ValueError("some scores are NaN or infinite")
    return wide


def _number(stored: Mapping[str, Any], name: str) -> float:
    value = stored.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise ValueError(f"{name} of a calibration: {value!r}, expected a finite number")
    return float(value)
