"""svm: features/<feature>/ → results/svm/<feature>/, models/<feature>/: the SVM behind one feature, tuned on val."""

from pipeline import layout, settings
from pipeline.classifiers.vectors import Vectors, open_vectors
from pipeline.context import Codebook
from pipeline.errors import PipelineError
from pipeline.files import read_arrays, read_json, write_json
from pipeline.models.delivery import Prepared, deliver, score_test
from pipeline.models.feature_svm import FeatureSvm, fit_classifier
from pipeline.models.recipe import Recipe


def run(key: str) -> None:
    """Fit one SVM per candidate, keep the solution on the way with the lowest error on val, score test once."""
    chosen = settings.load()
    recipe, prepared = Recipe.of(chosen, key, "feature"), Prepared.read()
    codebook = read_arrays(layout.CODEBOOKS / key / "codebook.npz", f"codebook@{key}")
    vectors = {name: _open(key, name, codebook) for name in ("train", "val")}
    before = sum(
        read_json(folder / key / "cost.json", f"{stage}@{key}")["training_seconds"]
        for folder, stage in ((layout.CODEBOOKS, "codebook"), (layout.FEATURES, "features"))
    )
    fitted = fit_classifier(recipe, codebook, vectors, prepared.data, chosen.compute, before)
    deliver(recipe, chosen.budget, fitted, prepared, score_test(fitted, prepared.test))
    assert isinstance(fitted.model, FeatureSvm)
    described = {
        "dimensions": fitted.model.svm.weights.shape[1],
        "training_vectors": vectors["train"].shape[0],
        "codebook_numbers": fitted.model.codebook_numbers,
    }
    write_json(layout.results_of("feature", key) / "vectors.json", described)  # for the report's table of descriptors


def _open(key: str, split: str, codebook: Codebook) -> Vectors:
    path = layout.FEATURES / key / f"{split}.npy"
    try:
        return open_vectors(path, codebook)
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise PipelineError(f"{path}: cannot be read ({error}); rerun the stage features@{key}") from error
