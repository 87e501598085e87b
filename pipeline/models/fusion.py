"""Late fusion: fitted models whose scores are summed with weights; the weights are fitted on val."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from pipeline import catalogue
from pipeline.classifiers.fusion import fit_weights, fuse
from pipeline.data.contract import TrainingData
from pipeline.evaluation.metrics import top_k_error
from pipeline.models import feature_svm
from pipeline.models.model import Facts, Fitted, Model
from pipeline.models.recipe import Recipe
from pipeline.settings import Compute


@dataclass(frozen=True)
class Fusion(Model):
    """A weighted sum of members' scores.

    Attributes:
        weights: of each member, by its key.
        members: the members themselves; a fusion of scores that were made before needs none.
        costs: what is known of each member.
    """

    weights: dict[str, float]
    members: Mapping[str, Model]
    costs: Mapping[str, Facts]
    batch: ClassVar[int] = 1024

    def score_batch(self, images: np.ndarray) -> np.ndarray:
        """See Model; each member scores in its own batches."""
        return self.combine({key: self.members[key].scores(images) for key in self.weights})

    def combine(self, scores: Mapping[str, np.ndarray]) -> np.ndarray:
        """Fuse the members' scores, float32 (N, classes) each."""
        return fuse([scores[key] for key in self.weights], np.array(list(self.weights.values())))

    def embed(self, images: np.ndarray) -> np.ndarray:
        """See Model: the members' embeddings one after the other, each of length 1."""
        found = [member.embed(images) for member in self.members.values()]
        return np.concatenate([one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-12) for one in found], 1)

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights, in double precision."""
        return {"weights": np.array(list(self.weights.values()), np.float64)}

    def facts(self) -> Facts:
        """Of all members together."""
        facts = list(self.costs.values())
        return Facts(
            bytes=self.nbytes + sum(one.bytes for one in facts),
            parameters=sum(one.parameters for one in facts) + len(self.weights),
            multiply_adds=None,
            device=facts[0].device,
            precision=facts[0].precision,
            threads=facts[0].threads,
            views=max(one.views for one in facts),
        )


def restore(recipe: Recipe, arrays: dict[str, np.ndarray], members: Mapping[str, Model]) -> Fusion:
    """A model from what `arrays` gave, and its members.

    Raises:
        KeyError, ValueError: the weights are missing, or of another number of members.
    """
    weights = dict(zip(members, arrays["weights"].tolist(), strict=True))
    return Fusion(weights, members, {key: member.facts() for key, member in members.items()})


def fit_on_scores(
    scores: Mapping[str, np.ndarray],
    costs: Mapping[str, Facts],
    labels: np.ndarray,
    seconds_before: float,
    members: Mapping[str, Model] | None = None,
) -> Fitted:
    """The weights, from the members' scores of val.

    Args:
        scores: float32 (N, classes) of each member, by its key.
        costs: what is known of each.
        labels: int (N,).
        seconds_before: what fitting the members took.
        members: themselves; without them the model can combine scores, and not score images.
    """
    started = time.perf_counter()
    weights = fit_weights(list(scores.values()), labels)
    seconds = time.perf_counter() - started
    named = {key: float(weight) for key, weight in zip(scores, weights, strict=True)}
    model = Fusion(named, members or {}, costs)
    fused = model.combine(scores)
    text = ", ".join(f"{catalogue.BY_KEY[key].title} {weight:.2f}" for key, weight in named.items())
    tried = {
        "candidate": f"weights by likelihood on val: {text}",
        "value": None,
        "val_error": top_k_error(fused, labels, 1),
        "chosen": True,
    }
    return Fitted(model, fused, [tried], seconds_before + seconds)


def fit(recipe: Recipe, data: TrainingData, compute: Compute, work: Path) -> Fitted:
    """Fit every member, then the weights."""
    fitted = {member.key: feature_svm.fit(member, data, compute, work / member.key) for member in recipe.settings}
    members = {key: one.model for key, one in fitted.items()}
    scores = {key: one.val_scores for key, one in fitted.items()}
    facts = {key: model.facts() for key, model in members.items()}
    seconds = sum(one.training_seconds for one in fitted.values())
    return fit_on_scores(scores, facts, data.val.labels, seconds, members)
