"""Results on a disk that is full, may not be written, or holds what somebody else left or damaged.

An error may stop a run, in a sentence. No number may differ from those of a run that nothing
happened to, neither then nor when the same command goes on.
"""

import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.attempts.attempt import Attempt, CannotBeTriedError, ended
from tests.hostile.damaged_results import DAMAGES
from tests.hostile.experiments import (
    TinyExperiment,
    answers,
    differing,
    write_photos,
    write_weights,
)
from tests.hostile.small_disk import grow, small_disk
from tl_keras.results_layout import inner

_PLENTY = 200_000
# The results of a tiny experiment are about so large, export and pages included.
_WHOLE_KILOBYTES = 1600
_STOPPED = [1, 2]


def full_disk(count: int, seed: int, folder: Path) -> Iterator[Attempt]:
    """Run an experiment on disks of several sizes; then make the disk larger, and go on.

    Args:
        count: sizes.
        seed: of the sizes.
        folder: an empty one.

    Raises:
        CannotBeTriedError: no file system can be mounted here.
    """
    _need_disks(folder)
    experiment, chance = TinyExperiment.make(folder / "experiment"), random.Random(seed)
    expected = _expected(experiment)
    for number in range(count):
        # one in each stretch of the sizes, so that every writer meets the end
        share = (number + chance.random()) / count
        kilobytes = max(4, round(share * _WHOLE_KILOBYTES))
        with _disk(experiment, kilobytes) as place:
            problem = ended(experiment.command()).problem([0, *_STOPPED])
            grow(place, _PLENTY)
            problem = problem or _goes_on(experiment, expected)
        yield Attempt(f"a disk of {kilobytes} kB", problem)


def damaged_results(count: int, seed: int, folder: Path) -> Iterator[Attempt]:
    """Damage a file of finished results, run again, and write the report again.

    Args:
        count: damages of `tests.hostile.damaged_results`, all of them where there are fewer.
        seed: of their order.
        folder: an empty one.
    """
    experiment = TinyExperiment.make(folder / "experiment")
    expected, sound = _expected(experiment), folder / "sound"
    shutil.copytree(experiment.results, sound)
    chance = random.Random(seed)
    for case in chance.sample(list(DAMAGES), min(count, len(DAMAGES))):
        shutil.rmtree(experiment.results)
        shutil.copytree(sound, experiment.results)
        if DAMAGES[case](experiment.results):
            yield Attempt(case, _made_good_or_refused(experiment, expected))


def replaced_inputs(count: int, seed: int, folder: Path) -> Iterator[Attempt]:
    """Replace photos or weights, or forbid to write, between two runs: refused, nothing changed.

    Args:
        count: attempts, of each kind in turn.
        seed: of the new photos and weights.
        folder: an empty one.
    """
    experiment = TinyExperiment.make(folder / "experiment")
    expected, before = _expected(experiment), folder / "before"
    shutil.copytree(experiment.folder, before)
    kinds = (_other_photos, _other_weights, _fewer_photos, _swapped_labels)
    for number, change in islice(enumerate(kinds * count), count):
        shutil.rmtree(experiment.folder)
        shutil.copytree(before, experiment.folder)
        change(experiment, seed + number)
        problem = ended(experiment.command()).problem([2])
        different = differing(expected, answers(experiment.results))
        case = f"{change.__name__.strip('_').replace('_', ' ')}, {seed + number}"
        yield Attempt(case, problem or "; ".join(different[:10]) or None)


def forbidden_results(count: int, seed: int, folder: Path) -> Iterator[Attempt]:
    """Results that may not be written, half-made and finished, and then may.

    Args:
        count: attempts.
        seed: nothing depends on it.
        folder: an empty one.

    Raises:
        CannotBeTriedError: no file system can be mounted here.
    """
    _need_disks(folder)
    experiment = TinyExperiment.make(folder / "experiment")
    expected = _expected(experiment)
    kept = folder / "kept"
    shutil.copytree(experiment.results, kept)
    for number in range(count):
        state = ("nothing there", "half made", "finished")[number % 3]
        with _disk(experiment, _PLENTY) as place:
            if state != "nothing there":
                shutil.copytree(kept, experiment.results)
            if state == "half made":
                for run in sorted((experiment.results / inner("runs")).iterdir())[::2]:
                    shutil.rmtree(run)
            _protect(place, protected=True)
            problem = ended(experiment.command()).problem([2])
            _protect(place, protected=False)
            problem = problem or _goes_on(experiment, expected)
        yield Attempt(f"results that may not be written, {state}", problem)


def _expected(experiment: TinyExperiment) -> dict[str, Any]:
    if problem := ended(experiment.command()).problem([0]):
        raise RuntimeError(f"the experiment does not even end undisturbed: {problem}")
    return answers(experiment.results)


def _goes_on(experiment: TinyExperiment, expected: dict[str, Any]) -> str | None:
    if problem := ended(experiment.command()).problem([0]):
        return f"does not go on: {problem}"
    return "; ".join(differing(expected, answers(experiment.results))[:10]) or None


def _made_good_or_refused(experiment: TinyExperiment, expected: dict[str, Any]) -> str | None:
    end = ended(experiment.command())
    if problem := end.problem([0, 2]):
        return problem
    if end.code == 0:
        different = differing(expected, answers(experiment.results))
        return "; ".join(different[:10]) or None
    return None


@contextmanager
def _disk(experiment: TinyExperiment, kilobytes: int) -> Iterator[Path]:
    """A file system of its own in place of the folder of results."""
    shutil.rmtree(experiment.results.parent, ignore_errors=True)
    shutil.rmtree(experiment.cache, ignore_errors=True)
    with small_disk(experiment.results.parent, kilobytes) as place:
        yield place


def _need_disks(folder: Path) -> None:
    try:
        with small_disk(folder / "disk", _PLENTY):
            pass
    except OSError as error:
        raise CannotBeTriedError(f"a small file system cannot be mounted: {error}") from error


def _protect(place: Path, *, protected: bool) -> None:
    """Even the superuser cannot write to it then."""
    option = "remount,ro" if protected else "remount,rw"
    subprocess.run(["mount", "-o", option, str(place)], check=True)


def _other_photos(experiment: TinyExperiment, seed: int) -> None:
    shutil.rmtree(experiment.photos)
    write_photos(experiment.photos, seed + 1)


def _fewer_photos(experiment: TinyExperiment, seed: int) -> None:
    photos = sorted(experiment.photos.rglob("*.png"))
    random.Random(seed).choice(photos).unlink()


def _swapped_labels(experiment: TinyExperiment, seed: int) -> None:
    one, other = sorted(experiment.photos.iterdir())[:2]
    photo = random.Random(seed).choice(sorted(one.iterdir()))
    shutil.move(photo, other / f"moved{photo.name}")


def _other_weights(experiment: TinyExperiment, seed: int) -> None:
    write_weights(experiment.weights, seed + 1)
