"""Pictures of a report for docs/report/: python scripts/picture_report.py reports/index.html NAME (needs Chromium)."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "report"
VIEWS = {
    "desktop": (1280, 1500, "light", "#top"),
    "dark": (1280, 1100, "dark", "#pictures"),
    "phone": (390, 1500, "light", "#top"),
}
COLOURS = 128  # of the pictures, to keep them small
PAGES = 3


def main(page: Path, name: str) -> None:
    """Desktop, dark, phone and print."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for view, (width, height, scheme, section) in VIEWS.items():
            tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            _open(tab, page)
            if section != "#top":
                tab.evaluate("id => document.querySelector(id).scrollIntoView({behavior: 'instant'})", section)
                tab.wait_for_timeout(1500)
            _save(Image.open(io.BytesIO(tab.screenshot())), name, view)
            tab.close()
        tab = browser.new_page()
        _open(tab, page)
        _save(_printed(tab.pdf(format="A4", print_background=True)), name, "print")
        browser.close()


def _open(tab: Page, page: Path) -> None:
    tab.goto(page.resolve().as_uri())
    tab.wait_for_selector("html[data-ready=yes]", state="attached")
    tab.wait_for_timeout(1500)


def _printed(document: bytes) -> Image.Image:
    """The first pages side by side."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "report.pdf").write_bytes(document)
        command = ["pdftoppm", "-r", "75", "-png", "-l", str(PAGES), "report.pdf", "page"]
        subprocess.run(command, cwd=folder, check=True)
        pages = [Image.open(path).convert("RGB") for path in sorted(Path(folder).glob("page-*.png"))]
    width, height = sum(page.width for page in pages) + 8 * (len(pages) - 1), pages[0].height
    out = Image.new("RGB", (width, height), "#999999")
    left = 0
    for page in pages:
        out.paste(page, (left, 0))
        left += page.width + 8
    return out


def _save(picture: Image.Image, name: str, view: str) -> None:
    path = FOLDER / f"{name}-{view}.png"
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
