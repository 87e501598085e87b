"""Which file does a table mean? Found by its path, or by what a table writes of it."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.data.folders.contents import LeftOut, images_below
from pipeline.data.folders.names import one_form
from pipeline.errors import PipelineError


@dataclass
class Images:
    """All images below a folder, by every name that a table may give them.

    Attributes:
        folder: where they lie; a name may begin here, or with any folder of it left out.
        left_out: what is no image.
    """

    folder: Path
    files: list[Path]
    left_out: LeftOut
    _by_name: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))

    @staticmethod
    def below(folder: Path) -> Images:
        """List a folder."""
        left_out = LeftOut()
        files = list(images_below(folder, set(), left_out))
        images = Images(folder, files, left_out)
        for file in files:
            for name in {one_form(file.name), one_form(file.stem)}:
                images._by_name[name].append(file)
        return images

    def find(self, name: str, table: Path) -> Path:
        """The file that a table calls `name`: its path, with or without its first folders or its ending.

        Raises:
            PipelineError: several files are called so.
        """
        exact = self.folder / name
        if os.path.isabs(name) or exact.is_file():
            return exact
        wanted = one_form(name.replace("\\", "/").removeprefix("./"))
        fitting = [file for file in self._by_name.get(Path(wanted).name, []) if self._ends(file, wanted)]
        if len(fitting) > 1:
            raise PipelineError(
                f"{table}: {name!r} could be {fitting[0]} or {fitting[1]}; write the path of each image below "
                f"{self.folder}"
            )
        return fitting[0] if fitting else exact

    def _ends(self, file: Path, wanted: str) -> bool:
        path = "/" + one_form(file.relative_to(self.folder).as_posix())
        return path.endswith("/" + wanted) or path.removesuffix(file.suffix).endswith("/" + wanted)
