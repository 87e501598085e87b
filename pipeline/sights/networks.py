"""What a trained network sees: its first kernels beside a Gabor bank, and maps of features layer by layer."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from scipy.optimize import least_squares
from torch import nn

from pipeline.descriptors.drawing import Picture, beside, enlarge, filters, tiles
from pipeline.descriptors.filter_banks import GABOR_ORIENTATIONS, gabor_bank
from pipeline.models.network import Network
from pipeline.training.images import to_input

SMALLEST_KERNEL = 5  # pixels a side: a Gabor function has eight parameters, and fits any nine numbers
WELL = 0.8  # share of a kernel's variance that a good fit explains
SHOWN_KERNELS, SHOWN_MAPS, SHOWN_IMAGES = 96, 10, 3
MAP_SIDE = 48
STARTS = 3  # of the best of a grid


def network_pictures(model: Network, images: np.ndarray) -> list[Picture]:
    """Kernels and maps.

    Args:
        images: uint8 (n, H, W, 3), some of val.
    """
    found = []
    kernels = first_kernels(model.network)
    if kernels is not None:
        found.append(kernel_picture(kernels))
    return [*found, *maps(model, images[:SHOWN_IMAGES])]


def first_kernels(network: nn.Module) -> np.ndarray | None:
    """Kernels of the first convolution, float32 (n, channels, K, K); None without one, or where they are tiny."""
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None or first.kernel_size[0] < 3:
        return None
    return first.weight.detach().float().cpu().numpy()


def kernel_picture(kernels: np.ndarray) -> Picture:
    """Kernels of a first layer, float (n, channels, K, K); larger ones beside Gabor filters."""
    side = kernels.shape[-1]
    columns = 12 if len(kernels) > 24 else 6
    drawn = tiles([_drawn(kernel) for kernel in kernels[:SHOWN_KERNELS]], columns)
    caption = (
        f"The first {min(len(kernels), SHOWN_KERNELS)} of {len(kernels)} kernels"
        if len(kernels) > SHOWN_KERNELS
        else (f"The {len(kernels)} kernels")
    )
    caption += f" of {side}×{side} pixels of the first layer"
    if side < SMALLEST_KERNEL:
        return Picture(f"{caption}; too small to ask whether they are Gabor functions.", drawn)
    bank = gabor_bank([side / 2, side / 1.3], side if side % 2 else side - 1)[0::2]
    share = np.mean([explained(pattern(kernel)) > WELL for kernel in kernels])
    random = np.random.default_rng(0).normal(size=(len(kernels), side, side))
    chance = np.mean([explained(kernel) > WELL for kernel in random])
    caption += (
        f", left, and Gabor filters, right. A Gabor function explains more than {WELL:.0%} of {share:.0%} of the "
        f"kernels, and of {chance:.0%} of random ones."
    )
    return Picture(caption, beside(drawn, filters(bank, GABOR_ORIENTATIONS)))


def pattern(kernel: np.ndarray) -> np.ndarray:
    """A kernel (channels, K, K) along its strongest colour: float (K, K)."""
    flat = kernel.reshape(len(kernel), -1)
    _, values, directions = np.linalg.svd(flat, full_matrices=False)
    return np.asarray((values[0] * directions[0]).reshape(kernel.shape[1:]))


def explained(kernel: np.ndarray) -> float:
    """Share of a kernel's energy (K, K) that the best Gabor function explains, by least squares from several starts.

    Amplitude and phase follow from the rest, since an even and an odd function of the same envelope span both.
    """
    side = len(kernel)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    target = kernel.ravel() / max(float(np.linalg.norm(kernel)), 1e-12)

    def basis(values: np.ndarray) -> np.ndarray:
        x0, y0, angle, wavelength, sigma, aspect = values
        across = (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle)
        along = -(x - x0) * np.sin(angle) + (y - y0) * np.cos(angle)
        envelope = np.exp(-(across**2 + (np.exp(aspect) * along) ** 2) / (2 * np.exp(2 * sigma)))
        turn = 2 * np.pi * across / np.exp(wavelength)
        return np.stack([(envelope * np.cos(turn)).ravel(), (envelope * np.sin(turn)).ravel()], axis=1)

    def residual(values: np.ndarray) -> np.ndarray:
        both = basis(values)
        return np.asarray(both @ np.linalg.lstsq(both, target, rcond=None)[0] - target)

    grid = [
        np.array([0, 0, np.pi * turn / 6, np.log(side * share), np.log(side / 4), 0.0])
        for turn in range(6)
        for share in (0.45, 0.8, 1.5)
    ]
    grid.sort(key=lambda start: float(np.square(residual(start)).sum()))
    half = side / 2
    low = [-half, -half, -np.inf, np.log(2.0), np.log(0.6), -1.5]
    high = [half, half, np.inf, np.log(4.0 * side), np.log(2.0 * side), 1.5]
    fits = [least_squares(residual, start, bounds=(low, high), max_nfev=60) for start in grid[:STARTS]]
    return 1 - min(float(2 * fit.cost) for fit in fits)


def _drawn(kernel: np.ndarray) -> np.ndarray:
    """In colours where there are three channels: middle grey is 0."""
    scaled = 127.5 + 127.5 * kernel / max(float(np.abs(kernel).max()), 1e-12)
    pixels = np.ascontiguousarray(scaled.transpose(1, 2, 0).astype(np.uint8))
    shown = cv2.resize(pixels, (40, 40), interpolation=cv2.INTER_NEAREST)
    return shown if shown.ndim == 3 and shown.shape[2] == 3 else cv2.cvtColor(shown, cv2.COLOR_GRAY2RGB)


def maps(model: Network, images: np.ndarray) -> list[Picture]:
    """For each image a row a layer: the maps that answer most to it."""
    layers = {
        name: module
        for name, module in model.network.named_modules()
        if isinstance(module, nn.Conv2d) and module.kernel_size[0] > 1
    }
    if not layers:
        return []
    outputs: dict[str, torch.Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, output, name=name: outputs.__setitem__(name, output.detach()))
        for name, module in layers.items()
    ]
    channels = model.image_shape[0]
    with torch.no_grad():
        pixels = torch.from_numpy(images[..., :channels].copy()).to(model.device)
        model.network(to_input(pixels, model.normalisation))
    for hook in hooks:
        hook.remove()
    # Deep networks: five layers from the first to the last.
    names = list(outputs)
    names = [names[round(index)] for index in np.linspace(0, len(names) - 1, min(5, len(names)))]
    drawn = []
    for number, image in enumerate(images):
        rows = [_strongest(torch.relu(outputs[name][number])) for name in names]
        drawn.append(beside(enlarge(image, 2 * MAP_SIDE), tiles([one for row in rows for one in row], SHOWN_MAPS)))
    height, width = (max(picture.shape[axis] for picture in drawn) for axis in (0, 1))
    sheet = tiles([_on_white(picture, height, width) for picture in drawn], 1)
    caption = f"Images, and the {SHOWN_MAPS} maps that answer most to each in "
    return [Picture(caption + f"{len(names)} convolutions from first to last, a row each; dark is strong.", sheet)]


def _strongest(maps: torch.Tensor) -> list[np.ndarray]:
    order = maps.flatten(1).amax(dim=1).argsort(descending=True)[:SHOWN_MAPS]
    shown = []
    for index in order:
        values = maps[index].float().cpu().numpy()
        grey = (255 - 235 * values / max(float(values.max()), 1e-12)).astype(np.uint8)
        side = cv2.resize(grey, (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_NEAREST)
        shown.append(cv2.cvtColor(side, cv2.COLOR_GRAY2RGB))
    white = np.full((MAP_SIDE, MAP_SIDE, 3), 255, np.uint8)
    return shown + [white] * (SHOWN_MAPS - len(shown))


def _on_white(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    out = np.full((height, width, 3), 255, np.uint8)
    out[: picture.shape[0], : picture.shape[1]] = picture
    return out
