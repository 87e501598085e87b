"""Answers as lines to read, as CSV with a row an image, or as JSON."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from pipeline.files import atomic, printable
from pipeline.prediction.scoring import Answer

STANDARD_OUTPUT = "-"
WIDEST = 48  # characters of a path in a line to read


class Writer(Protocol):
    """Takes answers one image after the other."""

    def write(self, path: Path, answers: list[Answer]) -> None:
        """The answers of all models to one image."""


class Lines:
    """A line for each image and model."""

    def __init__(self, out: IO[str], methods: list[str]) -> None:
        self._out, self._several = out, len(methods) > 1
        self._width = max(len(method) for method in methods)

    def write(self, path: Path, answers: list[Answer]) -> None:
        """See Writer."""
        name = printable(path)
        name = name if len(name) <= WIDEST else f"…{name[1 - WIDEST :]}"
        for number, answer in enumerate(answers):
            method = f"{answer.method:<{self._width}}  " if self._several and not answer.error else ""
            self._out.write(f"{name if number == 0 else '':<{WIDEST}}  {method}{_words(answer)}\n")
            if answer.error:  # the same for every model
                break


def _words(answer: Answer) -> str:
    if answer.error:
        return f"cannot be read: {answer.error}"
    guesses = ", ".join(f"{printable(guess.name)} {100 * guess.probability:.1f} %" for guess in answer.guesses)
    first = f"not sure ({guesses})" if answer.unsure else guesses
    return f"{first} — unlike anything in training" if answer.unlike_training else first


class Csv:
    """A row for each image; with several models, columns for each of them."""

    def __init__(self, out: IO[str], methods: list[str], top: int) -> None:
        self._writer = csv.writer(out, lineterminator="\n")
        self._top, self._several = top, len(methods) > 1
        columns = [f"{name}_{number}" for number in range(1, top + 1) for name in ("class", "probability")]
        columns += ["unsure", "unlike_training"]
        prefixes = [f"{method}." if self._several else "" for method in methods]
        header = ["path"] if self._several else ["path", "method"]
        self._writer.writerow([*header, *(f"{prefix}{column}" for prefix in prefixes for column in columns), "error"])

    def write(self, path: Path, answers: list[Answer]) -> None:
        """See Writer."""
        row = [printable(path)] if self._several else [printable(path), answers[0].method]
        for answer in answers:
            cells = [text for guess in answer.guesses for text in (guess.name, f"{guess.probability:.6f}")]
            cells += [""] * (2 * self._top - len(cells))
            warnings = [answer.unsure, answer.unlike_training]
            row += [*cells, *("" if answer.error else str(warning).lower() for warning in warnings)]
        self._writer.writerow([*row, answers[0].error])


class Json:
    """One list with an object for each image and model."""

    def __init__(self, out: IO[str]) -> None:
        self._out, self._before = out, "[\n"

    def write(self, path: Path, answers: list[Answer]) -> None:
        """See Writer."""
        for answer in answers:
            self._out.write(self._before + json.dumps(answer.as_json(printable(path)), ensure_ascii=False))
            self._before = ",\n"

    def close(self) -> None:
        """End the list."""
        self._out.write("\n]\n" if self._before != "[\n" else "[]\n")


@contextmanager
def writer(csv_file: str | None, json_file: str | None, methods: list[str], top: int) -> Iterator[Writer]:
    """Where answers go; a file appears whole or not at all, and `-` is standard output.

    Raises:
        PipelineError: the file cannot be written.
    """
    name = csv_file or json_file
    if name is None or name == STANDARD_OUTPUT:
        with _closed(sys.stdout, csv_file, json_file, methods, top) as open_writer:
            yield open_writer
        sys.stdout.flush()
        return
    with atomic(Path(name), "w") as file, _closed(file, csv_file, json_file, methods, top) as open_writer:
        yield open_writer


@contextmanager
def _closed(
    out: IO[str], csv_file: str | None, json_file: str | None, methods: list[str], top: int
) -> Iterator[Writer]:
    if csv_file is not None:
        yield Csv(out, methods, top)
    elif json_file is not None:
        as_json = Json(out)
        yield as_json
        as_json.close()
    else:
        yield Lines(out, methods)
