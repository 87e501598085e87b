"""Long work shows a bar with a rate and the time left; where there is no terminal, a line now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

console = Console(stderr=True)
LINE_EVERY_SECONDS = 30


class Bar(Protocol):
    """Work that is under way."""

    def advance(self, count: int = 1) -> None:
        """Count `count` more items as done."""

    def note(self, text: str) -> None:
        """Show `text` beside the bar."""


@contextmanager
def bar(title: str, total: int | None, unit: str = "images") -> Iterator[Bar]:
    """Show progress on standard error while the block runs."""
    if not console.is_terminal:
        lines = _Lines(title, total, unit)
        yield lines
        lines.finish()
        return
    columns = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    ]
    with Progress(*columns, console=console) as progress:
        yield _Drawn(progress, progress.add_task(title, total=total, unit=unit, note=""))


def say(text: str) -> None:
    """One line for the person at the terminal."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Drawn:
    def __init__(self, progress: Progress, task_id: TaskID) -> None:
        self._progress, self._id = progress, task_id

    def advance(self, count: int = 1) -> None:
        self._progress.advance(self._id, count)

    def note(self, text: str) -> None:
        self._progress.update(self._id, note=text)


class _Rate(ProgressColumn):
    """Items a second, averaged over the recent past."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(_rate(speed, task.fields["unit"]) if speed else "", style="cyan")


class _Lines:
    """Progress for a log file."""

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done, self._note = 0, ""
        self._started = self._printed = time.monotonic()

    def advance(self, count: int = 1) -> None:
        self._done += count
        if time.monotonic() - self._printed >= LINE_EVERY_SECONDS:
            self._print()

    def note(self, text: str) -> None:
        self._note = text

    def finish(self) -> None:
        self._total = self._done
        self._print()

    def _print(self) -> None:
        self._printed = time.monotonic()
        seconds = max(self._printed - self._started, 1e-9)
        parts = [f"{self._done:,}" + (f" of {self._total:,}" if self._total else "") + f" {self._unit}"]
        parts.append(_rate(self._done / seconds, self._unit))
        if self._total and self._done and self._total > self._done:
            parts.append(f"{seconds * (self._total / self._done - 1):,.0f} s left")
        say(f"{self._title}: {', '.join([*parts, self._note] if self._note else parts)}")


def _rate(speed: float, unit: str) -> str:
    return f"{speed:,.0f} {unit}/s" if speed >= 10 else f"{speed:.2g} {unit}/s"
