"""features: one feature of the images of train, with their augmented copies, and of val → features/<feature>/."""

from pipeline import layout, settings
from pipeline.data.contract import load_training_data
from pipeline.features.extraction import Shards
from pipeline.files import read_arrays, write_json
from pipeline.models.feature_vectors import extract, extraction_work
from pipeline.models.recipe import Recipe


def run(key: str) -> None:
    """Compute one feature; a killed run goes on after its last finished shard."""
    chosen = settings.load()
    recipe = Recipe.of(chosen, key, "feature")
    codebook = read_arrays(layout.CODEBOOKS / key / "codebook.npz", f"codebook@{key}")
    data = load_training_data()
    shards = Shards(extraction_work(recipe, codebook, data, chosen.compute))
    target = layout.FEATURES / key
    seconds = extract(recipe, codebook, data, chosen.compute, shards, target)
    write_json(target / "cost.json", {"training_seconds": seconds})
