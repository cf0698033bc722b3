"""The report in a real browser: nothing is missing, and it fits a phone."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tl_keras.reporting.report import write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs the browser Chromium"),
]

Finish = Callable[..., Path]

# The browser's own window is never as narrow as a phone.
FRAME = """<iframe id="frame" style="width: {width}px; height: 800px" srcdoc="{page}"></iframe>
<script>
document.getElementById("frame").onload = function () {{
  const page = this.contentDocument, root = page.documentElement;
  const images = [...page.images];
  document.title = JSON.stringify({{
    width: root.scrollWidth,
    height: root.scrollHeight,
    headings: [...page.querySelectorAll("h2")].map(heading => heading.textContent),
    images: images.length,
    broken: images.filter(image => !image.naturalWidth).length,
  }});
}};
</script>"""


def shown(page: str, tmp_path: Path, width: int) -> dict[str, Any]:
    """What a browser makes of a page in a frame of so many pixels."""
    framed = tmp_path / "framed.html"
    framed.write_text(FRAME.format(width=width, page=html.escape(page)), encoding="utf-8")
    assert BROWSER is not None
    answer = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=10000",
            "--dump-dom",
            framed.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = re.search(r"<title>(.*?)</title>", answer.stdout)
    assert title, "the page was not loaded"
    found: dict[str, Any] = json.loads(html.unescape(title.group(1)))
    return found


@pytest.mark.parametrize("width", [360, 1000])
def test_it_fits_the_width_and_shows_every_picture(
    finish: Finish, tmp_path: Path, width: int
) -> None:
    page = write_report(finish()).read_text(encoding="utf-8")
    found = shown(page, tmp_path, width)
    assert found["width"] <= width
    assert found["images"] >= 2
    assert found["broken"] == 0
    assert found["headings"][0] == "Strategies compared"
