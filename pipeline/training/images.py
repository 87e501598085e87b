"""Packed images, ready for a network: bytes on the device where they fit, float and normalised batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.data.contract import Split
from pipeline.device import to_device

#: Share of the device's free memory that images may take; beyond it they stay on disk and are read in batches.
RESIDENT_SHARE = 0.5


@dataclass(frozen=True)
class Normalisation:
    """What is subtracted from each channel, and by what it is divided. In units of bytes (0-255)."""

    mean: list[float]
    std: list[float]

    @staticmethod
    def of(split: Split, channels: int, how: str = "channel") -> Normalisation:
        """Measure it on train, or take what is fixed.

        Args:
            how: "channel" (mean 0 and deviation 1 in each channel over train, measured in chunks), "lenet" (from -0.1
                for 0 to 1.175 for 255: LeCun et al. 1998, section II.B) or "none" (0 to 1).
        """
        if how == "none":
            return Normalisation([0.0] * channels, [255.0] * channels)
        if how == "lenet":
            scale = 255 / 1.275
            return Normalisation([0.1 * scale] * channels, [scale] * channels)
        sums, squares, count = np.zeros(3), np.zeros(3), 0
        for start in range(0, len(split), 4096):
            pixels = np.asarray(split.images[start : start + 4096]).reshape(-1, 3)
            for channel in range(3):
                histogram = np.bincount(pixels[:, channel], minlength=256)
                sums[channel] += histogram @ np.arange(256.0)
                squares[channel] += histogram @ np.arange(256.0) ** 2
            count += len(pixels)
        mean = sums / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 1e-6))
        return Normalisation(mean[:channels].tolist(), std[:channels].tolist())


class Images:
    """A split on a device, uint8 (N, H, W, C); C is 1 where all images are grey."""

    def __init__(self, split: Split, channels: int, device: torch.device) -> None:
        self.labels = torch.from_numpy(split.labels).to(device)
        self._device = device
        self._channels = channels
        self._stored: np.ndarray | torch.Tensor = split.images
        if split.images.size / 3 * channels < RESIDENT_SHARE * _free_memory(device):
            self._stored = torch.from_numpy(np.array(split.images[..., :channels])).to(device)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W)."""
        height, width = self._stored.shape[1:3]
        return height, width

    def batch(self, numbers: np.ndarray) -> torch.Tensor:
        """The images of these numbers, uint8 (B, H, W, C) on the device."""
        if isinstance(self._stored, torch.Tensor):
            return self._stored.index_select(0, to_device(numbers, self._device))
        order = np.argsort(numbers)  # read forwards through the file
        chosen = np.empty((len(numbers), *self._stored.shape[1:3], self._channels), np.uint8)
        chosen[order] = self._stored[numbers[order]][..., : self._channels]
        return to_device(chosen, self._device)


class Pixels:
    """Some images in memory that nothing is learned from, uint8 (N, H, W, C); see Images."""

    def __init__(self, images: np.ndarray, channels: int, device: torch.device) -> None:
        self._stored = to_device(np.array(images[..., :channels]), device)

    def __len__(self) -> int:
        return len(self._stored)

    def batch(self, numbers: np.ndarray) -> torch.Tensor:
        """The images of these numbers."""
        return self._stored[int(numbers[0]) : int(numbers[-1]) + 1]


def to_input(images: torch.Tensor, normalisation: Normalisation) -> torch.Tensor:
    """uint8 (B, H, W, C) → float32 (B, C, H, W), normalised; channels-last in memory, as it came."""
    mean, std = to_device(np.array([normalisation.mean, normalisation.std], np.float32), images.device)
    return ((images.float() - mean) / std).permute(0, 3, 1, 2)


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    import psutil

    return int(psutil.virtual_memory().available)
