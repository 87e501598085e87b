"""ImageNet-C's fifteen corruptions against the package imagecorruptions, on crops of 224×224 pixels, two cores each.

The package has not followed its libraries, so some of their names are given back to it here. Without the package, only
our rates are shown (pip install --no-deps imagecorruptions).
"""

from __future__ import annotations

import statistics
import sys
import time
import types
from functools import lru_cache
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data

from benchmarks.measure import PROCESSES, Row, peer_pool
from pipeline.parallel import slices, threads
from pipeline.robustness.change import Beside, Change
from pipeline.robustness.changes import changes
from pipeline.robustness.sample import TOGETHER

SIDE, SEVERITY, REPEATS = 224, 3, 3
IMAGES = 512  # for each rate, of DIFFERENT ones in turn
DIFFERENT = 16
SLOW = {"glass_blur": 16}  # the package takes half a second an image
PEERS = {
    "gaussian_noise": "gaussian_noise", "shot_noise": "shot_noise", "impulse_noise": "impulse_noise",
    "defocus_blur": "defocus_blur", "glass_blur": "glass_blur", "motion_blur": "motion_blur", "zoom_blur": "zoom_blur",
    "snow": "snow", "frost": "frost", "fog": "fog", "brightness": "brightness", "contrast": "contrast",
    "elastic": "elastic_transform", "jpeg": "jpeg_compression", "pixelate": "pixelate",
}  # fmt: skip
GOAL = 5.0


def run(data_root: Path) -> list[Row]:
    known = changes(SIDE)
    ours = {key: IMAGES / _ours(known[key]) for key in PEERS}
    peers = _peers()
    name, peer = f"corruptions, {SIDE}×{SIDE}, severity {SEVERITY}", f"imagecorruptions, {PROCESSES} processes"
    rows = [
        Row(f"{name}: {key}", rate, peers.get(key), peer if key in peers else "", "images/s", None)
        for key, rate in ours.items()
    ]
    if peers:
        ratio = statistics.median(ours[key] / peers[key] for key in PEERS)
        rows.append(
            Row(f"{name}: median of the fifteen ratios, in times the peer's rate", ratio, 1.0, peer, "/s", GOAL)
        )
    return rows


@lru_cache(maxsize=1)
def _images() -> np.ndarray:
    photograph = skimage.data.astronaut()
    offsets = np.random.default_rng(0).integers(0, 512 - SIDE, (DIFFERENT, 2))
    return np.stack([photograph[y : y + SIDE, x : x + SIDE] for y, x in offsets])


def _ours(change: Change) -> float:
    images = _images()

    def work(rows: slice) -> list[np.ndarray]:
        return [
            change.on(images[row % DIFFERENT], SEVERITY, 0, str(row), Beside(images[row % DIFFERENT - 1]))
            for row in range(rows.start, rows.stop)
        ]

    return _median(lambda: list(threads(work, slices(IMAGES, TOGETHER), PROCESSES)))


def _peers() -> dict[str, float]:
    """Images a second of each, {} where the package is missing."""
    if util.find_spec("imagecorruptions") is None:
        return {}
    _images(), _package()  # before processes are forked, which then have both
    with peer_pool() as pool:
        return {
            key: count / _median(lambda name=name, count=count: pool.map(_peer, [(name, row) for row in range(count)]))
            for key, name in PEERS.items()
            for count in [SLOW.get(key, IMAGES)]
        }


def _peer(job: tuple[str, int]) -> None:
    from PIL import Image

    name, row = job
    getattr(_package(), name)(Image.fromarray(_images()[row % DIFFERENT]), SEVERITY)


def _package() -> Any:
    """The package, in whose libraries three names are as they were."""
    import scipy.ndimage
    import skimage.filters

    if "pkg_resources" not in sys.modules:
        old = types.ModuleType("pkg_resources")
        found = util.find_spec("imagecorruptions")
        assert found is not None
        assert found.submodule_search_locations
        folder = Path(found.submodule_search_locations[0])
        old.resource_filename = lambda package, name: str(folder / name)  # type: ignore[attr-defined]
        sys.modules["pkg_resources"] = old
        moved = types.ModuleType("scipy.ndimage.interpolation")
        moved.map_coordinates = scipy.ndimage.map_coordinates  # type: ignore[attr-defined]
        sys.modules["scipy.ndimage.interpolation"] = moved
        np.float_ = np.float64  # type: ignore[attr-defined]  # noqa: NPY201
        now = skimage.filters.gaussian

        def gaussian(image: Any, sigma: Any = 1, multichannel: bool = False, **others: Any) -> Any:
            return now(image, sigma=sigma, channel_axis=-1 if multichannel else None, **others)

        skimage.filters.gaussian = gaussian
    from imagecorruptions import corruptions  # type: ignore[import-not-found]

    return corruptions


def _median(function: Any) -> float:
    function()
    found = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        function()
        found.append(time.perf_counter() - started)
    return statistics.median(found)
