"""From a thing to a photograph of it: viewpoint, deformation, clutter, surface, light, background.

Everything is drawn at twice the final size into a map of materials, then coloured, shaded and averaged down: outlines
come out anti-aliased.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from pipeline.data.sources.objects.geometry import Part, Tone, bar
from pipeline.data.sources.objects.things import THINGS
from pipeline.settings import Dials

NAMES = list(THINGS)
OVERSAMPLING = 2

#: Colours by name, as HSV (hue 0-1, saturation, value). A thing's body may have any of them.
COLOURS = {
    "red": (0.99, 0.75, 0.8),
    "orange": (0.07, 0.8, 0.9),
    "yellow": (0.14, 0.75, 0.92),
    "green": (0.33, 0.6, 0.6),
    "blue": (0.6, 0.65, 0.75),
    "purple": (0.8, 0.45, 0.65),
    "brown": (0.07, 0.55, 0.5),
    "white": (0.1, 0.06, 0.92),
}
#: Photographs that scikit-image ships: surfaces and surroundings with natural statistics.
GROUNDS = ("grass.png", "brick.png", "gravel.png", "coffee.png", "motorcycle_left.png", "hubble_deep_field.jpg")
SURFACES = ("brick.png", "grass.png", "gravel.png", "moon.png", "chelsea.png", "coins.png")

#: What goes with what where features are correlated. Several kinds share each colour, ground and surface.
HABITS: dict[str, tuple[str, int, int]] = {
    "ball": ("red", 0, 3), "bottle": ("green", 3, 3), "bus": ("yellow", 2, 0), "butterfly": ("orange", 0, 1),
    "car": ("red", 2, 3), "chair": ("brown", 1, 0), "clock": ("white", 1, 3), "cookie": ("brown", 3, 2),
    "cup": ("white", 3, 5), "envelope": ("white", 4, 4), "fish": ("blue", 5, 2), "flower": ("purple", 0, 1),
    "house": ("orange", 2, 0), "key": ("yellow", 4, 5), "lamp": ("yellow", 1, 4), "leaf": ("green", 2, 1),
    "mushroom": ("red", 0, 4), "sailboat": ("blue", 5, 2), "tree": ("green", 0, 1), "umbrella": ("purple", 2, 5),
}  # fmt: skip


@dataclass(frozen=True)
class Photographs:
    """Backgrounds uint8 RGB, and grey surfaces float32 with mean 1."""

    grounds: tuple[np.ndarray, ...]
    surfaces: tuple[np.ndarray, ...]


@lru_cache(maxsize=1)
def photographs() -> Photographs:
    """Read the photographs once a process."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"

    def read(name: str, flag: int, side: int) -> np.ndarray:
        image = cv2.imread(str(folder / name), flag)
        if image is None:
            raise FileNotFoundError(folder / name)
        scale = side / min(image.shape[:2])
        return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))

    grounds = tuple(cv2.cvtColor(read(name, cv2.IMREAD_COLOR, 320), cv2.COLOR_BGR2RGB) for name in GROUNDS)
    greys = [read(name, cv2.IMREAD_GRAYSCALE, 320).astype(np.float32) + 20 for name in SURFACES]
    return Photographs(grounds, tuple(grey / cv2.blur(grey, (61, 61)) for grey in greys))


@dataclass(frozen=True)
class Picture:
    """A picture of a thing, and what is needed to take it apart.

    Attributes:
        image: uint8 (size, size, 3), RGB.
        thing: bool (side, side), twice as fine as the image: what lies within the thing's outline.
        behind: float32 (side, side, 3): background and clutter before the thing came, not lit yet.
        light: float32 (side, side, 3), what everything is multiplied by.
        noise: float32 (size, size, 3), what is added at the end.
    """

    image: np.ndarray
    thing: np.ndarray
    behind: np.ndarray
    light: np.ndarray
    noise: np.ndarray

    def cover(self) -> np.ndarray:
        """The share of each pixel that lies within the thing's outline, float32 (size, size)."""
        size = len(self.image)
        return np.asarray(cv2.resize(self.thing.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA))

    def ground(self) -> np.ndarray:
        """The same picture without the thing, its shadow, and what stands before it; uint8 (size, size, 3)."""
        return _developed(self.behind * self.light, self.noise)


def render(label: int, random: np.random.Generator, size: int, dials: Dials) -> np.ndarray:
    """One picture of a thing of class `label`.

    Returns:
        uint8 (size, size, 3), RGB.
    """
    return picture(label, random, size, dials).image


def picture(label: int, random: np.random.Generator, size: int, dials: Dials) -> Picture:
    """The same picture as `render` draws, with its layers."""
    name = NAMES[label]
    side = size * OVERSAMPLING
    habit = HABITS[name]
    materials = np.zeros((side, side), np.uint8)
    palette = [np.zeros((1, 3), np.float32)]
    for _ in range(random.binomial(3, dials.clutter)):
        _add(_other(label, random), _clutter_view(random, dials), materials, palette, _any_colour(random), random)
    first, clutter = sum(map(len, palette)), materials.copy()
    colour = habit[0] if random.random() < dials.correlation else _any_colour(random)
    _add(THINGS[name](random), _view(random, dials), materials, palette, colour, random)
    thing = materials >= first
    if random.random() < 0.4 * dials.clutter:
        _add(_stick(random), _clutter_view(random, dials), materials, palette, _any_colour(random), random)
    image = _background(random, side, habit[1], dials)
    colours = np.concatenate(palette)
    behind = image.copy()
    behind[clutter > 0] = colours[clutter[clutter > 0]]
    _cast_shadow(image, thing, random, dials)
    image = np.where((materials > 0)[..., None], colours[materials], image)
    _surface(image, thing, random, habit[2], dials)
    _shade(image, thing, random, dials)
    light = _light(side, random, dials)
    noise = random.standard_normal((size, size, 3), np.float32) * (2 + 6 * dials.lighting * random.random())
    return Picture(_developed(image * light, noise), thing, behind, light, noise)


def _developed(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Averaged down to the size of `noise`, which is added; uint8."""
    small = cv2.resize(image, noise.shape[:2], interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small + noise, 0, 255).astype(np.uint8))


# ------------------------------------------------------------------------- shape: viewpoint, deformation, clutter


def _view(random: np.random.Generator, dials: Dials) -> np.ndarray:
    """A view of the thing itself: matrix (2, 3) in unit coordinates, then bend amplitudes and phases."""
    turn = np.radians(random.normal(0, 28) * dials.viewpoint)
    scale = random.uniform(0.84, 0.92) * (1 - 0.4 * dials.viewpoint * random.random())
    narrow = 1 - 0.45 * dials.viewpoint * random.random()
    shear = 0.35 * dials.viewpoint * random.uniform(-1, 1)
    mirror = random.choice((-1, 1))
    shift = (0.98 - scale * 0.9) * random.uniform(-1, 1, 2)
    return _matrix(turn, scale, narrow * mirror, shear, shift, random, dials.deformation)


def _clutter_view(random: np.random.Generator, dials: Dials) -> np.ndarray:
    """A view of something else in the picture: smaller, anywhere, often cut by the border."""
    place = random.uniform(0.55, 1.0) * random.choice((-1, 1), 2)
    return _matrix(random.uniform(0, 6.3), random.uniform(0.25, 0.42), 1.0, 0.0, place, random, dials.deformation)


def _matrix(
    turn: float,
    scale: float,
    narrow: float,
    shear: float,
    shift: np.ndarray,
    random: np.random.Generator,
    deformation: float,
) -> np.ndarray:
    c, s = np.cos(turn) * scale, np.sin(turn) * scale
    linear = np.array([[c, -s], [s, c]]) @ np.array([[narrow, shear], [0, 1]])
    bend = np.array([0.14 * deformation * random.uniform(-1, 1, 2), random.uniform(0, 6.3, 2)]).T
    return np.hstack([linear, shift.reshape(2, 1), bend])


def _add(
    parts: list[Part],
    view: np.ndarray,
    materials: np.ndarray,
    palette: list[np.ndarray],
    colour: str,
    random: np.random.Generator,
) -> None:
    """Draw parts into the map of materials and their colours into the palette."""
    first = sum(map(len, palette))
    palette.append(_tones(colour, random))
    half = materials.shape[0] / 2
    for outline, tone in parts:
        bent = outline + view[:, 3] * np.sin(2.5 * outline[:, ::-1] + view[:, 4])
        placed = (bent @ view[:, :2].T + view[:, 2] + 1) * (half * 16)
        cv2.fillPoly(materials, [placed.astype(np.int32)], first + int(tone), lineType=cv2.LINE_8, shift=4)


def _other(label: int, random: np.random.Generator) -> list[Part]:
    other = (label + int(random.integers(1, len(NAMES)))) % len(NAMES)
    return THINGS[NAMES[other]](random)


def _stick(random: np.random.Generator) -> list[Part]:
    """Something thin in front."""
    return [Part(bar(-4, random.uniform(-1, 1), 4, random.uniform(-1, 1), random.uniform(0.15, 0.5)), Tone.BODY)]


# --------------------------------------------------------------------------------------- colour, surface, ground


def _any_colour(random: np.random.Generator) -> str:
    return list(COLOURS)[int(random.integers(len(COLOURS)))]


def _tones(colour: str, random: np.random.Generator) -> np.ndarray:
    """The five colours of a thing, float32 (5, 3), 0-255; only the body's follows `colour`."""
    body = _rgb(*(np.array(COLOURS[colour]) + random.normal(0, (0.025, 0.08, 0.07))))
    second = _rgb(random.random(), random.uniform(0.1, 0.9), random.uniform(0.35, 0.95))
    light = 255 - (255 - body) * random.uniform(0.1, 0.35)
    ink = np.full(3, random.uniform(10, 60))
    return np.stack([body, second, body * random.uniform(0.4, 0.6), light, ink]).astype(np.float32)


def _rgb(hue: float, saturation: float, value: float) -> np.ndarray:
    """HSV in 0-1 → RGB in 0-255."""
    k = (np.array([5.0, 3.0, 1.0]) + hue * 6) % 6
    saturation, value = min(max(saturation, 0), 1), min(max(value, 0), 1)
    return np.asarray(255 * value * (1 - saturation * np.clip(np.minimum(k, 4 - k), 0, 1)))


def _background(random: np.random.Generator, side: int, usual: int, dials: Dials) -> np.ndarray:
    """A window of a photograph, turned, scaled and tinted; float32 (side, side, 3)."""
    grounds = photographs().grounds
    which = usual if random.random() < dials.correlation else int(random.integers(len(grounds)))
    window = _window(grounds[which], random, side).astype(np.float32)
    tint = random.uniform(0.7, 1.2, 3).astype(np.float32)
    contrast = random.uniform(0.35, 0.85)
    mean = window.mean(axis=(0, 1))
    return np.asarray((window - mean) * contrast * tint + mean * tint)


def _window(image: np.ndarray, random: np.random.Generator, side: int) -> np.ndarray:
    height, width = image.shape[:2]
    zoom, turn = random.uniform(0.9, 2.0), random.uniform(0, 2 * np.pi)
    c, s = np.cos(turn) / zoom, np.sin(turn) / zoom
    centre = np.array([random.uniform(0, width), random.uniform(0, height)])
    offset = centre - np.array([[c, -s], [s, c]]) @ np.full(2, side / 2)
    inverse = np.array([[c, -s, offset[0]], [s, c, offset[1]]])
    return np.asarray(
        cv2.warpAffine(
            image,
            inverse,
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
    )


def _surface(image: np.ndarray, thing: np.ndarray, random: np.random.Generator, usual: int, dials: Dials) -> None:
    """Multiply the thing's colours by a photographed surface."""
    surfaces = photographs().surfaces
    which = usual if random.random() < dials.correlation else int(random.integers(len(surfaces)))
    grain = _window(surfaces[which], random, thing.shape[0])
    strength = random.uniform(0.15, 0.8)
    image *= np.where(thing, 1 + strength * (grain - 1), 1)[..., None].astype(np.float32)


# ------------------------------------------------------------------------------------------------------- lighting


def _cast_shadow(image: np.ndarray, thing: np.ndarray, random: np.random.Generator, dials: Dials) -> None:
    side = thing.shape[0]
    soft = cv2.blur(thing.astype(np.float32), (side // 12, side // 12))
    move = np.array([[1, 0, random.uniform(-0.08, 0.08) * side], [0, 1, 0.06 * side]], np.float32)
    shadow = cv2.warpAffine(soft, move, (side, side))
    image *= (1 - random.uniform(0.2, 0.2 + 0.5 * dials.lighting) * shadow)[..., None]


def _shade(image: np.ndarray, thing: np.ndarray, random: np.random.Generator, dials: Dials) -> None:
    """Make the thing look solid: its soft silhouette is taken as a height and lit from one side."""
    side = thing.shape[0]
    height = cv2.blur(thing.astype(np.float32), (side // 6, side // 6))
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=side / 48)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=side / 48)
    angle = random.normal(-np.pi / 2, 0.3 + 1.5 * dials.lighting)
    relief = -(np.cos(angle) * slope_x + np.sin(angle) * slope_y)
    strength = 0.35 + 0.6 * dials.lighting * random.random()
    image *= np.where(thing, np.clip(1 - strength * relief, 0.45, 1.6), 1)[..., None].astype(np.float32)


def _light(side: int, random: np.random.Generator, dials: Dials) -> np.ndarray:
    """Exposure, a colour cast and a fall-off across the picture, as factors; float32 (side, side, 3)."""
    gain = np.exp(random.normal(0, 0.35) * dials.lighting)
    cast = np.exp(random.normal(0, 0.12, 3) * dials.lighting)
    angle, fall = random.uniform(0, 6.3), 0.6 * dials.lighting * random.random()
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    ramp = 1 + fall * (np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None]) / 1.5
    return np.asarray((ramp[..., None] * (gain * cast)).astype(np.float32))
