"""The wrong answers of a finished experiment, as `explain` writes them."""

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from PIL import Image

from tl_keras.atomic_files import write_json
from tl_keras.results_layout import place


def add_errors(folder: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    """Write `errors.csv`, its pictures and facts; rows: image_id, label, answer."""
    pictures = folder / "errors"
    pictures.mkdir()
    encoded = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 90, 60)).save(encoded, "JPEG")
    for number in range(len(rows)):
        for end in ("", "_map"):
            (pictures / f"{number:02d}{end}.jpg").write_bytes(encoded.getvalue())
    table = pd.DataFrame(rows, columns=["image_id", "label", "predicted"])
    right = table["label"] == table["predicted"]
    table = table.assign(probability=0.9, probability_of_label=0.1, right=right)
    table.assign(photo=range(len(rows))).to_csv(place(folder, "errors.csv"), index=False)
    facts = {"run_id": "a", "test_images": 40, "wrong": int((~right).sum())}
    write_json(place(folder, "errors.json"), {**facts, "randomisation_correlation": 0.1})
