"""What a worker process does first, while the experiment is prepared elsewhere."""

from tl_keras.engine.accelerators import share_memory
from tl_keras.quiet import quiet_tensorflow


def load_all(threads: int | None) -> None:
    """Load TensorFlow and the modules that make runs.

    Args:
        threads: as in `fix_threads`.
    """
    with quiet_tensorflow():
        from tl_keras.experiment import shared_inputs  # noqa: F401
        from tl_keras.experiment.strategies import by_steps, linear_probe  # noqa: F401
        from tl_keras.transfer.threads import fix_threads

        share_memory()
    fix_threads(threads)
