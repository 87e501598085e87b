"""codebook: what a feature must learn from train first → codebooks/<feature>/ (empty for most)."""

from pipeline import layout, settings
from pipeline.data.contract import load_training_data
from pipeline.files import write_arrays, write_json
from pipeline.models.feature_vectors import learn_codebook
from pipeline.models.recipe import Recipe


def run(key: str) -> None:
    """Learn one feature's codebook."""
    chosen = settings.load()
    codebook, seconds = learn_codebook(Recipe.of(chosen, key, "feature"), load_training_data(), chosen.compute)
    folder = layout.CODEBOOKS / key
    write_arrays(folder / "codebook.npz", **codebook)
    write_json(folder / "cost.json", {"training_seconds": seconds})
