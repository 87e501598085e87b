"""The local page in Chromium: a photograph is dropped, and all models guess."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from pipeline.page.looking import Looking
from pipeline.page.server import HOST, create_app
from pipeline.stages.page import _listening
from tests.browser import browser
from tests.test_page import METHODS, looking, photograph

__all__ = ["browser", "looking"]
DROP = """([raw, name, type]) => {
  const bytes = Uint8Array.from(atob(raw), (letter) => letter.charCodeAt(0));
  const given = new DataTransfer();
  given.items.add(new File([bytes], name, { type }));
  const dropped = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: given });
  document.getElementById("drop").dispatchEvent(dropped);
}"""
PASTE = """([raw, name, type]) => {
  const bytes = Uint8Array.from(atob(raw), (letter) => letter.charCodeAt(0));
  const given = new DataTransfer();
  given.items.add(new File([bytes], name, { type }));
  document.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, clipboardData: given }));
}"""


@pytest.fixture(scope="module")
def address(looking: Looking) -> Iterator[str]:
    """A running server."""
    with _listening(0) as listener:
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(create_app(looking, port), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://{HOST}:{port}/"
        server.should_exit = True
        thread.join()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, ready; complaints of the browser and requests beyond the server fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("request", lambda request: wrong.append(request.url) if not _ours(request.url, address) else None)
    # Listening makes the browser hand file dialogues over, but only some time after it is asked: so before all else.
    tab.on("filechooser", lambda chooser: None)
    tab.goto(address)
    tab.wait_for_selector("html[data-ready=yes]", state="attached")
    yield tab
    assert [text for text in wrong if "422" not in text] == []
    context.close()


def _ours(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:"))


def give(page: Page, how: str, raw: bytes, name: str = "photo.png", kind: str = "image/png") -> None:
    page.evaluate(how, [base64.b64encode(raw).decode(), name, kind])


def guessed(page: Page) -> None:
    page.wait_for_function("() => document.getElementById('status').textContent.includes('have guessed')")


def test_a_dropped_photograph_gets_five_bars_from_every_model(page: Page) -> None:
    give(page, DROP, photograph()[1])
    guessed(page)
    assert page.locator(".card").count() == len(METHODS)
    assert page.locator("#learned .card h3").all_inner_texts() == ["LeNet-5, modernised"]
    for card in page.locator(".card").all():
        assert card.locator("meter").count() == 5
        assert "\u00a0ms" in (card.text_content() or "")
    page.fill("#least", "100")
    assert page.locator(".unsure:visible").count() == len(METHODS)
    page.fill("#least", "0")
    assert page.locator(".unsure:visible").count() == 0


def test_what_a_model_sees_and_what_is_similar_is_loaded_when_it_is_opened(page: Page) -> None:
    give(page, PASTE, photograph(3)[1])
    guessed(page)
    card = page.locator(".card", has_text="HOG + SVM")
    card.get_by_text("What it sees").click()
    card.get_by_text("Where it looks").wait_for()
    assert card.locator("details img").count() == 2
    card.get_by_text("Most similar training images").click()
    card.locator(".similar img").first.wait_for()
    assert card.locator(".similar img").count() == 5


def test_what_if_the_photograph_were_turned(page: Page) -> None:
    give(page, DROP, photograph()[1])
    guessed(page)
    before = page.locator("#image").get_attribute("src")
    assert page.locator("#severity").is_hidden()
    page.select_option("#change", "rotation")
    page.wait_for_function("(src) => document.getElementById('image').src !== src", arg=before)
    assert page.locator("#named").text_content() == "turned by 30°"
    page.locator("#severity").press("ArrowRight")
    assert page.locator("#named").text_content() == "turned by 60°"
    page.select_option("#change", "edges")
    assert page.locator("#severity").is_hidden()  # it has no degrees
    page.select_option("#change", "")
    page.wait_for_function("(src) => document.getElementById('image').src === src", arg=before)


def test_the_file_button_is_reached_by_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "open"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files({"name": "p.png", "mimeType": "image/png", "buffer": photograph()[1]})
    guessed(page)


def test_a_text_named_jpg_is_a_sentence(page: Page) -> None:
    give(page, DROP, b"a text", "photo.jpg", "image/jpeg")
    page.wait_for_selector("#status.wrong")
    assert page.inner_text("#status").startswith("This photograph can’t be used: no image format")
    assert page.locator("#guesses").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_axe_finds_nothing(page: Page, scheme: str, tmp_path: Path) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": 390, "height": 800})
    give(page, DROP, photograph()[1])
    guessed(page)
    card = page.locator(".card", has_text="HOG + SVM")
    card.get_by_text("What it sees").click()
    card.get_by_text("Where it looks").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert Axe().run(page).response["violations"] == []
    page.screenshot(path=str(tmp_path / f"{scheme}.png"), full_page=True)
