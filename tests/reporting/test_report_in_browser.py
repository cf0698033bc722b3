"""The report in a real browser: nothing is missing, and it fits a phone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reporting.browser import in_browser, told_by
from tl_keras.reporting.report import write_report

pytestmark = in_browser

Finish = Callable[..., Path]

SHOWN = """
const root = page.documentElement, images = [...page.images];
return {
  width: root.scrollWidth,
  headings: [...page.querySelectorAll("h2")].map(heading => heading.textContent),
  images: images.length,
  broken: images.filter(image => !image.naturalWidth).length,
};"""


@pytest.mark.parametrize("width", [360, 1000])
def test_it_fits_the_width_and_shows_every_picture(
    finish: Finish, tmp_path: Path, width: int
) -> None:
    page = write_report(finish(), tmp_path / "page.html").read_text(encoding="utf-8")
    found = told_by(page, SHOWN, tmp_path, width)
    assert found["width"] <= width
    assert found["images"] >= 2
    assert found["broken"] == 0
    assert found["headings"][0] == "Strategies compared"
