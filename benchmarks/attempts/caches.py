"""A feature cache that is damaged between two runs changes no number."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.attempts.attempt import Attempt, ended
from tests.hostile.damaged_caches import DAMAGES, NO_FACTS
from tests.hostile.experiments import TinyExperiment, answers, differing, tl_keras


def damaged_caches(count: int, seed: int, folder: Path) -> Iterator[Attempt]:
    """Damage every file of the cache, each in another way, and make the experiment anew.

    Args:
        count: times.
        seed: of the damages.
        folder: an empty one.
    """
    experiment, chance = TinyExperiment.make(folder / "experiment"), random.Random(seed)
    if problem := ended(experiment.command()).problem([0]):
        raise RuntimeError(f"the experiment does not even end with a sound cache: {problem}")
    expected, sound = answers(experiment.results), folder / "sound"
    shutil.copytree(experiment.cache, sound)
    for _ in range(count):
        shutil.rmtree(experiment.cache)
        shutil.copytree(sound, experiment.cache)
        shutil.rmtree(experiment.results)
        case = damage(experiment.cache, chance)
        listed = ended(tl_keras("cache", "list", "--folder", str(experiment.cache)))
        problem = listed.problem([0]) or ended(experiment.command()).problem([0])
        different = [] if problem else differing(expected, answers(experiment.results))
        yield Attempt(case, problem or "; ".join(different[:10]) or None)


def damage(cache: Path, chance: random.Random) -> str:
    """Damage each of its files; what became of them, in words."""
    done = []
    for path in sorted(path for path in cache.rglob("*") if path.is_file()):
        if path.suffix == ".json":
            path.write_bytes(chance.choice(NO_FACTS))
            continue
        change = chance.choice(DAMAGES)
        change(path)
        done.append(f"{path.name} {change.__name__.replace('_', ' ')}")
    return ", ".join(done)
