from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.descriptors.filter_banks import gabor_kernel
from pipeline.errors import PipelineError
from pipeline.networks import alexnet, mlp, resnet20
from pipeline.networks.sights import explained, first_kernels, network_pictures, pattern
from pipeline.training.images import Normalisation
from pipeline.training.stored import Stored, load, store
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
        network = module.build(module.Settings(**PLAN, **own), (3, 32, 32), 4).eval()
        found = network_pictures(Stored(network, (3, 32, 32), list("abcd"), NORMALISATION), images)
        assert all(picture.pixels.dtype == np.uint8 and picture.pixels.shape[2] == 3 for picture in found)
        return [picture.caption for picture in found]

    assert captions(mlp, hidden=[5]) == []
    first, second = captions(alexnet, width=0.05)
    assert "The 4 kernels of 5×5 pixels" in first
    assert "of random ones" in first
    assert "in 5 convolutions" in second
    assert "too small to ask" in captions(resnet20, width=0.25)[0]
    assert first_kernels(alexnet.build(alexnet.Settings(**PLAN, width=0.05), (3, 32, 32), 4)).shape == (4, 3, 5, 5)  # type: ignore[union-attr]


def test_a_stored_network_scores_as_before(tmp_path: Path) -> None:
    settings = resnet20.Settings(**(PLAN | {"activation": "elu", "batch_norm": True}), width=0.25)
    from pipeline.networks.parts.switches import switch

    network = switch(resnet20.build(settings, (3, 32, 32), 4), "resnet20", settings).eval()
    store(tmp_path / "resnet20", "resnet20", settings, Stored(network, (3, 32, 32), list("abcd"), NORMALISATION))
    again = load(tmp_path / "resnet20")
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(again.network(x), network(x))
    assert again.classes == list("abcd")
    assert again.normalisation == NORMALISATION
    path = tmp_path / "resnet20" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(PipelineError, match=r"resnet20: the network cannot be read .*rerun the stage cnn@resnet20"):
        load(tmp_path / "resnet20")
