"""What to do with a finished experiment, as commands that are ready to paste."""

import shlex
from collections.abc import Iterator

from tl_keras.results.finished_experiment import FinishedExperiment

Step = tuple[str, str]
_MORE_REVIEW = 0.2


def next_steps(results: FinishedExperiment) -> list[Step]:
    """What each command is for, and the command."""
    return list(_steps(results))


def _steps(results: FinishedExperiment) -> Iterator[Step]:
    folder = results.folder.as_posix()
    quoted, again = shlex.quote(folder), f"tl-keras run {shlex.quote(f'{folder}/config.json')}"
    if results.facts("export") is not None:
        yield "try a photo", f"tl-keras predict {quoted} {_photo(results)} --heat-maps maps"
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


def _photo(results: FinishedExperiment) -> str:
    """One that is there, to begin with."""
    folder, splits = results.config["data"]["folder"], results.table("splits")
    if folder is None or splits is None:
        return "photo.jpg"
    tested = splits.loc[splits["part"] == "test", "image_id"]
    return shlex.quote(f"{folder.rstrip('/')}/{tested.iloc[0]}")
