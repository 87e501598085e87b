"""pictures: data/, codebooks/<feature>/ → results/pictures/<feature>/: what a feature sees, for the report."""

import numpy as np

from pipeline import layout, settings
from pipeline.data.contract import load_split
from pipeline.files import read_arrays
from pipeline.models.recipe import Recipe
from pipeline.randomness import generator
from pipeline.sights.drawn import write_pictures

IMAGES = 200  # of train


def run(key: str) -> None:
    """Draw what the feature's module has to show; a feature without anything to show leaves an empty list."""
    recipe = Recipe.of(settings.load(), key, "feature")
    codebook = read_arrays(layout.CODEBOOKS / key / "codebook.npz", f"codebook@{key}")
    train = load_split("train")
    rows = np.sort(generator(recipe.seed, "pictures").permutation(len(train))[:IMAGES])
    draw = getattr(recipe.method.load(), "pictures", None)
    shown = draw(train.images[rows], recipe.settings.features, codebook) if draw else []
    write_pictures(layout.PICTURES / key, shown)
