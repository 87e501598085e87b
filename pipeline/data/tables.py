"""Tables that say what images show: CSV and TSV as people and competitions write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError

ENDINGS = (".csv", ".tsv", ".tab")
#: What columns are usually called, in small letters without anything but letters.
IMAGE = frozenset(
    "image images path imagepath pathtoimage file filename filepath imagefile imagefilename imagefilepath imagename "
    "img imgpath imgname imagename imageid imgid id picture photo filenames fname".split()
)
LABEL = frozenset(
    "label labels class classes category categories target targets classname labelname categoryname breed species "
    "diagnosis dx classid labelid categoryid predictionstring groundtruth".split()
)
SPLIT = frozenset("split splits subset set partition datasplit phase".split())
GROUP = frozenset(
    "group groups groupid person personid patient patientid subject subjectid video videoid camera cameraid user "
    "userid lesionid scene sceneid sequence sequenceid session sessionid individual individualid location".split()
)


def is_table(path: Path) -> bool:
    """By the end of its name."""
    return path.suffix.lower() in ENDINGS


@dataclass(frozen=True)
class Table:
    """A table whose first row names its columns.

    Attributes:
        file: where it stands.
        columns: name → values, in the table's order.
    """

    file: Path
    columns: Mapping[str, list[str]]

    @staticmethod
    def read(file: Path) -> Table:
        """Read a file, separated by commas, semicolons or tabs (as its first line has them).

        Raises:
            PipelineError: it is missing, no UTF-8 text, or its rows differ in length.
        """
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise PipelineError(
                f"{file}: cannot be read as a table ({_reason(error)}); save it as CSV in UTF-8"
            ) from error
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text)) if any(row)]
        if len(rows) < 2:
            raise PipelineError(f"{file}: has no rows below its names of columns; add a row for each image")
        header = [name.strip() for name in rows[0]]
        if len(set(header)) < len(header):
            raise PipelineError(f"{file}: names a column twice ({', '.join(header)}); rename one")
        for number, row in enumerate(rows[1:], start=2):
            if len(row) != len(header):
                raise PipelineError(
                    f"{file}: row {number} has {len(row)} cells, but the table has {len(header)} columns; correct it"
                )
        values = zip(*rows[1:], strict=True)
        return Table(
            file, {name: [cell.strip() for cell in column] for name, column in zip(header, values, strict=True)}
        )

    def find(self, wanted: str | None, usual: frozenset[str], what: str, key: str) -> str | None:
        """The name of the column that holds something.

        Args:
            wanted: its name, if it was given.
            usual: what such columns are called.
            what: the setting that names it.
            key: where the settings of columns stand in params.yaml.

        Returns:
            None where none is called so.

        Raises:
            PipelineError: there is no column of the given name, or several could be it.
        """
        if wanted is not None:
            if wanted not in self.columns:
                raise PipelineError(
                    f"{self.file}: has no column {wanted!r}, which `{key}.{what}` names; it has {self._named()}"
                )
            return wanted
        found = [name for name in self.columns if _letters(name) in usual]
        if len(found) > 1:
            raise PipelineError(
                f"{self.file}: {' and '.join(repr(name) for name in found)} could each be the column of {what}s; set "
                f"`{key}.{what}` to the right one"
            )
        return found[0] if found else None

    def need(self, wanted: str | None, usual: frozenset[str], what: str, key: str) -> list[str]:
        """The values of a column that must be there."""
        name = self.find(wanted, usual, what, key)
        if name is None:
            raise PipelineError(
                f"{self.file}: no column is called as one of {what}s usually is; it has {self._named()}; set "
                f"`{key}.{what}` to the right one"
            )
        return self.columns[name]

    def labels_of(self, key: object) -> dict[str, str]:
        """Images and their labels, by the usual names of columns."""
        place = str(key)
        return dict(zip(self.need(None, IMAGE, "image", place), self.need(None, LABEL, "label", place), strict=True))

    def _named(self) -> str:
        return ", ".join(self.columns)


def _letters(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalpha())


def _separator(text: str) -> str:
    """The one that the first line has most of."""
    first = text.split("\n", 1)[0]
    return max(",;\t", key=first.count)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is no UTF-8 text"
