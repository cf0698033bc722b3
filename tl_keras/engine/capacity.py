"""How many workers a machine has room for."""

import psutil
from joblib import cpu_count

# What a process takes that has loaded TensorFlow and trains a MobileNetV2 at 96 px.
WORKER_BYTES = 1.6e9


def processors() -> int:
    """Those that this process may use, in a container too."""
    return int(cpu_count())


def room_for() -> int:
    """Workers that the free memory has room for."""
    return int(psutil.virtual_memory().available / WORKER_BYTES)
