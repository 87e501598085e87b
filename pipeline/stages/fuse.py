"""fuse: results/svm/<members>/ → results/fuse/<fusion>/: late fusion, weights from val."""

import time

from pipeline import catalogue, layout, settings
from pipeline.classifiers.fusion import fit_weights, fuse
from pipeline.data.contract import load_manifest, load_split
from pipeline.evaluation.metrics import top_k_error
from pipeline.evaluation.scores import Cost, read_cost, read_scores, write_result
from pipeline.files import write_json


def run(key: str) -> None:
    """Fit the weights on val, score val and test."""
    chosen = settings.load()
    members = chosen.members(key)
    classes = len(load_manifest()["classes"])
    splits = {name: load_split(name) for name in ("val", "test")}
    folders = {member: layout.results_of("feature", member) for member in members}
    read = {member: read_scores(folder, splits, classes, f"svm@{member}") for member, folder in folders.items()}
    costs = [read_cost(folder, f"svm@{member}") for member, folder in folders.items()]

    started = time.perf_counter()
    weights = fit_weights([read[member]["val"] for member in members], splits["val"].labels)
    seconds = time.perf_counter() - started
    scores = {name: fuse([read[member][name] for member in members], weights) for name in splits}

    folder = layout.results_of("fusion", key)
    named = {member: float(weight) for member, weight in zip(members, weights, strict=True)}
    write_json(folder / "weights.json", named)
    cost = Cost(
        training_seconds=sum(cost.training_seconds for cost in costs) + seconds,
        prediction_seconds=sum(cost.prediction_seconds for cost in costs),
        bytes=sum(cost.bytes for cost in costs),
        parameters=sum(cost.parameters for cost in costs) + len(weights),
        multiply_adds=None,
        device=costs[0].device,
        precision=costs[0].precision,
        threads=costs[0].threads,
        views=max(cost.views for cost in costs),
    )
    text = ", ".join(f"{catalogue.BY_KEY[member].title} {weight:.2f}" for member, weight in named.items())
    tried = {
        "candidate": f"weights by likelihood on val: {text}",
        "value": None,
        "val_error": top_k_error(scores["val"], splits["val"].labels, 1),
        "chosen": True,
    }
    write_result(folder, scores, splits, cost, [tried])
