"""folds: data/ → results/folds/: on small sets every method is cross-validated over all images."""

import shutil

from pipeline import layout, progress, settings
from pipeline.cross_validation.pool import Pool


def run() -> None:
    """Fit every method once a fold, and keep its scores of all images; nothing to do where prepare drew no folds."""
    chosen = settings.load()
    pool = Pool.read()
    shutil.rmtree(layout.FOLDS, ignore_errors=True)
    layout.FOLDS.mkdir(parents=True)
    if pool is None:
        progress.say("folds: none; test is large enough, or the data set brings its own (prepare.folds)")
        return
    from pipeline.cross_validation.fitting import cross_validate
    from pipeline.cross_validation.kept import write

    write(pool, cross_validate(chosen, pool))
