"""cnn: data/ → results/cnn/<network>/, models/<network>/: train one network, its learning rate chosen on val."""

import shutil

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
from pipeline.training.record import record


def run(key: str) -> None:
    """Try each learning rate briefly, train in full with the best; a killed run goes on after its last epoch."""
    chosen = settings.load()
    with together(pick_device(chosen.compute.device)) as processes:
        _run(key, chosen, processes)


def _run(key: str, chosen: Settings, processes: Processes) -> None:
    recipe, prepared = Recipe.of(chosen, key, "network"), Prepared.read()
    work = training_work(f"cnn-{key}", recipe, prepared.data, chosen.compute)
    fitted = fit(recipe, prepared.data, chosen.compute, work, processes)
    test = score_test(fitted, prepared.test)
    if not processes.first:
        return
    assert isinstance(fitted.model, Network)
    folder = layout.results_of("network", key)
    shutil.rmtree(folder, ignore_errors=True)
    write_json(folder / "layers.json", table_as_dicts(fitted.model.network, fitted.model.image_shape))
    differs = variant(key, recipe.settings, fitted.model.image_shape)
    write_json(folder / "architecture.json", {"network": key, "variant": differs})
    record(folder, fitted.history)
    deliver(recipe, chosen.budget, fitted, prepared, test)
    shutil.rmtree(work, ignore_errors=True)
