"""The site: these pages, and files that lie elsewhere in the repository.

Sphinx with MyST and Furo: MkDocs, below Material for MkDocs, has had no release since 2024, and
it takes a link to a table outside of this folder for a broken one. A link that leads nowhere, to a
page, a heading or a file, ends the build (`tox -e docs`).
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
ROOT = HERE.parent
# Pages whose text is a file that is read where it lies, too.
SHOWN = {
    "index": "README.md",
    "tables": "results/README.md",
    "reference": "results/reference/README.md",
    "contributing": "CONTRIBUTING.md",
    "changes": "CHANGELOG.md",
    "glossary": "tl_keras/reporting/templates/glossary.md",
}

project = "tl_keras"
project_copyright = "the tl_keras authors"
extensions = ["myst_parser", "autoapi.extension", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "tl_keras"
highlight_language = "none"
html_copy_source = False
myst_heading_anchors = 4

# The package is read and not imported, so that it needs no TensorFlow here.
autoapi_dirs = [str(ROOT / "tl_keras")]
autoapi_generate_api_docs = False
# of what api.md shows nothing lies there
_UNSHOWN = ("commands", "drawn", "engine", "evaluation", "pretraining", "reporting")
autoapi_ignore = [f"*/{folder}/*" for folder in _UNSHOWN]
add_module_names = False
default_role = "code"
# of constants that are assigned several at a time
suppress_warnings = ["autoapi.python_import_resolution"]


def shown(page: str) -> str:
    """The file of a page, with its links as they are from here."""
    file = ROOT / SHOWN[page]

    def moved(link: re.Match[str]) -> str:
        place, _, heading = link[1].partition("#")
        target = (file.parent / place).resolve().relative_to(ROOT).as_posix()
        pages = {path: f"{name}.md" for name, path in SHOWN.items()}
        inside = target.removeprefix(f"{HERE.name}/")
        there = pages.get(target, inside if inside != target else f"../{target}")
        return f"]({there}{'#' * bool(heading)}{heading})"

    text = file.read_text(encoding="utf-8")
    return re.sub(r"\]\((?!\w+:|#)([^)\s]+)\)", moved, text)


def setup(app: Sphinx) -> None:
    """Put the files of `SHOWN` in place of the pages that stand for them."""

    def show(app: Sphinx, page: str, source: list[str]) -> None:
        if page in SHOWN:
            source[0] = f"{shown(page)}\n\n{source[0].partition('<!-- pages -->')[2]}"

    app.connect("source-read", show)
