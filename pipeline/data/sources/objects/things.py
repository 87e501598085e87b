"""Twenty kinds of things. Each function draws one example; what varies within a kind is drawn from `r`.

Kinds share outlines on purpose (ball, clock and cookie are discs; lamp, mushroom and umbrella are domes on a stem;
bus and car; fish and leaf; envelope and house), and no kind owns a colour or a texture: no single cue decides.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from pipeline.data.sources.objects.geometry import Part, Tone, bar, box, ellipse, lathe, polygon, ring

Random = np.random.Generator
BODY, SECOND, DARK, LIGHT, INK = Tone


def ball(r: Random) -> list[Part]:
    """A beach ball: wedges that meet off the centre."""
    count = int(r.integers(3, 5))
    x, y, turn = r.uniform(-0.35, 0.35), r.uniform(-0.35, 0.35), r.uniform(0, 360)
    parts = [Part(ellipse(0, 0, 0.9, 0.9), BODY)]
    for number in range(count):
        start = turn + 360 * number / count
        rim = ellipse(0, 0, 0.9, 0.9, start, start + 180 / count)
        parts.append(Part(np.concatenate([[[x, y]], rim]), SECOND if number % 2 else LIGHT))
    return [*parts, Part(ellipse(x, y, 0.13, 0.13), LIGHT)]


def bottle(r: Random) -> list[Part]:
    """A bottle with a cap and a label."""
    body, neck, shoulder = r.uniform(0.28, 0.42), r.uniform(0.1, 0.15), r.uniform(-0.45, -0.1)
    outline = lathe([(neck, -0.9), (neck, shoulder - 0.2), (body, shoulder + 0.15), (body, 0.95)])
    top = r.uniform(0.1, 0.3)
    return [
        Part(outline, BODY),
        Part(box(-body, top, body, top + r.uniform(0.25, 0.45)), LIGHT),
        Part(box(-neck * 1.3, -1.0, neck * 1.3, -0.82), SECOND),
        Part(box(-body * 0.75, shoulder + 0.2, -body * 0.55, 0.85), LIGHT),
    ]


def bus(r: Random) -> list[Part]:
    """A bus from the side: long, tall, a row of windows."""
    top, bottom = r.uniform(-0.6, -0.5), 0.4
    count = int(r.integers(4, 6))
    parts = [
        Part(polygon((-1, top + 0.1), (-0.92, top), (0.95, top), (1, 0.0), (1, bottom), (-1, bottom)), BODY),
        Part(box(-1, 0.05, 1, 0.16), SECOND),
    ]
    for left in np.linspace(-0.92, 0.92, count + 1)[:-1]:
        parts.append(Part(box(left, top + 0.14, left + 1.84 / count - 0.08, top + 0.5), DARK))
    for x in (-0.6, 0.6):
        parts += [Part(ellipse(x, bottom, 0.21, 0.21), INK), Part(ellipse(x, bottom, 0.09, 0.09), LIGHT)]
    return parts


def butterfly(r: Random) -> list[Part]:
    """Four wings with spots and a thin body."""
    upper, lower, lift = r.uniform(0.45, 0.58), r.uniform(0.3, 0.42), r.uniform(-0.5, -0.3)
    parts = []
    for side in (-1, 1):
        parts += [
            Part(ellipse(side * 0.48, 0.42, lower, lower * 0.8, tilt=side * 40), SECOND),
            Part(ellipse(side * 0.5, lift, upper, upper * 0.68, tilt=-side * 35), BODY),
            Part(ellipse(side * 0.6, lift - 0.03, 0.17, 0.14), SECOND),
            Part(ellipse(side * 0.48, 0.45, 0.12, 0.1), LIGHT),
            Part(bar(0, -0.5, side * 0.28, -0.95, 0.05), INK),
        ]
    return [*parts, Part(ellipse(0, 0, 0.09, 0.62), INK)]


def car(r: Random) -> list[Part]:
    """A car from the side: a low body with a cabin."""
    roof, front, back = r.uniform(-0.48, -0.36), r.uniform(0.3, 0.45), r.uniform(-0.65, -0.45)
    cabin = polygon((back - 0.15, 0), (back, roof), (front - 0.15, roof), (front + 0.2, 0))
    parts = [
        Part(cabin, BODY),
        Part(polygon((-1, 0.05), (-0.9, -0.02), (0.75, -0.02), (0.98, 0.12), (0.98, 0.38), (-1, 0.38)), BODY),
        Part(polygon((back - 0.02, -0.03), (back + 0.06, roof + 0.08), (-0.13, roof + 0.08), (-0.13, -0.03)), DARK),
        Part(polygon((-0.05, -0.03), (-0.05, roof + 0.08), (front - 0.2, roof + 0.08), (front + 0.06, -0.03)), DARK),
        Part(ellipse(0.92, 0.16, 0.07, 0.06), LIGHT),
    ]
    for x in (-0.55, 0.55):
        parts += [Part(ellipse(x, 0.38, 0.24, 0.24), INK), Part(ellipse(x, 0.38, 0.11, 0.11), LIGHT)]
    return parts


def chair(r: Random) -> list[Part]:
    """A chair from the side and a little in front: back, seat, four legs."""
    height, depth, width = r.uniform(-0.95, -0.7), r.uniform(0.12, 0.2), r.uniform(0.42, 0.52)
    parts = [Part(bar(x, 0.1, x * 1.05, 0.95, 0.11), DARK) for x in (-width + 0.2, width + 0.1)]
    parts += [Part(box(-width, height, width - 0.1, 0.05), BODY)]
    count = int(r.integers(0, 4))
    parts += [
        Part(box(x, height + 0.16, x + 0.09, -0.05), DARK) for x in np.linspace(-width + 0.1, width - 0.28, count)
    ]
    seat = polygon((-width, 0), (width - 0.1, 0), (width + 0.15, depth), (-width + 0.1, depth + 0.05))
    parts += [Part(seat, SECOND)]
    return parts + [Part(bar(x, depth, x, 1.0, 0.12), BODY) for x in (-width + 0.1, width + 0.05)]


def clock(r: Random) -> list[Part]:
    """A dial with marks and two hands."""
    parts = [Part(ellipse(0, 0, 0.92, 0.92), BODY), Part(ellipse(0, 0, 0.76, 0.76), LIGHT)]
    for angle in np.radians(np.arange(0, 360, 30 if r.random() < 0.5 else 90)):
        c, s = np.cos(angle), np.sin(angle)
        parts.append(Part(bar(0.58 * c, 0.58 * s, 0.71 * c, 0.71 * s, 0.08), INK))
    for length, width in ((0.36, 0.12), (0.56, 0.09)):
        angle = r.uniform(0, 2 * np.pi)
        parts.append(Part(bar(0, 0, length * np.cos(angle), length * np.sin(angle), width), INK))
    return [*parts, Part(ellipse(0, 0, 0.08, 0.08), SECOND)]


def cookie(r: Random) -> list[Part]:
    """An uneven disc with chips."""
    rim = ellipse(0, 0, 0.88, 0.88)
    wobble = 1 + 0.03 * np.sin(np.linspace(0, 2 * np.pi, len(rim)) * r.integers(3, 8) + r.uniform(0, 6))
    parts = [Part(rim * wobble[:, None], BODY)]
    for angle in np.linspace(0, 2 * np.pi, int(r.integers(7, 11)), endpoint=False):
        radius, size = r.uniform(0.1, 0.7), r.uniform(0.07, 0.14)
        x, y = radius * np.cos(angle * 1.9), radius * np.sin(angle * 1.9)
        parts.append(Part(ellipse(x, y, size, size * r.uniform(0.6, 1.0), tilt=r.uniform(0, 180)), DARK))
    return parts


def cup(r: Random) -> list[Part]:
    """A mug with a handle, seen a little from above."""
    top, bottom, height = r.uniform(0.5, 0.62), r.uniform(0.4, 0.58), r.uniform(0.55, 0.72)
    return [
        Part(ring(top - 0.05, 0, 0.42, 0.4, 0.14, -100, 100), BODY),
        Part(lathe([(top, -height), (bottom, height)]), BODY),
        Part(ellipse(0, height, bottom, 0.14), BODY),
        Part(lathe([(top, r.uniform(-0.2, 0)), (bottom, 0.25)]), SECOND),
        Part(ellipse(0, -height, top, 0.17), LIGHT),
        Part(ellipse(0, -height + 0.02, top - 0.09, 0.11), DARK),
    ]


def envelope(r: Random) -> list[Part]:
    """A letter: a rectangle with a flap and a seal."""
    half = r.uniform(0.55, 0.68)
    tip = r.uniform(0.0, 0.2)
    return [
        Part(box(-0.95, -half, 0.95, half), BODY),
        Part(polygon((-0.95, half), (-0.1, tip - 0.1), (0.1, tip - 0.1), (0.95, half)), LIGHT),
        Part(polygon((-0.95, -half), (0.95, -half), (0, tip + 0.08)), DARK),
        Part(polygon((-0.88, -half), (0.88, -half), (0, tip)), BODY),
        Part(ellipse(0, tip, 0.13, 0.13), SECOND),
    ]


def fish(r: Random) -> list[Part]:
    """A fish with a forked tail, a fin, an eye, and sometimes stripes."""
    height, nose = r.uniform(0.38, 0.55), -0.95
    parts = [
        Part(polygon((0.45, 0), (0.98, -r.uniform(0.4, 0.55)), (0.82, 0), (0.98, r.uniform(0.4, 0.55))), SECOND),
        Part(polygon((-0.3, -height * 0.7), (0.2, -height - 0.25), (0.35, -height * 0.4)), SECOND),
        Part(ellipse(-0.2, 0, 0.75, height), BODY),
    ]
    parts += [Part(box(x, -height * 0.75, x + 0.12, height * 0.75), SECOND) for x in (-0.25, 0.1)[: r.integers(0, 3)]]
    return [
        *parts,
        Part(ellipse(nose + 0.34, -0.12, 0.11, 0.11), LIGHT),
        Part(ellipse(nose + 0.33, -0.12, 0.055, 0.055), INK),
        Part(polygon((-0.2, 0.05), (0.12, 0.2), (-0.15, 0.3)), DARK),
    ]


def flower(r: Random) -> list[Part]:
    """Petals around a centre, on a stem with a leaf."""
    count, petal = int(r.integers(5, 9)), r.uniform(0.2, 0.26)
    parts = [
        Part(bar(0, 0, r.uniform(-0.15, 0.15), 1.0, 0.09), DARK),
        Part(ellipse(0.25, 0.7, 0.28, 0.1, tilt=-30), DARK),
    ]
    for angle in 360 * np.arange(count) / count + r.uniform(0, 60):
        x, y = 0.38 * np.cos(np.radians(angle)), 0.38 * np.sin(np.radians(angle)) - 0.3
        parts.append(Part(ellipse(x, y, 0.32, petal, tilt=angle), BODY))
    return [*parts, Part(ellipse(0, -0.3, 0.22, 0.22), SECOND)]


def house(r: Random) -> list[Part]:
    """Walls, a roof, a door, windows, perhaps a chimney."""
    eaves, ridge, half = r.uniform(-0.2, 0.0), r.uniform(-0.95, -0.75), r.uniform(0.62, 0.78)
    parts = []
    if r.random() < 0.6:
        parts.append(Part(box(0.3, ridge + 0.02, 0.5, eaves), DARK))
    door = r.uniform(-0.35, 0.1)
    return [
        *parts,
        Part(box(-half, eaves, half, 0.85), BODY),
        Part(polygon((-half - 0.15, eaves), (0, ridge), (half + 0.15, eaves)), SECOND),
        Part(box(door, 0.3, door + 0.28, 0.85), INK),
        Part(box(-half + 0.08, eaves + 0.18, -half + 0.34, eaves + 0.44), LIGHT),
        Part(box(half - 0.34, eaves + 0.18, half - 0.08, eaves + 0.44), LIGHT),
    ]


def key(r: Random) -> list[Part]:
    """A ring, a shaft and teeth."""
    outer, hole = r.uniform(0.34, 0.42), r.uniform(0.14, 0.22)
    parts = [
        Part(box(-0.35, -0.09, 0.95, 0.09), BODY),
        Part(ellipse(-0.55, 0, outer, outer), BODY),
        Part(ellipse(-0.55, 0, hole, hole), INK),
        Part(bar(-0.15, -0.03, 0.9, -0.03, 0.05), LIGHT),
    ]
    for x in np.linspace(0.5, 0.85, int(r.integers(2, 4))):
        parts.append(Part(box(x, 0.05, x + 0.1, r.uniform(0.25, 0.42)), BODY))
    return parts


def lamp(r: Random) -> list[Part]:
    """A table lamp: shade, stand, foot."""
    top, bottom, edge = r.uniform(0.22, 0.4), r.uniform(0.6, 0.78), r.uniform(-0.12, 0.05)
    return [
        Part(bar(0, -0.1, 0, 0.85, 0.1), DARK),
        Part(ellipse(0, 0.85, r.uniform(0.35, 0.45), 0.12), SECOND),
        Part(lathe([(top, -0.92), (bottom, edge)]), BODY),
        Part(ellipse(0, edge, bottom, 0.09), LIGHT),
        Part(box(-top, -0.92, top, -0.84), SECOND),
    ]


def leaf(r: Random) -> list[Part]:
    """A pointed oval with veins."""
    half = r.uniform(0.36, 0.5)
    x = np.linspace(-0.9, 0.8, 18)
    width = half * np.clip(np.sin(np.pi * (x + 0.9) / 1.7), 0, 1) ** r.uniform(0.8, 1.2)
    outline = np.concatenate([np.stack([x, width], 1), np.stack([x, -width], 1)[::-1]])
    parts = [Part(outline, BODY), Part(bar(-0.9, 0, 1.0, 0, 0.07), DARK)]
    for at in np.linspace(-0.5, 0.35, int(r.integers(3, 6))):
        reach = 0.75 * half * np.sin(np.pi * (at + 0.9) / 1.7)
        parts += [Part(bar(at, 0, at - 0.22, side * reach, 0.05), DARK) for side in (-1, 1)]
    return parts


def mushroom(r: Random) -> list[Part]:
    """A domed cap with dots on a thick stem."""
    rim, half = r.uniform(-0.05, 0.15), r.uniform(0.7, 0.88)
    stem = r.uniform(0.18, 0.27)
    parts = [
        Part(lathe([(stem, rim), (stem * 1.35, 0.9)]), LIGHT),
        Part(ellipse(0, rim, half, rim + 0.85, 180, 360), BODY),
        Part(ellipse(0, rim, half, 0.1), DARK),
    ]
    for x, y in ((-0.38, -0.3), (0.1, -0.55), (0.42, -0.2), (-0.05, -0.15))[: r.integers(2, 5)]:
        size = r.uniform(0.09, 0.14)
        parts.append(Part(ellipse(x, y + rim, size, size), SECOND))
    return parts


def sailboat(r: Random) -> list[Part]:
    """A hull, a mast and two sails."""
    mast, deck = r.uniform(-0.15, 0.05), r.uniform(0.4, 0.5)
    return [
        Part(polygon((-0.85, deck), (0.9, deck), (0.55, 0.9), (-0.6, 0.9)), BODY),
        Part(box(-0.8, deck, 0.85, deck + 0.1), DARK),
        Part(bar(mast, -1.0, mast, deck, 0.07), INK),
        Part(
            polygon((mast + 0.05, -0.9), (mast + r.uniform(0.6, 0.75), deck - 0.12), (mast + 0.05, deck - 0.12)), LIGHT
        ),
        Part(
            polygon((mast - 0.06, -0.7), (mast - r.uniform(0.4, 0.6), deck - 0.12), (mast - 0.06, deck - 0.12)), SECOND
        ),
    ]


def tree(r: Random) -> list[Part]:
    """A trunk with a round crown or with the tiers of a fir."""
    trunk = r.uniform(0.08, 0.14)
    parts = [Part(lathe([(trunk * 0.8, 0), (trunk * 1.4, 1.0)]), SECOND)]
    if r.random() < 0.5:
        for top, width in ((-0.15, 0.72), (-0.55, 0.55), (-0.98, 0.38)):
            parts.append(Part(polygon((0, top), (width, top + 0.7), (-width, top + 0.7)), BODY))
            parts.append(Part(polygon((width * 0.5, top + 0.6), (width, top + 0.7), (-width, top + 0.7)), DARK))
        return parts
    for x, y, radius in ((-0.35, -0.1, 0.42), (0.35, -0.12, 0.42), (0, -0.45, 0.5), (0.05, -0.05, 0.38)):
        parts.append(Part(ellipse(x + r.uniform(-0.06, 0.06), y, radius, radius), BODY))
    return [*parts, Part(ellipse(0.2, 0.02, 0.3, 0.16), DARK), Part(ellipse(-0.15, -0.6, 0.2, 0.14), LIGHT)]


def umbrella(r: Random) -> list[Part]:
    """An open umbrella: panels over a hooked stick."""
    rim, half, count = r.uniform(-0.05, 0.1), r.uniform(0.85, 0.97), int(r.integers(3, 6))
    parts = [
        Part(bar(0, -0.9, 0, 0.8, 0.07), INK),
        Part(ring(0.13, 0.78, 0.17, 0.18, 0.08, 0, 180), INK),
        Part(ellipse(0, rim, half, rim + 0.8, 180, 360), BODY),
    ]
    edges = np.linspace(-half, half, count + 1)
    for number, (left, right) in enumerate(pairwise(edges)):
        if number % 2:
            parts.append(Part(polygon((left, rim), (0, -0.78), (right, rim)), SECOND))
        scallop = ellipse((left + right) / 2, rim + 0.02, (right - left) / 2, 0.1, 180, 360)
        parts.append(Part(scallop, DARK))
    return parts


THINGS: dict[str, Callable[[Random], list[Part]]] = {
    thing.__name__: thing
    for thing in (
        ball, bottle, bus, butterfly, car, chair, clock, cookie, cup, envelope,
        fish, flower, house, key, lamp, leaf, mushroom, sailboat, tree, umbrella,
    )
}  # fmt: skip
