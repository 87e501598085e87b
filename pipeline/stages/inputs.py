"""inputs: a person's images → work/inputs.json, which changes when they do."""

from pipeline import layout, settings
from pipeline.data.inputs import fingerprint
from pipeline.files import write_json


def run() -> None:
    """Runs at every `dvc repro`; `prepare` runs again if the images are no longer those of the run before."""
    write_json(layout.INPUTS, fingerprint(settings.load()))
