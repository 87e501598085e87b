from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pipeline.descriptors.filter_banks import gabor_kernel
from pipeline.models.network import Network
from pipeline.models.recipe import Recipe
from pipeline.networks import alexnet, mlp, resnet20
from pipeline.settings import STILL
from pipeline.sights.networks import explained, first_kernels, network_pictures, pattern
from pipeline.training.images import Normalisation
from tests.test_training import PLAN

RANDOM = np.random.default_rng(0)
NORMALISATION = Normalisation([100.0] * 3, [50.0] * 3)


def test_a_gabor_function_is_explained_and_noise_is_not() -> None:
    for angle, phase in ((0.3, 0.4), (1.9, 1.2)):
        kernel = gabor_kernel(7.0, angle, phase, 2.5, 0.6, 11)
        assert explained(kernel) > 0.999
        assert explained(kernel + RANDOM.normal(0, 0.02, kernel.shape)) > 0.95
    noise = [explained(RANDOM.normal(size=(11, 11))) for _ in range(4)]
    assert max(noise) < 0.6


def test_a_kernels_pattern_is_that_of_its_strongest_color() -> None:
    grey = RANDOM.normal(size=(5, 5))
    found = pattern(np.stack([3 * grey, -grey, 0.5 * grey]))
    np.testing.assert_allclose(np.abs(found), np.abs(grey) * np.sqrt(9 + 1 + 0.25), rtol=1e-6)


def test_pictures_of_networks_with_and_without_kernels() -> None:
    images = RANDOM.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)

    def captions(module: Any, **own: Any) -> list[str]:
        chosen = module.Settings(**PLAN, **own)
        network = module.build(chosen, (3, 32, 32), 4).eval()
        recipe = Recipe(module.__name__.rpartition(".")[2], chosen, 0, STILL)
        model = Network(recipe, network, (3, 32, 32), NORMALISATION, torch.device("cpu"), torch.float32)
        found = network_pictures(model, images)
        assert all(picture.pixels.dtype == np.uint8 and picture.pixels.shape[2] == 3 for picture in found)
        return [picture.caption for picture in found]

    assert captions(mlp, hidden=[5]) == []
    first, second = captions(alexnet, width=0.05)
    assert "The 4 kernels of 5×5 pixels" in first
    assert "of random ones" in first
    assert "in 5 convolutions" in second
    assert "too small to ask" in captions(resnet20, width=0.25)[0]
    assert first_kernels(alexnet.build(alexnet.Settings(**PLAN, width=0.05), (3, 32, 32), 4)).shape == (4, 3, 5, 5)  # type: ignore[union-attr]
