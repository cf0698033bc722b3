"""The page of an audit on which labels can be marked."""

from typing import Any

from tl_keras.data.corrections import Correction
from tl_keras.reporting.label_marks import label_mark, marking
from tl_keras.reporting.pages import Photo, render

CLASSES = ("crack", "dent", "good")


def marked_page(
    photos: list[tuple[str, str, str]],
    classes: tuple[str, ...] = CLASSES,
    before: tuple[Correction, ...] = (),
) -> str:
    """An audit's page with these photos: image_id, label, suggested class."""
    shown = [Photo([None], [row[0]], mark=label_mark(*row, before)) for row in photos]
    section: dict[str, Any] = {"kind": "label_errors", "title": "Label errors", "message": ""}
    section |= {"parts": [{"title": "", "photos": shown}], "more": 0, "grave": True}
    audit = {
        "images": 3,
        "classes": [["crack", 3, 3]],
        "notes": [],
        "sections": [section],
    }
    content = {"name": "parts", "audit": audit, "marks": marking(classes, before)}
    return render("audit.html", content)
