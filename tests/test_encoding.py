"""PCA, k-means, mixtures, Fisher vectors, bags of words, product codes: against references and by their definitions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import softmax
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.mixture import GaussianMixture

from benchmarks import vlfeat
from pipeline import passes_on_device
from pipeline.context import Context
from pipeline.descriptors.dense import DenseSettings
from pipeline.encoding import bag_of_words, gmm, kmeans
from pipeline.encoding.fisher import FisherEncoder
from pipeline.encoding.half import to_half
from pipeline.encoding.lanes import aligned
from pipeline.encoding.nystroem import fit_nystroem, nystroem
from pipeline.encoding.pca import fit_pca
from pipeline.encoding.product_quantization import check_group, fit_product_quantizer
from pipeline.encoding.regions import regions
from pipeline.encoding.sampling import sample_dense_sift, sample_descriptors
from pipeline.encoding.vlad import VladEncoder
from pipeline.errors import PipelineError
from pipeline.passes import Advance, Arrays, Here, Pass, quiet
from pipeline.passes_on_device import there
from tests.conftest import DEVICES


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Correlated, clustered, float32 (3000, 12)."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 2, (7, 12))
    return (centres[rng.integers(0, 7, 3000)] + rng.normal(size=(3000, 12)) @ rng.normal(0, 0.4, (12, 12))).astype("f4")


@pytest.fixture(scope="module")
def mixture(points: np.ndarray) -> gmm.Mixture:
    return gmm.fit_mixture(points, 5, seed=0, iterations=4)


# ------------------------------------------------------------------------------------------------------------- PCA


@pytest.mark.parametrize("whiten", [False, True])
def test_pca_is_scikit_learns(points: np.ndarray, whiten: bool) -> None:
    ours = fit_pca(points, 6, whiten).project(points)
    theirs = PCA(6, whiten=whiten).fit_transform(points)
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours * signs, theirs, atol=2e-3 * np.abs(theirs).max())
    np.testing.assert_allclose(ours.mean(axis=0), 0, atol=1e-4)


def test_pca_of_data_without_some_directions_stays_finite() -> None:
    flat = np.zeros((50, 4), np.float32)
    flat[:, 0] = np.arange(50)
    for whiten in (False, True):
        assert np.isfinite(fit_pca(flat, 3, whiten).project(flat)).all()


# --------------------------------------------------------------------------------------------------------- k-means


def test_k_means_reaches_lloyds_inertia(points: np.ndarray) -> None:
    ours = [kmeans.inertia(points, kmeans.k_means(points, 20, seed=seed)) for seed in range(5)]
    theirs = [KMeans(20, init="random", n_init=1, random_state=seed).fit(points).inertia_ for seed in range(5)]
    assert np.median(ours) <= 1.05 * np.median(theirs)  # which runs until nothing moves


def test_k_means_among_neighbours_loses_little(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(12_000, 8)).astype(np.float32)
    limited = kmeans.inertia(x, kmeans.k_means(x, 300, seed=0))
    monkeypatch.setattr(kmeans, "NEIGHBOURS", 300)
    every = kmeans.inertia(x, kmeans.k_means(x, 300, seed=0))
    assert limited <= 1.005 * every
    monkeypatch.setattr(kmeans, "NEIGHBOURS", 1)  # nothing can move: what the test would miss without the search
    assert kmeans.inertia(x, kmeans.k_means(x, 300, seed=0)) > 1.02 * every


def test_nearest_is_nearest(points: np.ndarray) -> None:
    centres = points[:50]
    index, distance = kmeans.nearest(points, centres, Here(2))
    every = ((points[:, None].astype(np.float64) - centres[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(distance, every.min(axis=1), atol=1e-3)
    np.testing.assert_allclose(every[np.arange(len(points)), index], every.min(axis=1), atol=1e-3)


def test_no_cluster_stays_empty() -> None:
    x = np.repeat(np.eye(4, dtype=np.float32), 100, axis=0) + np.random.default_rng(0).normal(0, 0.01, (400, 4))
    centres = kmeans.k_means(x.astype(np.float32), 12, seed=3)
    assert np.bincount(kmeans.nearest(x.astype(np.float32), centres)[0], minlength=12).min() > 0


def test_k_means_does_not_depend_on_the_number_of_threads(points: np.ndarray) -> None:
    one, three = (kmeans.k_means(points, 30, seed=0, passes=Here(workers)) for workers in (1, 3))
    np.testing.assert_array_equal(one, three)


# -------------------------------------------------------------------------------------------------------- mixtures


def sklearn_mixture(mixture: gmm.Mixture) -> GaussianMixture:
    """The same mixture as a fitted object of scikit-learn."""
    model = GaussianMixture(len(mixture.weights), covariance_type="diag")
    weights = mixture.weights.astype(np.float64)
    model.weights_, model.means_ = weights / weights.sum(), mixture.means.astype(np.float64)
    model.covariances_ = mixture.variances.astype(np.float64)
    model.precisions_cholesky_ = 1 / np.sqrt(model.covariances_)
    return model


def test_em_from_the_same_start_goes_scikit_learns_way(points: np.ndarray, mixture: gmm.Mixture) -> None:
    start = sklearn_mixture(mixture)
    theirs = GaussianMixture(
        5, covariance_type="diag", max_iter=3, tol=0, reg_covar=0, weights_init=start.weights_,
        means_init=start.means_, precisions_init=1 / start.covariances_,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="did not converge"):
        theirs.fit(points.astype(np.float64))
    ours = gmm.fit_mixture(points, 5, seed=0, iterations=3, start=mixture)
    np.testing.assert_allclose(ours.means, theirs.means_, atol=2e-3)
    np.testing.assert_allclose(ours.variances, theirs.covariances_, rtol=5e-3)
    np.testing.assert_allclose(ours.weights, theirs.weights_, atol=1e-4)
    assert ours.log_likelihoods[-1] == pytest.approx(theirs.lower_bound_, abs=1e-3)


def test_the_likelihood_never_falls_and_is_scikit_learns(points: np.ndarray) -> None:
    found = gmm.fit_mixture(points, 9, seed=1, iterations=12)
    assert (np.diff(found.log_likelihoods) > -1e-4).all()
    total = gmm.statistics(points, found).log_likelihood / len(points)
    assert total == pytest.approx(sklearn_mixture(found).score(points), abs=1e-3)


def test_posteriors_sum_to_one(points: np.ndarray, mixture: gmm.Mixture) -> None:
    found = gmm.statistics(points, mixture, Here(2))
    assert found.mass.sum() == pytest.approx(len(points), rel=1e-5)
    dimensions = points.shape[1]
    np.testing.assert_allclose(found.moments[:, :dimensions].sum(axis=0), points.sum(axis=0), rtol=1e-3, atol=0.5)
    np.testing.assert_allclose(found.moments[:, dimensions:].sum(axis=0), (points**2).sum(axis=0), rtol=1e-3)


def test_variances_have_a_floor() -> None:
    x = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    x[:, 2] = 5  # never varies
    x[:40] = x[0]  # a cluster without any spread
    found = gmm.fit_mixture(x, 4, seed=0, iterations=10)
    floor = 1e-4 * x.var(axis=0).max()
    assert found.variances.min() >= 0.99 * floor
    for values in (found.weights, found.means, found.log_likelihoods):
        assert np.isfinite(values).all()


# -------------------------------------------------------------------------------------------------- Fisher vectors


def encoder(
    mixture: gmm.Mixture, count: int, grids: tuple[str, ...] = ("1x1",), improved: bool = True
) -> FisherEncoder:
    places = np.random.default_rng(5).random((count, 2)).astype(np.float32)
    return FisherEncoder(mixture, regions(list(grids)), places, improved)


def test_fisher_vectors_are_scikit_images(points: np.ndarray, mixture: gmm.Mixture) -> None:
    """In the same order behind the derivatives by the weights, which are left out; its G_σ has the opposite sign."""
    from skimage.feature import fisher_vector

    x = points[:400]
    theirs = fisher_vector(x, sklearn_mixture(mixture), improved=False)[5:]
    theirs[len(theirs) // 2 :] *= -1
    np.testing.assert_allclose(encoder(mixture, 400, improved=False).encode(x), theirs, atol=1e-4)
    rooted = np.sign(theirs) * np.sqrt(np.abs(theirs))
    rooted /= np.linalg.norm(rooted)
    np.testing.assert_allclose(encoder(mixture, 400).encode(x), rooted, atol=1e-4)


@pytest.mark.skipif(not vlfeat.available(), reason="VLFeat is not installed (Debian: libvlfeat-dev)")
def test_fisher_vectors_are_vlfeats(points: np.ndarray, mixture: gmm.Mixture) -> None:
    x = points[:400]
    theirs = vlfeat.fisher(x, mixture.means, mixture.variances, mixture.weights)
    np.testing.assert_allclose(encoder(mixture, 400).encode(x), theirs, atol=1e-3)


def test_fisher_vectors_are_the_gradient_of_the_log_likelihood(points: np.ndarray, mixture: gmm.Mixture) -> None:
    x = torch.from_numpy(points[:200].astype(np.float64))
    weights = torch.from_numpy(mixture.weights.astype(np.float64))
    means = torch.from_numpy(mixture.means.astype(np.float64)).requires_grad_()
    sigmas = torch.from_numpy(np.sqrt(mixture.variances.astype(np.float64))).requires_grad_()
    log_densities = torch.distributions.Normal(means, sigmas).log_prob(x[:, None]).sum(dim=2)
    torch.logsumexp(log_densities + weights.log(), dim=1).mean().backward()
    assert means.grad is not None
    assert sigmas.grad is not None
    # Divided by the root of the Fisher information: w/σ² for means, 2w/σ² for deviations.
    root = sigmas.detach() / weights.sqrt()[:, None]
    expected = torch.cat([(means.grad * root).reshape(-1), (sigmas.grad * root / 2**0.5).reshape(-1)])
    np.testing.assert_allclose(encoder(mixture, 200, improved=False).encode(points[:200]), expected, atol=1e-5)


def test_regions_are_fisher_vectors_of_their_descriptors(points: np.ndarray, mixture: gmm.Mixture) -> None:
    x, places = points[:300], np.random.default_rng(5).random((300, 2)).astype(np.float32)
    found = encoder(mixture, 300, ("1x1", "1x3", "2x2"), improved=False).encode(x).reshape(8, -1)
    inside = [
        np.ones(300, bool),
        *(np.floor(places[:, 1] * 3) == row for row in range(3)),
        *(((places * 2).astype(int) == [column, row]).all(axis=1) for row in range(2) for column in range(2)),
    ]
    for vector, members in zip(found, inside, strict=True):
        alone = encoder(mixture, int(members.sum()), improved=False).encode(x[members])
        np.testing.assert_allclose(vector, alone, atol=1e-5)
    whole = encoder(mixture, 300, ("1x1", "1x3"))
    assert np.linalg.norm(whole.encode(x)) == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(np.linalg.norm(whole.encode(x).reshape(4, -1), axis=1), 0.5, rtol=1e-5)


def test_more_components_than_a_block_of_lanes(points: np.ndarray) -> None:
    found = gmm.fit_mixture(points, 45, seed=0, iterations=2)
    from skimage.feature import fisher_vector

    theirs = fisher_vector(points[:500], sklearn_mixture(found), improved=False)[45:]
    theirs[len(theirs) // 2 :] *= -1
    np.testing.assert_allclose(encoder(found, 500, improved=False).encode(points[:500]), theirs, atol=1e-4)


# ------------------------------------------------------------------------------------------------------------ VLAD


def test_vlad_sums_differences_to_the_nearest_centre(points: np.ndarray) -> None:
    centres, x = points[:6].copy(), points[100:400]
    places = np.random.default_rng(0).random((300, 2)).astype(np.float32)
    found = VladEncoder(centres, regions(["1x1", "1x2"]), places, normalised=False).encode(x).reshape(3, 6, 12)
    nearest = ((x[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
    for centre in range(6):
        mine = nearest == centre
        np.testing.assert_allclose(found[0, centre], (x[mine] - centres[centre]).sum(axis=0), atol=1e-2)
        upper = mine & (places[:, 1] < 0.5)
        np.testing.assert_allclose(found[1, centre], (x[upper] - centres[centre]).sum(axis=0), atol=1e-2)
    np.testing.assert_allclose(found[1] + found[2], found[0], atol=1e-2)
    whole = VladEncoder(centres, regions(["1x1"]), places).encode(x)
    assert np.linalg.norm(whole) == pytest.approx(1, rel=1e-5)
    parts = np.linalg.norm(whole.reshape(6, 12), axis=1)
    np.testing.assert_allclose(parts, parts[0], rtol=1e-4)
    nobody = VladEncoder(np.concatenate([centres, centres + 1000]), regions(["1x1"]), places).encode(x)
    assert not nobody.reshape(12, 12)[6:].any()


# --------------------------------------------------------------------------------------------------- bags of words


def test_hard_votes_count_nearest_words(points: np.ndarray) -> None:
    words = points[:40].copy()
    counter = bag_of_words.WordCounter(words, 1.0, 1, regions(["1x1", "2x1"]))
    places = np.random.default_rng(0).random((700, 2)).astype(np.float32)
    x = points[500:1200]
    votes = counter.count(x, places)
    nearest = ((x[:, None] - words[None]) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(votes[0], np.bincount(nearest, minlength=40))
    left = places[:, 0] < 0.5
    np.testing.assert_array_equal(votes[1], np.bincount(nearest[left], minlength=40))
    np.testing.assert_array_equal(votes[1] + votes[2], votes[0])
    assert not counter.count(x[:0], places[:0]).any()


def test_soft_votes_follow_the_distances(points: np.ndarray) -> None:
    words, beta = points[:30].copy(), 0.05
    x = points[100:101]
    votes = bag_of_words.WordCounter(words, beta, 4, regions(["1x1"])).count(x, np.array([[0.5, 0.5]], np.float32))[0]
    squares = ((x - words) ** 2).sum(axis=1)
    chosen = np.argsort(squares)[:4]
    expected = np.exp(-beta * squares[chosen])
    np.testing.assert_allclose(votes[chosen], expected / expected.sum(), rtol=1e-3)
    assert votes.sum() == pytest.approx(1)
    assert (votes > 0).sum() == 4


def test_rarity_and_histograms() -> None:
    votes = np.array([[[2, 0, 2.0]], [[1, 1, 0]], [[4, 0, 0]]], np.float32)
    np.testing.assert_array_equal(bag_of_words.rarity(votes[:, 0], "tf"), 1)
    idf = bag_of_words.rarity(votes[:, 0], "tf-idf")
    np.testing.assert_allclose(idf, np.log([4 / 4, 4 / 2, 4 / 2]) + 1)
    found = bag_of_words.histograms(votes, idf, 1, "none")
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found[1], [1 / (1 + idf[1]), idf[1] / (1 + idf[1]), 0], rtol=1e-6)
    np.testing.assert_allclose(bag_of_words.histograms(votes, idf, 1, "hellinger"), np.sqrt(found), rtol=1e-6)
    nothing = bag_of_words.histograms(np.zeros((1, 3, 4), np.float32), np.ones(4, np.float32), 2, "hellinger")
    assert not nothing.any()


# ---------------------------------------------------------------------------------------- product codes and halves


def test_product_codes_name_the_nearest_centroid(points: np.ndarray) -> None:
    for group in (1, 4, 12):
        quantizer = fit_product_quantizer(points, group, seed=0, passes=Here(2))
        codes = quantizer.encode(points)
        assert codes.dtype == np.uint8
        assert codes.shape == (3000, 12 // group)
        parts = points.reshape(3000, -1, group)
        every = ((parts[:, :, None].astype(np.float64) - quantizer.centroids[None]) ** 2).sum(axis=3)
        chosen = np.take_along_axis(every, codes[:, :, None].astype(int), axis=2)[..., 0]
        np.testing.assert_allclose(chosen, every.min(axis=2), atol=1e-4)
        decoded = quantizer.decode(codes)
        np.testing.assert_allclose(((decoded - points) ** 2).sum(), chosen.sum(), rtol=1e-3)
        np.testing.assert_array_equal(quantizer.encode(decoded), codes)  # a centroid stands for itself


def test_finer_product_codes_are_closer(points: np.ndarray) -> None:
    errors = []
    for group in (12, 6, 3, 1):
        quantizer = fit_product_quantizer(points, group, seed=0)
        errors.append(float(((quantizer.decode(quantizer.encode(points)) - points) ** 2).mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3


def test_product_codes_in_groups_of_eight() -> None:
    """The width with a path of its own."""
    x = np.random.default_rng(0).normal(size=(600, 16)).astype(np.float32)
    quantizer = fit_product_quantizer(x, 8, seed=0)
    every = ((x.reshape(600, 2, 1, 8) - quantizer.centroids[None]) ** 2).sum(axis=3)
    chosen = np.take_along_axis(every, quantizer.encode(x)[:, :, None].astype(int), axis=2)[..., 0]
    np.testing.assert_allclose(chosen, every.min(axis=2), atol=1e-4)


@pytest.mark.parametrize(
    ("dimension", "group", "bits", "words"),
    [
        (64, 8, 2, "group × bits must be 8; the nearest that works is group 8 and bits 1"),
        (64, 3, 1, "nearest that works is group 4 and bits 2"),
        (60, 8, 1, "group 8, which does not divide the 60 numbers"),
    ],
)
def test_product_codes_that_cannot_be(dimension: int, group: int, bits: int, words: str) -> None:
    with pytest.raises(PipelineError, match=words):
        check_group(dimension, group, bits, "x.quantization")


@settings(deadline=None)  # the first call compiles
@given(hnp.arrays(np.float32, 9, elements=st.floats(-60000, 60000, width=32)))
def test_to_half_rounds_as_numpy_does(values: np.ndarray) -> None:
    found, expected = to_half(values[None])[0], values.astype(np.float16)
    # Subnormal halves are rounded twice on the way, so they may differ by their last bit.
    np.testing.assert_allclose(found.astype(np.float64), expected.astype(np.float64), rtol=0, atol=6e-8)
    normal = np.abs(expected) >= 6.2e-5
    np.testing.assert_array_equal(found[normal], expected[normal])


def test_aligned_rows_start_at_lines_of_the_cache() -> None:
    for columns in (1, 16, 33):
        found = aligned(3, columns)
        assert found.shape == (3, -(-columns // 32) * 32)
        assert not found.any()
        assert [row.ctypes.data % 64 for row in found] == [0, 0, 0]


@pytest.mark.parametrize(("count", "sample"), [(7, 10_000), (50, 40), (50, 3000), (128, 10_000)])
def test_sampling_descriptors_counts_all_images_whatever_it_takes(count: int, sample: int) -> None:
    images = np.arange(count, dtype=np.float32)[:, None]
    places = np.zeros((90, 2), np.float32)
    done: list[int] = []

    def describe(some: np.ndarray) -> np.ndarray:
        return np.repeat(some[:, None], 90, axis=1)

    context = Context(0, 2, advance=done.append)
    found, where = sample_descriptors(images, describe, places, sample, context, "key")
    assert sum(done) == count
    assert len(found) == len(where) == min(sample, 90 * count)


@pytest.mark.parametrize(("count", "dimensions"), [(1, 3), (31, 16), (300, 33), (513, 66)])
def test_moments_are_sums_over_all_vectors_whatever_their_number(count: int, dimensions: int) -> None:
    """Blocks, lanes and lists have their ends in other places each time; two calls share a workspace."""
    x = np.random.default_rng(count).normal(size=(count, dimensions)).astype(np.float32)
    mixture = gmm.from_clusters(x, x[:: -(-count // 9)])
    expectation = gmm.Expectation(mixture)
    mass, moments = expectation.zeros()
    for part in (x[: count // 3], x[count // 3 :]):
        expectation.add(np.ascontiguousarray(part), mass, moments)
    precisions = 1 / mixture.variances.astype(np.float64)
    distances = ((x[:, None].astype(np.float64) - mixture.means) ** 2 * precisions).sum(axis=2)
    gamma = softmax(np.log(mixture.weights) - 0.5 * (distances - np.log(precisions).sum(axis=1)), axis=1)
    np.testing.assert_allclose(mass, gamma.sum(axis=0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(moments[:, 0, :dimensions], gamma.T @ x, rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(moments[:, 1, :dimensions], gamma.T @ x**2, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_vector_that_is_no_number_belongs_to_no_component(bad: float) -> None:
    """Behind 41 vectors there is padding to be told from them."""
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    mixture = gmm.fit_mixture(x, 6, 0, 3)
    expectation = gmm.Expectation(mixture)
    mass, moments = expectation.zeros()
    expectation.add(np.vstack([x, np.full((1, 5), bad, np.float32)]), mass, moments)
    assert mass.sum() == pytest.approx(40, rel=1e-5)
    np.testing.assert_allclose(moments[:, 0, :5].sum(axis=0), x.sum(axis=0), atol=1e-3)


def test_more_dimensions_than_there_are_give_what_there_is() -> None:
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    assert fit_pca(x, 9).project(x).shape == (50, 4)


def test_nystroem_gives_scikit_learns_kernel_from_the_same_landmarks() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(500, 12)).astype(np.float32)
    codebook = fit_nystroem(x[:60], 1.3)
    gamma = float(codebook["gamma"])
    reference = Nystroem(kernel="rbf", gamma=gamma, n_components=60).fit(x[:60]).transform(x)
    ours = nystroem(x, codebook)
    np.testing.assert_allclose(ours @ ours.T, reference @ reference.T, atol=2e-3)
    np.testing.assert_allclose(ours[:60] @ ours[:60].T, rbf_kernel(x[:60], gamma=gamma), atol=1e-4)


def test_nystroem_is_nearer_to_the_kernel_with_more_landmarks() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(1000, 6)).astype(np.float32)
    errors = []
    for count in (20, 100, 500):
        codebook = fit_nystroem(x[:count], 1.0)
        mapped = nystroem(x[500:], codebook)
        errors.append(np.abs(mapped @ mapped.T - rbf_kernel(x[500:], gamma=float(codebook["gamma"]))).mean())
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_nystroem_of_equal_landmarks_stays_finite() -> None:
    x = np.ones((5, 3), np.float32)
    assert np.isfinite(nystroem(x + 1, fit_nystroem(x, 1.0))).all()


# ----------------------------------------------------------------------------------------------- passes elsewhere


class OnTorch(Here):
    """Every pass as torch makes it, on a device."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(1)
        object.__setattr__(self, "device", device)

    def each(self, one: Pass, advance: Advance = quiet) -> Iterator[Arrays]:
        return super().each(there(one, self.device), advance)  # type: ignore[attr-defined]


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_finds_the_same_nearest_centres(points: np.ndarray, device: torch.device) -> None:
    for found, expected in zip(
        kmeans.nearest(points, points[:37], OnTorch(device)), kmeans.nearest(points, points[:37]), strict=True
    ):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_sums_up_what_em_needs(points: np.ndarray, mixture: gmm.Mixture, device: torch.device) -> None:
    found, expected = gmm.statistics(points, mixture, OnTorch(device)), gmm.statistics(points, mixture)
    np.testing.assert_allclose(found.mass, expected.mass, rtol=1e-4)
    np.testing.assert_allclose(found.moments, expected.moments, rtol=1e-3, atol=1e-3 * np.abs(expected.moments).max())
    np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("group", [4, 12])
def test_a_device_learns_the_same_product_quantiser(points: np.ndarray, group: int, device: torch.device) -> None:
    """A distance that is rounded otherwise may send a vector elsewhere, and centroids follow; the error stays."""
    found, expected = (
        fit_product_quantizer(points.astype(np.float16), group, 0, passes) for passes in (OnTorch(device), Here(1))
    )
    assert found.centroids.shape == expected.centroids.shape
    assert (np.abs(found.centroids - expected.centroids).max(axis=2) < 1e-3).mean() > 0.9
    errors = [float(((one.decode(one.encode(points)) - points) ** 2).mean()) for one in (found, expected)]
    assert errors[0] == pytest.approx(errors[1], rel=0.01)


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_describes_the_same_patches(device: torch.device) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 24, 24, 3), np.uint8)
    settings = DenseSettings(bin_sizes=[2, 3], step=2)
    found, expected = (
        sample_dense_sift(images, settings, "root", 500, Context(0, elsewhere=passes), "key")
        for passes in (OnTorch(device), None)
    )
    assert found.shape == expected.shape == (500, 128)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_short_passes_do_not_look_for_a_device(points: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take PyTorch's import, which takes seconds."""
    looked: list[str] = []

    def look(wanted: str) -> torch.device:
        looked.append(wanted)
        return torch.device("cpu")

    monkeypatch.setattr("pipeline.device.pick_device", look)
    kmeans.nearest(points, points[:5], Context(0, device="auto").passes)
    assert not looked
    monkeypatch.setattr(passes_on_device, "WORTH", 0)
    index, _ = kmeans.nearest(points, points[:5], Context(0, device="auto").passes)
    assert looked == ["auto"]
    np.testing.assert_array_equal(index, kmeans.nearest(points, points[:5])[0])
