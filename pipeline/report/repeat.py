"""How to repeat a run: what its params.yaml changes in the project's own, as one command."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.report.words import setting

DEFAULTS = Path(__file__).parent / "defaults.yaml"  # params.yaml as the project comes; a test keeps them equal
ABSENT = "–"
OPTIONS_IN_A_COMMAND = 30  # beyond that the file itself is the better way


@dataclass(frozen=True)
class Change:
    """A setting that is not the default.

    Attributes:
        key: dotted.
        value: now.
        default: before; ABSENT where there is none.
    """

    key: str
    value: str
    default: str


def changes(params: Path) -> list[Change]:
    """What params.yaml changes, in its order; lists are taken as a whole."""
    yaml = YAML(typ="safe")
    now, before = (yaml.load(path.read_text(encoding="utf-8")) for path in (params, DEFAULTS))
    return list(_differences(now, before, ""))


def command(found: list[Change]) -> str:
    """Run it from the project as it comes, without editing a file."""
    if len(found) > OPTIONS_IN_A_COMMAND:
        return "make repro   # after putting the settings below into params.yaml"
    options = [shlex.quote(f"{change.key}={change.value}") for change in found if change.value != ABSENT]
    return " ".join(["dvc exp run", *(f"-S {option}" for option in options)]) if options else "make repro"


def _differences(now: Any, before: Any, above: str) -> list[Change]:
    if not isinstance(now, dict) or not isinstance(before, dict):
        return [] if now == before else [Change(above, setting(now), setting(before))]
    found = []
    for key in [*now, *(key for key in before if key not in now)]:
        where = f"{above}.{key}" if above else str(key)
        if key not in now:
            found.append(Change(where, ABSENT, setting(before[key])))
        elif key not in before:
            found.append(Change(where, setting(now[key]), ABSENT))
        else:
            found += _differences(now[key], before[key], where)
    return found
