"""python -m pipeline STAGE …: what dvc.yaml calls. Heavy imports stay inside the stages."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cores import limit_threads
from pipeline.errors import PipelineError

INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it

app = typer.Typer(
    help="Rerun the turning point of computer vision on anyone's images. `dvc repro` calls these stages in order.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Feature = Annotated[str, typer.Argument(help="a name from `features` in params.yaml")]
MatcherName = Annotated[str, typer.Argument(help="a name from `matchers` in params.yaml")]
FusionName = Annotated[str, typer.Argument(help="a name from `fusions` in params.yaml")]
Network = Annotated[str, typer.Argument(help="a name from `networks` in params.yaml")]

Run = Annotated[str, typer.Argument(help="a report, a metrics.json, a folder with one, a git revision, or `workspace`")]


@app.command()
def inputs() -> None:
    """Look whether images were added, removed or changed since the last run."""
    from pipeline.stages.inputs import run

    run()


@app.command()
def prepare() -> None:
    """Pack the chosen data set into data/ with one frozen split."""
    from pipeline.stages.prepare import run

    run()


@app.command()
def codebook(feature: Feature) -> None:
    """Learn from train what a feature needs to know first (a visual vocabulary)."""
    from pipeline.stages.codebook import run

    run(feature)


@app.command()
def features(feature: Feature) -> None:
    """Compute one feature for every image."""
    from pipeline.stages.features import run

    run(feature)


@app.command()
def svm(feature: Feature) -> None:
    """Train and score the linear SVM behind one feature."""
    from pipeline.stages.svm import run

    run(feature)


@app.command()
def pictures(feature: Feature) -> None:
    """Draw what one feature sees, for the report."""
    from pipeline.stages.pictures import run

    run(feature)


@app.command()
def match(matcher: MatcherName) -> None:
    """Score images by comparing them with examples of each class."""
    from pipeline.stages.match import run

    run(matcher)


@app.command()
def fuse(fusion: FusionName) -> None:
    """Combine the scores of several classical methods, weights chosen on val."""
    from pipeline.stages.fuse import run

    run(fusion)


@app.command()
def cnn(network: Network) -> None:
    """Train and score one network; an interrupted run goes on where it stopped."""
    from pipeline.stages.cnn import run

    run(network)


@app.command()
def pretrained(method: Annotated[str, typer.Argument(help="a name from `pretrained` in params.yaml")]) -> None:
    """Train and score the linear SVM behind features that a network learned from other images."""
    from pipeline.stages.pretrained import run

    run(method)


@app.command("fine_tuned")
def fine_tuned(method: Annotated[str, typer.Argument(help="a name from `fine_tuned` in params.yaml")]) -> None:
    """Train a network further that learned from other images; an interrupted run goes on where it stopped."""
    from pipeline.stages.fine_tuned import run

    run(method)


@app.command()
def folds() -> None:
    """Cross-validate every method over all images, on sets that are too small for one test split."""
    from pipeline.stages.folds import run

    run()


@app.command()
def seeds() -> None:
    """Train every method from other seeds as well, so that intervals hold the luck of training."""
    from pipeline.stages.seeds import run

    run()


@app.command()
def curve(
    method: Annotated[str | None, typer.Argument(help="a selected method; default: each of `curve.methods`")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="only say how long each method and size will take here")] = False,
) -> None:
    """Measure methods behind more and more labelled images; what is done already is not done again."""
    from pipeline.stages.curve import run

    run(method, plan)


@app.command()
def kernels(network: Network) -> None:
    """Draw what one trained network sees, for the report."""
    from pipeline.stages.kernels import run

    run(network)


@app.command()
def ablate(
    network: Annotated[str | None, typer.Argument(help="a network; default: each of `ablate.networks`")] = None,
) -> None:
    """Train networks with one thing changed at a time; what is done already is not done again."""
    from pipeline.stages.ablate import run

    run(network)


@app.command()
def xor() -> None:
    """Show what a perceptron cannot learn, and that one hidden layer can."""
    from pipeline.networks.xor import show

    show()


@app.command()
def evaluate() -> None:
    """Turn all scores into errors with intervals, tables and plots."""
    from pipeline.stages.evaluate import run

    run()


@app.command()
def report() -> None:
    """Write reports/index.html."""
    from pipeline.stages.report import run

    run()


@app.command()
def compare(
    first: Annotated[
        str, typer.Argument(help="a report, a metrics.json, a folder with one, a git revision, or `workspace`")
    ],
    second: Annotated[str, typer.Argument(help="likewise")] = "workspace",
) -> None:
    """Show what changed between two runs."""
    from pipeline.stages.compare import run

    run(first, second)


@app.command()
def predict(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="images: files, folders (with all below), patterns, or - for a list on standard input"),
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="of a fitted model; `best`: the one that errs least on val; or `all`")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="guesses an image")] = 5,
    at_least: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="answer “not sure” where the first guess is less probable than this")
    ] = 0.0,
    csv: Annotated[str | None, typer.Option(help="write CSV, a row an image, to this file; - for the screen")] = None,
    json: Annotated[str | None, typer.Option(help="write JSON to this file; - for the screen")] = None,
    models: Annotated[Path, typer.Option(help="the folder with the fitted models")] = Path("models"),
    change: Annotated[
        str | None, typer.Option(help="what if: change the images first, for example rotation, gain, jpeg, grey")
    ] = None,
    severity: Annotated[
        int | None, typer.Option(min=1, max=5, help="of the change, from 1 on; default: its middle one")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="score the stored test images again: does this machine agree with the run?")
    ] = False,
) -> None:
    """Let fitted models guess what is on new photographs."""
    from pipeline.stages.predict import check as agree
    from pipeline.stages.predict import run

    chosen = method or ["best"]
    good = (
        agree(chosen, models)
        if check
        else run(paths or [], chosen, top, at_least, csv, json, models, change, severity) == 0
    )
    if not good:
        raise typer.Exit(1)


@app.command()
def page(
    models: Annotated[Path, typer.Option(help="the folder with the fitted models")] = Path("models"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free")] = 0,
    browser: Annotated[bool, typer.Option(help="open it in the browser")] = True,
) -> None:
    """Open a page on this machine, on which all fitted models look at a photograph."""
    from pipeline.stages.page import run

    run(models, port, browser)


@app.command()
def unlike() -> None:
    """Measure how often each model notices that an image is of none of its classes."""
    from pipeline.stages.unlike import run

    run()


@app.command()
def robustness() -> None:
    """Show changed test images to every fitted model: turned, in other light, bent, covered, without a cue."""
    from pipeline.stages.robustness import run

    run()


@app.command()
def export(
    network: Annotated[str, typer.Argument(help="a fitted network")],
    onnx: Annotated[Path, typer.Option(help="the file to write")],
    models: Annotated[Path, typer.Option(help="the folder with the fitted models")] = Path("models"),
) -> None:
    """Write a fitted network as ONNX, scaling and normalisation inside, and check it against onnxruntime."""
    from pipeline.stages.export import run

    run(network, onnx, models)


@app.command()
def publish(
    date: Annotated[str, typer.Option(help="YYYY-MM-DD; default: today")] = "",
    changes: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="what was set beside data set, budget and seed; repeatable")
    ] = None,
    name: Annotated[str, typer.Option(help="of the file; for runs that are not the data set's main one")] = "results",
    add: Annotated[bool, typer.Option("--add", help="keep other methods' rows, average with other seeds")] = False,
) -> None:
    """Keep this run's figures under reports/published/<dataset>/, to be committed."""
    from pipeline.stages.publish import run

    run(date, changes or [], name, add)


@app.command()
def mend() -> None:
    """Put dvc.lock in order after a run was killed while DVC wrote it; `make repro` does it by itself."""
    from pipeline.lockfile import mend as mend_lock
    from pipeline.project import check_repository

    check_repository()
    done = mend_lock()
    if done is not None:
        print(done, file=sys.stderr)


def main() -> None:
    """Run a command; what a person can put right is one sentence and exit code 1."""
    limit_threads()
    try:
        if "DVC_STAGE" in os.environ:
            from pipeline.lockfile import keep

            keep()
        app()
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_interrupted())
    except SystemExit as end:
        if end.code == INTERRUPTED:  # Typer has seen Ctrl-C, and says nothing
            _interrupted()
        raise


def _interrupted() -> int:
    print("interrupted; run again to go on", file=sys.stderr)
    return INTERRUPTED


if __name__ == "__main__":
    main()
