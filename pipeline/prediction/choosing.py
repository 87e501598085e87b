"""Which fitted models answer: one by its name, the best on val, or all."""

from __future__ import annotations

from pathlib import Path

from pipeline import catalogue, layout, progress, settings
from pipeline.errors import PipelineError
from pipeline.models.card import Card
from pipeline.models.folder import CARD, Stored, load, read_card
from pipeline.models.recipe import Recipe
from pipeline.settings import Compute
from pipeline.settings.sentences import check_names

ANYWHERE = Compute(device="auto", workers="auto", backend="loky", scheduler=None)  # where there is no params.yaml


def cards_below(folder: Path) -> dict[str, Card]:
    """The cards of all models in a folder, oldest method first; one that can't be read is left out, and named.

    Raises:
        PipelineError: there is none that can be read.
    """
    try:
        found = sorted(path for path in folder.iterdir() if (path / CARD).is_file())
    except OSError:
        found = []
    if not found and (folder / CARD).is_file():
        found = [folder]  # a model's own folder was named
    if not found:
        raise PipelineError(
            f"{folder}: holds no fitted model; run `make repro` (or `dvc repro`) first, or name another folder with "
            "--models"
        )
    cards: dict[str, Card] = {}
    errors: list[PipelineError] = []
    for path in found:
        try:
            cards[path.name] = read_card(path)
        except PipelineError as error:
            errors.append(error)
    if not cards:
        raise errors[0]
    for sentence in map(str, errors):  # one old folder must not keep the others from answering
        progress.say(f"left out: {sentence}")
    return dict(sorted(cards.items(), key=lambda item: (item[1].year, item[0])))


def current(cards: dict[str, Card], folder: Path) -> dict[str, Card]:
    """Of this project's models those of the present run; of any other folder all.

    What was fitted to another data set, or is no longer selected in params.yaml, stays in models/: it must neither be
    the best nor stand beside the others, but can be asked for by its name.

    Raises:
        PipelineError: there is none.
    """
    if folder != layout.MODELS or not layout.PARAMS.is_file():
        return cards
    try:
        chosen = settings.load()
    except PipelineError as error:
        progress.say(f"all models in {folder} count as of this run, since params.yaml can't be read: {error}")
        return cards
    found = {key: card for key, card in cards.items() if key in chosen.selected and card.dataset == chosen.dataset}
    if not found:
        raise PipelineError(
            f"{folder}: holds no model of the methods and the data set ({chosen.dataset}) that {layout.PARAMS} names "
            "now; run `make repro` (or `dvc repro`), or name a model with --method"
        )
    return found


def choose(cards: dict[str, Card], names: list[str], folder: Path) -> list[str]:
    """The folders' names of the models that are asked for.

    Args:
        cards: of all models in the folder.
        names: methods, or `best` (lowest top-1 error on val: test must choose nothing), or `all`.
        folder: where they lie.

    Raises:
        PipelineError: a name is none of them.
    """
    check_names(
        [name for name in names if name not in ("best", "all")], list(cards), str(folder), "--method",
        "a fitted model here",
    )  # fmt: skip
    found: list[str] = []
    for name in names:
        if name == "all":
            found += current(cards, folder)
        elif name == "best":
            now = current(cards, folder)
            found.append(min(now, key=lambda key: now[key].errors["val"].top1_error))
        else:
            found.append(name)
    return list(dict.fromkeys(found))


def load_all(folder: Path, names: list[str], compute: Compute) -> dict[str, Stored]:
    """The models of these folders; what a fusion joins is loaded once.

    Raises:
        PipelineError: a folder can't be used, or they are of different classes or sizes of images.
    """
    loaded: dict[Path, Stored] = {}
    of = {name: folder if (folder / CARD).is_file() else folder / name for name in names}
    stored = {name: load(path, compute, loaded) for name, path in of.items()}
    first, *others = stored.items()
    for name, one in others:
        if (one.card.classes, one.card.image) != (first[1].card.classes, first[1].card.image):
            raise PipelineError(
                f"{folder}: {first[0]} and {name} are of different classes or sizes of images; ask for them one by one "
                "with --method"
            )
    return stored


def compute_here() -> Compute:
    """How params.yaml wants this machine to be used, where there is one that can be read."""
    try:
        return settings.load().compute
    except PipelineError:
        return ANYWHERE


def changes_since(cards: dict[str, Card]) -> list[str]:
    """What params.yaml says otherwise than the cards of this project's models, a sentence a model."""
    if not layout.PARAMS.is_file():
        return []
    try:
        chosen = settings.load()
        return [sentence for key, card in cards.items() if (sentence := _changed(chosen, key, card))]
    except PipelineError:
        return []


def _changed(chosen: settings.Settings, key: str, card: Card) -> str:
    now: dict[str, object] = {"dataset": chosen.dataset, "budget": chosen.budget, "seed": chosen.seed}
    before: dict[str, object] = {"dataset": card.dataset, "budget": card.budget, "seed": card.seed}
    if chosen.dataset == card.dataset:
        try:
            recipes = Recipe.of(chosen, key, catalogue.BY_KEY[key].family).at_each_side()
        except PipelineError:
            return ""
        before[key], possible = card.settings, [one.settings_as_json() for one in recipes]
        now[key] = card.settings if card.settings in possible else possible[0]  # val chose one of these
        now["refit"], before["refit"] = chosen.refit, card.refit
    found = [text for name in now for text in _differences(name, before[name], now[name])]
    if not found:
        return ""
    return (
        f"models/{key} was fitted with other settings than params.yaml has now ({'; '.join(found[:5])}"
        f"{' …' if len(found) > 5 else ''}); it scores as it was fitted, and `dvc repro` fits it anew"
    )


def _differences(name: str, before: object, now: object) -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        return [text for key in before | now for text in _differences(f"{name}.{key}", before.get(key), now.get(key))]
    return [] if before == now else [f"{name} was {before!r} and is {now!r}"]
