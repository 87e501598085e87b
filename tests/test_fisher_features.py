"""sift_fv, color_fv and sift_vlad as the stages use them."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import skimage.data
import torch

from pipeline.context import Context
from pipeline.encoding import fisher_feature, fisher_torch
from pipeline.encoding.product_quantization import ProductQuantizer
from pipeline.errors import PipelineError
from pipeline.features import color_fv, sift_fv, sift_vlad
from tests.conftest import DEVICES
from tests.test_encoding import OnTorch

PHOTOGRAPH = skimage.data.astronaut()
CROPS = np.stack([PHOTOGRAPH[y : y + 32, x : x + 32] for y in range(0, 480, 28) for x in range(0, 480, 28)])
FEATURES = (sift_fv, color_fv)


def settings(feature: ModuleType, **changes: object) -> sift_fv.Settings:
    values = {
        "bin_sizes": "auto",
        "step": "auto",
        "dimensions": 10,
        "whiten": False,
        "place": 1.0,
        "gaussians": 6,
        "iterations": 3,
        "sample": 4000,
        "regions": ["1x1"],
        "quantization": None,
    }
    own = {"window": "flat", "norm": "root"} if feature is sift_fv else {}
    return feature.Settings.model_validate(values | own | changes)


@pytest.mark.parametrize("feature", FEATURES)
def test_vectors_are_half_precision_and_of_unit_length(feature: ModuleType) -> None:
    chosen = settings(feature, regions=["1x1", "1x3"])
    codebook = feature.fit(CROPS, chosen, Context(0, 2))
    x = feature.transform(CROPS, chosen, codebook, Context(0, 2))
    assert x.dtype == np.float16
    assert x.shape == (len(CROPS), 4 * 2 * 6 * 12)
    np.testing.assert_allclose(np.linalg.norm(x.astype(np.float32), axis=1), 1, atol=1e-2)
    assert (np.diff(codebook["log_likelihoods"]) > -1e-3).all()


@pytest.mark.parametrize("feature", FEATURES)
def test_workers_change_nothing(feature: ModuleType) -> None:
    chosen = settings(feature)
    one, three = (feature.fit(CROPS, chosen, Context(0, workers)) for workers in (1, 3))
    for name, values in one.items():
        np.testing.assert_array_equal(values, three[name], err_msg=name)
    found = [feature.transform(CROPS[:50], chosen, one, Context(0, workers)) for workers in (1, 3)]
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("feature", FEATURES)
def test_codes_are_32_times_smaller_and_close(feature: ModuleType) -> None:
    plain, coded = (settings(feature, quantization=q) for q in (None, {"group": 8, "bits": 1, "sample": 280}))
    codebook = feature.fit(CROPS, coded, Context(0))
    unpaired = feature.transform(CROPS, plain, codebook, Context(0)).astype(np.float32)
    half = unpaired.shape[1] // 2
    x = np.empty_like(unpaired)  # each number's gradients by mean and by deviation side by side
    x[:, ::2], x[:, 1::2] = unpaired[:, :half], unpaired[:, half:]
    codes = feature.transform(CROPS, coded, codebook, Context(0, training=True))
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(feature.transform(CROPS[:5], coded, codebook, Context(0)), x[:5])  # to be scored
    assert codes.nbytes * 32 == x.nbytes
    decoded = codebook["centroids"][np.arange(codes.shape[1]), codes].reshape(x.shape)
    assert ((decoded - x) ** 2).sum() < 0.5 * ((x - x.mean(axis=0)) ** 2).sum()


def test_pairs_stay_within_their_region() -> None:
    vectors = np.arange(2 * 3 * 2 * 4).reshape(2, -1)  # 2 images, 3 regions, two gradients of 4 numbers
    paired = fisher_feature.pair(vectors, 3)
    assert paired[0].tolist()[:10] == [0, 4, 1, 5, 2, 6, 3, 7, 8, 12]
    assert paired[1, :2].tolist() == [24, 28]
    np.testing.assert_array_equal(fisher_feature.pair(torch.from_numpy(vectors), 3).numpy(), paired)


@pytest.mark.parametrize("feature", FEATURES)
def test_constant_images_have_finite_vectors(feature: ModuleType) -> None:
    chosen = settings(feature)
    codebook = feature.fit(CROPS, chosen, Context(0))
    flat = np.full((2, 32, 32, 3), 90, np.uint8)
    assert np.isfinite(feature.transform(flat, chosen, codebook, Context(0))).all()
    only_flat = feature.fit(np.repeat(flat, 150, axis=0), chosen, Context(0))
    assert np.isfinite(feature.transform(CROPS[:2], chosen, only_flat, Context(0)).astype(np.float32)).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bin_sizes": [2, 11]}, r"`sift_fv\.features\.bin_sizes` has 11: .* at least 34 pixels a side.* works is 10"),
        ({"gaussians": 500, "sample": 300}, r"`sift_fv\.features\.gaussians` is 500, .*take at most 300"),
        ({"quantization": {"group": 6, "bits": 1, "sample": 256}}, r"quantization.*nearest that works is group 8"),
    ],
)
def test_settings_that_cannot_work(changes: dict, words: str) -> None:
    with pytest.raises(PipelineError, match=words):
        sift_fv.fit(CROPS, settings(sift_fv, **changes), Context(0))


@pytest.mark.parametrize("feature", FEATURES)
def test_few_images_are_described_by_fewer_gaussians(feature: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = settings(feature, gaussians=4000, sample=1_000_000, quantization={"group": 8, "bits": 1, "sample": 256})
    codebook = feature.fit(CROPS[:3], chosen, Context(0))
    assert 1 <= len(codebook["means"]) < 4000
    assert "centroids" not in codebook  # three vectors have no 256 centres
    said = capsys.readouterr().err
    assert f"features.gaussians` is 4000, but train gives {int(said.split('gives ')[1].split()[0])} descriptors" in said
    assert f"{len(codebook['means'])} are learned" in said
    vectors = feature.transform(CROPS[:3], chosen, codebook, Context(0, training=True))
    numbers = codebook["means"].size
    assert vectors.shape[1] % (2 * numbers) == 0


def test_a_codebook_for_other_settings_is_refused() -> None:
    codebook = sift_fv.fit(CROPS, settings(sift_fv), Context(0))
    with pytest.raises(PipelineError, match=r"fitted for other settings.*rerun the stage codebook@sift_fv"):
        sift_fv.transform(CROPS, settings(sift_fv, gaussians=3), codebook, Context(0))


def test_vlad_as_the_stages_use_it() -> None:
    values = {"bin_sizes": "auto", "step": "auto", "norm": "root", "dimensions": 10, "whiten": False, "centres": 5}
    chosen = sift_vlad.Settings.model_validate(values | {"sample": 3000, "regions": ["1x1", "2x1"]})
    one, three = (sift_vlad.fit(CROPS, chosen, Context(0, workers)) for workers in (1, 3))
    np.testing.assert_array_equal(one["centres"], three["centres"])
    found = [sift_vlad.transform(CROPS, chosen, one, Context(0, workers)) for workers in (1, 3)]
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0].dtype == np.float16
    assert found[0].shape == (len(CROPS), 3 * 5 * 10)
    flat = sift_vlad.transform(np.full((1, 32, 32, 3), 9, np.uint8), chosen, one, Context(0))
    assert np.isfinite(flat).all()
    with pytest.raises(PipelineError, match=r"`sift_vlad\.features\.centres` is 4000, .*at most 3000"):
        sift_vlad.fit(CROPS, chosen.model_copy(update={"centres": 4000}), Context(0))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("quantization", [None, {"group": 8, "bits": 1, "sample": 280}])
def test_the_version_for_gpus_gives_the_same(
    feature: ModuleType, quantization: dict[str, int] | None, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several batches, regions, and the place of each patch."""
    chosen = settings(feature, regions=["1x1", "1x3"], bin_sizes=[2, 3], step=3, quantization=quantization)
    codebook = feature.fit(CROPS, chosen, Context(0))
    expected = feature.transform(CROPS[:20], chosen, codebook, Context(0, training=True))
    monkeypatch.setattr(fisher_feature, "DEVICE_BYTES", 3_000_000)
    monkeypatch.setattr(fisher_torch, "GROUPS_AT_ONCE", 10)
    descriptor = sift_fv.descriptor(chosen) if feature is sift_fv else color_fv.DESCRIPTOR
    encoding = fisher_feature.Encoding.of(CROPS.shape, chosen, codebook, "key")
    batches: list[int] = []
    context = Context(0, advance=batches.append)
    found = fisher_feature.encode_on_device(descriptor, CROPS[:20], encoding, context, device)
    assert found.dtype == expected.dtype
    assert len(batches) > 1
    assert sum(batches) == 20
    if quantization is None:
        np.testing.assert_allclose(found.astype(np.float32), expected.astype(np.float32), atol=2e-3)
    else:
        assert (found == expected).mean() > 0.99


def test_a_code_that_is_no_byte_is_refused_before_anything_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fisher_feature, "sample_descriptors", None)
    with pytest.raises(PipelineError, match=r"sift_fv\.features\.quantization.*group × bits must be 8"):
        sift_fv.fit(CROPS, settings(sift_fv, quantization={"group": 6, "bits": 1, "sample": 280}), Context(0))


def test_fine_is_half_of_the_automatic_step() -> None:
    steps = {
        name: [settings(sift_fv, step=name).grid_of((1, side, side, 3), "sift_fv")[1] for side in (32, 128, 256)]
        for name in ("auto", "fine")
    }
    assert steps == {"auto": [2, 3, 5], "fine": [1, 2, 2]}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("feature", FEATURES)
def test_a_codebook_that_a_device_learns_is_as_good(feature: ModuleType, device: torch.device) -> None:
    """Roundings differ, and with them the path of k-means."""
    chosen = settings(feature, quantization={"group": 8, "bits": 1, "sample": 280})
    codebooks = [feature.fit(CROPS, chosen, Context(0, elsewhere=passes)) for passes in (OnTorch(device), None)]
    found, expected = codebooks
    assert {name: array.shape for name, array in found.items()} == {n: a.shape for n, a in expected.items()}
    np.testing.assert_allclose(found["pca_mean"], expected["pca_mean"], atol=1e-4)  # of the same patches
    assert found["log_likelihoods"][-1] == pytest.approx(expected["log_likelihoods"][-1], rel=0.01)
    lost = []
    for codebook in codebooks:
        vectors = feature.transform(CROPS, chosen, codebook, Context(0)).astype(np.float32)
        quantizer = ProductQuantizer(codebook["centroids"])
        lost.append(float(((quantizer.decode(quantizer.encode(vectors)) - vectors) ** 2).sum() / (vectors**2).sum()))
    assert lost[0] == pytest.approx(lost[1], rel=0.05)
