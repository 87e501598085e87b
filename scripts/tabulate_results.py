"""The tables of measured results: python -m scripts.tabulate_results writes them into README.md and docs/.

They come from reports/published/ and benchmarks/results.json, and stand between `<!-- table: NAME -->` and
`<!-- end -->`; what stands around them is written by hand. Exits with 1 and changes nothing where a file names a table
that does not exist.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pipeline import catalogue
from pipeline.errors import PipelineError
from pipeline.evaluation.robustness import FIFTEEN
from pipeline.report.words import seconds
from pipeline.robustness.change import GROUPS, MOST, NOTHING
from pipeline.robustness.changes import SMALL, changes

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "reports" / "published"
PAGES = ("README.md", "docs/results.md", "docs/costs.md")
BENCHMARKS = ROOT / "benchmarks" / "results.json"
MARKED = re.compile(r"(<!-- table: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
DATASETS = {"cifar10": "CIFAR-10", "mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "objects": "objects (demo)"}
COLUMNS = ["method", "top-1", "top-5", "val", "training", "on", "settings"]
#: Runs that differ in what the training images were augmented with, and in how many copies hand-crafted methods saw.
AUGMENTED = {
    "augmentation-none": "none",
    "augmentation-mirror-shift": "mirror and shift",
    "augmentation-all": "all",
}
LIMITED = "results-*-images"  # where `prepare.train_limit` left fewer
WHAT = {
    "dataset",
    "budget",
    "seed",
    "features",
    "matchers",
    "fusions",
    "networks",
    "pretrained",
    "fine_tuned",
    "ablate.networks",
    "curve.methods",
}  # runs, not how
#: What val chooses, and the families of methods for which it does.
LOOKS: dict[str, set[str]] = {
    "an SVM's C and steps": {"feature", "pretrained"},
    "C, steps, and fusion weights": {"fusion"},
    "learning rate and epoch": {"network", "fine_tuned"},
}
#: The group of each change.
REASONS = {key: change.reason for key, change in changes(SMALL).items()}
Row = dict[str, Any]


def filled(text: str) -> str:
    """A page with its tables written anew.

    Raises:
        PipelineError: it names a table that does not exist.
    """
    for found in MARKED.finditer(text):
        if found["name"] not in TABLES:
            raise PipelineError(f"there is no table `{found['name']}`; there are {', '.join(TABLES)}")
    return MARKED.sub(lambda found: found[1] + TABLES[found["name"]]() + found[3], text)


def overview() -> str:
    """Each method's top-1 error on each data set."""
    return _side_by_side({title: _rows(name, "results") for name, title in DATASETS.items()})


def leaderboard(dataset: str) -> str:
    """Everything measured on a data set with the settings of its table."""
    rows = {row["method"]: row for row in _rows(dataset, "results")}
    return _table([COLUMNS, *(_cells(rows[method.key]) for method in _in_order(rows))])


def sizes() -> str:
    """Top-1 errors on CIFAR-10 by how many images the method learned from."""
    limited = [_rows("cifar10", path.stem) for path in (PUBLISHED / "cifar10").glob(f"{LIMITED}.json")]
    limited.sort(key=lambda rows: rows[0]["train"])
    compared = {row["method"] for rows in limited for row in rows}
    everything = [row for row in _rows("cifar10", "results") if row["method"] in compared]
    return _side_by_side({f"{rows[0]['train']:,}": rows for rows in [*limited, everything]})


def curve(dataset: str, name: str = "curve") -> str:
    """Mean top-1 errors over seeds by the number of labelled images, with the deviation between seeds."""
    rows = _rows(dataset, name)
    sizes, keys = sorted({row["n"] for row in rows}), {row["method"] for row in rows}
    lines = [["method", *(f"{size:,}" for size in sizes)]]
    for method in _in_order(keys):
        cells = [method.title]
        for size in sizes:
            errors = [row["top1_error"] for row in rows if (row["method"], row["n"]) == (method.key, size)]
            spread = f" <sub>± {stdev(errors):.1f}, {len(errors)} seeds</sub>" if len(errors) > 1 else ""
            cells.append(f"{fmean(errors):.1f}{spread}" if errors else "–")
        lines.append(cells)
    return _table(lines)


def robustness(dataset: str, name: str = "robustness") -> str:
    """Top-1 errors on changed test images by reason: the mean over its changes, each the mean over its severities.

    Last, the mean over the fifteen corruptions of ImageNet-C at all five severities, where all were measured.
    """
    rows = _rows(dataset, name)
    there = _reasons(rows)
    lines = [["method", "as they are", *(GROUPS[reason] for reason in there), "fifteen corruptions"]]
    for method in _in_order({row["method"] for row in rows}):
        errors = _by_change(rows, method.key)
        fifteen = [len(errors.get(key, [])) == MOST for key in FIFTEEN]
        cells = _on_changed(rows, method.key, there)
        cells.append(f"{fmean(fmean(errors[key]) for key in FIFTEEN):.1f}" if all(fifteen) else "–")
        lines.append([method.title, *cells])
    return _table(lines)


def augmentation() -> str:
    """Top-1 errors on changed CIFAR-10 test images by what training images were augmented with."""
    runs = {title: _rows("cifar10", f"robustness-{name}") for name, title in AUGMENTED.items()}
    there = _reasons(next(iter(runs.values())))
    lines = [["method", "augmentation in training", "as they are", *(GROUPS[reason] for reason in there)]]
    for method in _in_order({row["method"] for rows in runs.values() for row in rows}):
        lines += [[method.title, title, *_on_changed(rows, method.key, there)] for title, rows in runs.items()]
    return _table(lines)


def others() -> str:
    """What was trained with other settings, or on fewer images."""
    lines = [["data set", *COLUMNS]]
    for dataset, title in DATASETS.items():
        for path in sorted((PUBLISHED / dataset).glob("results-*.json")):
            link = f"[{title}](../{path.relative_to(ROOT)})"
            lines += [[link, *_cells(row)] for row in _rows(dataset, path.stem)]
    return _table(lines)


def trust() -> str:
    """How far to trust a guess on CIFAR-10, and how often images of no class are noticed."""
    rows = {row["method"]: row for row in _rows("cifar10", "trust")}
    kinds = [kind for kind in next(iter(rows.values()))["unlike_training"] if kind != "test"]
    lines = [["method", "top-1", "ECE", "answered at 0.9", "wrong among those", "false alarms", *kinds]]
    for method in _in_order(rows):
        row = rows[method.key]
        sure, noticed = row["at_least_0.9"], row["unlike_training"]
        wrong = "–" if sure["error"] is None else f"{sure['error']:.1f} <sub>{sure['low']:.1f}–{sure['high']:.1f}</sub>"
        found = [f"{noticed[kind]:.1f}" for kind in ("test", *kinds)]
        lines.append([method.title, _error(row), f"{row['ece']:.1f}", f"{sure['answered']:.1f}", wrong, *found])
    return _table(lines)


def ablation() -> str:
    """LeNet-5, modernised, with one thing changed at a time."""
    found = _rows("cifar10", "ablation-lenet5_modern")
    lines = [["changed", "val error", "first layer's gradient ÷ last's"]]
    for row in found["rows"]:
        error = f"{row['error']:.1f} <sub>{row['low']:.1f}–{row['high']:.1f}</sub>"
        lines.append([f"`{row['change']}`" if ":" in row["change"] else row["change"], error, _ratio(row)])
    return _table(lines)


def optimism() -> str:
    """By how much errors on test lie above those on val, which has chosen: in the mean over all published runs."""
    lines = [["data set", "chosen on val", "runs", "val, mean", "test, mean", "test − val", "from", "to"]]
    for dataset, title in DATASETS.items():
        runs = [
            row for path in sorted((PUBLISHED / dataset).glob("results*.json")) for row in _rows(dataset, path.stem)
        ]
        for what, families in LOOKS.items():
            own = [row for row in runs if catalogue.BY_KEY[row["method"]].family in families]
            if not own:
                continue
            gaps = [row["top1_error"] - row["val_top1_error"] for row in own]
            means = [fmean(row[name] for row in own) for name in ("val_top1_error", "top1_error")]
            cells = [f"{value:.2f}" for value in (*means, fmean(gaps), min(gaps), max(gaps))]
            lines.append([title, what, str(len(own)), *cells])
    return _table(lines)


def benchmarks() -> str:
    """Our figure beside each peer's or limit; of the corruptions their median alone."""
    lines = [["what", "ours", "peer's", "peer", "ratio", "goal", "met"]]
    for row in json.loads(BENCHMARKS.read_text(encoding="utf-8")):
        if row["peer"] is None or (row["name"].startswith("corruptions") and row["goal"] is None):
            continue
        goal = "–" if row["goal"] is None else f"{row['goal']:g}"
        met = {None: "–", True: "yes", False: "no"}[row["met"]]
        ours, peer = (f"{_digits(row[name])} {row['unit']}".strip() for name in ("ours", "peer"))
        lines.append([row["name"], ours, peer, row["peer_name"], f"{row['ratio']:.2f}", goal, met])
    return _table(lines)


TABLES: dict[str, Callable[[], str]] = {
    "overview": overview,
    **{name: partial(leaderboard, name) for name in DATASETS},
    **{
        path.stem.replace("curve", f"curve-{name}", 1): partial(curve, name, path.stem)
        for name in DATASETS
        for path in sorted((PUBLISHED / name).glob("curve*.json"))
    },
    **{
        f"robustness-{name}": partial(robustness, name)
        for name in DATASETS
        if (PUBLISHED / name / "robustness.json").is_file()
    },
    "robustness-cifar10-all-images": partial(robustness, "cifar10", "robustness-resnet20-12-epochs"),
    "augmentation": augmentation,
    "sizes": sizes,
    "others": others,
    "trust": trust,
    "ablation": ablation,
    "optimism": optimism,
    "benchmarks": benchmarks,
}


def _rows(dataset: str, name: str) -> Any:
    return json.loads((PUBLISHED / dataset / f"{name}.json").read_text(encoding="utf-8"))


def _reasons(rows: list[Row]) -> list[str]:
    """The groups that have a change among these rows."""
    return [reason for reason in GROUPS if any(REASONS.get(row["change"]) == reason for row in rows)]


def _by_change(rows: list[Row], method: str) -> dict[str, list[float]]:
    """A method's errors on each change, by severity."""
    errors: dict[str, list[float]] = {}
    for row in rows:
        if row["method"] == method:
            errors.setdefault(row["change"], []).append(row["top1_error"])
    return errors


def _on_changed(rows: list[Row], method: str, there: list[str]) -> list[str]:
    """A method's error on images as they are, and its mean over each of these groups."""
    errors = _by_change(rows, method)
    clean = next(row for row in rows if row["method"] == method and row["severity"] == 0)
    cells = [f"{clean['top1_error']:.1f} <sub>{clean['top1_low']:.1f}–{clean['top1_high']:.1f}</sub>"]
    for reason in there:
        means = [fmean(errors[key]) for key in errors if REASONS.get(key) == reason and key != NOTHING]
        cells.append(f"{fmean(means):.1f}" if means else "–")
    return cells


def _in_order(keys: Iterable[str]) -> list[catalogue.Method]:
    """By hand before learned, learned elsewhere last; systems of one feature before fused ones, oldest first."""
    eras = ("hand-crafted", "learned", "pretrained")
    return sorted(catalogue.by_year(keys), key=lambda method: (eras.index(method.era), method.family == "fusion"))


def _side_by_side(columns: dict[str, list[Row]]) -> str:
    """Each method's top-1 error in each of these runs."""
    runs = [{row["method"]: row for row in rows} for rows in columns.values()]
    lines = [["method", *columns]]
    for method in _in_order({key for run in runs for key in run}):
        errors = [_error(run[method.key]) if method.key in run else "–" for run in runs]
        lines.append([f"{method.title} ({method.year})", *errors])
    return _table(lines)


def _cells(row: Row) -> list[str]:
    """Under COLUMNS."""
    top5 = "–" if row["top5_error"] is None else f"{row['top5_error']:.2f}"
    cells = [catalogue.BY_KEY[row["method"]].title, _error(row), top5]
    return [*cells, f"{row['val_top1_error']:.2f}", seconds(row["train_seconds"]), _device(row), _settings(row)]


def _error(row: Row) -> str:
    low, high = row["top1_interval"]
    views = row.get("views", 1)  # older rows are all of one
    notes = [f"{views} views"] if views > 1 else []
    notes += [f"{len(row['seeds'])} seeds"] if len(row["seeds"]) > 1 else []
    return f"{row['top1_error']:.2f} <sub>{low:.2f}–{high:.2f}</sub>" + (f" ({', '.join(notes)})" if notes else "")


def _device(row: Row) -> str:
    return row["device"].removeprefix("cpu: ").removesuffix(", 2 cores").replace("(R)", "").replace(" Processor", "")


def _settings(row: Row) -> str:
    """What its command sets beside the data set and the methods, as far as it concerns this one."""
    words = shlex.split(row["command"].removesuffix("; done"))  # of a loop over seeds
    changes = [words[place + 1] for place, word in enumerate(words) if word == "-S"]
    kept = [change for change in changes if _concerns(row["method"], change.removeprefix("+").split("=", 1)[0])]
    return " ".join(f"`{change}`" for change in kept)


def _concerns(method: str, setting: str) -> bool:
    """Whether a setting can change a method: its own, those of no method, and for a fusion those of features."""
    section = catalogue.BY_KEY.get(setting.split(".", 1)[0])
    if section is None:
        return setting not in WHAT
    return section.key == method or (catalogue.BY_KEY[method].family == "fusion" and section.family == "feature")


def _digits(value: float) -> str:
    """Four of them, or all of a whole number."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _ratio(row: Row) -> str:
    return "–" if row["gradient_ratio"] is None else f"{row['gradient_ratio']:.2g}"


def _table(lines: list[list[str]]) -> str:
    head, *body = lines
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, ["---"] * len(head), *body])


def main() -> int:
    """Write every page; all of them are put together before the first is written."""
    try:
        pages = {ROOT / name: filled((ROOT / name).read_text(encoding="utf-8")) for name in PAGES}
    except PipelineError as error:
        print(error, file=sys.stderr)
        return 1
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
