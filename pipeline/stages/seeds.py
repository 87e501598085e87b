"""seeds: data/ → results/seeds/<method>/: every method is fitted again from each other seed, with val drawn anew."""

import shutil

from pipeline import layout, progress, settings
from pipeline.settings import Settings


def run() -> None:
    """Fit every selected method from each of `seeds` but `seed`; nothing to do where there is no other."""
    chosen = settings.load()
    shutil.rmtree(layout.SEEDS, ignore_errors=True)
    layout.SEEDS.mkdir(parents=True)
    if not chosen.other_seeds:
        progress.say("seeds: none beside `seed`")
        return
    _measure(chosen)


def _measure(chosen: Settings) -> None:
    from pipeline.curves.fitting import Fit, Measuring, measured
    from pipeline.curves.kept import write
    from pipeline.curves.subsets import Labelled
    from pipeline.data.contract import load_split
    from pipeline.data.pooled import Pooled

    test, val = load_split("test"), load_split("val")
    images = Pooled.read(("train", "val"))
    labelled = Labelled(images, len(val) / len(images))  # so that val is as large as that of `seed`
    fits = [Fit(len(images), seed, tuned=True) for seed in chosen.other_seeds]
    for key in chosen.selected:
        measuring = Measuring.of(chosen, key, labelled, test, "seeds")
        measuring.keep()
        target = layout.SEEDS / key
        target.mkdir()
        write(list(measured(measuring, fits)), test.ids, target)
