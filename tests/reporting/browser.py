"""A page in a real browser: in a frame of any width, driven by a script, or judged by axe-core."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
in_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs the browser Chromium"),
]

# The browser's own window is never as narrow as a phone.
_FRAME = """<iframe id="frame" style="width: {width}px; height: 800px" srcdoc="{page}"></iframe>
<script>
document.getElementById("frame").onload = async function () {{
  const page = this.contentDocument, inside = this.contentWindow;
  document.title = JSON.stringify(await (async () => {{ {script} }})());
}};
</script>"""


def told_by(page: str, script: str, tmp_path: Path, width: int = 1000) -> Any:
    """What a script returns, of JSON types; it knows the `page`, a document, from `inside`."""
    framed = tmp_path / "framed.html"
    text = _FRAME.format(width=width, page=html.escape(page), script=script)
    framed.write_text(text, encoding="utf-8")
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
    title = re.search(r"<title>(.*?)</title>", answer.stdout, re.DOTALL)
    assert title, "the page was not loaded"
    return json.loads(html.unescape(title.group(1)))


def serious_findings(browser: Any, address: str) -> list[str]:
    """What axe-core finds serious or critical of a page: light and dark, on phone and screen."""
    from axe_playwright_python.sync_playwright import Axe

    found = []
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(address)
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            found += [
                f"{scheme}, {width} px: {finding['id']}, {part['html']}: {part['failureSummary']}"
                for finding in Axe().run(page).response["violations"]
                if finding["impact"] in ("serious", "critical")
                for part in finding["nodes"]
            ]
        page.close()
    return found
