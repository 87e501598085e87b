"""predict: models/ and photographs from anywhere → guesses."""

import sys
from pathlib import Path

import numpy as np

from pipeline import layout, progress
from pipeline.cluster.guessing import GuessJob, answer_files_elsewhere, written_at
from pipeline.data.contract import load_manifest, load_split
from pipeline.errors import PipelineError
from pipeline.models.folder import Stored
from pipeline.models.look import look_at_all
from pipeline.parallel import slices
from pipeline.prediction.checking import agreement, scores_of_the_run
from pipeline.prediction.choosing import cards_below, changes_since, choose, compute_here, load_all
from pipeline.prediction.inputs import find_images
from pipeline.prediction.scoring import CHUNK, answer_files, chunks_of
from pipeline.prediction.writing import writer
from pipeline.robustness.asked import asked


def run(
    paths: list[str],
    methods: list[str],
    top: int,
    at_least: float,
    csv_file: str | None,
    json_file: str | None,
    models: Path,
    change: str | None = None,
    severity: int | None = None,
) -> int:
    """Let fitted models guess what is on images, perhaps after a change of a severity.

    Returns:
        how many images could not be read.

    Raises:
        PipelineError: there is no model, no image or no such change, or two outputs are asked for.
    """
    if csv_file is not None and json_file is not None:
        raise PipelineError("--csv and --json exclude each other; ask for one, and run again for the other")
    stored = _load(methods, models)
    card = next(iter(stored.values())).card
    changing = None if change is None else asked(change, severity, card.image, card.seed)
    files = find_images(paths, sys.stdin)
    top = min(top, len(card.classes))
    compute, bad = compute_here(), 0
    chunks = chunks_of(card.image, len(files))
    with (
        progress.bar(f"predict {', '.join(stored)}", len(files)) as bar,
        writer(csv_file, json_file, list(stored), top) as out,
    ):
        if compute.backend == "dask" and len(chunks) > 1:  # fewer images are done before workers have started
            where, written = str(models.resolve()), written_at(models)
            job = GuessJob(str(Path.cwd()), where, tuple(stored), written, top, at_least, change, severity)
            answered = answer_files_elsewhere(compute, job, files, chunks, bar.advance)
        else:
            answered = answer_files(stored, files, top, at_least, compute.worker_count, bar.advance, changing)
        for path, found in answered:
            out.write(path, found)
            bad += bool(found[0].error)
    if bad:
        progress.say(f"{bad} of {len(files)} images could not be read; their rows say why")
    return bad


def check(methods: list[str], models: Path) -> bool:
    """Score the stored test images again, and say whether this machine agrees with the run.

    Raises:
        PipelineError: data/ or results/ are missing, or of another run.
    """
    stored = _load(methods, models)
    manifest, test = load_manifest(), load_split("test")
    fingerprint = manifest["splits"]["test"]["fingerprint"]
    for key, one in stored.items():
        if one.card.fingerprints["test"] != fingerprint:
            raise PipelineError(
                f"{models / key}: was fitted to other images than those in {layout.DATA}/; check it where its data lie"
            )
    good = True
    with progress.bar(f"check {', '.join(stored)}", len(test)) as bar:
        parts = []
        for part in slices(len(test), CHUNK):
            parts.append(look_at_all(stored, test.images[part]))
            bar.advance(part.stop - part.start)
    for key, one in stored.items():
        now = np.concatenate([part[key].scores for part in parts])
        found = agreement(scores_of_the_run(one, test), now)
        print(f"{key}: {found.words}")
        good &= found.good
    return good


def _load(methods: list[str], models: Path) -> dict[str, Stored]:
    cards = cards_below(models)
    names = choose(cards, methods, models)
    if models == layout.MODELS:
        for sentence in changes_since({name: cards[name] for name in names}):
            progress.say(f"note: {sentence}")
    return load_all(models, names, compute_here())
