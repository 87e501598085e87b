"""fuse: results/svm/<members>/ → results/fuse/<fusion>/, models/<fusion>/: late fusion, weights from val."""

from dataclasses import asdict

from pipeline import layout, settings
from pipeline.evaluation.scores import read_cost, read_scores, read_strangeness
from pipeline.models.delivery import Prepared, deliver
from pipeline.models.fusion import Fusion, fit_on_looks, look_together
from pipeline.models.model import Facts, Look
from pipeline.models.recipe import Recipe


def run(key: str) -> None:
    """Fit the weights on the members' scores of val, and fuse those of test."""
    chosen = settings.load()
    recipe, prepared = Recipe.of(chosen, key, "fusion"), Prepared.read()
    splits = {"val": prepared.data.val, "test": prepared.test}
    classes = len(prepared.data.classes)
    folders = {member.key: layout.results_of("feature", member.key) for member in recipe.settings}
    read = {member: read_scores(folder, splits, classes, f"svm@{member}") for member, folder in folders.items()}
    strange = {member: read_strangeness(folder, splits, f"svm@{member}") for member, folder in folders.items()}
    costs = {member: read_cost(folder, f"svm@{member}") for member, folder in folders.items()}
    facts = {member: Facts.of(asdict(cost)) for member, cost in costs.items()}
    before = sum(cost.training_seconds for cost in costs.values())
    found = {
        name: {
            member: Look(read[member][name], strange[member][name], len(split) * costs[member].prediction_seconds)
            for member in folders
        }
        for name, split in splits.items()
    }
    fitted = fit_on_looks(found["val"], facts, splits["val"].labels, before)
    assert isinstance(fitted.model, Fusion)
    test = look_together(fitted.model, fitted.familiarity, found["test"])
    deliver(recipe, chosen.budget, fitted, prepared, test)
