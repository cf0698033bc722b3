"""The page of the local server: photos are dropped on it, and it shows what the model says.

One document with its style and its script inside. Its `Content-Security-Policy` names both by
their digests and allows requests to its own server alone, so that nothing else runs, whatever
files and classes are called, and no photo goes anywhere else.
"""

import base64
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np

from tl_keras.data.image_formats import FORMATS
from tl_keras.models.heat import overlay
from tl_keras.reporting.stranger_words import in_words
from tl_keras.safe_text import visible
from tl_keras.serving.model_card import JSON_NAME, MARKDOWN_NAME
from tl_keras.serving.served_model import ServedModel
from tl_keras.serving.versions import EXTRA, LABELS_FILE

CARD_PATH = f"/{MARKDOWN_NAME}"
# Of the scale of heat maps, on each side of its middle.
_COLOURS = 8
_TEMPLATES = files("tl_keras.serving") / "templates"


@dataclass(frozen=True)
class Page:
    """What a browser is shown.

    Attributes:
        html: the document.
        card: the model's card, Markdown; empty where the export has none.
        headers: of the answers with either.
    """

    html: str
    card: str
    headers: Mapping[str, str]


def make_page(model: ServedModel, base: str, request_bytes: int, batch: int) -> Page:
    """The page of a model.

    Args:
        model: what answers.
        base: the path of the model, to which names of actions are added.
        request_bytes: that the body of a request may have.
        batch: photos that a request may hold.
    """
    style, script = (
        _TEMPLATES.joinpath(f"page.{kind}").read_text("utf-8") for kind in ("css", "js")
    )
    extra = model.classifier.version / EXTRA
    card = _read(extra / MARKDOWN_NAME)
    path = quote(base)
    facts = {
        "predict": f"{path}:predict_files",
        "heatMap": f"{path}:heat_map" if model.classifier.explains else None,
        "columns": model.columns,
        "requestBytes": request_bytes,
        "batch": batch,
        "scale": _scale(),
        "endings": sorted(ending for row in FORMATS.values() for ending in row.endings),
    }
    html = _template().render(
        about=_about(model, extra),
        facts=facts,
        style=style,
        script=script,
        card_path=CARD_PATH if card else None,
        explains=model.classifier.explains,
        decides="decision" in model.columns,
        knows_strangers=model.classifier.knows_strangers,
    )
    return Page(html, card, _headers(style, script))


def _scale() -> list[str]:
    """Colours of a heat map, from what speaks against a label to what speaks for it."""
    gray = np.full((1, 2 * _COLOURS + 1, 3), 128, np.uint8)
    (colours,) = overlay(gray, np.linspace(-1, 1, gray.shape[1])[np.newaxis])
    return [f"#{bytes(colour).hex()}" for colour in colours]


def _about(model: ServedModel, extra: Path) -> dict[str, Any]:
    """What the page says of the model; less where the export, or an earlier version, does."""
    try:
        told = _of_card(_card(extra))
    except (KeyError, TypeError, ValueError, AttributeError):
        # of another version, or changed by hand: its text is there to be read
        told = _of_card({})
    told["classes"] = told["classes"] or _read(extra / LABELS_FILE).splitlines()
    return {"name": model.name, "version": model.version, **told}


def _of_card(card: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": card.get("description") or "",
        "classes": list(card.get("classes") or ()),
        "measured": _measured(card),
        "decision": (card.get("decision") or {}).get("text") or "",
        "strangers": in_words(card["strangers"]) if card.get("strangers") else [],
        "limits": list(card.get("known_limits") or ()),
    }


def _measured(card: Mapping[str, Any]) -> str:
    if told := (card.get("handed_over") or {}).get("text"):
        return str(told)
    if not (metrics := card.get("metrics")):
        return ""
    interval = metrics["accuracy_interval"]
    return (
        f"It answered {metrics['accuracy']:.1%} of {metrics['test_images']} test photos rightly; "
        f"of new photos of the same kind {interval['low']:.1%} to {interval['high']:.1%}, with "
        f"{interval['level']:.0%} confidence."
    )


def _card(extra: Path) -> dict[str, Any]:
    text = _read(extra / JSON_NAME)
    try:
        card = json.loads(text)
    except ValueError:
        return {}
    return card if isinstance(card, dict) else {}


def _read(path: Path) -> str:
    """The text of a file; empty where an export has none."""
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""


def _headers(style: str, script: str) -> dict[str, str]:
    policy = (
        "default-src 'none'",
        f"script-src {_digest(script)}",
        f"style-src {_digest(style)}",
        "connect-src 'self'",
        "img-src blob: data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # text never becomes markup
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        "Cache-Control": "no-store",
    }


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tl_keras.serving"),
        # names of models and classes are anybody's text
        autoescape=True,
        finalize=lambda value: value if hasattr(value, "__html__") else visible(value),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")
