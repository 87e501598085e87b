"""cnn: data/ → results/cnn/<network>/, models/<network>/: train one network, its learning rate chosen on val."""

import shutil
from collections.abc import Callable
from pathlib import Path

from pipeline import layout, settings
from pipeline.device import pick_device
from pipeline.files import write_json
from pipeline.models.delivery import Prepared, deliver, score_test
from pipeline.models.network import Network, fit, training_work
from pipeline.models.recipe import Recipe
from pipeline.networks.parts.counting import table_as_dicts
from pipeline.networks.parts.variants import variant
from pipeline.settings import Settings
from pipeline.training.processes import Processes, together
from pipeline.training.record import Record


def run(key: str) -> None:
    """Try each learning rate briefly, train in full with the best; a killed run goes on after its last epoch."""
    chosen = settings.load()
    with together(pick_device(chosen.compute.device)) as processes:
        train_and_deliver(Recipe.of(chosen, key, "network"), Prepared.read(), chosen, processes)


def train_and_deliver(
    recipe: Recipe,
    prepared: Prepared,
    chosen: Settings,
    processes: Processes,
    draw: Callable[[Network, Path], None] = lambda network, folder: None,
) -> None:
    """Train a network of any start and write all that is known of it; only the first process writes.

    Args:
        draw: called with the network and the folder of its results, before checkpoints are removed.

    Raises:
        Unavailable: weights that it starts from can't be had.
    """
    work = training_work(
        f"{layout.FAMILY_FOLDER[recipe.method.family]}-{recipe.key}", recipe, prepared.data, chosen.compute
    )
    folder = layout.results_of(recipe.method.family, recipe.key)
    curves = Record(folder)
    if processes.first:
        shutil.rmtree(folder, ignore_errors=True)  # as DVC does, so that curves never lie beside another run's scores
    fitted = fit(recipe, prepared.data, chosen.compute, work, processes, watch=curves)
    test = score_test(fitted, prepared.test)
    if not processes.first:
        return
    model = fitted.model
    assert isinstance(model, Network)
    write_json(folder / "layers.json", table_as_dicts(model.network, model.image_shape))
    differs = variant(recipe.key, recipe.settings, model.image_shape)
    write_json(folder / "architecture.json", {"network": recipe.key, "variant": differs})
    curves.close(fitted.history)
    draw(model, folder)
    deliver(recipe, chosen.budget, fitted, prepared, test)
    shutil.rmtree(work, ignore_errors=True)
