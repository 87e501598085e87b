"""How far Dask's workers carry ILSVRC's features, without having the machines: a replay by Dask's own scheduler.

Measured here: how long an image takes by one thread, how much that varies, how fast the client joins shards into one
file, and what the scheduler costs. The last comes from a replay: as many tasks as ILSVRC has shards are handed to 1 to
128 workers, each of which only waits, a fixed share of a shard's time. What the replay takes longer than the waiting
alone is the scheduler's, and is not scaled down. The client joins shards while workers compute others. The ideal time
is the work divided by the number of workers.
"""

from __future__ import annotations

import heapq
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.ilsvrc import DIMENSION, PAPER, channels, crops
from benchmarks.measure import Row
from pipeline.cluster.connection import Workers
from pipeline.context import Context
from pipeline.features.extraction import SHARD, Shards
from pipeline.parallel import slices

IMAGES = 1_281_167
COUNTS = (1, 8, 32, 64, 128)
SAMPLE, REPEATS = 4, 8  # images timed together, and how often
JOINED = 12  # shards
REPLAY = 12.0  # seconds that each replay should wait
GOAL_AT, ALLOWED = 32, 1 / 0.9  # workers, and their time over the ideal one
OVERHEAD = 0.02  # of the time, by the scheduler
JOB = "x" * 5000  # more than what travels with a shard


def run(data_root: Path) -> list[Row]:
    a_shard = SHARD * _seconds_an_image()
    shards = -(-IMAGES // SHARD)
    durations = np.resize(a_shard, shards)
    join = 2 * IMAGES * (DIMENSION // 8) / _bytes_joined_a_second()  # both channels
    rows = [Row("cluster, ILSVRC: a shard of both channels by one thread", float(a_shard.mean()), None, "", "s", None)]
    rows.append(Row("cluster, ILSVRC: the client joins the shards of both channels", join, None, "", "s", None))
    for workers in COUNTS:
        overhead = _overhead(durations, workers)
        ideal = float(durations.sum()) / workers
        whole = makespan(durations, workers, join / shards) + overhead
        name = f"cluster, ILSVRC's features, {workers} workers: time over the ideal one"
        judged = workers == GOAL_AT
        rows.append(Row(name, whole / ideal, ALLOWED if judged else None, "allowed", "×", 1 if judged else None))
        if judged:
            name = "cluster: the scheduler's share of that time"
            rows.append(Row(name, 100 * overhead / whole, 100 * OVERHEAD, "allowed", "%", 1))
    return rows


def makespan(durations: Sequence[float] | np.ndarray, workers: int, join: float = 0.0) -> float:
    """Seconds until all tasks are done and joined.

    Args:
        durations: of the tasks; each goes to the worker that is free first.
        workers: how many.
        join: seconds in which the client adds a task's result to the others, in their order, while workers go on.
    """
    free, joined = [0.0] * workers, 0.0
    for seconds in durations:
        done = free[0] + float(seconds)
        heapq.heapreplace(free, done)
        joined = max(joined, done) + join
    return max(joined, *free)


def _seconds_an_image() -> np.ndarray:
    """Of both channels, by one thread, at the size of the paper; several measurements."""
    images = crops(SAMPLE * REPEATS)
    found = np.zeros(REPEATS)
    for channel, own in channels():
        settings = channel.Settings.model_validate(PAPER | own)
        context = Context(0, 1, training=True, device="cpu")
        codebook = channel.fit(crops(256), settings, context)
        channel.transform(images[:SAMPLE], settings, codebook, context)  # kernels compile
        for number, some in enumerate(slices(len(images), SAMPLE)):
            started = time.perf_counter()
            channel.transform(images[some], settings, codebook, context)
            found[number] += (time.perf_counter() - started) / SAMPLE
    return found


def _bytes_joined_a_second() -> float:
    """Shards read from their files and written into one, as a client does it."""
    codes = np.random.default_rng(0).integers(0, 256, (SHARD, DIMENSION // 8), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(JOINED):
            np.save(folder / f"{number}.npy", codes)
        started = time.perf_counter()
        read = lambda part: np.load(folder / f"{part.start // SHARD}.npy")  # noqa: E731
        Shards(folder / "whole").write("x", read, JOINED * SHARD, lambda count: None)
        return JOINED * codes.nbytes / (time.perf_counter() - started)


def _overhead(durations: np.ndarray, workers: int) -> float:
    """Seconds that a replay takes longer than its tasks alone."""
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    share = REPLAY / makespan(durations, workers)
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=False, dashboard_address=None, memory_limit=None,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        client.wait_for_workers(workers)
        handed_out = Workers(client, "here", Path())
        started = time.perf_counter()
        futures = [handed_out.submit(_wait, JOB, float(seconds * share)) for seconds in durations]
        handed_out.gather(futures, lambda nothing: None)
        return max(0.0, time.perf_counter() - started - REPLAY)


def _wait(job: str, seconds: float) -> None:
    time.sleep(seconds)
