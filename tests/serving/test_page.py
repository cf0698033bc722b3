"""The page says what the export says of itself, as text, and runs nothing but its own script."""

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import pytest

from tests.hostile.texts import TEXTS
from tl_keras.safe_text import visible
from tl_keras.serving.page import Page, make_page
from tl_keras.serving.served_model import ServedModel

METRICS = {
    "accuracy": 0.9,
    "test_images": 40,
    "accuracy_interval": {"low": 0.7687, "high": 0.9604, "level": 0.95},
}
RULE = {"text": "Photos below 0.8 are for a person."}


class Classifier:
    """What the page asks of a classifier."""

    def __init__(self, version: Path, *, full: bool) -> None:
        self.version = version
        self.decides = self.knows_strangers = self.explains = full


def page_of(version: Path, *, full: bool = True, name: str = "parts") -> Page:
    model = ServedModel(name, 3, cast(Any, Classifier(version, full=full)), {})
    return make_page(model, f"/v1/models/{name}", 2**20, 8)


def export(version: Path, card: Any, labels: str = "good\ncrack\n") -> Path:
    """A version with a card."""
    extra = version / "assets.extra"
    extra.mkdir(parents=True)
    (extra / "labels.txt").write_text(labels, encoding="utf-8")
    if card is not None:
        (extra / "model_card.json").write_text(json.dumps(card), encoding="utf-8")
        (extra / "MODEL_CARD.md").write_text("# parts", encoding="utf-8")
    return version


class Parts(HTMLParser):
    """Tags, attributes and texts of a page; those of its style and scripts apart."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.texts: dict[str, str] = {}
        self._inside = ""
        self.feed(page.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        kind = dict(attrs).get("type")
        self._inside = f"{tag}{kind or ''}" if tag in ("style", "script") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        self.texts[self._inside] = self.texts.get(self._inside, "") + data

    @property
    def text(self) -> str:
        return " ".join(self.texts[""].split())


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_policy_names_the_one_script_and_the_one_style(tmp_path: Path) -> None:
    page = page_of(export(tmp_path / "3", None))
    policy = dict(
        part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; ")
    )
    parts = Parts(page)
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == f"'sha256-{digest(parts.texts['script'])}'"
    assert policy["style-src"] == f"'sha256-{digest(parts.texts['style'])}'"
    assert policy["connect-src"] == "'self'"
    assert not [name for name in parts.attributes if name.startswith("on") or name == "style"]
    # nothing of another place
    assert not re.search(r"(?:src|href|url)\W{1,3}(?!data:,|/MODEL_CARD)[\w/:.]*//", page.html)


def test_it_says_what_the_card_says(tmp_path: Path) -> None:
    card: dict[str, Any] = {
        "description": "Cast parts",
        "classes": ["good", "crack"],
        "metrics": METRICS,
        "decision": RULE,
        "known_limits": ["It was measured in the dark."],
        "strangers": None,
    }
    page = page_of(export(tmp_path / "3", card))
    text = Parts(page).text
    for told in (
        *("parts, version 3: Cast parts", "good, crack.", "90.0% of 40 test photos"),
        *("76.9% to 96.0%", RULE["text"], *card["known_limits"]),
    ):
        assert told in text
    assert 'href="/MODEL_CARD.md"' in page.html
    assert page.card == "# parts"


def test_what_was_handed_over_stands_in_place_of_one_model_that_was_measured(
    tmp_path: Path,
) -> None:
    card = {"metrics": METRICS, "handed_over": {"text": "Fitted anew to all 40 photos."}}
    text = Parts(page_of(export(tmp_path / "3", card))).text
    assert "Fitted anew to all 40 photos." in text
    assert "test photos" not in text


@pytest.mark.parametrize(
    "card",
    [
        *(None, {}, [], "text", {"metrics": 3}, {"metrics": {"accuracy": 0.5}}, {"classes": 5}),
        *({"strangers": {"stranger_share": 0.1}}, {"decision": "yes"}, {"handed_over": [1]}),
        {"known_limits": True},
    ],
)
def test_an_export_that_says_little_of_itself_leaves_no_gap(tmp_path: Path, card: Any) -> None:
    page = page_of(export(tmp_path / "3", card), full=False)
    text = Parts(page).text
    assert "It tells apart: good, crack." in text
    assert not re.search(r"None|Undefined|, \.|: \.|\{\{", text)
    assert "Familiar" not in text
    assert ("/MODEL_CARD.md" in page.html) is (card is not None)


def test_an_export_without_any_file_beside_it_has_a_page(tmp_path: Path) -> None:
    assert "parts, version 3" in Parts(page_of(tmp_path / "absent", full=False)).text


def test_the_script_is_told_the_limits_and_the_columns(tmp_path: Path) -> None:
    full, less = (
        json.loads(Parts(page_of(tmp_path, full=full)).texts["scriptapplication/json"])
        for full in (True, False)
    )
    assert (full["requestBytes"], full["batch"]) == (2**20, 8)
    assert full["predict"] == "/v1/models/parts:predict_files"
    assert full["heatMap"] == "/v1/models/parts:heat_map"
    assert less["heatMap"] is None
    assert full["columns"] == [
        *("file", "label", "probability", "confidence", "decision", "familiar", "problem")
    ]
    assert less["columns"] == ["file", "label", "probability", "problem"]


@pytest.mark.parametrize("name", TEXTS.values(), ids=TEXTS)
def test_names_of_anybody_are_text(tmp_path: Path, name: str) -> None:
    plain = Parts(page_of(export(tmp_path / "1", {"classes": ["a"], "description": "b"}), name="n"))
    card = {"classes": [name], "description": name, "known_limits": [name]}
    # the command takes no other name of a model
    model = name if name.isprintable() else "parts"
    page = page_of(export(tmp_path / "2", card), name=model)
    parts = Parts(page)
    assert [tag for tag in parts.tags if tag not in ("ul", "li", "details", "summary")] == [
        tag for tag in plain.tags if tag not in ("ul", "li", "details", "summary")
    ]
    assert parts.attributes == plain.attributes
    assert parts.texts["script"] == plain.texts["script"]
    assert f"<bdi>{html.escape(visible(name), quote=False)}</bdi>" in page.html.replace(
        "&#34;", '"'
    ).replace("&#39;", "'")
    assert visible(page.html) == page.html
    page.html.encode()
