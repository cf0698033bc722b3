"""What to do with a finished experiment, as commands that are ready to paste."""

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tl_keras.data.tfds_source import IMAGES_FOLDER
from tl_keras.home import with_home
from tl_keras.invocation import run_again
from tl_keras.results.finished_experiment import FinishedExperiment
from tl_keras.results_layout import CONFIG

Step = tuple[str, str]
_MORE_REVIEW = 0.2


def next_steps(results: FinishedExperiment) -> list[Step]:
    """What each command is for, and the command."""
    return list(_steps(results))


def _steps(results: FinishedExperiment) -> Iterator[Step]:
    quoted = shlex.quote(results.folder.as_posix())
    again = run_again(results.folder / CONFIG)
    if results.facts("export") is not None:
        photo = _photo(results)
        which = "try a photo" if photo else "try a photo of yours"
        named = shlex.quote(photo or "photo.jpg")
        yield which, f"tl-keras predict {quoted} {named} --heat-maps maps"
        yield "try it in a browser", f"tl-keras serve {quoted}"
        yield "for the plant's computer", f"tl-keras export {quoted} --targets portable"
    decision = results.facts("decision")
    if decision is not None:
        asked = decision["asked"]
        dearer = max(10, 2 * round(asked["miss_cost"] / asked["false_alarm_cost"]))
        if decision["threshold"] is not None:
            cost = f"{dearer * asked['false_alarm_cost']:g}"
            yield (
                f"a miss costs as {dearer} false alarms",
                f"{again} --set decision.miss_cost={cost}",
            )
        if asked["review_share"] < _MORE_REVIEW:
            more = f"{again} --set decision.review_share={_MORE_REVIEW}"
            yield "show a person more photos", more


def _photo(results: FinishedExperiment) -> str | None:
    """A test photo to begin with; None where none is there any more."""
    splits = results.table("splits")
    if splits is None:
        return None
    tested = str(splits.loc[splits["part"] == "test", "image_id"].iloc[0])
    places = (folder / tested for folder in _photo_folders(results.config["data"]))
    return next((place.as_posix() for place in places if place.is_file()), None)


def _photo_folders(data: Mapping[str, Any]) -> list[Path]:
    """Where the names of photos may start from."""
    if data["folder"] is not None:
        return [Path(data["folder"])]
    if data.get("tfds") is None:
        return [Path(data.get("root") or ".")]
    usual = os.environ.get("TFDS_DATA_DIR") or with_home("~/tensorflow_datasets")
    name = Path(data.get("data_dir") or usual) / data["tfds"].partition(":")[0]
    # below the version, or the configuration and the version
    versions = [*name.glob(f"*/{IMAGES_FOLDER}"), *name.glob(f"*/*/{IMAGES_FOLDER}")]
    return sorted(versions, reverse=True)
