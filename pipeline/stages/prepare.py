"""prepare: the chosen source → data/."""

from pipeline import layout, settings
from pipeline.data.preparation import prepare


def run() -> None:
    """Validate every setting that later stages will need, then pack the data set."""
    chosen = settings.load()
    chosen.check_methods()
    prepare(chosen, layout.DATA)
