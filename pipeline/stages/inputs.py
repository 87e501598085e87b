"""inputs: a person's images → work/inputs.json, which changes when they do; work/retries/, when to try again."""

import json
from pathlib import Path

from pipeline import catalogue, layout, settings
from pipeline.data.inputs import fingerprint
from pipeline.evaluation.results import UNAVAILABLE
from pipeline.files import write_json


def run() -> None:
    """Runs at every `dvc repro`; `prepare` runs again if the images are no longer those of the run before.

    So does a method of `pretrained` or `fine_tuned`, if its weights could not be had before.
    """
    chosen = settings.load()
    write_json(layout.INPUTS, fingerprint(chosen))
    layout.RETRIES.mkdir(parents=True, exist_ok=True)
    for key in chosen.from_elsewhere:
        missing = (layout.results_of(catalogue.BY_KEY[key].family, key) / UNAVAILABLE).is_file()
        path = layout.retries_of(key)
        write_json(path, _before(path) + missing)


def _before(path: Path) -> int:
    try:
        return int(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return 0
