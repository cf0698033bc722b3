"""What to do with a finished experiment, as commands that are ready to paste."""

import shlex
from collections.abc import Iterator

from tl_keras.results.finished_experiment import FinishedExperiment

Step = tuple[str, str]


def next_steps(results: FinishedExperiment) -> list[Step]:
    """What each command is for, and the command."""
    return list(_steps(results))


def _steps(results: FinishedExperiment) -> Iterator[Step]:
    folder = results.folder.as_posix()
    quoted, again = shlex.quote(folder), f"tl-keras run {shlex.quote(f'{folder}/config.json')}"
    if results.facts("export") is not None:
        yield "try a photo", f"tl-keras predict {quoted} photo.jpg --heat-maps maps"
        yield "try it in a browser", f"tl-keras serve {quoted}"
        yield "for the plant's computer", f"tl-keras export {quoted} --targets portable"
    decision = results.facts("decision")
    if decision is not None:
        if decision["threshold"] is not None:
            yield "a miss costs as 10 false alarms", f"{again} --set decision.miss_cost=10"
        yield "show a person more photos", f"{again} --set decision.review_share=0.2"
