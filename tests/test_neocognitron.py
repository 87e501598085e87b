from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import skimage.data
import torch

from pipeline.context import Context
from pipeline.errors import PipelineError
from pipeline.features import neocognitron
from pipeline.features.neocognitron import add_if_silent, winner_take_all

PHOTOGRAPH = skimage.data.astronaut()
CROPS = np.stack([PHOTOGRAPH[y : y + 32, x : x + 32] for y in range(0, 440, 60) for x in range(0, 440, 60)])
CONTEXT = Context(seed=0)


def chosen(**changes: Any) -> neocognitron.Settings:
    values: dict[str, Any] = {
        "learning": "add_if_silent",
        "cells": [30, 60],
        "learning_threshold": 0.7,
        "threshold": 0.5,
        "sample": 1000,
        "pooled": 4,
    }
    return neocognitron.Settings(**(values | changes))


def unit(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.rand(rows, columns, generator=random) - 0.3)


def test_a_cell_is_added_only_where_all_are_silent() -> None:
    patches = unit(1500, 8)
    cells = add_if_silent(patches, 10_000, 0.8)
    alike = cells @ cells.T - np.eye(len(cells))
    assert alike.max() < 0.8  # no two cells answer to the same
    assert float((patches @ torch.from_numpy(cells).T).amax(dim=1).min()) >= 0.8 - 1e-6  # and every patch has one
    assert len(add_if_silent(patches, 7, 0.8)) == 7


def test_batches_learn_as_one_patch_after_the_other() -> None:
    patches = unit(600, 6)
    learned = [patches[0].numpy()]
    for patch in patches[1:].numpy():
        if max(float(cell @ patch) for cell in learned) < 0.6:
            learned.append(patch)
    np.testing.assert_array_equal(add_if_silent(patches, 10_000, 0.6), np.stack(learned))


def test_the_winner_moves_towards_what_it_won() -> None:
    near = torch.nn.functional.normalize(
        torch.tensor([[1.0, 0.1, 0], [0, 0.1, 1.0], [1.0, -0.1, 0.1], [0.1, -0.1, 1.0]])
    )
    cells = winner_take_all(near.repeat(50, 1), 2)
    np.testing.assert_allclose(np.linalg.norm(cells, axis=1), 1, rtol=1e-5)
    assert cells[0, 0] > 0.99
    assert cells[1, 2] > 0.99
    assert abs(cells[0, 1]) < 0.05


@pytest.mark.parametrize("learning", ["add_if_silent", "winner_take_all"])
def test_vectors_have_length_1_and_do_not_depend_on_the_batch(learning: str) -> None:
    settings = chosen(learning=learning)
    codebook = neocognitron.fit(CROPS, settings, CONTEXT)
    vectors = neocognitron.transform(CROPS, settings, codebook, CONTEXT).astype(np.float32)
    assert vectors.shape == (len(CROPS), 16 * len(codebook["s3"]))
    length = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(length[length > 0], 1, rtol=1e-2)
    assert (length > 0).mean() > 0.9  # a crop without an edge is silent
    alone = neocognitron.transform(CROPS[5:6], settings, codebook, CONTEXT).astype(np.float32)
    np.testing.assert_allclose(alone[0], vectors[5], atol=2e-3)
    again = neocognitron.fit(CROPS, settings, CONTEXT)
    assert all(np.array_equal(again[name], codebook[name]) for name in codebook)


def test_small_shifts_and_less_contrast_change_little() -> None:
    settings = chosen(pooled=2)
    codebook = neocognitron.fit(CROPS, settings, CONTEXT)

    def vector(image: np.ndarray) -> np.ndarray:
        return neocognitron.transform(image[None], settings, codebook, CONTEXT)[0].astype(np.float32)

    base, moved, other = PHOTOGRAPH[100:132, 200:232], PHOTOGRAPH[101:133, 201:233], PHOTOGRAPH[300:332, 60:92]
    dimmed = (128 + (base.astype(float) - 128) * 0.7).astype(np.uint8)
    assert vector(base) @ vector(moved) > 0.9
    assert vector(base) @ vector(dimmed) > 0.95
    assert vector(base) @ vector(other) < 0.8


def test_a_flat_image_is_silent_and_not_nan() -> None:
    settings = chosen()
    codebook = neocognitron.fit(CROPS, settings, CONTEXT)
    assert not neocognitron.transform(np.full((1, 32, 32, 3), 90, np.uint8), settings, codebook, CONTEXT).any()
    with pytest.raises(PipelineError, match="no edge in any training image"):
        neocognitron.fit(np.full((4, 32, 32, 3), 90, np.uint8), settings, CONTEXT)


def test_an_edge_is_seen_by_the_cell_of_its_direction() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 16:] = 200  # brighter to the right: the gradient points along x
    answers = neocognitron._c1(neocognitron._grey(image[None]))[0, :, 8, 7:9].mean(dim=1)
    assert int(answers.argmax()) in (0, 15)
    assert float(answers[7:9].max()) == 0  # the other way round


def test_small_images_are_refused_with_the_smallest_that_works() -> None:
    assert neocognitron.fit(CROPS[:, :16, :16], chosen(), CONTEXT)["s3"].shape[1] > 0
    with pytest.raises(PipelineError, match=r"at least 16 pixels a side, these have 15×16"):
        neocognitron.fit(CROPS[:, :16, :15], chosen(), CONTEXT)
