"""What one fitted model sees in one photograph: pictures of its features or maps, and where it looks."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.descriptors.drawing import Picture, beside, enlarge
from pipeline.models.feature_svm import FeatureSvm
from pipeline.models.model import Model
from pipeline.models.network import Network
from pipeline.sights.networks import maps

PLACES = 8  # along each side, at which a part is covered
GREY = 128
SIDE = 192  # pixels of a shown photograph


def pictures_of(model: Model, image: np.ndarray) -> list[Picture]:
    """Where it looks, and what its features or maps are, uint8 (H, W, 3) in."""
    found = [occlusion_picture(model, image)]
    if isinstance(model, FeatureSvm):
        draw = getattr(model.recipe.method.load(), "pictures", None)
        found += draw(image[None], model.recipe.settings.features, model.codebook) if draw else []
    if isinstance(model, Network):
        found += maps(model, image[None])  # its kernels are the same for every photograph; the report has them
    return found


def occlusion(model: Model, image: np.ndarray) -> np.ndarray:
    """How much the first guess's score falls where a grey square covers the image: float32 (PLACES, PLACES).

    The square is a quarter of the image's shorter side wide (Zeiler & Fergus, ECCV 2014, section 4.2).
    """
    height, width = image.shape[:2]
    side = max(1, min(height, width) // 4)
    rows, columns = (np.linspace(0, length - side, PLACES).astype(int) for length in (height, width))
    covered = np.repeat(image[None], PLACES * PLACES + 1, axis=0)
    for number, (top, left) in enumerate((top, left) for top in rows for left in columns):
        covered[number, top : top + side, left : left + side] = GREY
    scores = model.scores(covered)
    guess = int(scores[-1].argmax())
    return (scores[-1, guess] - scores[:-1, guess]).reshape(PLACES, PLACES)


def occlusion_picture(model: Model, image: np.ndarray) -> Picture:
    """The photograph, and beside it the photograph bright only where covering it makes the score fall."""
    fall = np.maximum(occlusion(model, image), 0)
    shown = enlarge(image, SIDE)
    share = cv2.resize(fall / max(float(fall.max()), 1e-12), shown.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    light = (shown * (0.2 + 0.8 * share[:, :, None])).astype(np.uint8)
    caption = (
        "Where it looks: the photograph, and beside it the same, bright where covering this place with a grey square "
        "lowers the score of the first guess most."
    )
    return Picture(caption, beside(shown, light))
