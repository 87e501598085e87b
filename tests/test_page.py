"""The local page: what its server answers, and to whom."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from pipeline import layout, settings
from pipeline.errors import PipelineError
from pipeline.models.look import look_at_all
from pipeline.models.model import Facts, Model, Seen
from pipeline.page import server
from pipeline.page.looking import Looking
from pipeline.page.server import create_app, need_packages
from pipeline.prediction.choosing import cards_below, load_all
from pipeline.prediction.scoring import answers
from pipeline.robustness.change import Beside
from pipeline.robustness.changes import changes
from pipeline.sights.photograph import occlusion
from pipeline.stages import page
from tests.test_models import fit_and_deliver, tiny_project

PORT = 8123
METHODS = ("color_histogram", "hog", "sift_fv", "color_fv", "xrce2011", "lenet5_modern")


@pytest.fixture(scope="module")
def looking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looking]:
    """Models of both eras, fitted to few images."""
    with tiny_project(tmp_path_factory.mktemp("page")) as project:
        for key in METHODS:
            fit_and_deliver(key, project / "fits")
        names = list(cards_below(layout.MODELS))
        yield Looking.of(load_all(layout.MODELS, names, settings.load().compute))


@pytest.fixture
def client(looking: Looking) -> TestClient:
    return TestClient(create_app(looking, PORT), base_url=f"http://127.0.0.1:{PORT}")


def photograph(number: int = 0) -> tuple[np.ndarray, bytes]:
    image = np.load(layout.DATA / "train" / "images.npy")[number]
    return image, cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB"))


def test_all_models_guess_as_predict_does(client: TestClient, looking: Looking) -> None:
    image, raw = photograph()
    found = client.post("/guess", content=raw).json()
    np.testing.assert_array_equal(pixels(found["image"]), image)
    assert found["note"] == ""
    looks = look_at_all(looking.stored, image[None])
    assert [answer["method"] for answer in found["answers"]] == list(looking.stored)
    for answer in found["answers"]:
        key = answer["method"]
        (expected,) = answers(looking.stored[key], looks[key], 5, 0.0)
        assert answer["guesses"] == expected.as_json("")["guesses"]
        assert answer["unlike_training"] == expected.unlike_training
        assert answer["milliseconds"] > 0
    listed = client.get("/models").json()
    assert {model["era"] for model in listed["models"]} == {"hand-crafted", "learned"}
    assert listed["classes"] == 20


def test_a_photograph_can_be_changed_before_the_models_look(client: TestClient, looking: Looking) -> None:
    image, raw = photograph()
    offered = {change["key"]: change for change in client.get("/models").json()["changes"]}
    assert offered["rotation"]["named"][2] == "turned by 30°"
    assert offered["rotation"]["group"] == "viewpoint"
    plain, turned = (client.post(f"/guess{asked}", content=raw).json() for asked in ("", "?change=rotation&severity=3"))
    name = hashlib.blake2b(image.tobytes(), digest_size=8).hexdigest()
    expected = changes(image.shape[0])["rotation"].on(image, 3, looking.card.seed, name, Beside(image))
    np.testing.assert_array_equal(pixels(turned["image"]), expected)
    assert turned["answers"][1]["guesses"] != plain["answers"][1]["guesses"]
    seen, seen_turned = (
        client.post(f"/sees?method=hog{asked}", content=raw).json() for asked in ("", "&change=rotation&severity=3")
    )
    assert seen != seen_turned
    surrounded = client.post("/guess?change=surrounded&severity=5", content=raw).json()
    assert (pixels(surrounded["image"]) == looking.examples.images[0]).all(axis=2).mean() > 0.7  # type: ignore[union-attr]
    wrong = {
        "rotated&severity=1": "no change 'rotated'",
        "rotation&severity=9": "of severity 9",
        "rotation&severity=x": "'x' is no severity",
        "rotation&severity=²": "'²' is no severity",
    }
    for query, words in wrong.items():
        answer = client.post(f"/guess?change={query}", content=raw)
        assert answer.status_code == 422
        assert words in answer.text


def test_without_training_images_changes_that_need_another_one_are_not_offered(
    looking: Looking, tmp_path: Path
) -> None:
    alone = {change["key"] for change in Looking.of(looking.stored, tmp_path).changes()}
    assert {change["key"] for change in looking.changes()} - alone == {"foreign_patch", "surrounded", "other_colours"}


@pytest.mark.parametrize("key", METHODS)
def test_each_model_shows_what_it_sees_and_a_training_image_is_most_like_itself(key: str, client: TestClient) -> None:
    image, raw = photograph(5)
    seen = client.post(f"/sees?method={key}", content=raw).json()
    assert seen[0]["caption"].startswith("Where it looks")
    assert all(pixels(picture["uri"]).size for picture in seen)
    similar = client.post(f"/similar?method={key}", content=raw).json()
    assert len(similar) == 5
    np.testing.assert_array_equal(pixels(similar[0]["uri"]), image)


def test_without_training_images_a_sentence_says_so(client: TestClient, looking: Looking, tmp_path: Path) -> None:
    alone = Looking.of(looking.stored, tmp_path)
    answer = TestClient(create_app(alone, PORT), base_url=f"http://127.0.0.1:{PORT}").post(
        "/similar?method=hog", content=photograph()[1]
    )
    assert answer.status_code == 422
    assert "do not lie in this project's data/" in answer.text


def animation() -> bytes:
    frames = [Image.fromarray(np.full((40, 40, 3), level, np.uint8)) for level in (10, 200)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


def test_odd_uploads_get_a_sentence(client: TestClient) -> None:
    found = client.post("/guess", content=animation()).json()
    assert found["note"] == "This file has 2 frames; the models look at the first one."
    assert pixels(found["image"]).max() < 20
    for address, body, status, words in (
        ("/guess", b"this is a text", 422, "no image format that Pillow or OpenCV knows"),
        ("/guess", b"", 422, "no file came with the request"),
        ("/guess", photograph()[1][:100], 422, "damaged"),
        ("/sees?method=hgo", photograph()[1], 404, "'hgo' is no fitted model here"),
        ("/elsewhere", b"x", 404, "there is nothing at this address"),
    ):
        answer = client.post(address, content=body)
        assert answer.status_code == status
        assert words in answer.text
        assert answer.text.count("\n") == 1


def test_large_uploads_are_refused_before_they_are_read(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    announced = client.post("/guess", content=b"x", headers={"content-length": str(200 << 20)})
    assert announced.status_code == 413
    assert "larger than 64 MB" in announced.text
    monkeypatch.setattr(server, "MOST_BYTES", 1000)

    def unannounced() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    assert client.post("/guess", content=unannounced()).status_code == 413


def test_only_this_page_on_this_machine_is_answered(client: TestClient) -> None:
    raw = photograph()[1]
    for headers, status in (
        ({"host": "evil.example"}, 421),
        ({"host": f"127.0.0.1.evil.example:{PORT}"}, 421),
        ({"host": "127.0.0.1:80"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"http://localhost:{PORT}"}, 200),
        ({"host": f"localhost:{PORT}"}, 200),
    ):
        answer = client.post("/guess", content=raw, headers=headers)
        assert answer.status_code == status, headers
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    for address, kind in (("/", "text/html"), ("/page.js", "text/javascript"), ("/style.css", "text/css")):
        answer = client.get(address)
        assert answer.headers["content-type"].startswith(kind)
        assert "unsafe" not in answer.headers["content-security-policy"]


def test_nothing_is_stored(client: TestClient, looking: Looking) -> None:
    before = sorted(Path().rglob("*"))
    client.post("/guess", content=photograph()[1])
    assert sorted(Path().rglob("*")) == before


class Corner(Model):
    """Sees nothing but the brightness of the upper left corner."""

    batch: ClassVar[int] = 1000

    def see(self, images: np.ndarray) -> Seen:
        bright = images[:, :8, :8].mean(axis=(1, 2, 3)) / 255
        scores = np.stack([bright, 0.3 - 0 * bright], axis=1).astype(np.float32)
        return Seen(scores, scores)

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    def facts(self) -> Facts:
        raise NotImplementedError


def test_occlusion_finds_the_place_that_a_model_looks_at() -> None:
    fall = occlusion(Corner(), np.full((32, 32, 3), 255, np.uint8))
    assert fall.argmax() == 0
    assert fall[0, 0] > 0.4
    assert np.count_nonzero(fall) == 9  # the squares that reach into the corner
    assert (fall[4:] == 0).all()


def test_a_missing_package_and_a_taken_port_are_sentences(looking: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    with page._listening(0) as taken:
        taken.listen()
        with pytest.raises(PipelineError, match=r"port \d+ cannot be opened .*--port"):
            page._listening(taken.getsockname()[1])
    monkeypatch.setattr(server, "find_spec", lambda name: None if name == "uvicorn" else 1)
    with pytest.raises(PipelineError, match=r"needs the package uvicorn; install it with: pip install"):
        need_packages()
