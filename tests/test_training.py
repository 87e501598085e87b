from __future__ import annotations

import dataclasses
import json
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipeline import device, settings
from pipeline.augmentation.augmenter import Augmenter
from pipeline.augmentation.colors import principal_colors
from pipeline.data.contract import Split, TrainingData
from pipeline.errors import PipelineError
from pipeline.models.network import training_work
from pipeline.models.recipe import Recipe
from pipeline.networks import airbench, lenet5, lenet5_modern
from pipeline.networks.parts.groups import groups_of
from pipeline.networks.parts.switches import switch
from pipeline.settings import STILL, Augmentation, Distortion, Training
from pipeline.training import batches, loop, optimizers, prediction, processes, statistics, tuning
from pipeline.training.average import Average
from pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from pipeline.training.images import Images, Normalisation, to_input
from pipeline.training.optimizers import Muon, Optimizer, orthogonal
from pipeline.training.pace import Pace, paced
from pipeline.training.record import Record
from pipeline.training.schedules import schedule
from pipeline.training.tasks import Task
from tests.conftest import DEVICES

CPU = torch.device("cpu")
RANDOM = np.random.default_rng(0)
PLAN: dict[str, Any] = {
    "learning_rates": [0.02],
    "trial_epochs": 1,
    "epochs": 4,
    "batch_size": 16,
    "least_batches": 1,
    "least_steps": 1,
    "optimizer": "sgd",
    "momentum": 0.9,
    "damping": 0.02,
    "weight_decay": 5e-4,
    "schedule": "one_cycle",
    "warm_up": 0.2,
    "drops": [0.5, 0.75],
    "label_smoothing": 0.0,
    "average": None,
    "flip": "random",
    "shift": None,
    "output": "softmax",
    "normalisation": "channel",
    "patience": 10,
    "precision": "fp32",
    "compile": False,
    "views": "single",
    "activation": None,
    "dropout": None,
    "batch_norm": None,
    "pooling": None,
    "start": None,
}


def allowed(**changes: Any) -> Augmentation:
    return STILL.model_copy(update=changes)


def split(count: int, name: str = "train", side: int = 32) -> Split:
    """Two classes told apart by where they are bright."""
    labels = np.arange(count) % 2
    images = RANDOM.integers(0, 120, (count, side, side, 3), dtype=np.uint8)
    images[labels == 1, : side // 2] += 100
    return Split(name, images, labels, [f"{name}/{i}" for i in range(count)])


def task(
    network: Any = None, precision: torch.dtype = torch.float32, shift: int = 2, device: torch.device = CPU
) -> Task:
    train, val = split(96), split(32, "val")
    return Task(
        build=network or (lambda: lenet5_modern.build(lenet5_modern.Settings(**PLAN), (3, 32, 32), 2)),
        train=Images(train, 3, device),
        val=Images(val, 3, device),
        normalisation=Normalisation.of(train, 3),
        augmenter=Augmenter(allowed(mirror=True, shift=shift), 3),
        device=device,
        precision=precision,
        seed=3,
    )


def fit(one: Task, checkpoint: Path | None = None, advance: Any = None, **changes: Any) -> Any:
    plan = Training(**(PLAN | changes))
    return loop.fit(one, plan, plan.learning_rates[0], plan.epochs, checkpoint, advance or (lambda count, note: None))


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return network.state_dict()


# ---------------------------------------------------------------------------------------------------- the loop


def test_it_learns_and_keeps_the_best_snapshot() -> None:
    one = task()
    network, progress = fit(one, epochs=6)
    assert progress.best_error <= 0.1
    assert prediction.evaluate(network, one, one.val, nn.CrossEntropyLoss())["error"] == progress.best_error
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


def with_batch_norm() -> nn.Module:
    plan = PLAN | {"batch_norm": True}
    return switch(
        lenet5_modern.build(lenet5_modern.Settings(**plan), (3, 32, 32), 2), "lenet5_modern", Training(**plan)
    )


@pytest.mark.parametrize(
    ("build", "changes"),
    [
        (with_dropout, {}),
        (with_batch_norm, {"optimizer": "muon", "momentum": 0.6, "average": 0.9}),
        (with_dropout, {"optimizer": "levenberg_marquardt", "learning_rates": [0.001]}),
    ],
)
@pytest.mark.parametrize("after", [10, 150, 250])
@pytest.mark.parametrize("device", DEVICES)
def test_a_killed_run_goes_on_to_the_same_weights_bit_for_bit(
    tmp_path: Path, after: int, build: Any, changes: dict[str, Any], device: torch.device
) -> None:
    one = task(build, device=device)
    whole, history = fit(one, **changes)
    seen = 0

    def kill(count: int, note: str) -> None:
        nonlocal seen
        seen += count
        if seen > after:
            raise Killed

    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Killed):
        fit(one, path, kill, **changes)
    torch.rand(7)  # another process would have other random numbers
    resumed, again = fit(one, path, **changes)
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
    with pytest.raises(
        PipelineError, match=r"no longer a finite number at step 2, in epoch 1, at a learning rate of .*learning_rates"
    ):
        fit(task(), tmp_path / "c.pt", learning_rates=[1e20])


def test_a_run_that_diverges_later_says_what_is_kept() -> None:
    run = loop.Run(task(), Training(**PLAN), 0.02, 4)
    run.progress.epoch = 2
    with torch.no_grad():
        next(run.network.parameters()).fill_(float("nan"))
    first = next(name for name, module in run.network.named_modules() if isinstance(module, nn.Conv2d))
    with pytest.raises(
        loop.Diverged, match=rf"the first layer to blame is {first} .*the checkpoint of epoch 2 is kept"
    ):
        run.train_epoch(lambda count, note: None)


def test_a_loss_that_broke_before_it_was_looked_at_names_its_own_step() -> None:
    run = loop.Run(task(), Training(**PLAN), 0.02, 4)
    run.broken = torch.tensor(3)
    with pytest.raises(loop.Diverged) as error:
        run._must_be_finite(torch.tensor(float("nan")), torch.zeros(1, 3, 32, 32), step=19)
    assert f"at step 4, in epoch 1, at a learning rate of {0.02 * run.factor(3):.3g}" in str(error.value)
    assert "to blame" not in str(error.value)
    assert "no checkpoint" in str(error.value)


@pytest.mark.parametrize("device", DEVICES)
def test_bfloat16_learns_too(device: torch.device) -> None:
    assert fit(task(precision=torch.bfloat16, device=device), epochs=6)[1].best_error <= 0.2


@pytest.mark.parametrize("count", [2, 3, 100])
def test_batches_prepared_ahead_are_those_prepared_one_by_one(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    one = task()
    expected, history = fit(one, epochs=2)
    monkeypatch.setattr(batches, "_ahead", lambda task, size: count)
    found, again = fit(one, epochs=2)
    assert again.history == history.history
    for name, value in weights(expected).items():
        assert torch.equal(value, weights(found)[name]), name


def test_a_batch_is_its_images_changed_and_normalised() -> None:
    """The last takes what is left over."""
    one = task()
    order = RANDOM.permutation(96)
    pace = Pace(images=96, batch_size=40, steps=2, passes=1)
    found = list(batches.batches(one, order, pace, number=1))
    assert [batch.total for batch in found] == [40, 56]
    changed = one.augmenter(one.train.batch(order[40:]), order[40:], 1)
    assert torch.equal(found[1].x, to_input(changed, one.normalisation))
    assert torch.equal(found[1].labels, one.train.labels[torch.from_numpy(order[40:])])
    assert [batch.weight for batch in found] == [1.0, 1.0]


def test_passes_over_few_images_are_shorter_epochs_of_which_val_sees_the_last() -> None:
    """Two epochs of two passes are four epochs of one, to the bit."""
    one = task()
    four, two = fit(one, epochs=4)[1].history, fit(one, epochs=2, least_steps=24)[1].history
    assert [row["val_loss"] for row in two] == [four[1]["val_loss"], four[3]["val_loss"]]
    assert two[1]["train_loss"] == pytest.approx((four[2]["train_loss"] + four[3]["train_loss"]) / 2)
    assert two[1]["learning_rate"] == four[3]["learning_rate"]


@given(
    images=st.integers(1, 100_000),
    size=st.integers(1, 2000),
    epochs=st.integers(1, 100),
    fewest=st.integers(1, 64),
    steps=st.integers(1, 5000),
)
def test_the_pace_gives_few_images_steps_enough_and_leaves_many_alone(
    images: int, size: int, epochs: int, fewest: int, steps: int
) -> None:
    plan = Training(**(PLAN | {"batch_size": size, "epochs": epochs, "least_batches": fewest, "least_steps": steps}))
    pace = Pace.of(plan, images)
    assert pace.steps_an_epoch * epochs >= steps
    assert pace.passes == 1 or (pace.passes - 1) * pace.steps * epochs < steps
    assert min(8, size, images) <= pace.batch_size <= min(size, images)
    if images >= fewest * size:
        assert pace.batch_size == size
    assert Pace.of(plan.model_copy(update={"batch_size": pace.batch_size}), images) == pace


def test_a_changed_pace_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Training(**(PLAN | {"batch_size": 64, "least_batches": 4, "least_steps": 100}))
    assert paced("lenet5", plan, 10_000).batch_size == 64
    assert capsys.readouterr().err == ""
    assert paced("lenet5", plan, 36).batch_size == 9
    assert (
        "train has 36 images: lenet5 learns from 9 at once, 7 passes over them are an epoch" in capsys.readouterr().err
    )


def factors(steps: int = 100, **changes: Any) -> list[float]:
    factor = schedule(Training(**(PLAN | changes)), steps)
    return [factor(step) for step in range(steps)]


def test_one_cycle_rises_and_falls() -> None:
    rates = factors()
    assert max(rates) == 1
    assert np.argmax(rates) in (19, 20)
    assert rates[0] == pytest.approx(0.05)
    assert 0 < rates[-1] < 0.02
    assert factors(1) == [1]


def test_cosine_and_steps_fall_as_they_say() -> None:
    cosine = factors(schedule="cosine", warm_up=0.0)
    assert cosine[0] == 1
    assert cosine[50] == pytest.approx(0.5)
    assert cosine[25] == pytest.approx(0.5 + 0.5**1.5)
    steps = factors(schedule="step", warm_up=0.0)
    assert steps[:50] == [1.0] * 50
    assert steps[50:75] == pytest.approx([0.1] * 25)
    assert steps[75:] == pytest.approx([0.01] * 25)


def test_muons_updates_are_nearly_orthogonal() -> None:
    for shape in ((20, 90), (90, 20)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert values.min() > 0.3
        assert values.max() < 1.4


@pytest.mark.parametrize("shape", [(20, 90), (90, 20), (20, 24), (20, 20)])  # some over products of rows, some not
@pytest.mark.parametrize("smallest", [1.0, 1e-4])  # singular value, of a largest of 1
def test_muon_does_not_emulate_bfloat16(
    shape: tuple[int, int], smallest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32 it is what float64 gives, but for rounding; in bfloat16 it would be hundredths away."""
    monkeypatch.setattr(optimizers, "pick_precision", lambda wanted, device: torch.float32)
    left, values, right = torch.linalg.svd(torch.randn(shape, dtype=torch.float64), full_matrices=False)
    values *= torch.logspace(0, np.log10(smallest), len(values))
    matrix = (left * values) @ right
    values /= matrix.norm()
    a, b, c = optimizers.NEWTON_SCHULZ
    for _ in range(optimizers.ITERATIONS):
        values = a * values + b * values**3 + c * values**5
    torch.testing.assert_close(orthogonal(matrix.float()).double(), left * values @ right, atol=1e-5, rtol=0)


def test_muon_keeps_the_norm_and_follows_the_gradient() -> None:
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.randn(8, 3, 3, 3))
    kernel.grad = torch.randn(8, 3, 3, 3)
    before = kernel.detach().clone() * 8**0.5 / kernel.detach().norm()
    Muon([kernel], lr=0.1, momentum=0.9).step()
    moved = kernel.detach() - before
    assert float((moved * kernel.grad).sum()) < 0
    assert float(moved.norm()) == pytest.approx(0.1 * 8**0.5, rel=0.3)


def test_sgd_is_nesterovs_with_decay_by_hand() -> None:
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(2.0)
    optimizer = Optimizer(layer, Training(**(PLAN | {"momentum": 0.5, "weight_decay": 0.25})))
    weight, velocity = 2.0, 0.0
    for gradient in (1.0, -3.0):
        layer.weight.grad = torch.full((1, 1), gradient)
        optimizer.step(0.1, progress=0.0)
        decayed = gradient + 0.25 * weight
        velocity = 0.5 * velocity + decayed
        weight -= 0.1 * (decayed + 0.5 * velocity)
        assert layer.weight.item() == pytest.approx(weight, rel=1e-6)


def test_levenberg_and_marquardt_divide_each_gradient_by_its_curvature() -> None:
    layer = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -2.0]]))
    plan = PLAN | {"optimizer": "levenberg_marquardt", "momentum": 0.5, "weight_decay": 0.25, "damping": 0.5}
    optimizer = Optimizer(layer, Training(**plan))
    weight, velocity = np.array([1.0, -2.0]), np.zeros(2)
    for gradient, curved in (([1.0, 4.0], [0.0, 1.5]), ([-3.0, 2.0], [3.5, 0.0])):
        optimizer.look({layer.weight: torch.tensor([curved])})
        layer.weight.grad = torch.tensor([gradient])
        optimizer.step(0.1, progress=0.0)
        towards = (np.array(gradient) + 0.25 * weight) / (np.array(curved) + 0.5)
        velocity = 0.5 * velocity + towards
        weight = weight - 0.1 * (towards + 0.5 * velocity)
        np.testing.assert_allclose(layer.weight.detach().numpy()[0], weight, rtol=1e-6)
        assert layer.weight.grad.tolist() == [gradient]  # statistics read it afterwards


@pytest.mark.parametrize("size", [16, 2000])
def test_muons_companion_moves_as_published_where_the_loss_is_summed(size: int) -> None:
    """airbench94_muon sums the loss over 2,000 images; what we train by is its mean, so our rates hold the batch."""
    plan = PLAN | {"optimizer": "muon", "momentum": 0.6, "weight_decay": 3e-6, "batch_size": size}
    network = airbench.build(airbench.Settings(**plan, width=0.1), (3, 32, 32), 5)
    optimizer = Optimizer(network, Training(**plan))
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.full_like(parameter, 1 / size)  # of the sum: 1
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer.step(0.24, progress=0.0)
    after = {name: value.clone() for name, value in network.state_dict().items()}
    assert torch.equal(before["whitening.weight"], after["whitening.weight"])
    steps = 1 + airbench.SGD_MOMENTUM  # Nesterov's first
    for name, rate in (("groups.0.2.bias", 0.053), ("whitening.bias", 0.053), ("head.weight", 0.67)):
        decay = 2e-6 * size / rate * before[name]
        torch.testing.assert_close(before[name] - after[name], steps * rate * (1 + decay), rtol=0.01, atol=1e-5)
    assert not torch.equal(before["groups.0.0.weight"], after["groups.0.0.weight"])
    optimizer.step(0.24, progress=0.5)
    assert torch.equal(after["whitening.bias"], network.state_dict()["whitening.bias"])  # its time is over
    assert not torch.equal(after["head.weight"], network.state_dict()["head.weight"])


def test_without_muon_only_the_normalisations_biases_have_a_rate_of_their_own() -> None:
    network = airbench.build(airbench.Settings(**PLAN, width=0.1), (3, 32, 32), 5)
    assert [group.rate for group in groups_of(network)] == [1, 64, 1]
    assert [group.rate * group.decay for group in groups_of(network)] == [1, 1, 1]


def test_whitened_patches_have_unit_covariance() -> None:
    network = airbench.build(airbench.Settings(**PLAN, width=0.1), (3, 32, 32), 5)
    images = torch.from_numpy(RANDOM.normal(size=(50, 3, 32, 32))).float().cumsum(dim=3) / 5
    network.learn_from(images)  # type: ignore[operator]
    out = network.whitening(images)[:, :12].permute(0, 2, 3, 1).reshape(-1, 12)  # type: ignore[operator]
    torch.testing.assert_close(out.T @ out / len(out), torch.eye(12), atol=0.2, rtol=0)


def test_the_average_follows_the_weights() -> None:
    network = nn.Linear(2, 1)
    average = Average(network, 0.5)
    with torch.no_grad():
        for value in range(40):
            network.weight.fill_(float(value))
            average.update(network)
    # Σ 2^-(k+1) (39 − k) = 38
    torch.testing.assert_close(average.values["weight"], torch.full((1, 2), 38.0), atol=1e-3, rtol=0)
    with average.in_place(network):
        assert network.weight[0, 0].item() == pytest.approx(38, abs=1e-3)
    assert network.weight[0, 0].item() == 39


@pytest.mark.parametrize(
    "changes", [{"average": 0.9}, {"output": "sigmoid"}, {"schedule": "cosine"}, {"label_smoothing": 0.1}]
)
def test_every_choice_learns(changes: dict[str, Any]) -> None:
    assert fit(task(), epochs=6, **changes)[1].best_error <= 0.2


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler: apt-get install g++")
@pytest.mark.parametrize("device", DEVICES)
def test_a_compiled_network_learns_the_same(device: torch.device) -> None:
    """On a GPU its kernels are recorded besides, and recorded anew for the second network's weights."""
    one = task(device=device)
    _, plain = fit(one, epochs=2)
    fit(one, epochs=1, compile=True)
    _, compiled = fit(one, epochs=2, compile=True)
    for row, other in zip(plain.history, compiled.history, strict=True):
        assert other["train_loss"] == pytest.approx(row["train_loss"], rel=1e-3)
        assert other["val_loss"] == pytest.approx(row["val_loss"], rel=1e-2)
    assert [row["layer"] for row in compiled.layers] == [row["layer"] for row in plain.layers]


def test_what_happens_inside_is_recorded_for_every_epoch_and_layer() -> None:
    _, progress = fit(task(), epochs=2)
    rows = [row for row in progress.layers if row["epoch"] == 2]
    assert [row["layer"] for row in rows] == ["0", "1", "3", "4", "7", "8", "9", "10", "11"]
    assert all(row["gradient"] > 0 for row in rows if "gradient" in row)
    assert all(0 <= row["silent"] <= 1 for row in rows if "silent" in row)


def test_dead_units_are_seen() -> None:
    def dead() -> nn.Module:
        network = lenet5_modern.build(lenet5_modern.Settings(**PLAN), (3, 32, 32), 2)
        with torch.no_grad():
            network[0].bias[:3] = -1e6  # type: ignore[index]
        return network

    _, progress = fit(task(dead), epochs=1)
    assert next(row for row in progress.layers if row["layer"] == "1")["silent"] == pytest.approx(0.5)


def test_views_average_mirror_images() -> None:
    one = task()
    network = lenet5_modern.build(lenet5_modern.Settings(**PLAN), (3, 32, 32), 2)
    mirrored = Images(split(8, "val"), 3, CPU)
    assert isinstance(mirrored._stored, torch.Tensor)
    alone = prediction.predict(network, one, mirrored)
    both = prediction.predict(network, one, mirrored, "mirror")
    mirrored._stored = mirrored._stored.flip(2)
    np.testing.assert_allclose(both, (alone + prediction.predict(network, one, mirrored)) / 2, atol=1e-5)
    np.testing.assert_allclose(prediction.predict(network, one, mirrored, "mirror"), both, atol=1e-5)


def test_six_views_are_mirrors_and_shifts_along_the_diagonal() -> None:
    one, shown = task(), split(8, "val")
    network = lenet5_modern.build(lenet5_modern.Settings(**PLAN), (3, 32, 32), 2)

    def scores(images: np.ndarray, views: str) -> np.ndarray:
        return prediction.predict(network, one, Images(Split("val", images, shown.labels, shown.ids), 3, CPU), views)

    padded = np.pad(shown.images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    moved = [np.ascontiguousarray(padded[:, place : place + 32, place : place + 32]) for place in (0, 1, 2)]
    by_hand = sum(weight * scores(images, "mirror") for weight, images in zip((0.25, 0.5, 0.25), moved, strict=True))
    np.testing.assert_allclose(scores(shown.images, "mirror_shift"), by_hand, atol=1e-5)
    assert np.abs(by_hand - scores(shown.images, "mirror")).max() > 1e-3


def test_a_damaged_checkpoint_counts_as_none(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c.pt", {"a": torch.ones(3)})
    assert torch.equal(load_checkpoint(tmp_path / "c.pt")["a"], torch.ones(3))  # type: ignore[index]
    whole = (tmp_path / "c.pt").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"x" * 100):
        (tmp_path / "c.pt").write_bytes(damaged)
        assert load_checkpoint(tmp_path / "c.pt") is None
    assert load_checkpoint(tmp_path / "none.pt") is None


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    one = task()
    fit(one, tmp_path / "c.pt", epochs=1)
    with pytest.raises(PipelineError, match=r"other settings: .*label_smoothing was 0.0 and is 0.1"):
        fit(one, tmp_path / "c.pt", epochs=1, label_smoothing=0.1)


def test_a_checkpoint_is_gone_on_from_when_other_rates_are_tried(tmp_path: Path) -> None:
    one = task()
    fit(one, tmp_path / "c.pt", epochs=1)

    def forbidden(count: int, note: str) -> None:
        assert note == "resumed"

    fit(one, tmp_path / "c.pt", forbidden, epochs=1, learning_rates=[0.02, 0.001])


def test_a_networks_own_criterion_ignores_nothing_silently() -> None:
    one = task(lambda: lenet5.build(lenet5.Settings(**PLAN), (3, 32, 32), 2))
    for changes in ({"label_smoothing": 0.1}, {"output": "sigmoid"}):
        with pytest.raises(PipelineError, match="criterion of its own"):
            fit(one, **changes)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = task()
    path = tmp_path / "c.pt"
    save = torch.save
    calls = 0

    def full(state: Any, file: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        save(state, file)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(
        PipelineError, match=r"c\.pt: cannot be written \(No space left on device\); the checkpoint before"
    ):
        fit(one, path)
    assert load_checkpoint(path)["progress"]["epoch"] == 2  # type: ignore[index]
    assert [found.name for found in tmp_path.iterdir()] == ["c.pt"]
    assert fit(one, path)[1].history == fit(one)[1].history


class Hungry(nn.Module):
    """Two layers in a memory of 20 images, where each holds its input until the batch's last trace is gone."""

    held = 0

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3072, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.first(self._hold(x.flatten(1) * 1.0))
        scores: torch.Tensor = self.second(self._hold(inner))
        return scores

    def _hold(self, x: torch.Tensor) -> torch.Tensor:
        if Hungry.held + len(x) > 20:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        Hungry.held += len(x)
        weakref.finalize(x, self._release, len(x))
        return x

    @staticmethod
    def _release(count: int) -> None:
        Hungry.held -= count


def test_out_of_memory_names_the_largest_batch_that_fits() -> None:
    with pytest.raises(PipelineError, match=r"batch of 16 images does not fit .* set the network's `batch_size` to 8"):
        fit(task(Hungry))


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("CUDA error: out of memory"), RuntimeError("cuBLAS: CUBLAS_STATUS_ALLOC_FAILED")],
)
def test_a_network_that_does_not_fit_is_a_sentence(error: Exception) -> None:
    def large() -> nn.Module:
        raise error

    with pytest.raises(PipelineError, match="the network does not fit into the memory of cpu"):
        fit(task(large))


def test_other_errors_are_not_called_memory() -> None:
    def broken() -> nn.Module:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        fit(task(broken))


def test_a_network_learns_from_fewer_images_where_they_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Learning(nn.Sequential):
        def learn_from(self, images: torch.Tensor) -> None:
            seen.append(len(images))

    def start() -> None:
        loop.Run(task(lambda: Learning(nn.Flatten(), nn.Linear(3072, 2))), Training(**PLAN), 0.02, 1)

    start()
    monkeypatch.setattr(loop, "PIXELS_LEARNED_FROM", 10 * 32 * 32 + 1)
    start()
    assert seen == [len(task().train), 10]


@pytest.mark.parametrize("rank", range(3))
def test_more_processes_than_images_to_score(rank: int) -> None:
    class Three(processes.Processes):
        def gather(self, part: np.ndarray) -> np.ndarray:
            return part

    one = task()
    network = lenet5_modern.build(lenet5_modern.Settings(**PLAN), (3, 32, 32), 2)
    two = Images(split(2), 3, CPU)
    alone = prediction.predict(network, one, two)
    part = prediction.predict(network, dataclasses.replace(one, processes=Three(rank, 3)), two)
    np.testing.assert_allclose(part, alone[rank : rank + 1], atol=1e-5)
    assert part.shape == (int(rank < 2), 2)


def test_a_checkpoint_that_may_not_be_read_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*values: Any, **more: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(torch, "load", refused)
    with pytest.raises(PipelineError, match=r"c\.pt: the checkpoint cannot be read \(Permission denied\)"):
        fit(task(), tmp_path / "c.pt")


def test_val_is_scored_in_batches_that_fit() -> None:
    assert len(fit(task(Hungry), batch_size=8)[1].history) == 4


def test_val_is_measured_by_what_the_network_is_trained_by() -> None:
    one = task()
    network = lenet5_modern.build(lenet5_modern.Settings(**PLAN), (3, 32, 32), 2)
    run = loop.Run(one, Training(**(PLAN | {"output": "sigmoid"})), 0.02, 1)
    scores = torch.from_numpy(prediction.predict(network, one, one.val)).double()
    signs = 1 - 2 * nn.functional.one_hot(one.val.labels, 2)
    by_hand = torch.log1p(torch.exp(signs * scores)).sum(dim=1).mean()
    assert prediction.evaluate(network, one, one.val, run.criterion)["loss"] == pytest.approx(float(by_hand), rel=1e-5)


def test_scores_on_val_that_are_no_numbers_stop_the_run(tmp_path: Path) -> None:
    one = task()
    run = loop.Run(one, Training(**PLAN), 0.02, 4)
    with torch.no_grad():
        next(run.network.parameters()).fill_(float("nan"))
    with pytest.raises(loop.Diverged, match=r"loss on val .* after epoch 1, .* of 0\.02; lower"):
        run.close_epoch({"train_error": 0.5})


@pytest.mark.parametrize(("size", "sizes"), [(19, [19] * 4 + [20]), (95, [96]), (96, [96]), (20, [20] * 4 + [16])])
def test_no_image_is_left_for_a_batch_of_its_own(size: int, sizes: list[int]) -> None:
    seen: list[int] = []

    class Norm(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.append(len(x))
            scores: torch.Tensor = super().forward(x)
            return scores

    fit(
        task(lambda: Norm(nn.Flatten(), nn.Linear(3072, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))),
        epochs=1,
        batch_size=size,
    )
    assert seen == sizes


def test_layers_are_watched_on_a_full_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = statistics.watched

    @contextmanager
    def noted(network: nn.Module, rows: list[dict[str, float | str]]) -> Iterator[None]:
        hook = network.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
        with real(network, rows):
            yield
        hook.remove()

    monkeypatch.setattr(loop, "watched", noted)
    fit(task(), epochs=1, batch_size=20)  # 96 images: the last batch has 16
    fit(task(), epochs=1, batch_size=96)
    assert sizes == [20, 96]


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


EVERYTHING = allowed(
    mirror=True,
    shift=3,
    crop=0.5,
    distort=Distortion(rotate=10.0, scale=0.1, shear=10.0, elastic=1.0),
    color=0.1,
    cutout=4,
)


@pytest.mark.parametrize("changes", [allowed(mirror=True, shift=3), EVERYTHING], ids=["moved", "everything"])
@pytest.mark.parametrize("flip", ["random", "alternating"])
def test_augmentation_belongs_to_the_image_and_not_to_the_batch(changes: Augmentation, flip: Any) -> None:
    images, numbers = torch.from_numpy(split(40).images), np.arange(40)
    augment = Augmenter(changes, 0, flip, principal_colors(images.numpy()))
    whole = augment(images, numbers, 1)
    order = RANDOM.permutation(40)
    assert torch.equal(augment(images[order], numbers[order], 1), whole[order])
    assert torch.equal(augment(images[7:9], numbers[7:9], 1), whole[7:9])
    assert not torch.equal(augment(images, numbers, 2), whole)
    assert torch.equal(Augmenter(allowed(), 0)(images, numbers, 1), images)


@pytest.mark.parametrize("device", DEVICES[1:])
def test_mirrored_and_shifted_bytes_are_the_cpus(device: torch.device) -> None:
    images, numbers = torch.from_numpy(RANDOM.integers(0, 256, (9, 14, 11, 3), np.uint8)), np.arange(9) * 31
    augmenter = Augmenter(allowed(mirror=True, shift=3, cutout=4), 5)
    expected = augmenter(images, numbers, 2)
    assert torch.equal(augmenter(images.to(device), numbers, 2).cpu(), expected)


def test_augmentation_only_mirrors_and_shifts() -> None:
    images = torch.from_numpy(RANDOM.integers(0, 256, (200, 9, 9, 1), dtype=np.uint8))
    out = Augmenter(allowed(mirror=True, shift=2), 0)(images, np.arange(200), 0)
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


def test_alternating_images_turn_round_every_epoch() -> None:
    images, numbers = torch.from_numpy(split(60).images), np.arange(60)
    augment = Augmenter(allowed(mirror=True), 0, "alternating")
    first, second, third = (augment(images, numbers, epoch) for epoch in range(3))
    assert torch.equal(second, first.flip(2))
    assert torch.equal(third, first)
    turned = (first == images).all(dim=(1, 2, 3)).float().mean()
    assert 0.3 < float(turned) < 0.7


def smooth(count: int = 30, side: int = 24) -> torch.Tensor:
    y, x = np.mgrid[:side, :side]
    return torch.from_numpy(np.tile((4 * x + 5 * y)[None, :, :, None], (count, 1, 1, 1)).astype(np.uint8))


def test_bending_by_nothing_changes_nothing() -> None:
    nothing = Distortion(rotate=0.0, scale=0.0, shear=0.0, elastic=0.0)
    images = torch.from_numpy(split(10).images)
    assert torch.equal(Augmenter(allowed(distort=nothing), 0)(images, np.arange(10), 0), images)
    assert torch.equal(
        Augmenter(allowed(distort=nothing, mirror=True), 0)(images, np.arange(10), 0, True), images.flip(2)
    )


def test_a_turn_turns_by_the_degrees_that_it_says() -> None:
    only = Distortion(rotate=30.0, scale=0.0, shear=0.0, elastic=0.0)
    out = Augmenter(allowed(distort=only), 0)(smooth(), np.arange(30), 0).float()[..., 0]
    down = (out[:, 13, 12] - out[:, 11, 12]) / 2
    right = (out[:, 12, 13] - out[:, 12, 11]) / 2
    length = torch.sqrt(down**2 + right**2)
    torch.testing.assert_close(length, torch.full((30,), 41.0**0.5), atol=0.8, rtol=0)
    angles = torch.rad2deg(torch.atan2(down, right)) - np.rad2deg(np.arctan2(5, 4))
    assert float(angles.abs().max()) < 36
    assert float(angles.max()) > 15
    assert float(angles.min()) < -15


def test_elastic_moves_places_by_about_its_deviation() -> None:
    only = Distortion(rotate=0.0, scale=0.0, shear=0.0, elastic=1.0)
    out = Augmenter(allowed(distort=only), 0)(smooth(200), np.arange(200), 0).float()
    moved = (out - smooth(200).float())[:, 6:-6, 6:-6]
    assert 0.5 < float(moved.std()) / 41**0.5 < 1.3
    assert abs(float(moved.mean())) < 0.5


def test_a_crop_shows_a_part() -> None:
    out = Augmenter(allowed(crop=0.25), 0)(smooth(200), np.arange(200), 0).float()[..., 0]
    slope = (out[:, 12, 20] - out[:, 12, 4]) / 16 / 4  # 1: the whole width is shown
    assert 0.4 < float(slope.min()) < 0.6
    assert float(slope.max()) <= 1.05
    assert float(out.min()) >= 0


def test_noise_lies_along_the_principal_colors() -> None:
    base = RANDOM.normal(100, 30, (40, 8, 8, 1))
    images = np.clip(base * [1, 0.5, 0.25], 0, 255).astype(np.uint8)  # all pixels on one line
    palette = principal_colors(images)
    grey = torch.full((500, 4, 4, 3), 100, dtype=torch.uint8)
    out = Augmenter(allowed(color=1.0), 0, palette=palette)(grey, np.arange(500), 0).float() - 100
    noise = out[:, 0, 0]
    assert torch.equal(out[:, 0, 0], out[:, 3, 2])  # the same for all pixels
    torch.testing.assert_close(noise[:, 1], noise[:, 0] / 2, atol=1.1, rtol=0)
    pixels = images.reshape(-1, 3) / 255
    assert float(noise.norm(dim=1).std() > 0)
    expected = 255 * np.linalg.eigvalsh(np.cov(pixels.T))[-1]
    assert float(noise.norm(dim=1).square().mean().sqrt()) == pytest.approx(expected, rel=0.15)


def test_cutout_greys_one_square() -> None:
    white = torch.full((50, 16, 16, 3), 255, dtype=torch.uint8)
    out = Augmenter(allowed(cutout=6), 0)(white, np.arange(50), 0)
    sizes = (out[..., 0] == 128).sum(dim=(1, 2))
    assert int(sizes.max()) == 36
    assert int(sizes.min()) >= 9
    assert torch.equal(out == 128, out != 255)


# --------------------------------------------------------------------------------------------- several processes


def test_shares_of_a_batch_make_the_batch() -> None:
    numbers = np.arange(10)
    shares = [processes.Processes(rank, 3).share(numbers) for rank in range(3)]
    assert sorted(np.concatenate([mine for mine, _ in shares])) == list(range(10))
    # Averaging over processes must give the mean over the batch.
    means = [weight * mine.mean() for mine, weight in shares]
    assert np.mean(means) == pytest.approx(numbers.mean())
    empty, weight = processes.Processes(2, 3).share(np.array([4, 5]))
    assert len(empty) == 1
    assert weight == 0


# ------------------------------------------------------------------------------------------- rates that fail late


def test_a_network_that_falls_back_to_guessing_is_given_up() -> None:
    run = loop.Run(task(), Training(**PLAN), 0.02, 4)
    run.progress.best_error = 0.1
    for train_error, epochs in ((0.3, 0), (0.49, 1), (0.2, 0), (0.5, 1), (0.46, 2)):  # two classes: guessing is 0.5
        run.close_epoch({"train_error": train_error})
        assert run.progress.guessing == epochs
    assert run.progress.gave_up
    state = run.state_dict()
    again = loop.Run(task(), Training(**PLAN), 0.02, 4)
    again.load_state_dict(state)
    assert again.progress.gave_up


def test_what_never_learned_is_not_given_up() -> None:
    run = loop.Run(task(), Training(**PLAN), 1e-9, 4)
    run.progress.best_error = run.progress.best_loss = 0.5
    run._look_at_val = lambda row: None  # type: ignore[method-assign]
    for _ in range(5):
        run.close_epoch({"train_error": 0.5})
    assert not run.progress.gave_up


@pytest.mark.parametrize(
    ("fates", "kept"),
    [
        ({0.1: (0.4, 2), 0.05: (0.2, 0), 0.02: (0.1, 0)}, 0.05),  # the first that trains soundly
        ({0.1: (0.2, 2), 0.05: (0.3, 0), 0.02: (0.1, 0)}, 0.1),  # though what was given up had been better
        ({0.1: None, 0.05: (0.4, 2), 0.02: None}, 0.05),  # the best that is left
        ({0.1: (0.4, 2), 0.05: (0.35, 2), 0.02: (0.5, 2)}, 0.05),
    ],
)
def test_the_next_best_rate_has_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fates: dict[float, Any], kept: float
) -> None:
    def fake(
        one: Any, settings: Any, rate: float, epochs: int, checkpoint: Path | None, advance: Any, *watch: Any
    ) -> Any:
        if checkpoint is None:  # a trial: the higher the rate, the better
            return None, loop.Progress(best_error=1 - rate, best_loss=1.0)
        if fates[rate] is None:
            raise loop.Diverged("the loss is no longer a finite number")
        error, guessing = fates[rate]
        return rate, loop.Progress(best_error=error, guessing=guessing)

    monkeypatch.setattr(tuning, "fit", fake)
    plan = Training(**(PLAN | {"learning_rates": list(fates)}))
    trained = tuning.tune_and_train("a network", task(), plan, tmp_path)
    assert trained.network == kept  # type: ignore[comparison-overlap]
    assert [trial["value"] for trial in trained.tuning if trial["chosen"]] == [kept]
    told = {trial["value"]: trial["candidate"] for trial in trained.tuning}
    assert ("fell back to guessing" in told[0.1]) == (fates[0.1] is not None)
    assert ("diverged in full training" in told[0.1]) == (fates[0.1] is None)


def curves(folder: Path) -> list[str]:
    """The epochs whose error on val is written."""
    lines = (folder / "live" / "plots" / "metrics" / "val_error.tsv").read_text().splitlines()
    return [line.split("\t")[0] for line in lines[1:]]


def history(epochs: int, error: float = 0.5) -> loop.Progress:
    rows = [dict.fromkeys(("learning_rate", "train_loss", "train_error", "val_loss"), 0.1) for _ in range(epochs)]
    rows = [row | {"epoch": epoch, "val_error": error} for epoch, row in enumerate(rows, 1)]
    return loop.Progress(epoch=epochs, history=rows, layers=[{"epoch": 1, "layer": "0"}])


def test_curves_can_be_watched_after_each_epoch_and_begin_anew_with_another_rate(tmp_path: Path) -> None:
    watched = Record(tmp_path)
    for epochs in (1, 2, 3):
        watched(history(epochs))
        assert curves(tmp_path) == [str(epoch) for epoch in range(1, epochs + 1)]
    watched(history(1, error=0.4))  # the next best rate
    assert curves(tmp_path) == ["1"]
    resumed = history(4, error=0.4)  # where a killed run was, which had another rate before
    watched(history(3))
    watched(resumed)
    assert curves(tmp_path) == ["1", "2", "3", "4"]
    lines = (tmp_path / "live" / "plots" / "metrics" / "val_error.tsv").read_text().splitlines()
    assert {line.split("\t")[1] for line in lines[1:]} == {"0.4"}
    watched.close(history(3))  # but the first was better after all
    assert curves(tmp_path) == ["1", "2", "3"]
    told = json.loads((tmp_path / "live" / "metrics.json").read_text())
    assert (told["step"], told["val_error"]) == (3, 0.5)
    assert (tmp_path / "statistics.csv").read_text().startswith("epoch,layer")


def test_the_curves_of_a_resumed_training_are_whole(tmp_path: Path) -> None:
    """DVC has removed what the killed one had written."""
    checkpoint, plan, seen = tmp_path / "checkpoint.pt", Training(**PLAN), []
    loop.fit(task(), plan, 0.02, 2, checkpoint, lambda count, note: None, lambda one: seen.append(one.epoch))
    assert seen == [1, 2]
    loop.fit(task(), plan, 0.02, 2, checkpoint, lambda count, note: None, Record(tmp_path))
    assert curves(tmp_path) == ["1", "2"]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "live").write_text("in the way")
    with pytest.raises(PipelineError, match=r"the learning curves cannot be written .* make room, and run again"):
        Record(tmp_path)(history(1))


def test_a_rate_is_tried_once_whatever_the_list_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []

    def fake(
        one: Any, settings: Any, rate: float, epochs: int, checkpoint: Path | None, advance: Any, *watch: Any
    ) -> Any:
        if checkpoint is None:
            tried.append(rate)
            return None, loop.Progress(best_error=rate, best_loss=1.0)
        raise loop.Diverged("the loss is no longer a finite number")

    monkeypatch.setattr(tuning, "fit", fake)
    for rates in ([0.1, 0.2], [0.05, 0.1]):
        with pytest.raises(loop.Diverged):
            tuning.tune_and_train("a network", task(), Training(**(PLAN | {"learning_rates": rates})), tmp_path)
    assert tried == [0.1, 0.2, 0.05]


def test_a_list_of_rates_changes_no_work_folder() -> None:
    data = TrainingData(split(4), split(4), ["a", "b"], False, "these images")

    def folder(**changes: Any) -> Path:
        recipe = Recipe("lenet5", Training(**(PLAN | changes)), 0, STILL)
        return training_work("cnn-x", recipe, data, settings.load().compute)

    assert folder() == folder(learning_rates=[0.3, 0.1])
    assert folder() != folder(momentum=0.5)


def test_no_rate_that_trains_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(
        one: Any, settings: Any, rate: float, epochs: int, checkpoint: Path | None, advance: Any, *watch: Any
    ) -> Any:
        raise loop.Diverged("the loss is no longer a finite number")

    monkeypatch.setattr(tuning, "fit", fake)
    with pytest.raises(loop.Diverged):
        tuning.tune_and_train("a network", task(), Training(**(PLAN | {"learning_rates": [0.1, 0.2]})), tmp_path)
