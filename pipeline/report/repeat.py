"""How to repeat a run: what its params.yaml changes in the project's own, as one command."""

from __future__ import annotations

import re
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.files import parse_yaml
from pipeline.report.words import setting

DEFAULTS = Path(__file__).parent / "defaults.yaml"  # params.yaml as the project comes; a test keeps them equal
ABSENT = object()
MOST_OPTIONS = 30  # beyond that the file itself is the better way
_DATASET = re.compile(r"[+~]*datasets\.(?P<name>[^.=]+)[.=]")
BY_HAND = "make repro   # after putting the settings below into params.yaml"


@dataclass(frozen=True)
class Change:
    """A setting that is not the default.

    Attributes:
        key: dotted.
        now, before: its values; ABSENT where there is none.
    """

    key: str
    now: Any
    before: Any

    @property
    def value(self) -> str:
        """As it is written in the file; a dash for none."""
        return "–" if self.now is ABSENT else setting(self.now)

    @property
    def default(self) -> str:
        """Likewise."""
        return "–" if self.before is ABSENT else setting(self.before)

    @property
    def option(self) -> str:
        """As `dvc exp run -S` takes it (Hydra's grammar)."""
        if self.now is ABSENT:
            return f"~{self.key}"
        return f"{'+' if self.before is ABSENT else ''}{self.key}={setting(self.now, number=repr, text=_quoted)}"


def changes(params: Path) -> tuple[list[Change], str]:
    """What params.yaml changes, in its order (lists are taken as a whole), and the command that repeats a run.

    The command starts from the project as it comes and edits no file, where that gives just these settings.
    """
    now = _read(params)
    found = _differences(now, _read(DEFAULTS), "")
    return found, _command([change.option for change in found], now)


def _command(options: list[str], wanted: Any) -> str:
    if not options:
        return "make repro"
    if len(options) > MOST_OPTIONS or not _give(options, wanted):
        return BY_HAND
    return " ".join(["dvc exp run", *(f"-S {shlex.quote(option)}" for option in options)])


def _give(options: list[str], wanted: Any) -> bool:
    """Whether DVC makes `wanted` out of the defaults: not every change has an option, such as a list for a mapping."""
    return bool(_made_of(options) == wanted)


def refused(options: list[str]) -> str | None:
    """One of some options of `dvc exp run -S` that DVC doesn't take with params.yaml as the project comes.

    Settings of a person's own data sets, which that file doesn't have, are not looked at.
    """
    known = _read(DEFAULTS)["datasets"]
    some = [option for option in options if not (found := _DATASET.match(option)) or found["name"] in known]
    for together in _apart(some):  # at once, since DVC reads the whole file each time
        if _made_of(together) is None:
            return next((option for option in together if _made_of([option]) is None), None)
    return None


def _apart(options: list[str]) -> list[list[str]]:
    """The options in lists within which none sets another's key, or one above or below it."""
    found: list[dict[str, str]] = []
    for option in options:
        key = option.lstrip("+~").split("=", 1)[0] + "."
        free = (one for one in found if not any(key.startswith(other) or other.startswith(key) for other in one))
        place = next(free, None)
        if place is None:
            found.append(place := {})
        place[key] = option
    return [list(one.values()) for one in found]


def _made_of(options: list[str]) -> Any:
    """What DVC makes of the defaults; None where it takes no such options."""
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides

    with tempfile.TemporaryDirectory() as folder:
        tried = Path(folder) / "params.yaml"
        tried.write_text(DEFAULTS.read_text(encoding="utf-8"), encoding="utf-8")
        try:
            apply_overrides(tried, options)
        except DvcException:
            return None
        return _read(tried)


def _read(path: Path) -> Any:
    return parse_yaml(path.read_text(encoding="utf-8"))


def _differences(now: Any, before: Any, above: str) -> list[Change]:
    if not isinstance(now, dict) or not isinstance(before, dict):
        return [] if now == before else [Change(above, now, before)]
    found = []
    for key in [*now, *(key for key in before if key not in now)]:
        where = f"{above}.{key}" if above else str(key)
        if key in now and key in before:
            found += _differences(now[key], before[key], where)
        else:
            found.append(Change(where, now.get(key, ABSENT), before.get(key, ABSENT)))
    return found


def _quoted(text: str) -> str:
    """Hydra reads some characters as grammar."""
    if re.fullmatch(r"[A-Za-z_/][\w./-]*", text):
        return text
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
