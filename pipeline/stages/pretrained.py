"""pretrained: data/ → results/pretrained/<method>/, models/<method>/: an SVM behind what others' networks see.

Where weights can't be had, the folder says so, and all other methods run on; the next `dvc repro` tries again.
"""

import shutil
from pathlib import Path

import pipeline
from pipeline import layout, settings
from pipeline.data.contract import TrainingData
from pipeline.errors import Unavailable
from pipeline.files import write_json
from pipeline.models.delivery import Prepared, deliver, score_test
from pipeline.models.families import fit
from pipeline.models.feature_svm import FeatureSvm
from pipeline.models.left_out import leave_out, take_in
from pipeline.models.measured import CODE
from pipeline.models.recipe import Recipe
from pipeline.settings import Compute
from pipeline.sights.drawn import write_pictures
from pipeline.sights.networks import kernel_picture
from pipeline.workfolder import work_folder


def run(key: str) -> None:
    """Compute activations, fit the SVM; a killed run goes on after its last finished shard of them."""
    chosen = settings.load()
    recipe, prepared = Recipe.of(chosen, key, "pretrained"), Prepared.read()
    work = _work(recipe, prepared.data, chosen.compute)
    try:
        fitted = fit(recipe, prepared.data, chosen.compute, work)
    except Unavailable as error:
        leave_out(recipe, str(error))
        return
    take_in(recipe)
    model = fitted.model
    assert isinstance(model, FeatureSvm)
    deliver(model.recipe, chosen.budget, fitted, prepared, score_test(fitted, prepared.test))
    folder = layout.results_of("pretrained", key)
    kernels = next((array for array in model.codebook.values() if array.ndim == 4), None)
    write_pictures(folder, [] if kernels is None else [kernel_picture(kernels)])
    copies = 1 + recipe.copies
    described = {
        "dimensions": model.svm.weights.shape[1],
        "training_vectors": copies * len(prepared.data.train),
        "codebook_numbers": model.codebook_numbers,
    }
    write_json(folder / "vectors.json", described)
    shutil.rmtree(work, ignore_errors=True)


def _work(recipe: Recipe, data: TrainingData, compute: Compute) -> Path:
    """Where a killed run leaves its activations: another folder for whatever leads to other ones."""
    package = Path(pipeline.__file__).parent
    return work_folder(
        f"pretrained-{recipe.key}",
        [package / name for name in (*CODE["pretrained"], "randomness.py")],
        parameters=recipe.settings.features.model_dump(),
        splits=data.fingerprint,
        copies=recipe.copies,
        views=recipe.views,
        augmentation=recipe.allowed.model_dump(),
        seed=recipe.seed,
        device=compute.device,
    )
