"""Cross-validated scores → errors over all images, with intervals, and which ranks are real."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from pipeline import catalogue
from pipeline.cross_validation.kept import Kept
from pipeline.evaluation import metrics, significance
from pipeline.evaluation.error_rates import balanced_of, errors_of

COLUMNS = (
    "method title year era top1_error top1_low top1_high top5_error top5_low top5_high balanced_error balanced_low "
    "balanced_high first_place last_place tied_with_best"
).split()


def cross_validated(kept: Kept | None, confidence: float, saw: Collection[str] = ()) -> dict[str, Any] | None:
    """What metrics.json holds of it: None where nothing was cross-validated.

    Every image is scored once, by a model that had not seen it, so that errors are counted over all of them as they are
    over test. The models of two folds share most of their training images: the intervals, which take images for
    independent draws, are a little too narrow, and no estimate of their width is free of that (Bengio & Grandvalet,
    JMLR 2004).

    Args:
        saw: methods that learned from such images before, which have no place.

    Returns:
        `folds`, `images`, `failed`; `methods`: for each its errors in percent, its `place` and `tied_with_best`, both
        as in the summary of test; `eras`: for each that has a method the `chosen` one of each fold and their errors
        (see `stand_in`); `p_equal`: the p-value that both eras err equally often, None where one is missing.
    """
    if kept is None or not kept.scores:
        return None
    ranks = {key: metrics.ranks(scores, kept.labels) for key, scores in kept.scores.items()}
    wrong = {key: found > 0 for key, found in ranks.items()}
    by_seed = {key: {0: found} for key, found in wrong.items()}  # all from the one seed of the folds
    standings = significance.standings(by_seed, confidence, saw)
    classes = next(iter(kept.scores.values())).shape[1]
    eras = {method.era for method in map(catalogue.BY_KEY.__getitem__, wrong)}
    chosen = {era: stand_in(kept, wrong, era) for era in sorted(eras)}
    of_era = {era: _picked(kept, ranks, names) for era, names in chosen.items()}
    both = [of_era[era] > 0 for era in ("hand-crafted", "learned") if era in of_era]
    return {
        "folds": int(kept.folds.max()) + 1,
        "images": len(kept.ids),
        "failed": kept.failed,
        "methods": {
            key: {
                **errors_of(found, classes, confidence),
                **balanced_of(found, kept.labels, classes, confidence),
                "place": standings[key].place,
                "tied_with_best": standings[key].tied_with_best,
            }
            for key, found in ranks.items()
        },
        "eras": {
            era: {"chosen": chosen[era], **errors_of(found, classes, confidence)} for era, found in of_era.items()
        },
        "p_equal": significance.mcnemar(*both) if len(both) == 2 else None,
    }


def stand_in(kept: Kept, wrong: Mapping[str, np.ndarray], era: str) -> list[str]:
    """The method that stands for an era in each fold: the one that errs least on the images of all other folds.

    So no image has a say in which method is counted on it. Of methods that err equally often the oldest stands.

    Args:
        wrong: bool (N,) for each method.
    """
    of_era = [method.key for method in catalogue.by_year(list(wrong)) if method.era == era]
    return [
        min(of_era, key=lambda key: int(wrong[key][kept.folds != fold].sum()))
        for fold in range(int(kept.folds.max()) + 1)
    ]


def _picked(kept: Kept, ranks: Mapping[str, np.ndarray], chosen: list[str]) -> np.ndarray:
    """Of each image the rank of its truth by the method that stands for the era in its fold, int (N,)."""
    return np.array([ranks[chosen[fold]][image] for image, fold in enumerate(kept.folds)])


def rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a method, lowest error first; behind all others those without a place, which saw such images."""
    listed = [
        {
            "method": key,
            "title": catalogue.BY_KEY[key].title,
            "year": catalogue.BY_KEY[key].year,
            "era": catalogue.BY_KEY[key].era,
            **{name: value for name, value in values.items() if name != "place"},
            "first_place": values["place"] and values["place"][0],
            "last_place": values["place"] and values["place"][1],
        }
        for key, values in found["methods"].items()
    ]
    return sorted(listed, key=lambda row: (row["first_place"] is None, row["top1_error"]))
