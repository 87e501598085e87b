"""Groups: images of one person, patient, video or camera, which must not lie in two splits.

A method that has seen a person's other photographs recognises the person, not the class; an error measured on shared
groups is too low. Groups are given by a column, or by a pattern that file names match; where names look as if there
were some and none are given, the run says so.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from pipeline.errors import PipelineError

#: A pattern that takes off the last number of a name, and the word before it: IMG_1234_frame_07 → IMG_1234.
BY_LAST_NUMBER = r"(.*\d)[\W_]+[A-Za-z]*[\W_]*\d+$"
LEAST_SHARE = 0.5  # of the images whose names must look like members of groups
LEAST_SIZE = 2.0  # images a group on average
GROUPS_A_CLASS = 3  # on average; fewer are rather the classes themselves


def groups_of(ids: Sequence[str], pattern: str | None, key: str) -> list[str] | None:
    r"""The group of every image, by its name.

    Args:
        ids: names, with folders and ending.
        pattern: a regular expression, looked for in the name without its ending; what its first pair of brackets (or
            the whole) matches is the group. None: no groups.
        key: where the pattern stands in params.yaml.

    Raises:
        PipelineError: a name does not match.

    >>> groups_of(["cat/p1_01.jpg", "cat/p1_02.jpg"], r"(p\d+)_", "groups")
    ['p1', 'p1']
    """
    if pattern is None:
        return None
    compiled = re.compile(pattern)
    return [_group_of(name, compiled, key) for name in ids]


def _group_of(name: str, pattern: re.Pattern[str], key: str) -> str:
    found = pattern.search(_stem(name))
    if found is None or not (found[1] if pattern.groups else found[0]):
        raise PipelineError(
            f"`{key}`: the pattern {pattern.pattern!r} finds no group in {name}; it must match every image's name "
            "without its ending"
        )
    return found[1] if pattern.groups else found[0]


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def shared(groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Groups that lie in more than one split.

    Args:
        groups: of each split's images.
    """
    splits: dict[str, set[str]] = defaultdict(set)
    for split, names in groups.items():
        for group in set(names):
            splits[group].add(split)
    return sorted(group for group, found in splits.items() if len(found) > 1)


def as_numbers(groups: Mapping[str, Sequence[str] | None]) -> dict[str, np.ndarray] | None:
    """Groups of all parts as integers, None where a part has none."""
    if any(names is None for names in groups.values()):
        return None
    numbers: dict[str, int] = {}
    return {
        part: np.array([numbers.setdefault(name, len(numbers)) for name in names or ()], np.int64)
        for part, names in groups.items()
    }


def suggested(ids: Sequence[str], classes: int) -> dict[str, str]:
    """Groups that file names look like, of the images that look like members; {} where they rather are none.

    Names with two numbers, such as IMG_1234_frame_07, are taken for members of what stands before the last one, if
    most images have such names, several share a group, and the groups are not simply the classes.

    Args:
        ids: names of images, with folders and endings.
        classes: how many there are.
    """
    pattern = re.compile(BY_LAST_NUMBER)
    found = {name: match[1] for name in ids if (match := pattern.fullmatch(PurePosixPath(name).stem))}
    sizes = Counter(found.values())
    if len(found) < LEAST_SHARE * len(ids) or len(sizes) < GROUPS_A_CLASS * classes:
        return {}
    return found if len(found) >= LEAST_SIZE * len(sizes) else {}
