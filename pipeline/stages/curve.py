"""curve: data/ → results/curve/<method>/: the method is fitted to more and more images, from several seeds."""

import shutil

from pipeline import layout, progress, settings


def run(key: str | None, plan: bool = False) -> None:
    """Fit a method at every size from every seed; nothing to do where `curve.sizes` names none.

    Args:
        key: of the method; None: each of `curve.methods`.
        plan: only say how long it will take.
    """
    chosen = settings.load()
    keys = chosen.curve.methods if key is None else [key]
    for one in keys:
        chosen.check_curve(one)
    if plan:
        from pipeline.curves.planning import say_plan

        say_plan(chosen, keys)
        return
    for one in keys:
        _measure(chosen, one)


def _measure(chosen: settings.Settings, key: str) -> None:
    target = layout.curve_of(key)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    if chosen.curve.sizes == []:
        progress.say(f"curve {key}: none, since `curve.sizes` names no size")
        return
    from pipeline.curves.fitting import Measuring, measured
    from pipeline.curves.kept import write
    from pipeline.curves.subsets import Labelled
    from pipeline.data.contract import load_split

    labelled, test = Labelled.read(chosen.curve.val_fraction), load_split("test")
    measuring = Measuring.of(chosen, key, labelled, test)
    measuring.keep()
    write(list(measured(measuring, measuring.fits())), test.ids, target)
