"""unlike: models/ → results/unlike/: how often each model notices that an image is of none of its classes."""

import shutil

import numpy as np
from PIL import Image

from pipeline import catalogue, layout, progress, settings
from pipeline.data.contract import load_manifest, load_split
from pipeline.data.strangers import strangers, strangers_of
from pipeline.evaluation.metrics import wilson_interval
from pipeline.evaluation.results import UNAVAILABLE
from pipeline.evaluation.scores import read_strangeness
from pipeline.files import write_json
from pipeline.models.look import look_at_all
from pipeline.prediction.choosing import load_all

IMAGES = 200  # of each kind
OTHERS = 1000  # of each other data set


def run() -> None:
    """Score images of none of the classes by every selected method; the false alarms are those on test."""
    chosen, manifest, test = settings.load(), load_manifest(), load_split("test")
    there = [key for key in chosen.selected if not (layout.model_of(key) / UNAVAILABLE).is_file()]
    stored = load_all(layout.MODELS, there, chosen.compute)
    height, width = manifest["image_shape"][:2]
    kinds = strangers((height, width), chosen.seed, IMAGES, manifest["dataset"])
    kinds += strangers_of(chosen, (height, width), OTHERS)
    found: dict[str, dict[str, dict[str, float]]] = {key: {} for key in stored}
    with progress.bar("unlike", sum(len(kind.images) for kind in kinds)) as bar:
        for kind in kinds:
            images = _grey(kind.images) if manifest["grey"] else kind.images
            for key, look in look_at_all(stored, images).items():
                flagged = stored[key].familiarity.unlike(look.strangeness)
                found[key][kind.name] = _share(flagged, chosen.evaluation.confidence)
            bar.advance(len(images))
    for key, one in stored.items():
        family = catalogue.BY_KEY[key].family
        strange = read_strangeness(layout.results_of(family, key), {"test": test}, layout.stage_of(family, key))
        found[key]["test"] = _share(one.familiarity.unlike(strange["test"]), chosen.evaluation.confidence)
    folder = layout.RESULTS / "unlike"
    shutil.rmtree(folder, ignore_errors=True)
    write_json(folder / "detection.json", found)


def _share(flagged: np.ndarray, confidence: float) -> dict[str, float]:
    """In percent, with its interval."""
    low, high = wilson_interval(int(flagged.sum()), len(flagged), confidence)
    return {"images": len(flagged), "percent": 100 * float(flagged.mean()), "low": 100 * low, "high": 100 * high}


def _grey(images: np.ndarray) -> np.ndarray:
    """Each image's luminance, in three equal channels."""
    return np.stack([np.asarray(Image.fromarray(image).convert("L").convert("RGB")) for image in images])
