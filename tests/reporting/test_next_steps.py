"""The commands at the end of a run name what is there, whatever the photos came from."""

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from tl_keras.reporting.next_steps import next_steps
from tl_keras.results.finished_experiment import FinishedExperiment

NOTHING: dict[str, Any] = {"folder": None, "table": None, "tfds": None}


def tried(data: dict[str, Any], image_id: str) -> tuple[str, str]:
    """What the first step is for, and the photo that it names."""
    found = SimpleNamespace(
        folder=Path("results/parts"),
        config={"data": NOTHING | data},
        table=lambda name: pd.DataFrame({"part": ["train", "test"], "image_id": ["x", image_id]}),
        facts={"export": {}}.get,
    )
    purpose, command = next_steps(cast("FinishedExperiment", found))[0]
    return purpose, shlex.split(command)[3]


@pytest.mark.parametrize(
    ("data", "photo"),
    [
        ({"folder": "my photos"}, "my photos/a/1.png"),
        ({"table": "t.csv"}, "a/1.png"),
        ({"table": "t.csv", "root": "crops"}, "crops/a/1.png"),
        ({"tfds": "set", "data_dir": "tf"}, "tf/set/1.0.0/tl_keras_images/a/1.png"),
        ({"tfds": "set/big:2.0.0", "data_dir": "tf"}, "tf/set/big/2.0.0/tl_keras_images/a/1.png"),
    ],
)
def test_the_photo_to_try_is_there(
    data: dict[str, Any], photo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(photo).parent.mkdir(parents=True)
    Path(photo).touch()
    assert tried(data, "a/1.png") == ("try a photo", photo)
    Path(photo).unlink()
    assert tried(data, "a/1.png") == ("try a photo of yours", "photo.jpg")
