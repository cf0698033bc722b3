"""How a worker that is another process carries out a task."""

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from tl_keras.engine.tasks import Answer, Load, Note


def carry_out(load: Load, call: Callable[[Any], Any]) -> Answer:
    """Call with what the tasks share.

    Args:
        load: gives that; called once for all tasks that have an equal one.
        call: of the task.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", Note)
        result = call(_loaded(load))
    return Answer(result, tuple(str(warning.message) for warning in caught))


@lru_cache(maxsize=1)
def _loaded(load: Load) -> Any:
    return load()
