"""The thing without its background, or the background without its thing, where it is known which pixel is whose."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.robustness.change import GREY, NOTHING, Beside, Change, Layers, to_bytes


def _on(image: np.ndarray, layers: Layers, ground: np.ndarray) -> np.ndarray:
    """The thing on another ground; at its outline both have their share."""
    cover = layers.cover[..., None]
    return to_bytes(cover * image + (1 - cover) * ground)


def other_background(image: np.ndarray, level: None, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """The thing before the background of an image of another class (Xiao et al., ICLR 2021: "mixed")."""
    own, its = beside.layers
    return _on(image, own, its.ground)


def no_background(image: np.ndarray, level: None, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """The thing before plain grey."""
    return _on(image, beside.layers[0], np.full_like(image, GREY))


def background_alone(image: np.ndarray, level: None, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """The background as it is where there is no thing: who still guesses right has learned what things stand before."""
    return beside.layers[0].ground.copy()


def silhouette(image: np.ndarray, level: None, random: np.random.Generator, beside: Beside) -> np.ndarray:
    """The thing black on white (Geirhos et al., ICLR 2019)."""
    return np.asarray(cv2.cvtColor(to_bytes(255 * (1 - beside.layers[0].cover)), cv2.COLOR_GRAY2RGB))


CHANGES = [
    Change("other_background", "another image's background", "background", other_background, (None,),
           ("before the background of another image",), draws=False, company=True, layers=True),
    Change("no_background", "without background", "background", no_background, (None,),
           ("before plain grey",), draws=False, layers=True),
    Change("silhouette", "silhouette alone", "background", silhouette, (None,),
           ("as a black silhouette",), draws=False, layers=True),
    Change(NOTHING, "background alone", "background", background_alone, (None,),
           ("with the thing taken out of the picture",), draws=False, layers=True),
]  # fmt: skip
