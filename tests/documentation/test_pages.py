"""What the README promises of itself, and facts that pages repeat from the package."""

import json
import re
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.documentation.pages import EVERY, EVERY_NAME, NAMES, PAGES, ROOT, blocks
from tl_keras.backbone_table import BACKBONES
from tl_keras.config.files import parse_config
from tl_keras.config.schema import BackboneConfig
from tl_keras.imagenet_table import imagenet_url
from tl_keras.invocation import typed
from tl_keras.models.sources.imagenet_weights import experiment_offline_error
from tl_keras.pretraining.source_config import SourceConfig

README = PAGES[0]
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)[^)]*\)")


def text_of(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_the_readme_is_the_route_in_a_thousand_words() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= 1000


def test_its_first_screen_says_what_is_not_needed() -> None:
    first, _, _ = README.read_text(encoding="utf-8").partition("\n## ")
    for word in ("no GPU", "no network", "Apache-2.0", "tl_keras.run experiments/defects.json"):
        assert word in " ".join(first.split())


def test_its_picture_is_small() -> None:
    (picture,) = re.findall(r"!\[[^]]+\]\((.+)\)", README.read_text(encoding="utf-8"))
    assert (ROOT / picture).stat().st_size < 150_000


@pytest.mark.parametrize("page", EVERY, ids=EVERY_NAME)
def test_links_lead_to_files(page: Path) -> None:
    for place in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / place).exists(), place


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_json_is_json_and_configurations_are_valid(page: Path) -> None:
    for block in blocks(page, "json"):
        found = json.loads(block.text)
        if "output" in found:
            SourceConfig.model_validate_json(block.text)
        elif "predictions" not in found:
            parse_config({"name": "parts", "data": {"folder": "photos"}} | found)


def test_every_page_is_in_the_index() -> None:
    pages = {page.stem for page in PAGES} - {"README", "index"}
    (lists,) = [text_of("index.md").partition("<!-- pages -->")[2]]
    assert set(re.findall(r"^(?:.+ <)?([a-z_]+)>?$", lists, re.M)) == pages


def test_the_list_of_backbones_is_the_table() -> None:
    listed = text_of("experiments.md").partition("## Backbones")[2]
    assert re.findall(r"\w+", listed) == list(BACKBONES)


def test_every_experiment_that_comes_along_is_listed() -> None:
    files = {path.name for path in (ROOT / "experiments").glob("*.json")}
    assert set(re.findall(r"`(\w+\.json)`", text_of("experiments.md"))) == files


def test_what_is_said_offline_is_what_the_page_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", "/home/you/.keras")
    failure = URLError(OSError(-3, "Temporary failure in name resolution"))
    with typed(["tl-keras", "run", "photos/"]):
        said = str(experiment_offline_error(BackboneConfig(), failure))
    (shown,) = [block.text for block in blocks(ROOT / "docs/offline.md", "text")]
    assert shown == f"error: {said}\n"


@pytest.mark.parametrize("page", ["offline.md", "windows.md"])
def test_the_weights_are_where_keras_looks_for_them(page: str) -> None:
    assert f"{imagenet_url('MobileNetV2', None, 160)}\n" in text_of(page)
