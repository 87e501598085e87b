"""The answer in a few sentences, made from the numbers; it says so when nothing is decided."""

from __future__ import annotations

from typing import Any

from pipeline import catalogue
from pipeline.evaluation import significance
from pipeline.evaluation.over_seeds import runs_of
from pipeline.evaluation.results import Outcome, Result
from pipeline.evaluation.summary import titled
from pipeline.report.curves import answer_of
from pipeline.report.words import milliseconds, p_value, seconds, tenths

CLEARLY = 1.2  # times another's seconds: less may be the noise of a machine


def best_of(results: list[Result], summary: dict[str, Any], era: str) -> Result | None:
    """The method that stands for an era: the one with the lowest top-1 error on val, or mean over each seed's val.

    Chosen on test it would be the luckiest of its era, and an era with more methods would have more luck.
    """
    of_era = [result for result in results if result.method.era == era]
    return min(of_era, key=lambda result: val_error(summary, result.method.key), default=None)


def error_of(summary: dict[str, Any], result: Result) -> float:
    """Top-1 test error in percent."""
    return float(summary["methods"][result.method.key]["test"]["top1_error"])


def val_error(summary: dict[str, Any], key: str) -> float:
    """Top-1 error on val in percent, the mean over seeds."""
    if summary["seeds"]:
        return float(summary["seeds"]["methods"][key]["val_error"])
    return float(summary["methods"][key]["val"]["top1_error"])


def answer(summary: dict[str, Any], outcome: Outcome) -> list[str]:
    """From how many images on which era wins here; with all of them, by how much, how surely, at what cost."""
    first = answer_of(summary["curve"], summary["confidence"]) if summary["curve"] else []
    verdict, *rest = _at_full_size(summary, outcome)
    if first:
        verdict = f"With all images: {verdict[0].lower()}{verdict[1:]}"
    return [*first, verdict, *_elsewhere(summary, outcome), *rest]


def _at_full_size(summary: dict[str, Any], outcome: Outcome) -> list[str]:
    """Of the fitted models: which era wins, or that only one was selected."""
    old, new = (best_of(outcome.results, summary, era) for era in ("hand-crafted", "learned"))
    if old is None or new is None:
        one = old or new
        if one is None:
            return ["Only features that were learned from other images have a result here.", *_skew(summary)]
        missing = "learned" if one is old else "hand-crafted"
        if any(catalogue.BY_KEY[key].era == missing for key in summary["failed"]):
            why = f"No {missing} method has a result that can be used"
        else:
            why = f"Only {one.method.era} methods were selected; select methods of both eras to compare them"
        return [f"{why}. The best on val, {_with_interval(summary, one)}.", *_skew(summary)]
    winner, loser = sorted((old, new), key=lambda result: error_of(summary, result))
    runs = runs_of(outcome, summary["seed"])
    p = significance.p_equal(runs[winner.method.key].wrong, runs[loser.method.key].wrong)
    test = paired_test(summary)
    points = f"{tenths(error_of(summary, loser) - error_of(summary, winner))} points"
    both = f"{_with_interval(summary, winner)}; {_with_interval(summary, loser)}"
    if p < 1 - summary["confidence"]:
        verdict = (
            f"The {'networks' if winner is new else 'hand-crafted features'} win here, by {points}: {both}. "
            f"The difference on the same images is more than chance ({test}, p {p_value(p)}). "
            "Each era is represented by its best method on val."
        )
    else:
        verdict = (
            f"Nothing is decided here: {both}. "
            f"A difference like this on the same images can be chance ({test}, p {p_value(p)}); "
            f"more test images{' or seeds' if summary['seeds'] else ''} would tell.{_cheaper(summary, old, new)}"
        )
    return [verdict, *_cross_validated(summary), *_skew(summary), _price(summary, old, new)]


def _elsewhere(summary: dict[str, Any], outcome: Outcome) -> list[str]:
    """What features do that were learned from other images; they take no part in the verdict."""
    third = best_of(outcome.results, summary, "pretrained")
    if third is None:
        return []
    origin = summary["methods"][third.method.key]["learned_from"]
    cost = summary["methods"][third.method.key]["cost"]
    told = (
        f"{_with_interval(summary, third)}; its features were learned from {origin['images']}. It took "
        f"{seconds(cost['training_seconds'])} to train and takes {milliseconds(cost['prediction_ms'])} an image"
    )
    if origin["saw_these"]:
        return [
            f"Beside them, {told}. Some of these test images, or all, were among those: its error says nothing about "
            "new photographs, and it wins nothing here."
        ]
    alone = [result for result in outcome.results if result.method.era != "pretrained"]
    if not alone:
        return [f"{told}. No method that learned from these images alone was selected, to compare it with."]
    best = min(alone, key=lambda result: val_error(summary, result.method.key))
    runs = runs_of(outcome, summary["seed"])
    p = significance.p_equal(runs[third.method.key].wrong, runs[best.method.key].wrong)
    difference = error_of(summary, best) - error_of(summary, third)
    if p >= 1 - summary["confidence"]:
        verdict = f"It can't be told from {best.method.title}"
    else:
        less = "less" if difference > 0 else "more"
        verdict = f"It errs {less} than {best.method.title}, by {tenths(abs(difference))} points"
    test = f"{paired_test(summary)}, p {p_value(p)}"
    return [f"Beside them, {told}. {verdict} ({test}). What it saw may be like these images."]


def paired_test(summary: dict[str, Any]) -> str:
    """The name of the test that tells two methods apart."""
    return "a paired t test over test images and seeds" if summary["seeds"] else "McNemar's test"


def _with_interval(summary: dict[str, Any], result: Result) -> str:
    test, seeds = summary["methods"][result.method.key]["test"], summary["seeds"]
    count = len(seeds["methods"][result.method.key]["test"]) if seeds else 1
    return (
        f"{titled(result.method.key, result.cost.views)} errs on {tenths(test['top1_error'])} % of the test images"
        f"{f' in the mean of {count} seeds' if count > 1 else ''} "
        f"({100 * summary['confidence']:.0f} % interval {tenths(test['top1_low'])} to {tenths(test['top1_high'])})"
    )


def _cross_validated(summary: dict[str, Any]) -> list[str]:
    """The eras over all images, each of which was test once."""
    found = summary["cross_validation"]
    if not found or found["p_equal"] is None:
        return []
    eras, p = found["eras"], found["p_equal"]
    old, new = _era(eras["hand-crafted"], "The best hand-crafted method"), _era(eras["learned"], "the best network")
    networks_lead = eras["learned"]["top1_error"] < eras["hand-crafted"]["top1_error"]
    if p < 1 - summary["confidence"]:
        verdict = f"So the {'networks' if networks_lead else 'hand-crafted features'} win on all images"
    else:
        verdict = "So nothing is decided on all images either, and more of them would tell"
    return [
        f"Test has only {summary['images']['test']:,} images, so each of all {found['images']:,} was test once "
        f"(cross-validation in {found['folds']} folds: it was scored by models that had not seen it). "
        f"{old}, and {new}. {verdict} (McNemar's test, p {p_value(p)}). "
        "The best method for a fold was chosen on the other folds."
    ]


def _era(values: dict[str, Any], name: str) -> str:
    """One era's error over all images, and which methods stood for it."""
    titles = dict.fromkeys(catalogue.BY_KEY[key].title for key in values["chosen"])
    return (
        f"{name} ({' or '.join(titles)}) errs on {tenths(values['top1_error'])} % "
        f"({tenths(values['top1_low'])} to {tenths(values['top1_high'])})"
    )


def _skew(summary: dict[str, Any]) -> list[str]:
    """Where classes differ in size: what always guessing the largest would give."""
    sizes = summary["class_sizes"]
    if not sizes["skewed"]:
        return []
    best = min(values["test"]["top1_error"] for values in summary["methods"].values())
    beaten = "" if best < sizes["majority"]["test"] else ", and no method errs less"
    return [
        f"The largest class has {tenths(sizes['ratio'])} times as many training images as the smallest. Always "
        f"guessing the largest, {sizes['majority']['class']}, errs on {tenths(sizes['majority']['test'])} % of the "
        f"test images{beaten}; in the balanced error each class counts the same."
    ]


def _cheaper(summary: dict[str, Any], old: Result, new: Result) -> str:
    """Which of two that can't be told apart clearly costs less on the same device; "" where none does."""
    costs = {result.method.title: summary["methods"][result.method.key]["cost"] for result in (old, new)}
    if len({(cost["device"], cost["threads"]) for cost in costs.values()}) > 1:
        return ""
    least = {
        what: min(costs, key=lambda title: costs[title][name])
        for what, name in (("train", "training_seconds"), ("use", "prediction_ms"))
        if max(cost[name] for cost in costs.values()) > CLEARLY * min(cost[name] for cost in costs.values())
    }
    if len(least) < 2:
        return ""
    if least["train"] == least["use"]:
        return f" {least['train']} is the cheaper of the two, to train and to use."
    return f" {least['train']} is cheaper to train, and {least['use']} to use."


def _price(summary: dict[str, Any], old: Result, new: Result) -> str:
    a, b = (summary["methods"][result.method.key]["cost"] for result in (old, new))
    times = [(seconds(cost["training_seconds"]), milliseconds(cost["prediction_ms"])) for cost in (a, b)]
    return (
        f"{old.method.title} took {times[0][0]} to train and takes {times[0][1]} an image; "
        f"{new.method.title} took {times[1][0]} and takes {times[1][1]} "
        f"({a['device'] if a['device'] == b['device'] else a['device'] + ' and ' + b['device']}; tuning included, "
        "prediction in batches)."
    )
