"""inputs: a person's images → work/inputs.json, which changes when they do; work/retries.json, when to try again."""

import json

from pipeline import layout, settings
from pipeline.data.inputs import fingerprint
from pipeline.evaluation.results import UNAVAILABLE
from pipeline.files import write_json


def run() -> None:
    """Runs at every `dvc repro`; `prepare` runs again if the images are no longer those of the run before.

    So does `pretrained`, if its weights could not be had before.
    """
    chosen = settings.load()
    write_json(layout.INPUTS, fingerprint(chosen))
    retries = _before()
    for key in chosen.pretrained:
        if (layout.results_of("pretrained", key) / UNAVAILABLE).is_file():
            retries[key] = retries.get(key, 0) + 1
    write_json(layout.RETRIES, retries)


def _before() -> dict[str, int]:
    try:
        found: dict[str, int] = json.loads(layout.RETRIES.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
