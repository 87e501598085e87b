"""What tells images of none of the classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from pipeline.models.familiarity import Familiarity
from pipeline.models.model import Seen
from pipeline.models.space import AXES, EXAMPLES, NEIGHBOURS, Space, some_rows


def cloud(count: int, dimension: int, seed: int = 0, flat: float = 1.0) -> np.ndarray:
    """Points of different spread along different directions, which are no axes; `flat` shrinks all after the 64th."""
    random = np.random.default_rng(seed)
    spread = np.linspace(2, 0.5, dimension) * np.where(np.arange(dimension) < AXES, 1, flat)
    turn = np.linalg.qr(np.random.default_rng(99).normal(size=(dimension, dimension)))[0]
    points: np.ndarray = (random.normal(size=(count, dimension)) * spread @ turn + 3).astype(np.float32)
    return points


def seen(embedding: np.ndarray, sure: float = 1.0, seed: int = 1) -> Seen:
    scores = np.random.default_rng(seed).normal(size=(len(embedding), 4)).astype(np.float32)
    scores[:, 0] += np.float32(4 * sure)
    return Seen(scores, embedding)


def test_distances_are_those_of_the_libraries_where_all_axes_are_kept() -> None:
    train, others = cloud(300, 20), cloud(50, 20, seed=5)
    found = np.exp(Space.of(train, 0).distances(others))
    nearest = np.sort(cdist(others, train), axis=1)[:, NEIGHBOURS - 1]
    np.testing.assert_allclose(found[:, 0], nearest, rtol=1e-3)
    inverse = np.linalg.inv(np.cov(train.T))
    np.testing.assert_allclose(found[:, 2], cdist(others, train.mean(0)[None], "mahalanobis", VI=inverse)[:, 0], 1e-3)


def test_what_lies_off_the_axes_is_the_reconstruction_error_of_pca() -> None:
    train, others = cloud(400, 200, flat=0.1), cloud(50, 200, seed=5, flat=0.1)
    reference = PCA(AXES, svd_solver="full").fit(train)
    error = np.linalg.norm(others - reference.inverse_transform(reference.transform(others)), axis=1)
    found = np.exp(Space.of(train, 0).distances(others))
    np.testing.assert_allclose(found[:, 1], error, rtol=0.02)
    # off the axes, what remains of two images is nearly at right angles, so distances are nearly right as well
    nearest = np.sort(cdist(others, train), axis=1)[:, NEIGHBOURS - 1]
    np.testing.assert_allclose(found[:, 0], nearest, rtol=0.05)


def test_one_in_twenty_of_val_is_a_false_alarm_and_others_of_its_kind_as_many() -> None:
    space = Space.of(cloud(500, 100), 0)
    found, strangeness = Familiarity.of(space, [seen(cloud(300, 100, seed=2)), seen(cloud(700, 100, seed=3))])
    assert found.unlike(strangeness).mean() == found.false_alarms == pytest.approx(0.05, abs=0.002)
    other = found.strangeness(seen(cloud(2000, 100, seed=4)))
    assert found.unlike(other).mean() == pytest.approx(0.05, abs=0.025)


@pytest.mark.parametrize(
    ("strange", "what"),
    [
        (seen(cloud(50, 100, seed=6), sure=-2.0), "no class claims it"),
        (seen(3 + 3 * (cloud(50, 100, seed=6) - 3)), "far from all"),
        (seen(np.full((50, 100), 3, np.float32)), "on the subspace of the axes, where no training image is"),
        (seen(cloud(50, 100, seed=6) + 15 * np.eye(100, dtype=np.float32)[0]), "moved out of the cloud"),
    ],
)
def test_each_sign_by_itself_is_enough(strange: Seen, what: str) -> None:
    found, _ = Familiarity.of(Space.of(cloud(500, 100), 0), [seen(cloud(1000, 100, seed=2))])
    assert found.unlike(found.strangeness(strange)).mean() > 0.9, what


@hypothesis_settings(max_examples=20, deadline=None)
@given(scale=st.sampled_from([1e-6, 1e-3, 1.0, 1e4]), seed=st.integers(0, 100))
def test_strangeness_does_not_depend_on_the_units_of_scores_and_embeddings(scale: float, seed: int) -> None:
    factor = np.float32(scale)

    def strangeness(by: np.float32) -> np.ndarray:
        some = [seen(cloud(count, 30, seed=seed + number)) for number, count in enumerate((80, 200, 50))]
        some = [Seen(one.scores * by, one.embedding * by) for one in some]
        found, _ = Familiarity.of(Space.of(some[0].embedding, seed), [some[1]])
        return found.strangeness(some[2])

    np.testing.assert_allclose(strangeness(factor), strangeness(np.float32(1)), rtol=0.02, atol=0.02)


def test_a_fusion_finds_strange_what_one_member_finds_strange() -> None:
    random = np.random.default_rng(0)
    members = {name: np.abs(random.normal(size=500)).astype(np.float32) for name in ("a", "b")}
    scores = random.normal(size=(500, 3)).astype(np.float32)
    found, strangeness = Familiarity.of_fusion(scores, members)
    assert found.unlike(strangeness).mean() == found.false_alarms <= 0.05
    others = {"a": np.full(500, 12, np.float32), "b": members["b"]}
    assert found.unlike(found.strangeness_of_fusion(scores, others)).all()


@pytest.mark.parametrize("with_space", [True, False])
def test_it_is_kept_as_arrays(with_space: bool) -> None:
    space = Space.of(cloud(100, 30), 0) if with_space else None
    found, strangeness = Familiarity.of(space, [seen(cloud(200, 30, seed=2))])
    again = Familiarity.restore(found.arrays())
    np.testing.assert_array_equal(again.strangeness(seen(cloud(200, 30, seed=2))), strangeness)
    assert (again.threshold, again.false_alarms) == (found.threshold, found.false_alarms)
    with pytest.raises(ValueError, match="different"):
        Familiarity.restore(found.arrays() | {"middle": np.zeros(9)})


@pytest.mark.parametrize("embedding", [np.zeros((40, 6), np.float32), np.ones((2, 500), np.float32)])
def test_embeddings_that_are_all_equal_raise_no_alarm(embedding: np.ndarray) -> None:
    scores = np.ones((len(embedding), 2), np.float32)
    found, strangeness = Familiarity.of(Space.of(embedding, 0), [Seen(scores, embedding)])
    assert not found.unlike(strangeness).any()
    assert np.isfinite(strangeness).all()
    assert found.unlike(found.strangeness(Seen(scores, embedding + 1))).all()


def test_some_training_images_are_kept_fewer_where_embeddings_are_long() -> None:
    rows = some_rows(5000, 100, 3)
    assert len(rows) == EXAMPLES
    assert (np.diff(rows) > 0).all()
    assert 0 <= rows[0] < 50 < 4950 < rows[-1] < 5000
    assert AXES < len(some_rows(5000, 200_000, 3)) < 500
    np.testing.assert_array_equal(some_rows(7, 100, 0), np.arange(7))
