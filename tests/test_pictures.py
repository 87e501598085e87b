"""What each method sees: the drawings say what they should, and reach the page."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline import layout
from pipeline.descriptors import drawing, grid
from pipeline.features.hog import cell_histograms
from pipeline.stages import codebook, pictures, prepare
from tests.conftest import edit


def darkness(picture: np.ndarray) -> np.ndarray:
    return 255.0 - picture[..., 0]


@pytest.mark.parametrize("upright", [True, False])
def test_hogs_strokes_run_along_the_edge(upright: bool) -> None:
    image = np.zeros((1, 16, 16, 3), np.uint8)
    image[0, :, 8:] = 200  # an upright edge
    if not upright:
        image = image.transpose(0, 2, 1, 3)
    star = darkness(drawing.strokes(cell_histograms(np.ascontiguousarray(image), 8, 16)[0], 33, full_circle=False))
    along, across = (star[:, 11:22].sum(), star[11:22].sum()) if upright else (star[11:22].sum(), star[:, 11:22].sum())
    assert along > 1.5 * across


def test_sifts_strokes_point_along_the_gradient() -> None:
    for direction, (rows, columns) in enumerate(
        [(slice(14, 19), slice(17, 33)), (slice(17, 33), slice(17, 33)), (slice(17, 33), slice(14, 19))]
    ):
        histogram = np.zeros((1, 1, 8))
        histogram[0, 0, direction] = 1
        star = darkness(drawing.strokes(histogram, 33, full_circle=True))
        assert star[rows, columns].sum() > 0.8 * star.sum()


def test_tiles_stand_in_rows() -> None:
    parts = [np.full((5, 7, 3), shade, np.uint8) for shade in (10, 20, 30)]
    sheet = drawing.tiles(parts, 2)
    gap = drawing.GAP
    assert sheet.shape == (2 * (5 + gap) + gap, 2 * (7 + gap) + gap, 3)
    assert sheet[gap, gap, 0] == 10
    assert sheet[gap, 2 * gap + 7, 0] == 20
    assert sheet[2 * gap + 5, gap, 0] == 30
    assert sheet[-gap - 1, -gap - 1, 0] == drawing.GRID  # the empty place


def test_filters_are_grey_where_they_are_zero() -> None:
    kernel = np.zeros((2, 9, 9), np.float32)
    kernel[0, 4, 4], kernel[1, 4, 4] = 3, -0.1
    sheet = drawing.filters(kernel, 2, 36)
    gap = drawing.GAP
    first, second = sheet[gap : gap + 36, gap : gap + 36, 0], sheet[gap : gap + 36, 2 * gap + 36 : 2 * gap + 72, 0]
    assert first[0, 0] == second[0, 0] == 127
    assert first[18, 18] > 200
    assert second[18, 18] < 50


def test_lines_join_what_matches() -> None:
    grey = np.full((40, 40, 3), 100, np.uint8)
    ends = np.array([[10.0, 20.0]]), np.array([[30.0, 20.0]])
    picture = drawing.matched(grey, grey, *ends, np.array([True]), 80)
    orange = np.abs(picture - np.array([255, 120, 0])).max(axis=2) < 60
    rows, columns = np.nonzero(orange)
    assert set(rows) <= {39, 40, 41}
    assert columns.min() in range(18, 23)
    assert columns.max() in range(80 + drawing.GAP + 58, 80 + drawing.GAP + 62)


def test_words_lie_where_their_patches_do() -> None:
    image = np.zeros((20, 40, 3), np.uint8)
    y, x = np.mgrid[:2, :4].reshape(2, -1)
    places = np.stack([(x + 0.5) / 4, (y + 0.5) / 2], axis=1)
    words = np.array([0, 1, 2, 3, 0, 1, 2, 3])
    shown = drawing.words_on(image, words, places, 40)[:, 80 + drawing.GAP :]
    assert shown.shape == (40, 80, 3)
    assert (shown[:20] == shown[20:]).all()
    columns = [shown[:, left : left + 20] for left in (0, 20, 40, 60)]
    assert all((column == column[0, 0]).all() for column in columns)
    assert len({tuple(column[0, 0].tolist()) for column in columns}) == 4


@pytest.mark.parametrize(("side", "step"), [(48, 2), (32, 1), (61, 3)])
def test_no_line_is_left_between_the_squares_of_a_dense_grid(side: int, step: int) -> None:
    places = grid.places(side, side, (4,), step)
    shown = drawing.squares_at(np.zeros((len(places), 3), np.uint8), places, np.zeros((side, side, 3), np.uint8), 160)
    rows, columns = np.nonzero((shown == 0).all(axis=2))
    assert (shown[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] == 0).all()


def test_no_square_stands_where_there_is_no_patch() -> None:
    places = np.array([[0.4, 0.5], [0.6, 0.5]])
    shown = drawing.squares_at(np.zeros((2, 3), np.uint8), places, np.zeros((10, 10, 3), np.uint8), 10)
    black = (shown == 0).all(axis=2)
    assert black[:, 3:7].all()
    assert not black[:, :3].any()
    assert not black[:, 7:].any()


def test_gabors_colours_tell_the_direction_of_stripes(project: Path) -> None:
    from pipeline import settings
    from pipeline.features import gabor

    wave = (127 + 100 * np.sin(np.arange(48) * np.pi / 3)).astype(np.uint8)
    upright = np.broadcast_to(wave[None, :, None], (48, 48, 3)).copy()
    chosen = settings.load().feature("gabor")
    hues = []
    for image in (upright, upright.transpose(1, 0, 2).copy()):
        shown = gabor.pictures(image[None], chosen, {})[0].pixels
        right = shown[40:-40, -120:-40]
        hues.append(cv2.cvtColor(right, cv2.COLOR_RGB2HSV)[..., 0])
    assert all(np.ptp(hue) <= 2 for hue in hues)
    assert abs(int(np.median(hues[0])) - int(np.median(hues[1]))) == pytest.approx(90, abs=3)


def test_every_feature_with_something_to_show_shows_it(project: Path) -> None:
    keys = ("color_histogram", "hog", "sift_bow", "gabor", "textons", "sift_fv", "color_fv", "sift_vlad")
    edit(project, {"features": list(keys)})
    prepare.run()
    counts = {}
    for key in keys:
        codebook.run(key)
        pictures.run(key)
        folder = layout.PICTURES / key
        captions = json.loads((folder / "captions.json").read_text())
        counts[key] = len(captions)
        for number, caption in enumerate(captions):
            pixels = np.asarray(cv2.imread(str(folder / f"{number}.png")))
            assert len(caption) > 20
            assert min(pixels.shape[:2]) > 40
            assert pixels.std() > 5
    assert counts == {
        "color_histogram": 0, "hog": 1, "sift_bow": 3, "gabor": 2, "textons": 2, "sift_fv": 2, "color_fv": 2,
        "sift_vlad": 1,
    }  # fmt: skip


def test_a_damaged_picture_names_its_stage(project: Path) -> None:
    from pipeline import catalogue
    from pipeline.descriptors.drawing import Picture
    from pipeline.evaluation.results import Result
    from pipeline.evaluation.scores import Cost
    from pipeline.report.faults import Faults
    from pipeline.report.sights import sights
    from pipeline.sights.drawn import write_pictures

    write_pictures(layout.PICTURES / "hog", [Picture("a caption", np.zeros((4, 4, 3), np.uint8))])
    cost = Cost(1.0, 1.0, 1, 1, None, "cpu", "fp32", 1)
    result = Result(catalogue.BY_KEY["hog"], {}, cost, [], layout.results_of("feature", "hog"))
    faults = Faults()
    assert [sight.caption for seen in sights([result], faults) for sight in seen.sights] == ["a caption"]
    assert not faults.sentences
    (layout.PICTURES / "hog" / "0.png").write_bytes(b"no picture")
    assert sights([result], faults) == []
    assert faults.sentences == ["results/pictures/hog/0.png: cannot be read; rerun the stage pictures@hog"]
