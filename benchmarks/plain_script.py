"""The plain script that `endtoend` compares with.

python benchmarks/plain_script.py FOLDER (with data/, made by prepare)

Straightforward on purpose, but not made slow: it uses all cores where the libraries do.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from skimage.feature import hog
from sklearn.svm import LinearSVC
from torch import nn

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
from pipeline import settings  # noqa: E402
from pipeline.networks import alexnet, lenet5  # noqa: E402  - the same architectures

data = {
    name: (np.load(folder / "data" / name / "images.npy"), np.load(folder / "data" / name / "labels.npy"))
    for name in ("train", "val", "test")
}
params = settings.load(folder / "params.yaml")
rng = np.random.default_rng(0)


def shift_and_mirror(image: np.ndarray) -> np.ndarray:
    """One random augmentation of one image."""
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="edge")
    y, x = rng.integers(0, 9, 2)
    crop = padded[y : y + image.shape[0], x : x + image.shape[1]]
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def classical(feature: Any, values: list[float]) -> dict[str, float]:
    """Features image by image, LinearSVC for each C, the best on val scored on test."""
    started = time.perf_counter()
    train_images, labels = data["train"]
    doubled = [*train_images, *(shift_and_mirror(image) for image in train_images)]
    x = np.stack([feature(image) for image in doubled])
    mean = x.mean(axis=0)
    scale = 1 / np.sqrt(((x - mean) ** 2).sum(axis=1).mean())
    val = (np.stack([feature(image) for image in data["val"][0]]) - mean) * scale
    y = np.tile(labels, 2)
    models = [LinearSVC(C=c, dual=False).fit((x - mean) * scale, y) for c in values]
    best = max(models, key=lambda model: model.score(val, data["val"][1]))
    seconds = time.perf_counter() - started
    test = (np.stack([feature(image) for image in data["test"][0]]) - mean) * scale
    return {"error": 100 * (1 - best.score(test, data["test"][1])), "seconds": seconds}


def color(image: np.ndarray) -> np.ndarray:
    """Square roots of a joint RGB histogram."""
    counts = cv2.calcHist([np.ascontiguousarray(image)], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3).ravel()
    return np.sqrt(counts / counts.sum())


def gradients(image: np.ndarray) -> np.ndarray:
    """HOG with 4×4 cells."""
    return hog(image, 9, (4, 4), (2, 2), channel_axis=-1).astype(np.float32)


class Dataset(torch.utils.data.Dataset[Any]):
    """Images one by one, as a DataLoader wants them."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, augment: bool) -> None:
        self.images, self.labels, self.augment = images, labels, augment
        pixels = data["train"][0].reshape(-1, 3).astype(np.float32)
        self.mean, self.std = pixels.mean(axis=0), pixels.std(axis=0)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = self.images[index]
        if self.augment:
            image = shift_and_mirror(image)
        normalised = (image.astype(np.float32) - self.mean) / self.std
        return torch.from_numpy(normalised.transpose(2, 0, 1).copy()), int(self.labels[index])


def network(module: Any, plan: Any) -> dict[str, float]:
    """Plain float32 training for each learning rate, then in full with the best on val."""
    started = time.perf_counter()
    loaders = {
        name: torch.utils.data.DataLoader(Dataset(*data[name], name == "train"), plan.batch_size, name == "train")
        for name in data
    }

    def error(net: nn.Module, name: str) -> float:
        net.eval()
        with torch.no_grad():
            wrong = [(net(x).argmax(dim=1) != y).sum().item() for x, y in loaders[name]]
        return 100 * sum(wrong) / len(data[name][0])

    def train(rate: float, epochs: int) -> tuple[float, nn.Module]:
        torch.manual_seed(0)
        net = module.build(plan, (3, 32, 32), 10)
        optimizer = torch.optim.SGD(
            net.parameters(), rate, plan.momentum, weight_decay=plan.weight_decay, nesterov=True
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rate, epochs * len(loaders["train"]), pct_start=0.2, cycle_momentum=False
        )
        best, snapshot = 100.0, {}
        for _ in range(epochs):
            net.train()
            for x, y in loaders["train"]:
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x), y).backward()
                optimizer.step()
                schedule.step()
            if (now := error(net, "val")) <= best:
                best, snapshot = now, {name: value.clone() for name, value in net.state_dict().items()}
        net.load_state_dict(snapshot)
        return best, net

    trials = [(train(rate, plan.trial_epochs)[0], rate) for rate in plan.learning_rates]
    _, net = train(min(trials)[1], plan.epochs)
    seconds = time.perf_counter() - started
    return {"error": error(net, "test"), "seconds": seconds}


results = {
    "color_histogram": classical(color, params.svm("color_histogram").C),
    "hog": classical(gradients, params.svm("hog").C),
    "lenet5": network(lenet5, params.network("lenet5")),
    "alexnet": network(alexnet, params.network("alexnet")),
}
(folder / "plain.json").write_text(json.dumps(results))
