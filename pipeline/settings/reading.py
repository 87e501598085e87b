"""From the file to settings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ruamel.yaml.error import YAMLError

from pipeline import catalogue, layout
from pipeline.errors import PipelineError
from pipeline.files import parse_yaml
from pipeline.settings.base import BUDGETS
from pipeline.settings.data import DATASETS, Dataset
from pipeline.settings.project import Settings
from pipeline.settings.sentences import check_names, validated, wrong_name


def load(path: Path = layout.PARAMS) -> Settings:
    """Read and validate params.yaml.

    Raises:
        PipelineError: one sentence with the key's path, what was found, what is allowed, the nearest right name.
    """
    where = str(path)
    raw = _for_budget(_read(path), where)
    _check_finite(raw, where, ())
    methods = {key: raw.pop(key) for key in list(raw) if key in catalogue.BY_KEY}
    check_names(raw, [*Settings.model_fields, *catalogue.BY_KEY], where, "", "a key here")
    for reserved in ("path", "methods"):
        if reserved in raw:
            raise PipelineError(f"{where}: `{reserved}` is not a known key")
    _check_datasets(raw, where)
    settings = validated(Settings, {**raw, "path": where, "methods": {}}, where, ())
    for key, mapping in methods.items():
        if not isinstance(mapping, dict):
            raise PipelineError(f"{where}: `{key}` is {mapping!r}; allowed: a mapping of its settings")
    settings = settings.model_copy(update={"methods": methods})
    _check_selection(settings)
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PipelineError(f"{path} is missing; run this from the project's folder") from error
    except OSError as error:
        raise PipelineError(f"{path} cannot be read ({error.strerror})") from error
    except (YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise PipelineError(f"{path} is not valid YAML: {reason}") from error
    if not isinstance(raw, dict):
        raise PipelineError(f"{path} holds no settings: it must be a mapping of keys to values")
    return raw


def _for_budget(raw: dict[str, Any], where: str) -> dict[str, Any]:
    """Replace every mapping of the three budgets by the chosen budget's value."""
    budget = raw.get("budget")
    if budget not in BUDGETS:
        raise PipelineError(wrong_name(where, "budget", budget, BUDGETS, "a budget"))

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if set(value) == set(BUDGETS):
                return value[budget]
            return {key: resolve(inner) for key, inner in value.items()}
        return value

    resolved: dict[str, Any] = resolve(raw)
    return resolved


def _check_finite(value: Any, where: str, location: tuple[str, ...]) -> None:
    """YAML knows .inf and .nan, and no setting means either."""
    if isinstance(value, float) and not math.isfinite(value):
        raise PipelineError(f"{where}: `{'.'.join(location)}` is {value}; allowed: a finite number")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        _check_finite(inner, where, (*location, str(key)))


def _check_datasets(raw: dict[str, Any], where: str) -> None:
    datasets = raw.get("datasets")
    if not isinstance(datasets, dict) or not datasets:
        raise PipelineError(f"{where}: `datasets` is {datasets!r}; allowed: a mapping of names to data sets")
    sources: dict[str, type[Dataset]] = {
        model.model_fields["source"].annotation.__args__[0]: model  # type: ignore[union-attr]
        for model in DATASETS
    }
    for name, dataset in datasets.items():
        place = f"datasets.{name}"
        if not isinstance(dataset, dict):
            raise PipelineError(f"{where}: `{place}` is {dataset!r}; allowed: a mapping of its settings")
        check_names([dataset.get("source")], list(sources), where, f"{place}.source", "a source")
        validated(sources[dataset["source"]], dataset, where, ("datasets", name))
    check_names([raw.get("dataset")], list(datasets), where, "dataset", "a data set")


def _no_repeats(names: list[str], where: str, key: str) -> None:
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise PipelineError(f"{where}: `{key}` names {repeated[0]} twice; name it once")


def _check_selection(settings: Settings) -> None:
    families: tuple[tuple[str, catalogue.Family], ...] = (
        *((name, family) for family, name in catalogue.SELECTED_BY.items()),
        ("ablate.networks", "network"),
    )
    _no_repeats(settings.curve.methods, settings.path, "curve.methods")
    for key, family in families:
        names: list[str] = settings.ablate.networks if key == "ablate.networks" else getattr(settings, key)
        check_names(names, catalogue.keys(family), settings.path, key, f"a {family}")
        _no_repeats(names, settings.path, key)
        for name in names:
            if name not in settings.methods:
                raise PipelineError(f"{settings.path}: `{key}` selects {name}, but the mapping `{name}` is missing")
    if not settings.selected:
        raise PipelineError(
            f"{settings.path}: `features`, `matchers`, `networks`, `pretrained` and `fine_tuned` are empty; "
            "select at least one method"
        )
