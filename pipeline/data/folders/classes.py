"""Folders of one class: its name may be written in several forms of Unicode, and must not be in several cases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.data.classes import check_cases
from pipeline.data.folders.names import one_form


def by_class(parts: Mapping[str, list[Path]]) -> dict[str, dict[str, list[Path]]]:
    """Of each part, the folders of every class; those whose names differ in form only are of one class.

    Args:
        parts: class folders of each split, or of "all".

    Raises:
        PipelineError: two names differ in case only.
    """
    found: dict[str, dict[str, list[Path]]] = {part: {} for part in parts}
    for part, folders in parts.items():
        for folder in folders:
            found[part].setdefault(one_form(folder.name), []).append(folder)
    _check_cases(found)
    return found


def _check_cases(found: Mapping[str, Mapping[str, list[Path]]]) -> None:
    check_cases({name: paths[0] for classes in found.values() for name, paths in classes.items()})
