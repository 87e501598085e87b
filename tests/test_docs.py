"""What README.md and docs/ tell people to type is taken."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import typer.main

from pipeline.__main__ import app
from pipeline.report.repeat import refused

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "params.yaml", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
SET = re.compile(r"(?<![\w-])-S\s+('[^']+'|[^\s`;'(),]+\[[^\]]*\]|[^\s`;'(),]+)")


def settings_in(text: str) -> list[str]:
    """What stands behind each `-S`, but for `key=value`, which stands for any."""
    found = [shlex.split(match)[0] for match in SET.findall(text)]
    return [option for option in found if option != "key=value"]


@pytest.mark.parametrize("page", PAGES)
def test_dvc_takes_every_setting_that_a_page_names(page: str) -> None:
    assert refused(settings_in((ROOT / page).read_text(encoding="utf-8"))) is None


def test_settings_are_found_and_wrong_ones_noticed() -> None:
    text = "run `dvc exp run -S +alexnet.activation=sigmoid -S 'curve.sizes.demo=[1,2]'` (`-S alexnet.activation=tanh`)"
    found = settings_in(text)
    assert found == ["+alexnet.activation=sigmoid", "curve.sizes.demo=[1,2]", "alexnet.activation=tanh"]
    assert refused(found) == "alexnet.activation=tanh"  # without a plus
    assert refused(["curve.sizes=[100,1000]"]) is not None  # a list for a mapping
    assert refused(["curve.sizes.demo=[]", "seed=1", "seed=2", "curve.sizes=[1]"]) == "curve.sizes=[1]"  # alone
    assert refused(["datasets.mine.image_size=64", "seed=1"]) is None  # a person's own
    assert refused(["datasets.objects.imagesize=64"]) == "datasets.objects.imagesize=64"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_names_exists(page: str) -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"-m\s+pipeline ([a-z_]+)", text)
    assert set(named) <= known


def test_dvc_takes_every_published_command() -> None:
    options: dict[str, None] = {}
    for path in (ROOT / "reports" / "published").rglob("*.json"):
        found = json.loads(path.read_text(encoding="utf-8"))
        for row in found if isinstance(found, list) else [found]:
            command = row.get("command", "").removesuffix("; done")
            words = shlex.split(command)
            options |= {words[place + 1]: None for place, word in enumerate(words) if word == "-S"}
    assert len(options) > 50
    assert refused([option for option in options if "$" not in option]) is None
