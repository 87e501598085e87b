from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import nn

from pipeline import catalogue, settings
from pipeline.errors import PipelineError
from pipeline.networks import alexnet, cuda_convnet, lenet5, perceptron, xor
from pipeline.networks.parts import bitmaps
from pipeline.networks.parts.counting import count_multiply_adds, count_parameters, table
from pipeline.networks.parts.groups import groups_of
from pipeline.networks.parts.layers import (
    EuclideanRadialBasis,
    LocallyConnected2d,
    LocalResponseNorm,
    Maxout,
    ScaledTanh,
    SquareConv2d,
    Subsampling,
)
from pipeline.networks.parts.resnet import Block, Subsample
from pipeline.networks.parts.switches import switch
from pipeline.networks.parts.variants import variant
from pipeline.settings import Training
from pipeline.training.optimizers import Optimizer
from pipeline.training.prediction import forward
from tests.conftest import ROOT
from tests.test_training import PLAN

KEYS = catalogue.keys("network")
SMALL = {"hidden": [20], "width": 0.1}


def build(key: str, side: int = 32, channels: int = 3, classes: int = 7, **changes: Any) -> nn.Module:
    module = catalogue.BY_KEY[key].load()
    own = {name: value for name, value in (SMALL | changes).items() if name in module.Settings.model_fields}
    chosen = module.Settings(**(PLAN | own | {name: value for name, value in changes.items() if name in PLAN}))
    network: nn.Module = switch(module.build(chosen, (channels, side, side), classes), key, chosen)
    return network


# ------------------------------------------------------------------------------------------------ every network


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(("side", "channels"), [(32, 3), (48, 1), (128, 3)])
def test_every_network_scores_images_of_many_sizes(key: str, side: int, channels: int) -> None:
    network = build(key, side, channels).eval()
    assert network(torch.randn(2, channels, side, side)).shape == (2, 7)


@pytest.mark.parametrize("key", KEYS)
def test_every_network_has_settings_a_title_and_says_how_it_varies(key: str) -> None:
    chosen = settings.load(ROOT / "params.yaml")
    own = chosen.network(key)
    assert own.epochs >= own.trial_epochs
    assert isinstance(catalogue.BY_KEY[key].load().variant(own, (3, 32, 32)), str)


@pytest.mark.parametrize(
    ("key", "optimizer", "said"),
    [("resnet20", "muon", True), ("resnet20", "sgd", False), ("airbench", "muon", False)],
)
def test_muon_is_named_where_the_publication_did_not_have_it(key: str, optimizer: str, said: bool) -> None:
    chosen = catalogue.BY_KEY[key].load().Settings(**(PLAN | {"width": 1.0, "optimizer": optimizer}))
    assert ("trained by Muon" in variant(key, chosen, (3, 32, 32))) == said


@pytest.mark.parametrize(
    ("key", "optimizer", "said"),
    [
        ("lenet5", "levenberg_marquardt", "a one-cycle learning rate"),
        ("lenet5", "sgd", "trained by SGD with momentum; a one-cycle learning rate"),
        ("lenet5_modern", "levenberg_marquardt", "trained by Levenberg and Marquardt's method"),
    ],
)
def test_what_moved_the_weights_is_named_where_it_is_not_the_publications(key: str, optimizer: str, said: str) -> None:
    plan = PLAN | {"optimizer": optimizer, "start": "paper" if key == "lenet5" else None, "weight_decay": 0.0}
    words = variant(key, catalogue.BY_KEY[key].load().Settings(**plan), (1, 32, 32))
    assert words == said if key == "lenet5" else said in words


@pytest.mark.parametrize("key", KEYS)
def test_every_parameter_gets_a_gradient(key: str) -> None:
    network = build(key)
    scores = network(torch.randn(6, 3, 32, 32))
    scores.square().sum().backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name


@pytest.mark.parametrize("changes", [{}, {"batch_norm": True}, {"dropout": 0.5}])
@pytest.mark.parametrize("key", KEYS)
def test_every_parameter_is_trained_in_one_group(key: str, changes: dict[str, Any]) -> None:
    if key == "perceptron" and "batch_norm" in changes:
        pytest.skip("it has nothing to normalise")
    network = build(key, **changes)
    grouped = [id(parameter) for group in groups_of(network) for parameter in group.parameters]
    trained = [id(parameter) for parameter in network.parameters() if parameter.requires_grad]
    assert sorted(grouped) == sorted(trained)


@pytest.mark.parametrize(
    ("key", "side", "channels", "classes", "parameters"),
    [
        ("lenet5", 32, 1, 10, 60_000),
        ("alexnet", 227, 3, 1000, 60_965_224),
        ("alexnet", 224, 3, 1000, 60_965_224),
        ("alexnet_one_tower", 224, 3, 1000, 61_100_840),
        ("vgg11", 224, 3, 1000, 132_863_336),
        ("vgg16", 224, 3, 1000, 138_357_544),
        ("vgg19", 224, 3, 1000, 143_667_240),
        ("vgg16_bn", 224, 3, 1000, 138_365_992),
        ("resnet18", 224, 3, 1000, 11_689_512),
        ("resnet34", 224, 3, 1000, 21_797_672),
        ("resnet50", 224, 3, 1000, 25_557_032),
        ("resnet20", 32, 3, 10, 269_722),
        ("plain20", 32, 3, 10, 269_722),
        ("resnet110", 32, 3, 10, 1_727_962),
        ("mlp", 28, 1, 10, 784 * 300 + 300 + 300 * 10 + 10),
        ("perceptron", 28, 1, 10, 7850),
    ],
)
def test_parameter_counts_are_the_published_ones(
    key: str, side: int, channels: int, classes: int, parameters: int
) -> None:
    with torch.device("meta") if key.startswith(("vgg", "resnet", "plain")) else torch.device("cpu"):
        network = build(key, side, channels, classes, width=1.0, hidden=[300])
    assert count_parameters(network) == parameters


@pytest.mark.parametrize(
    ("key", "smallest"),
    [("alexnet", 24), ("alexnet_one_tower", 24), ("vgg16", 32), ("airbench", 9), ("cuda_convnet", 12)],
)
def test_networks_name_their_smallest_size(key: str, smallest: int) -> None:
    assert build(key, smallest).eval()(torch.randn(2, 3, smallest, smallest)).shape == (2, 7)
    sentence = rf"{key} needs images of at least {smallest} pixels.*image_size.*or select \w+ in its place"
    with pytest.raises(PipelineError, match=sentence):
        build(key, smallest - 1)


# -------------------------------------------------------------------------------------------------------- tables


def test_a_table_follows_the_formula() -> None:
    rows = {row.name: row for row in table(build("alexnet", 227, 3, 1000, width=1.0), (3, 227, 227))}
    convolutions = [row for row in rows.values() if row.kind.startswith("convolution")]
    # (W − K + 2P)/S + 1: (227 − 11)/4 + 1 = 55; pooled 27, 13, 13.
    assert [row.output for row in convolutions] == [
        [96, 55, 55],
        [256, 27, 27],
        [384, 13, 13],
        [384, 13, 13],
        [256, 13, 13],
    ]
    assert convolutions[0].kind == "convolution K=11 S=4"
    assert convolutions[1].kind == "convolution K=5 S=1 P=2, 2 towers"
    assert convolutions[0].multiply_adds == 55 * 55 * 96 * 11 * 11 * 3
    assert sum(row.parameters for row in rows.values()) == 60_965_224


def test_lenet5s_table_is_the_papers() -> None:
    network = build("lenet5", 32, 1, 10)
    rows = {row.name: row for row in table(network, (1, 32, 32))}
    assert {name: row.parameters for name, row in rows.items()} == {
        "C1": 156,
        "S2": 12,
        "C3": 1516,
        "S4": 32,
        "C5": 48120,
        "F6": 10164,
        "output": 0,
    }
    assert [row.output for row in rows.values()] == [
        [6, 28, 28],
        [6, 14, 14],
        [16, 10, 10],
        [16, 5, 5],
        [120, 1, 1],
        [84],
        [10],
    ]
    assert rows["C3"].multiply_adds == 60 * 25 * 100


def test_multiply_adds_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(3, 10, 5, padding=2), nn.Flatten(), nn.Linear(10 * 32 * 32, 4))
    assert count_multiply_adds(network, (3, 32, 32)) == 10 * 32 * 32 * 75 + 10 * 32 * 32 * 4
    assert table(network, (3, 32, 32))[0].output == [10, 32, 32]  # 32, not 28: the padding counts


# ------------------------------------------------------------------------------------------------------- LeNet-5


def test_lenet5s_partial_connections_are_the_papers() -> None:
    assert [len(seen) for seen in lenet5.C3_TABLE] == [3] * 6 + [4] * 9 + [6]
    assert lenet5.C3_TABLE[4] == [4, 5, 0]
    assert sorted(lenet5.C3_TABLE[12]) == [0, 1, 3, 4]
    assert sum(len(seen) for seen in lenet5.C3_TABLE) == 60


def test_a_left_out_connection_has_no_influence() -> None:
    network = build("lenet5", 32, 1, 10)
    maps = torch.randn(1, 6, 14, 14)
    other = maps.clone()
    other[:, 5] += 1  # the first map of C3 sees maps 0, 1, 2
    before, after = network.C3(maps), network.C3(other)  # type: ignore[operator]
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 5], after[:, 5])


def test_output_units_measure_the_distance_to_their_picture() -> None:
    pictures = bitmaps.digits()
    assert pictures.shape == (10, 84)
    assert len({tuple(row.tolist()) for row in pictures}) == 10
    output = EuclideanRadialBasis(pictures)
    scores = output(pictures[3:4])
    assert scores[0, 3] == 0
    assert scores[0, 8] == -4 * float((pictures[3] != pictures[8]).sum())  # each point that differs by 2 adds 4
    assert int(scores.argmax()) == 3
    last = table(build("lenet5", 32, 1, 10), (1, 32, 32))[-1]
    assert (last.name, last.output, last.parameters, last.multiply_adds) == ("output", [10], 0, 840)


def test_equation_9_by_hand() -> None:
    scores = torch.tensor([[-10.0, -80.0], [-75.0, -83.0]])
    labels = torch.tensor([0, 1])
    expected = 0.0
    for row, label in zip(scores, labels, strict=True):
        others = torch.exp(torch.cat([row, torch.tensor([-lenet5.RUBBISH])]).double()).sum().log()
        expected += float(-row[label] + others) / 2
    assert float(lenet5.LeNet5.loss(scores, labels)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("side", [8, 28, 32, 33, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_lenet5_takes_any_size(side: int, channels: int) -> None:
    assert build("lenet5", side, channels)(torch.randn(2, channels, side, side)).shape == (2, 7)


# ------------------------------------------------------------------------------------------------- the others


@pytest.mark.parametrize("side", [24, 28, 32, 48, 64, 96, 128])
def test_alexnet_has_a_stem_for_every_size(side: int) -> None:
    assert build("alexnet", side)(torch.randn(2, 3, side, side)).shape == (2, 7)
    chosen = alexnet.Settings(**PLAN, width=1.0)
    assert ("small images" in alexnet.variant(chosen, (3, side, side))) == (side < 112)


@pytest.mark.parametrize(("key", "published"), [("alexnet", 227), ("alexnet", 224), ("vgg16", 224), ("resnet50", 224)])
def test_other_sizes_than_the_published_are_labelled(key: str, published: int) -> None:
    module = catalogue.BY_KEY[key].load()
    chosen = module.Settings(**PLAN, width=1.0)
    assert "made for" not in module.variant(chosen, (3, published, published))
    assert "made for 224×224, here 256×256" in module.variant(chosen, (3, 256, 256))
    assert "made for 224×224, here 224×128" in module.variant(chosen, (3, 128, 224))


def test_alexnet_drops_what_its_first_two_full_layers_give() -> None:
    kinds = [type(layer).__name__ for layer in build("alexnet").children()]
    assert kinds[-8:] == ["Flatten", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]


def test_switches_and_schedules_are_labelled() -> None:
    def label(key: str, **changes: Any) -> str:
        width = {} if key == "lenet5" else {"width": 0.1}
        chosen = catalogue.BY_KEY[key].load().Settings(**(PLAN | width | changes))
        return variant(key, chosen, (3, 32, 32))

    assert "activation: sigmoid; dropout: 0.0; batch norm: yes" in label(
        "alexnet", activation="sigmoid", dropout=0.0, batch_norm=True
    )
    assert "He's start" in label("vgg11")
    assert "He's" not in label("vgg11", start="paper")
    assert "He's" not in label("vgg11", start="small")
    assert label("vgg11", start="small").count("start: small") == 1
    assert "one-cycle" in label("resnet20")
    assert "rate" not in label("resnet20", schedule="step", warm_up=0.0)
    assert label("resnet20", schedule="step", warm_up=0.1).endswith("a learning rate that rises at first")
    assert label("resnet20", label_smoothing=0.1, average=0.9).endswith("label smoothing 0.1; averaged weights")
    assert "smoothing" not in label("airbench", label_smoothing=0.1)
    assert "weight decay" in label("lenet5")
    assert "weight decay" not in label("lenet5", weight_decay=0.0)


def test_a_perceptron_fails_at_exclusive_or_and_a_hidden_layer_does_not() -> None:
    assert max(xor.learn(0, seed) for seed in range(3)) <= 0.75
    assert max(xor.learn(4, seed) for seed in range(3)) == 1.0


def test_the_perceptron_moves_only_on_mistakes() -> None:
    right = torch.tensor([[2.0, 1.0], [0.0, 3.0]], requires_grad=True)
    loss = perceptron.Perceptron.loss(right, torch.tensor([0, 1]))
    assert loss.item() == 0
    wrong = torch.tensor([[2.0, 1.0]], requires_grad=True)
    perceptron.Perceptron.loss(wrong, torch.tensor([1])).backward()
    assert wrong.grad is not None
    assert wrong.grad.tolist() == [[1.0, -1.0]]


def test_a_residual_block_of_zero_weights_passes_its_input_on() -> None:
    block = Block(4, 4, 1, False, nn.Identity()).eval()
    plain = Block(4, 4, 1, False, None).eval()
    for network in (block, plain):
        for parameter in network.residual.parameters():
            nn.init.zeros_(parameter)
    x = torch.rand(2, 4, 6, 6)
    assert torch.equal(block(x), x)
    assert plain(x).abs().max().item() == 0


def test_option_a_keeps_every_other_place_and_adds_zeros() -> None:
    x = torch.rand(1, 2, 4, 4)
    out = Subsample(3, 2)(x)
    assert out.shape == (1, 5, 2, 2)
    assert torch.equal(out[:, :2], x[:, :, ::2, ::2])
    assert float(out[:, 2:].abs().max()) == 0


# --------------------------------------------------------------------------------------------------- layers


def test_local_response_normalisation_equals_torchs() -> None:
    x = torch.randn(2, 12, 5, 5, dtype=torch.float64) * 30
    torch.testing.assert_close(LocalResponseNorm(12).double()(x), nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)(x))


def test_subsampling_and_tanh_by_hand() -> None:
    pool = Subsampling(1)
    with torch.no_grad():
        pool.coefficient.fill_(4)
        pool.bias.fill_(-1)
    assert pool(torch.tensor([[[[1.0, 2], [3, 6]]]])).item() == 4 * 3 - 1
    torch.testing.assert_close(ScaledTanh()(torch.tensor([1.0, -1.0])), torch.tensor([1.0, -1.0]), atol=1e-4, rtol=0)


@hypothesis_settings(deadline=None)
@given(
    kernel=st.sampled_from([1, 3, 5]),
    sides=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    maps=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    channels_last=st.booleans(),
)
def test_a_convolution_as_a_product_is_the_same_both_ways(
    kernel: int, sides: tuple[int, int], maps: tuple[int, int], channels_last: bool
) -> None:
    layer = SquareConv2d(*maps, kernel).double()
    if channels_last:
        layer = layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(2, maps[0], *sides, dtype=torch.float64, requires_grad=True)
    given_back = torch.randn(2, maps[1], *sides, dtype=torch.float64)
    found = []
    for out in (layer.as_product(x), layer(x)):  # maps so few, and these numbers, are torch's
        gradients = torch.autograd.grad(out, [x, *layer.parameters()], given_back)
        found.append((out, *gradients))
    for ours, torchs in zip(*found, strict=True):
        torch.testing.assert_close(ours, torchs)


@pytest.mark.parametrize(
    ("dtype", "side", "maps", "as_product"),
    [
        (torch.bfloat16, 4, 256, True),
        (torch.bfloat16, 5, 256, False),
        (torch.bfloat16, 2, 255, False),
        (torch.float32, 2, 256, True),
        (torch.float32, 4, 256, False),
        (torch.float64, 1, 256, False),
    ],
)
def test_maps_of_few_pixels_are_multiplied(
    dtype: torch.dtype, side: int, maps: int, as_product: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = SquareConv2d(maps, 256, 3)
    sides = _sides_multiplied(monkeypatch)
    x = torch.randn(2, maps, side, side)
    with torch.no_grad():
        out = layer.to(dtype)(x.to(dtype))
        want = nn.Conv2d.forward(layer.float(), x)
    assert sides == [side] * as_product
    assert float((out - want).abs().max()) < 0.02 * float(want.abs().max())


def test_vggs_deep_layers_are_multiplied_as_they_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = _sides_multiplied(monkeypatch)
    network = build("vgg16_bn", width=1.0).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward(network, torch.randn(2, 3, 32, 32), torch.bfloat16)
    assert sides == [4, 4, 4, 2, 2, 2]


def _sides_multiplied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by the side of each map that a convolution takes as a product."""
    sides: list[int] = []
    product = SquareConv2d.as_product

    def noted(layer: SquareConv2d, x: torch.Tensor) -> torch.Tensor:
        sides.append(x.shape[2])
        return product(layer, x)

    monkeypatch.setattr(SquareConv2d, "as_product", noted)
    return sides


def test_a_local_layer_with_equal_kernels_is_a_convolution() -> None:
    convolution = nn.Conv2d(3, 5, 3, padding=1, bias=False)
    local = LocallyConnected2d(3, 5, 3, 6, 7)
    with torch.no_grad():
        local.weight.copy_(convolution.weight.permute(2, 3, 1, 0).reshape(-1, 5).expand(42, -1, -1))
    x = torch.randn(2, 3, 6, 7)
    torch.testing.assert_close(local(x), convolution(x))
    network = cuda_convnet.build(cuda_convnet.Settings(**PLAN), (3, 32, 32), 10)
    weights = [layer.weight.numel() for layer in network.modules() if isinstance(layer, LocallyConnected2d)]
    assert len(weights) == 2
    assert count_multiply_adds(network, (3, 32, 32)) > sum(weights)


@pytest.mark.parametrize("changes", [{}, {"batch_norm": True}, {"activation": "elu", "dropout": 0.5}])
def test_cuda_convnets_layers_decay_as_published(changes: dict[str, Any]) -> None:
    network = build("cuda_convnet", **changes)
    network.train()
    optimizer = Optimizer(network, Training(**(PLAN | {"momentum": 0.0, "weight_decay": 0.004})))
    for parameter in network.parameters():
        torch.nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(0.5, progress=0.0)
    decays = {nn.Conv2d: 0.0, LocallyConnected2d: 0.004, nn.Linear: 0.01}
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            decay = decays.get(type(module), 0.0) if name == "weight" else 0.0
            torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, 1 - 0.5 * decay))
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
        parameter.grad = torch.ones_like(parameter)
    optimizer.step(0.5, progress=0.0)
    biases = {module.bias for module in network.modules() if type(module) in decays}
    for parameter in network.parameters():
        torch.testing.assert_close(
            parameter.detach(), torch.full_like(parameter, -1.0 if parameter in biases else -0.5)
        )


def test_a_local_layer_has_kernels_of_its_own_for_each_place() -> None:
    local = LocallyConnected2d(2, 4, 3, 3, 5)
    x = torch.randn(1, 2, 3, 5)
    with torch.no_grad():
        local.bias.normal_()
    padded, out = nn.functional.pad(x, (1, 1, 1, 1)), local(x)
    for row, column in ((0, 0), (1, 3), (2, 4)):
        seen = padded[0, :, row : row + 3, column : column + 3].permute(1, 2, 0).reshape(-1)
        place = row * 5 + column
        torch.testing.assert_close(out[0, :, row, column], seen @ local.weight[place] + local.bias[place, 0])


def test_maxout_takes_the_larger_of_two_neighbours() -> None:
    assert Maxout()(torch.tensor([[1.0, 3, -2, -5]])).tolist() == [[3, -2]]


# ------------------------------------------------------------------------------------------------- switches


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu", "maxout", "elu"])
@pytest.mark.parametrize("key", ["alexnet", "vgg11", "mlp", "lenet5_modern"])
def test_every_activation_fits(key: str, activation: str) -> None:
    network = build(key, activation=activation)
    assert network(torch.randn(3, 3, 32, 32)).shape == (3, 7)
    kinds = {type(module).__name__ for module in network.modules()}
    expected = {"leaky_relu": "LeakyReLU", "relu": "ReLU", "elu": "ELU"}.get(activation, activation.capitalize())
    assert expected in kinds
    assert len(kinds & {"ReLU", "Sigmoid", "Tanh", "LeakyReLU", "ELU", "Maxout"}) == 1


def test_batch_norm_comes_and_goes() -> None:
    def norms(network: nn.Module) -> int:
        return sum(isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) for module in network.modules())

    assert norms(build("vgg11")) == 0
    assert norms(build("vgg11", batch_norm=True)) == 8 + 2
    assert norms(build("vgg11_bn", batch_norm=False)) == 0
    assert norms(build("resnet20", batch_norm=True)) == 19
    without = build("resnet20", batch_norm=False)
    assert norms(without) == 0
    assert all(module.bias is not None for module in without.modules() if isinstance(module, nn.Conv2d))
    assert without(torch.randn(2, 3, 32, 32)).shape == (2, 7)
    biases = [module.bias for module in build("airbench", batch_norm=False).modules() if isinstance(module, nn.Conv2d)]
    assert len(biases) == 7
    assert all(bias is not None for bias in biases)  # pooling stands between three of them and their normalisation
    with pytest.raises(PipelineError, match="perceptron has no hidden layer to normalise; set it to null"):
        build("perceptron", batch_norm=True)


def test_pooling_dropout_and_start_change() -> None:
    network = build("alexnet", pooling="average", dropout=0.25, start="small")
    pools = [module for module in network.modules() if isinstance(module, (nn.AvgPool2d, nn.MaxPool2d))]
    assert [type(pool) for pool in pools] == [nn.AvgPool2d] * 3
    assert pools[0].kernel_size == 3
    assert [module.p for module in network.modules() if isinstance(module, nn.Dropout)] == [0.25, 0.25]
    weights = [module.weight for module in network.modules() if isinstance(module, nn.Linear)]
    assert float(weights[0].detach().std()) == pytest.approx(0.01, rel=0.1)
    for key in ("resnet20", "airbench"):
        network = build(key, dropout=0.3)
        added = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Dropout)]
        assert len(added) == 1
        holder = network.get_submodule(added[0][0].rpartition(".")[0])
        assert isinstance(holder[1], nn.Linear)  # type: ignore[index]


def test_maxouts_maps_start_as_the_networks_do() -> None:
    torch.manual_seed(0)
    plain, wide = (
        [module for module in build("vgg11", activation=kind).modules() if isinstance(module, nn.Conv2d)]
        for kind in ("relu", "maxout")
    )
    for layer, doubled in zip(plain, wide, strict=True):
        assert doubled.out_channels == 2 * layer.out_channels
        assert float(doubled.weight.detach().std()) == pytest.approx(float(layer.weight.detach().std()), rel=0.15)


def test_local_layers_have_every_start_too() -> None:
    local = [
        module for module in build("cuda_convnet", start="small").modules() if isinstance(module, LocallyConnected2d)
    ]
    assert [float(layer.weight.detach().std()) for layer in local] == pytest.approx([0.01, 0.01], rel=0.05)


def test_a_switch_that_makes_no_sense_is_a_sentence() -> None:
    with pytest.raises(PipelineError, match=r"`mlp.pooling` is max, but mlp has no pooling"):
        build("mlp", pooling="max")
    with pytest.raises(PipelineError, match=r"`perceptron.activation` is relu"):
        build("perceptron", activation="relu")
    for key in ("mlp", "perceptron", "lenet5_modern"):
        with pytest.raises(PipelineError, match=f"`{key}.start` is paper, but no publication says how {key}'s weights"):
            build(key, start="paper")
    with pytest.raises(PipelineError, match="maxout, which needs"):
        build("resnet20", activation="maxout")


def test_the_papers_start_is_the_papers() -> None:
    network = build("lenet5", 32, 1, 10, start="paper")
    weight = network.F6.weight.detach()  # type: ignore[union-attr, operator]
    assert float(weight.abs().max()) <= 2.4 / 120 * (1 + 1e-6)  # rounded to float32
    assert float(weight.abs().max()) > 2.2 / 120
    seen = network.C3.weight.detach() * network.C3.mask  # type: ignore[union-attr, operator]
    for row, inputs in zip(seen, lenet5.C3_TABLE, strict=True):
        assert 0.8 < float(row.abs().max()) * 25 * len(inputs) / 2.4 <= 1 + 1e-6
    vgg = [module for module in build("vgg11", start="paper", width=1.0).modules() if isinstance(module, nn.Conv2d)]
    assert float(vgg[3].weight.detach().std()) == pytest.approx(0.1, rel=0.05)
    convnet = [module for module in build("cuda_convnet", start="paper").modules() if hasattr(module, "weight")]
    deviations = [float(layer.weight.detach().std()) for layer in convnet]  # type: ignore[operator]
    assert deviations == pytest.approx([0.0064, 0.01, 0.04, 0.04, 0.01], rel=0.05)
    for key in ("alexnet", "alexnet_one_tower"):
        built = build(key, width=1.0, start="paper")
        kernels = [module for module in built.modules() if isinstance(module, nn.Conv2d)]
        assert float(kernels[2].weight.detach().std()) == pytest.approx(0.01, rel=0.05)
        assert [float(layer.bias.detach().mean()) for layer in kernels] == pytest.approx([0, 0.1, 0, 0.1, 0.1])  # type: ignore[union-attr]
