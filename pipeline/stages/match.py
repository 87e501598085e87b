"""match: data/ → results/match/<matcher>/, models/<matcher>/: compare every image with examples of each class."""

import numpy as np

from pipeline import layout, settings
from pipeline.models import matcher
from pipeline.models.delivery import Prepared, deliver, score_test
from pipeline.models.recipe import Recipe
from pipeline.sights.drawn import write_pictures

SEARCHED = 200  # val images, for the picture of two matched ones


def run(key: str) -> None:
    """Describe the examples, choose the ratio on val, score test once."""
    chosen = settings.load()
    recipe, prepared = Recipe.of(chosen, key, "matcher"), Prepared.read()
    val, test = prepared.data.val, prepared.test
    module, parameters = recipe.method.load(), recipe.settings
    compared = len(parameters.ratios) * len(val) + len(test)
    module.check_size(parameters, len(prepared.data.classes), compared)
    fitted = matcher.fit(recipe, prepared.data, chosen.compute, layout.WORK)
    assert isinstance(fitted.model, matcher.Matcher)
    deliver(recipe, chosen.budget, fitted, prepared, score_test(fitted, test))
    some = np.asarray(val.images[:SEARCHED])
    described = module.describe(some, parameters, chosen.compute.worker_count)
    drawn = module.draw_best(some, described, fitted.model.examples, fitted.model.gallery, parameters)
    write_pictures(layout.results_of("matcher", key), [drawn] if drawn else [])
