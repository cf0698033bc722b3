"""Labels that the reader of a page marks as right, wrong or to be left out.

The page itself saves them, as a table that `tl_keras.data.corrections` reads: a script of its own
(`templates/label_marks.js`), which no name of a file or class can become a part of, makes the file
out of cells made here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tl_keras.csv_tables import quoted
from tl_keras.data.corrections import COLUMNS, Correction
from tl_keras.safe_text import one_line

# Of one photo: its image_id and label, the label that its source gives it, the likelier one.
Mark = Mapping[str, str]


def label_mark(
    image_id: str, label: str, suggested: str, corrections: Iterable[Correction]
) -> Mark:
    """What a page must know of a photo whose label may be marked.

    Args:
        image_id: of the photo.
        label: that it has, corrections included.
        suggested: the class that it looks like.
        corrections: those that count already.
    """
    was = next((row.was for row in corrections if row.image_id == image_id), label)
    return {"image_id": image_id, "was": was, "label": label, "suggested": suggested}


def marking(classes: Sequence[str], corrections: Iterable[Correction]) -> dict[str, Any]:
    """What all photos of a page share: the first line, classes, and rows that stay in the table.

    Args:
        classes: names.
        corrections: those that count already.
    """
    return {
        "header": ",".join(COLUMNS),
        "classes": [[one_line(name), quoted(name)] for name in classes],
        "before": [
            [quoted(row.image_id), f"{quoted(row.was)},{quoted(row.label)}"] for row in corrections
        ],
    }


def cells(mark: Mark) -> dict[str, str]:
    """A mark as the script takes it: cells of the table."""
    return {name: quoted(text) for name, text in mark.items()}
