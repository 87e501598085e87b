"""Feature vectors of whole splits, written in shards; a killed run goes on after the last finished shard."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import stopwatch
from pipeline.errors import PipelineError
from pipeline.files import reserve, write_json
from pipeline.mapped import forget
from pipeline.parallel import slices

SHARD = 1024  # images


@dataclass(frozen=True)
class Shards:
    """Feature vectors being written to `folder`/<name>.npy; `state` beside it says how far they are."""

    folder: Path

    def write(
        self, name: str, batches: Callable[[slice], np.ndarray], count: int, advance: Callable[[int], None]
    ) -> float:
        """Compute and store the vectors of `count` images, shard by shard.

        Args:
            batches: gives the vectors of a slice of the images, (n, D) of the type in which they are to be kept.

        Returns:
            Seconds spent computing, those of interrupted runs included.
        """
        path, state_path = self._paths(name)
        done, seconds, out = self._resume(path, state_path, count)
        advance(done)
        for part in slices(count, SHARD):
            if part.stop <= done:
                continue
            started = stopwatch.seconds()
            vectors = batches(part)
            seconds += stopwatch.seconds() - started
            if out is None:
                out = self._create(path, count, vectors)
            try:
                out[part] = vectors
                out.flush()
                forget(out, part)
            except OSError as error:
                raise PipelineError(f"{path}: cannot be written ({error.strerror or error})") from error
            write_json(state_path, {"done": part.stop, "seconds": seconds, "count": count})
            advance(part.stop - part.start)
        return seconds

    def finished(self, name: str, count: int) -> int:
        """How many vectors of an interrupted run are there."""
        return self._resume(*self._paths(name), count)[0]

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self.folder / f"{name}.npy", self.folder / f"{name}.json"

    def _resume(self, path: Path, state_path: Path, count: int) -> tuple[int, float, np.memmap | None]:
        try:
            state = json.loads(state_path.read_text())
            out = np.lib.format.open_memmap(path, mode="r+")
        except (OSError, ValueError, EOFError):
            return 0, 0.0, None
        if state["count"] != count or len(out) != count:
            return 0, 0.0, None
        return state["done"], state["seconds"], out

    def _create(self, path: Path, count: int, first: np.ndarray) -> np.memmap:
        """Make the file and claim its room: a mapped file that runs out of disk later kills the process."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            out = np.lib.format.open_memmap(path, mode="w+", dtype=first.dtype, shape=(count, first.shape[1]))
            with open(path, "r+b") as file:
                reserve(file.fileno(), path.stat().st_size)
        except OSError as error:
            path.unlink(missing_ok=True)
            size = count * first[0].nbytes / 1e9
            raise PipelineError(
                f"{path}: can't have the {size:.2g} GB that it needs ({error.strerror or error}); "
                "make room, or take fewer words, bins or images"
            ) from error
        return out

    def publish(self, target: Path, names: list[str]) -> None:
        """Move the finished files to `target`, anew, and forget the state."""
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in names:
            os.replace(self.folder / f"{name}.npy", target / f"{name}.npy")
        shutil.rmtree(self.folder, ignore_errors=True)
