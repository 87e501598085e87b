"""What is wrong with a setting, in one sentence that a person can act on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from pipeline.errors import PipelineError
from pipeline.settings.base import Section, SectionType


def validated(model: type[SectionType], value: Any, where: str, location: tuple[str, ...]) -> SectionType:
    """A mapping as a section.

    Args:
        model: of the section.
        value: the mapping.
        where: the file.
        location: keys that lead to the mapping.

    Raises:
        PipelineError: with what is wrong first.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise PipelineError(_sentence(error.errors(), location, where, model)) from error


def _sentence(errors: Sequence[Mapping[str, Any]], location: tuple[str, ...], where: str, model: type[Section]) -> str:
    """One sentence about the first thing that is wrong; a misspelt key goes before the key that it leaves missing."""
    error = next((error for error in errors if error["type"] == "extra_forbidden"), _telling(errors))
    path = _path(error["loc"])
    key = ".".join([*location, *path])
    kind, message = error["type"], str(error["msg"])
    if kind == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        return f"{where}: `{key}` is not a known key{_nearest(path[-1], known)}; allowed: {', '.join(known)}"
    if kind == "missing":
        return f"{where}: `{key}` is missing"
    if kind == "value_error":
        return f"{where}: `{key}`: {message.removeprefix('Value error, ')}"
    # A value that may be of several kinds has an error for each: all that is allowed belongs together.
    same = [str(other["msg"]).removeprefix("Input should be ") for other in errors if _path(other["loc"]) == path]
    allowed = " or ".join(dict.fromkeys(same))
    found = error["input"]
    hint = _nearest(found, re.findall(r"'([^']+)'", allowed)) if isinstance(found, str) else ""
    return f"{where}: `{key}` is {found!r}; allowed: {allowed}{hint}"


def _telling(errors: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first; or, of a value that may be of several kinds and is a list, the first that is wrong within the list."""
    first = errors[0]
    path = _path(first["loc"])
    if not isinstance(first["input"], list):
        return first
    of_list = [other for other in errors if _path(other["loc"])[: len(path)] == path]
    within = (other for other in of_list if len(_path(other["loc"])) > len(path) or other["type"] == "value_error")
    return next(within, first)


def _path(location: Sequence[Any]) -> list[str]:
    """Keys only: pydantic also names the alternative of a union that it tried."""
    alternative = re.compile(r"(literal|list|dict|constrained|nullable|function-after)\b[\[-]|(int|float|str|none)$")
    return [str(part) for part in location if not (isinstance(part, str) and alternative.match(part))]


def _keys_at(model: Any, path: Sequence[str]) -> list[str]:
    """The keys of the section that a path leads to."""
    for key in path:
        field = model.model_fields.get(key) if isinstance(model, type) and issubclass(model, BaseModel) else None
        model = field.annotation if field is not None else None
        # Of an optional section, the section.
        model = next((one for one in get_args(model) if isinstance(one, type) and issubclass(one, BaseModel)), model)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def check_names(names: Iterable[Any], known: list[str], where: str, key: str, what: str) -> None:
    """Refuse a name that is not among the known ones; `what` they are, with its article, goes into the sentence."""
    for name in names:
        if name not in known:
            raise PipelineError(wrong_name(where, key, name, known, what))


def wrong_name(where: str, key: str, name: Any, known: Iterable[str], what: str) -> str:
    """What to say of a name that is none of the known ones, with the nearest of them."""
    known = list(known)
    place = f"`{key}`: " if key else ""
    hint = _nearest(str(name), known)
    return f"{where}: {place}{name!r} is not {what}{hint}; allowed: {', '.join(known) or 'none'}"


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
