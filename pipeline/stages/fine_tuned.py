"""fine_tuned: data/ → results/fine_tuned/<method>/, models/<method>/: a network goes on from where others left it.

Where the weights can't be had, the folder says so, and all other methods run on; the next `dvc repro` tries again.
"""

import numpy as np

from pipeline import layout, settings
from pipeline.device import pick_device
from pipeline.errors import Unavailable
from pipeline.models.delivery import Prepared
from pipeline.models.left_out import leave_out
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
            model = train_and_deliver(recipe, Prepared.read(), chosen, processes)
        except Unavailable as error:
            if processes.first:
                leave_out(recipe, str(error))
            return
    if model is None:
        return
    kernels: np.ndarray | None = first_kernels(model.network)
    write_pictures(layout.results_of("fine_tuned", key), [] if kernels is None else [kernel_picture(kernels)])
