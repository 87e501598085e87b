from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipeline import device
from pipeline.data.contract import Split
from pipeline.errors import PipelineError
from pipeline.networks import alexnet, lenet5
from pipeline.networks.layers import LocalResponseNorm, ScaledTanh, Subsampling, count_multiply_adds, count_parameters
from pipeline.settings import Augmentation, Training
from pipeline.training import loop
from pipeline.training.augmentation import augment
from pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from pipeline.training.images import Images, Normalisation, to_input

CPU = torch.device("cpu")
RANDOM = np.random.default_rng(0)
PLAN: dict[str, Any] = {
    "learning_rates": [0.05],
    "trial_epochs": 1,
    "epochs": 4,
    "batch_size": 16,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "label_smoothing": 0.0,
    "patience": 10,
    "precision": "fp32",
}


def split(count: int, name: str = "train", side: int = 32) -> Split:
    """Two classes told apart by where they are bright."""
    labels = np.arange(count) % 2
    images = RANDOM.integers(0, 120, (count, side, side, 3), dtype=np.uint8)
    images[labels == 1, : side // 2] += 100
    return Split(name, images, labels, [f"{name}/{i}" for i in range(count)])


def task(network: Any = None, precision: torch.dtype = torch.float32, shift: int = 2) -> loop.Task:
    train, val = split(96), split(32, "val")
    return loop.Task(
        build=network or (lambda: lenet5.build(lenet5.Settings(**PLAN), (3, 32, 32), 2)),
        train=Images(train, 3, CPU),
        val=Images(val, 3, CPU),
        normalisation=Normalisation.of(train, 3),
        augmentation=Augmentation(mirror=True, shift=shift),
        device=CPU,
        precision=precision,
        seed=3,
    )


def fit(one: loop.Task, checkpoint: Path | None = None, advance: Any = None, **changes: Any) -> Any:
    plan = Training(**(PLAN | changes))
    return loop.fit(one, plan, plan.learning_rates[0], plan.epochs, checkpoint, advance or (lambda count, note: None))


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return network.state_dict()


# ---------------------------------------------------------------------------------------------------- the loop


def test_it_learns_and_keeps_the_best_snapshot() -> None:
    one = task()
    network, progress = fit(one, epochs=6)
    assert progress.best_error <= 0.1
    assert loop.evaluate(one, network, one.val)["error"] == progress.best_error
    assert progress.best_error == min(row["val_error"] for row in progress.history)


def test_the_same_seed_gives_the_same_weights() -> None:
    one = task()
    first, second = fit(one)[0], fit(one)[0]
    for name, value in weights(first).items():
        assert torch.equal(value, weights(second)[name]), name


class Killed(Exception):
    pass


def with_dropout() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 2))


@pytest.mark.parametrize("after", [10, 150, 250])
def test_a_killed_run_goes_on_to_the_same_weights_bit_for_bit(tmp_path: Path, after: int) -> None:
    one = task(with_dropout)
    whole, history = fit(one)
    seen = 0

    def kill(count: int, note: str) -> None:
        nonlocal seen
        seen += count
        if seen > after:
            raise Killed

    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Killed):
        fit(one, path, kill)
    torch.rand(7)  # another process would have other random numbers
    resumed, again = fit(one, path)
    assert again.history == history.history
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]), name


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    one = task()
    fit(one, tmp_path / "c.pt")

    def forbidden(count: int, note: str) -> None:
        assert note == "resumed"

    fit(one, tmp_path / "c.pt", forbidden)


def test_early_stopping_waits_for_its_patience() -> None:
    one = task(lambda: nn.Sequential(nn.Flatten(), nn.Linear(3072, 2)))
    _, progress = fit(one, epochs=50, patience=2, learning_rates=[1e-12])
    assert progress.epoch == progress.best_epoch + 2


def test_a_diverging_run_stops_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"no longer a finite number in epoch 1.*learning_rates"):
        fit(task(), tmp_path / "c.pt", learning_rates=[1e20])


def test_bfloat16_learns_too() -> None:
    assert fit(task(precision=torch.bfloat16), epochs=6)[1].best_error <= 0.2


def test_one_cycle_rises_and_falls() -> None:
    rates = [loop.one_cycle(step, 100, 0.5) for step in range(100)]
    assert max(rates) == 0.5
    assert np.argmax(rates) in (19, 20)
    assert rates[0] == pytest.approx(0.025)
    assert 0 < rates[-1] < 0.01
    assert loop.one_cycle(0, 1, 0.5) == 0.5


def test_a_damaged_checkpoint_counts_as_none(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c.pt", {"a": torch.ones(3)})
    assert torch.equal(load_checkpoint(tmp_path / "c.pt")["a"], torch.ones(3))  # type: ignore[index]
    whole = (tmp_path / "c.pt").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"x" * 100):
        (tmp_path / "c.pt").write_bytes(damaged)
        assert load_checkpoint(tmp_path / "c.pt") is None
    assert load_checkpoint(tmp_path / "none.pt") is None


def test_cuda_without_a_gpu_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PipelineError, match=r"compute\.device.*auto or cpu"):
        device.pick_device("cuda")
    assert device.pick_device("auto") == CPU


# ------------------------------------------------------------------------------------- images and augmentation


def test_normalised_train_has_zero_mean_and_unit_variance() -> None:
    train = split(64)
    x = to_input(torch.from_numpy(train.images), Normalisation.of(train, 3))
    assert x.shape == (64, 3, 32, 32)
    torch.testing.assert_close(x.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.var(dim=(0, 2, 3), unbiased=False), torch.ones(3), atol=1e-3, rtol=0)


def test_streamed_images_equal_resident_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    data = split(30)
    numbers = np.array([7, 3, 3, 29, 0])
    resident = Images(data, 3, CPU).batch(numbers)
    monkeypatch.setattr("pipeline.training.images.RESIDENT_SHARE", 0)
    streamed = Images(data, 3, CPU)
    assert not isinstance(streamed._stored, torch.Tensor)
    assert torch.equal(streamed.batch(numbers), resident)
    assert torch.equal(resident[3], torch.from_numpy(data.images[29]))


def test_augmentation_belongs_to_the_image_and_not_to_the_batch() -> None:
    images, numbers = torch.from_numpy(split(40).images), np.arange(40)
    allowed = Augmentation(mirror=True, shift=3)
    whole = augment(images, numbers, 1, 0, allowed)
    order = RANDOM.permutation(40)
    assert torch.equal(augment(images[order], numbers[order], 1, 0, allowed), whole[order])
    assert not torch.equal(augment(images, numbers, 2, 0, allowed), whole)
    assert torch.equal(augment(images, numbers, 1, 0, Augmentation(mirror=False, shift=0)), images)


def test_augmentation_only_mirrors_and_shifts() -> None:
    images = torch.from_numpy(RANDOM.integers(0, 256, (200, 9, 9, 1), dtype=np.uint8))
    out = augment(images, np.arange(200), 0, 0, Augmentation(mirror=True, shift=2))
    found = set()
    for before, after in zip(images.numpy()[..., 0], out.numpy()[..., 0], strict=True):
        padded = np.pad(before, 2, mode="edge")
        options = {
            (dy, dx, flip): (padded[:, ::-1] if flip else padded)[dy : dy + 9, dx : dx + 9]
            for dy in range(5)
            for dx in range(5)
            for flip in (False, True)
        }
        matches = [key for key, option in options.items() if (option == after).all()]
        assert matches
        found.add(matches[0])
    assert len(found) > 40  # of 50: nearly every change occurs


# -------------------------------------------------------------------------------------------------- networks


def test_lenet5_has_the_papers_parameters_but_for_the_output() -> None:
    network = lenet5.build(lenet5.Settings(**PLAN), (1, 32, 32), 10)
    counts = {name: count_parameters(layer) for name, layer in network.named_children()}
    expected = {"C1": 156, "S2": 12, "C3": 1516, "S4": 32, "C5": 48120, "F6": 10164}
    assert {name: counts[name] for name in expected} == expected
    assert count_parameters(network) == 60_000 + 85 * 10


def test_lenet5s_table_is_the_papers() -> None:
    assert [len(seen) for seen in lenet5.C3_TABLE] == [3] * 6 + [4] * 9 + [6]
    assert lenet5.C3_TABLE[4] == [4, 5, 0]
    assert sorted(lenet5.C3_TABLE[12]) == [0, 1, 3, 4]
    assert sum(len(seen) for seen in lenet5.C3_TABLE) == 60


def test_a_left_out_connection_has_no_influence() -> None:
    network = lenet5.build(lenet5.Settings(**PLAN), (1, 32, 32), 10)
    maps = torch.randn(1, 6, 14, 14)
    other = maps.clone()
    other[:, 5] += 1  # the first map of C3 sees maps 0, 1, 2
    before, after = network.C3(maps), network.C3(other)
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 5], after[:, 5])


@pytest.mark.parametrize("side", [8, 28, 32, 33, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_lenet5_takes_any_size(side: int, channels: int) -> None:
    network = lenet5.build(lenet5.Settings(**PLAN), (channels, side, side), 7)
    assert network(torch.randn(2, channels, side, side)).shape == (2, 7)


def alexnet_settings(**changes: Any) -> alexnet.Settings:
    return alexnet.Settings(**(PLAN | {"width": 1.0, "dropout": 0.5} | changes))


def test_alexnet_at_227_has_the_papers_parameters() -> None:
    network = alexnet.build(alexnet_settings(), (3, 224, 224), 1000)
    assert count_parameters(network) == 60_965_224


@pytest.mark.parametrize("side", [24, 28, 32, 48, 64, 96, 128])
def test_alexnet_has_a_stem_for_every_size(side: int) -> None:
    network = alexnet.build(alexnet_settings(width=0.1), (3, side, side), 5)
    assert network(torch.randn(2, 3, side, side)).shape == (2, 5)


def test_alexnet_names_its_smallest_size() -> None:
    with pytest.raises(PipelineError, match=r"at least 24 pixels.*16×16"):
        alexnet.build(alexnet_settings(), (3, 16, 16), 5)


def test_local_response_normalisation_equals_torchs() -> None:
    x = torch.randn(2, 12, 5, 5, dtype=torch.float64) * 30
    ours = LocalResponseNorm(12).double()
    torch.testing.assert_close(ours(x), nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)(x))


def test_subsampling_and_tanh_by_hand() -> None:
    pool = Subsampling(1)
    with torch.no_grad():
        pool.coefficient.fill_(4)
        pool.bias.fill_(-1)
    x = torch.tensor([[[[1.0, 2], [3, 6]]]])
    assert pool(x).item() == 4 * 3 - 1
    torch.testing.assert_close(ScaledTanh()(torch.tensor([1.0, -1.0])), torch.tensor([1.0, -1.0]), atol=1e-4, rtol=0)


def test_multiply_adds_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(3, 10, 5, padding=2), nn.Flatten(), nn.Linear(10 * 32 * 32, 4))
    assert count_multiply_adds(network, (3, 32, 32)) == 10 * 32 * 32 * 75 + 10 * 32 * 32 * 4
