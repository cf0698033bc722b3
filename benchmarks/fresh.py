"""Measurements in processes of their own, in an order that is fair to every side."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pandas as pd

Measured = dict[str, float]
Side = Callable[[], Measured]


def in_turn(
    sides: Mapping[str, Side], repeats: int, measure: Callable[[Side], Measured] | None = None
) -> pd.DataFrame:
    """Measure every side `repeats` times: first to last, then last to first, and so on.

    A machine that grows slower or faster in the course of it so does the same to all sides.

    Args:
        sides: by name.
        repeats: 2 or more even out a trend.
        measure: how; None is in a new process each, so that nothing traced and no memory is handed
            on, for which the sides must be functions that can be pickled.

    Returns:
        A row per measurement: side, repeat (1, 2, ...) and what the function measured.
    """
    rows = []
    for repeat in range(repeats):
        for name in list(sides)[:: 1 if repeat % 2 == 0 else -1]:
            measured = (measure or in_new_process)(sides[name])
            print(name, {key: round(value, 3) for key, value in measured.items()}, flush=True)
            rows.append({"side": name, "repeat": repeat + 1, **measured})
    return pd.DataFrame(rows)


def in_new_process(function: Side) -> Measured:
    """What the function returns there; the modules it needs are imported before it is called.

    The processor time of all threads stands beside it, which tells more on a shared machine.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_with_processor_time, function).result()


def _with_processor_time(function: Side) -> Measured:
    before = time.process_time()
    measured = function()
    return {**measured, "processor_seconds": time.process_time() - before}
