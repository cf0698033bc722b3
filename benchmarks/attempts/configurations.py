"""Configurations that nobody meant to write: each is accepted, or refused in a few lines."""

import io
import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

from benchmarks.attempts.attempt import Attempt
from tests.hostile.configurations import WHOLE, mutate
from tests.hostile.experiments import write_photos
from tl_keras.commands.command_line import carry_out
from tl_keras.config.files import load_config
from tl_keras.experiment.first_look import look_before
from tl_keras.home import with_home
from tl_keras.time_limit import time_limit

MOST_SECONDS, MOST_BYTES = 1.0, 10_000
# Where it would go on for ever.
_PATIENCE_SECONDS = 20


class _TooLongError(BaseException):
    """Nothing in the package may catch it."""


def configurations(count: int, seed: int, folder: Path) -> Iterator[Attempt]:
    """Read mutated experiment files as `tl-keras run` does, in this process.

    Args:
        count: files.
        seed: of the first; the others follow.
        folder: an empty one.
    """
    path = folder / "experiment.json"
    # where many of them say that the photos are
    write_photos(folder / "photos")
    with chdir(folder):
        for number in range(seed, seed + count):
            path.write_text(mutated(number), encoding="utf-8", errors="surrogatepass")
            yield Attempt(f"mutation {number}", problem_with(path))


def mutated(seed: int) -> str:
    """The text of an experiment file with something wrong."""
    changed = mutate(WHOLE, random.Random(seed))
    return changed if isinstance(changed, str) else json.dumps(changed)


def problem_with(path: Path) -> str | None:
    """What is wrong with the answer to an experiment file; None if nothing is."""
    said, began = io.StringIO(), time.perf_counter()
    limit = time_limit(_PATIENCE_SECONDS, _TooLongError)
    try:
        with redirect_stdout(said), redirect_stderr(said), limit:
            code = carry_out(lambda: _accepted(path))
    except _TooLongError:
        return f"no answer within {_PATIENCE_SECONDS} s"
    except BaseException as error:
        # whatever else leaves the command line is a traceback to its user
        return f"{type(error).__name__}: {str(error)[:200]}"
    seconds, size = time.perf_counter() - began, len(said.getvalue().encode(errors="replace"))
    if code not in (0, 2):
        return f"exit code {code}"
    if seconds > MOST_SECONDS:
        return f"{seconds:.1f} s"
    return f"{size} bytes of output" if size > MOST_BYTES else None


def _accepted(path: Path) -> int:
    """What `tl-keras run` does with the file before it loads TensorFlow."""
    config = load_config(path)
    places = (config.data.folder, config.data.table, config.data.root, config.results_dir)
    # mutations lead to the whole disk of this machine as well, which takes as long as it is large
    if all(map(_is_below_here, filter(None, places))):
        look_before(config)
    return 0


def _is_below_here(place: str) -> bool:
    try:
        path = Path(os.path.realpath(with_home(place)))
    except (OSError, ValueError):
        # it is nowhere
        return True
    return path.is_relative_to(Path.cwd())
