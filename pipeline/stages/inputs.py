"""inputs: a person's images → work/inputs.json, which changes when they do; work/retries.json, when to try again."""

import json

from pipeline import catalogue, layout, settings
from pipeline.data.inputs import fingerprint
from pipeline.evaluation.results import UNAVAILABLE
from pipeline.files import write_json


def run() -> None:
    """Runs at every `dvc repro`; `prepare` runs again if the images are no longer those of the run before.

    So do `pretrained` and `fine_tuned`, if their weights could not be had before.
    """
    chosen = settings.load()
    write_json(layout.INPUTS, fingerprint(chosen))
    retries = _before()
    for key in chosen.from_elsewhere:
        if (layout.results_of(catalogue.BY_KEY[key].family, key) / UNAVAILABLE).is_file():
            retries[key] = retries.get(key, 0) + 1
    write_json(layout.RETRIES, retries)


def _before() -> dict[str, int]:
    try:
        found: dict[str, int] = json.loads(layout.RETRIES.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
