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
from pipeline.models.familiarity import Familiarity
from pipeline.models.fitted import Fitted
from pipeline.models.model import Facts, Look, Model, Seen
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

    def see(self, images: np.ndarray) -> Seen:
        """See Model; the members' embeddings stand one after the other, each of length 1."""
        batches = {key: list(self.members[key].batches(images)) for key in self.weights}
        scores = {key: np.concatenate([seen.scores for seen in found]) for key, found in batches.items()}
        embedded = [np.concatenate([seen.embedding for seen in found]) for found in batches.values()]
        return Seen(self.combine(scores), np.concatenate([normalised(one) for one in embedded], axis=1))

    def combine(self, scores: Mapping[str, np.ndarray]) -> np.ndarray:
        """Fuse the members' scores, float32 (N, classes) each."""
        return fuse([scores[key] for key in self.weights], np.array(list(self.weights.values())))

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


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Each row with length 1, float32 (N, d)."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def restore(recipe: Recipe, arrays: dict[str, np.ndarray], members: Mapping[str, Model]) -> Fusion:
    """A model from what `arrays` gave, and its members.

    Raises:
        KeyError, ValueError: the weights are missing, or of another number of members.
    """
    weights = dict(zip(members, arrays["weights"].tolist(), strict=True))
    return Fusion(weights, members, {key: member.facts() for key, member in members.items()})


def look_together(fusion: Fusion, familiarity: Familiarity, members: Mapping[str, Look]) -> Look:
    """What a fusion finds, from what its members found in the same images.

    Args:
        members: by their keys; others are passed over.
    """
    found = {key: members[key] for key in fusion.weights}
    started = time.perf_counter()
    scores = fusion.combine({key: one.scores for key, one in found.items()})
    seconds = time.perf_counter() - started + sum(one.seconds for one in found.values())
    strange = familiarity.strangeness_of_fusion(scores, {key: one.strangeness for key, one in found.items()})
    return Look(scores, strange, seconds)


def fit_on_looks(
    looks: Mapping[str, Look],
    costs: Mapping[str, Facts],
    labels: np.ndarray,
    seconds_before: float,
    members: Mapping[str, Fitted] | None = None,
) -> Fitted:
    """The weights, from what the members found in val.

    Args:
        looks: of each member, by its key.
        costs: what is known of each.
        labels: int (N,).
        seconds_before: what fitting the members took.
        members: themselves; without them the model can combine scores, and not score images.
    """
    scores = {key: one.scores for key, one in looks.items()}
    known = members or {}
    started = time.perf_counter()
    weights = fit_weights(list(scores.values()), labels)
    seconds = time.perf_counter() - started
    named = {key: float(weight) for key, weight in zip(scores, weights, strict=True)}
    model = Fusion(named, {key: one.model for key, one in known.items()}, costs)
    fused = model.combine(scores)
    text = ", ".join(f"{catalogue.BY_KEY[key].title} {weight:.2f}" for key, weight in named.items())
    tried = {
        "candidate": f"weights by likelihood on val: {text}",
        "value": None,
        "val_error": top_k_error(fused, labels, 1),
        "chosen": True,
    }
    familiarity, strange = Familiarity.of_fusion(fused, {key: one.strangeness for key, one in looks.items()})
    return Fitted(model, fused, familiarity, strange, [tried], seconds_before + seconds, members=known)


def fit(recipe: Recipe, data: TrainingData, compute: Compute, work: Path) -> Fitted:
    """Fit every member, then the weights."""
    from pipeline.models import feature_svm  # PyTorch takes seconds to import, and only this needs it

    fitted = {member.key: feature_svm.fit(member, data, compute, work / member.key) for member in recipe.settings}
    looks = {key: Look(one.val_scores, one.val_strangeness, 0.0) for key, one in fitted.items()}
    facts = {key: one.model.facts() for key, one in fitted.items()}
    seconds = sum(one.training_seconds for one in fitted.values())
    return fit_on_looks(looks, facts, data.val.labels, seconds, fitted)
