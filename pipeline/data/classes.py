"""Names of classes: one form of writing each, in an order that a person expects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pipeline.data.folders.names import one_form
from pipeline.errors import PipelineError
from pipeline.files import printable


def in_order(names: Iterable[str]) -> list[str]:
    """Names by the alphabet, or as numbers where all of them are."""
    names = list(names)
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)


def check_cases(names: Mapping[str, object], where: str = "") -> None:
    """Refuse names that differ in case only.

    Args:
        names: and what a sentence calls each.
        where: begins the sentence.

    Raises:
        PipelineError: it is not clear whether two of them are one class.
    """
    seen: dict[str, str] = {}
    for name in sorted(names):
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise PipelineError(
                f"{where}{names[other]} and {names[name]} differ in capital letters only; if both are one class, give "
                "them one name, and if they are two, names that tell them apart"
            )


def numbered(names: Sequence[str], where: str) -> tuple[list[str], np.ndarray]:
    """Labels that are written as names.

    Args:
        names: of each image's class, as somebody wrote it.
        where: the file, for sentences.

    Returns:
        The classes in order, and of each image the number of its class, int64 (N,).

    Raises:
        PipelineError: there is one class only, or two names differ in case only.
    """
    written = [one_form(name) for name in names]
    classes = in_order(set(written))
    check_cases({name: repr(name) for name in classes}, f"{where}: the labels ")
    check_number(classes, where)
    number = {name: label for label, name in enumerate(classes)}
    return classes, np.array([number[name] for name in written], np.int64)


def check_number(classes: Sequence[str], where: str) -> None:
    """Refuse fewer than two classes.

    Raises:
        PipelineError: with how many there are.
    """
    if len(classes) < 2:
        there = f"one class only, {classes[0]!r}" if classes else "no labelled image"
        raise PipelineError(f"{where}: holds {there}; at least two classes are needed to tell apart")


def called(classes: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """What to call them; a name that several share gets the original one behind it.

    Args:
        classes: as they are written.
        names: what to call some of them.
    """
    readable = [printable(names.get(name, name)) for name in classes]
    return [
        f"{name} ({printable(key)})" if readable.count(name) > 1 else name
        for name, key in zip(readable, classes, strict=True)
    ]
