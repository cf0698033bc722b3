"""What an experiment ran on: versions, machine, memory."""

import os
import platform
import sys
from importlib.metadata import version
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tl_keras import __version__


def versions() -> dict[str, str]:
    """Of the packages that change numbers, by name."""
    return {
        "tl_keras": __version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "keras_tuner": version("keras-tuner"),
    }


def environment() -> dict[str, Any]:
    """Machine and versions, as JSON types."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "accelerators": [device.name for device in tf.config.list_physical_devices("GPU")],
        **versions(),
        "numpy": np.__version__,
        "pandas": pd.__version__,
    }


def peak_memory_megabytes() -> float:
    """Largest memory of this process so far; not a number where the system does not say."""
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
