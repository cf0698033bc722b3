"""The pages and axe-core: nobody is kept out by how they see, point or type."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright")
pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")

from playwright.sync_api import sync_playwright

from tests.reporting.browser import BROWSER, in_browser, serious_findings
from tests.reporting.finished_errors import add_errors
from tests.reporting.marked_page import marked_page
from tl_keras.reporting.comparison_page import write_comparison
from tl_keras.reporting.report import write_report

pytestmark = in_browser

Finish = Callable[..., Path]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield running
        running.close()


def test_report(finish: Finish, browser: Any, tmp_path: Path) -> None:
    folder = finish(strategies=("feature_extraction", "fine_tuning"))
    add_errors(folder, [("photo0", "crack", "dent"), ("photo5", "crack", "crack")])
    page = write_report(folder, tmp_path / "page.html")
    assert serious_findings(browser, page.as_uri()) == []


def test_comparison(finish: Finish, browser: Any, tmp_path: Path) -> None:
    folders = [
        finish(name, ("feature_extraction",), head={"dropout": rate})
        for name, rate in (("a", 0.1), ("b", 0.2))
    ]
    page = write_comparison(folders, tmp_path / "page.html")
    assert serious_findings(browser, page.as_uri()) == []


def test_audit(browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(marked_page([("a.png", "crack", "dent"), ("b.png", "dent", "good")]))
    assert serious_findings(browser, page.as_uri()) == []
