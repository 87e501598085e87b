"""Two ways of using the cores. In both the split of the work is fixed, so results don't depend on the workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")


def slices(count: int, size: int) -> list[slice]:
    """Cut range(count) into consecutive slices of at most `size`."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def threads(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int | None = None
) -> Iterator[Result]:
    """Map in threads, results in order, at most a few items ahead of the reader (memory stays flat).

    For functions that release the interpreter's lock: NumPy, OpenCV, Pillow, our compiled kernels.

    Args:
        ahead: results that may wait for the reader beside those that are being made; None: one for each worker.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    iterator, room = iter(items), workers if ahead is None else ahead
    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(function, item) for item in islice(iterator, workers + room)]
        while running:
            yield running.pop(0).result()
            running += [pool.submit(function, item) for item in islice(iterator, 1)]


def processes(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, backend: str = "loky"
) -> Iterator[Result]:
    """Map in processes through joblib, results in order: for work that holds the interpreter's lock."""
    if workers <= 1:
        yield from map(function, items)
        return
    from joblib import Parallel, delayed, parallel_config

    # Only loky can keep its workers' libraries to one thread each, and only multiprocessing can't stream results.
    inner = {"inner_max_num_threads": 1} if backend == "loky" else {}
    order = "list" if backend == "multiprocessing" else "generator"
    with parallel_config(backend=backend, n_jobs=workers, **inner):
        yield from Parallel(return_as=order)(delayed(function)(item) for item in items)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep NumPy's matrix products to the calling thread, where `threads` already uses the cores.

    It also makes them add up in one order, whatever the number of cores.
    """
    with _blas().limit(limits=1, user_api="blas"):
        yield


@lru_cache(maxsize=1)
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
