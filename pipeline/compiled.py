"""Kernels compiled by Numba, whose machine code is kept on disk; where it can't be, they are compiled each time."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache

from pipeline import progress

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[Kernel], Kernel]:
    """Compile a function at its first call, for threads that run beside each other.

    Args:
        options: more of numba.njit's; `forceinline=True` for a kernel's helpers (docs/architecture.md).
    """

    def decorate(function: Kernel) -> Kernel:
        dispatcher: Any = numba.njit(nogil=True, **options)(function)
        try:
            dispatcher._cache = _Kept(function)  # what `cache=True` does, with a cache that may fail
        except RuntimeError:  # Numba found no folder that can be written
            _say_that_nothing_is_kept(str(Path(function.__code__.co_filename).parent / "__pycache__"))
        return dispatcher

    return decorate


class _Kept(FunctionCache):  # type: ignore[misc]  # it has no types
    """Numba's cache, for which a full disk or a damaged file is no reason to stop: the function is compiled anew."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except (OSError, EOFError, pickle.UnpicklingError):
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            _say_that_nothing_is_kept(f"{self.cache_path} ({error})")


@cache
def _say_that_nothing_is_kept(where: str) -> None:
    progress.say(
        f"compiled kernels can't be kept in {where}, so they are compiled at each start, which takes some seconds; "
        "make room there, or set NUMBA_CACHE_DIR to a folder that can be written"
    )
