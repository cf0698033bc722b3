"""How many threads TensorFlow's operations have: what trains on others ends in other digits."""

import os

import tensorflow as tf

from tl_keras.config.schema import ExperimentConfig
from tl_keras.strategy_table import STRATEGIES
from tl_keras.transfer.run_plan import plan_runs

# Where so many can be made side by side, a second thread of each costs more than it saves: a third
# more processor time, measured with two on two cores.
_SIDE_BY_SIDE = 4


def training_threads(config: ExperimentConfig) -> int | None:
    """How many threads the trainings of an experiment have, whatever the machine; as `fix_threads`.

    It counts what is planned, not what is left, so that an experiment goes on as it began.
    """
    asked = config.training.threads
    if asked != "auto":
        return asked
    specs = [STRATEGIES[run.strategy] for run in plan_runs(config)]
    trainings = sum(not spec.takes_seconds for spec in specs)
    trials = any(spec.searches for spec in specs) * config.search.max_trials
    return 1 if trainings + trials >= _SIDE_BY_SIDE else 2


def fix_threads(count: int | None) -> str | None:
    """Let each operation have so many threads, which a process can decide once.

    Args:
        count: of threads; None is one for each processor.

    Returns:
        A sentence where it was decided otherwise before, else None.
    """
    if count is None:
        return None
    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
    except RuntimeError:
        present = _decided()
        if present != count:
            return (
                f"TensorFlow was in use in this process before, with {present} threads: it cannot "
                f"have the {count} of training.threads any more, and figures may differ in their "
                "last digits from those of another process."
            )
    return None


def _decided() -> int | None:
    asked = tf.config.threading.get_intra_op_parallelism_threads()
    return asked or int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0)) or os.cpu_count()
