"""Scripts of pages: files of the package, each of which a page lets run by its digest alone."""

import base64
import functools
import hashlib
from importlib import resources


@functools.cache
def script(name: str) -> str:
    """A script.

    Args:
        name: of its file in `tl_keras/reporting/templates/`, without the ending.
    """
    own = resources.files("tl_keras.reporting") / "templates" / f"{name}.js"
    return own.read_text(encoding="utf-8")


@functools.cache
def script_hash(name: str) -> str:
    """The digest by which the policy of a page lets the script run, and no other."""
    return base64.b64encode(hashlib.sha256(script(name).encode()).digest()).decode()
