"""Products and inverses of small matrices on one thread."""

import functools
from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[Any]:
    """Within it NumPy's linear algebra takes one thread.

    Several wait for each other longer than they compute, and their number shows in the last bits.
    """
    return _libraries().limit(limits=1)


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
