"""fine_tuned: data/ → results/fine_tuned/<method>/, models/<method>/: a network goes on from where others left it.

Where the weights can't be had, the folder says so, and all other methods run on; the next `dvc repro` tries again.
"""

from pathlib import Path

from pipeline import settings
from pipeline.device import pick_device
from pipeline.errors import Unavailable
from pipeline.models.delivery import Prepared
from pipeline.models.left_out import leave_out
from pipeline.models.network import Network
from pipeline.models.recipe import Recipe
from pipeline.sights.drawn import write_pictures
from pipeline.sights.networks import first_kernels, kernel_picture
from pipeline.stages.cnn import train_and_deliver
from pipeline.training.processes import together


def run(key: str) -> None:
    """Try each learning rate briefly, train in full with the best; a killed run goes on after its last epoch."""
    chosen = settings.load()
    recipe = Recipe.of(chosen, key, "fine_tuned")
    with together(pick_device(chosen.compute.device)) as processes:
        try:
            train_and_deliver(recipe, Prepared.read(), chosen, processes, _draw)
        except Unavailable as error:
            if processes.first:
                leave_out(recipe, str(error))


def _draw(model: Network, folder: Path) -> None:
    kernels = first_kernels(model.network)
    write_pictures(folder, [] if kernels is None else [kernel_picture(kernels)])
