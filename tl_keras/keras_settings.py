"""Keras as this package needs it, whatever the user set: inside a block, and then as it was."""

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tl_keras.errors import ConfigError
from tl_keras.home import with_home
from tl_keras.safe_text import brief
from tl_keras.shared_block import SharedBlock

# Of the environment; None is unset.
_ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": None}
_NEEDED = {"image_data_format": "channels_last", "floatx": "float32", "epsilon": 1e-7}
# By Keras, in its settings file.
_ALLOWED: dict[str, tuple[Any, ...]] = {
    "floatx": ("float32", "float16", "float64"),
    "image_data_format": ("channels_last", "channels_first"),
    "epsilon": (1e-7,),
}

_overruled: dict[str, object] = {}
_said: set[str] = set()


@contextmanager
def tensorflow_backend() -> Iterator[None]:
    """Let Keras, if it is imported inside the block, run on TensorFlow.

    The environment is as before afterwards.
    """
    _note_backend()
    with _shared_environment:
        yield


def check_keras() -> None:
    """Nothing, if Keras is or can be imported on TensorFlow.

    Raises:
        ConfigError: it was imported on something else, or could not read its settings.
    """
    keras: Any = sys.modules.get("keras")
    if keras is None:
        _check_settings(_settings())
    elif hasattr(keras, "backend") and (name := keras.backend.backend()) != "tensorflow":
        raise ConfigError(
            f"Keras must run on TensorFlow; it was imported before tl_keras, on {name}, and cannot "
            "change that in one process. Set KERAS_BACKEND=tensorflow before Keras is imported, or "
            "import tl_keras in a process of its own."
        )


@contextmanager
def needed_keras() -> Iterator[None]:
    """Import Keras if need be, and let new layers be what they are by default: float32, RGB last.

    What the user set otherwise is said once, and is as before afterwards. Also a decorator.

    Raises:
        ConfigError: as `check_keras`.
    """
    check_keras()
    with tensorflow_backend():
        note_settings()
        from keras import config

        # of this thread; the others are of the process
        policy = config.dtype_policy()
        say_overruled(_warn)
        with _shared_settings:
            config.set_dtype_policy("float32")
            try:
                yield
            finally:
                config.set_dtype_policy(policy)


def note_settings() -> None:
    """Import Keras, which `check_keras` found usable; note what of its settings is overruled."""
    from keras import config

    for name, needed in _NEEDED.items():
        if (value := getattr(config, name)()) != needed:
            _overruled[name] = value
    if (policy := config.dtype_policy().name) not in ("float32", config.floatx()):
        _overruled["dtype_policy"] = policy


def say_overruled(say: Callable[[str], None]) -> None:
    """Tell, once in a process, which settings are overruled for as long as the package works."""
    names = [name for name in _overruled if name not in _said]
    if names:
        _said.update(names)
        found = ", ".join(f"{name} {_overruled[name]}" for name in names)
        say(
            f"Settings of Keras that are overruled while tl_keras works: {found}. It needs "
            "TensorFlow, channels_last and float32; the settings themselves stay as they are."
        )


def _note_backend() -> None:
    """What the user chose, in the environment or else in the settings file."""
    if "keras" in sys.modules:
        return
    chosen: object = os.environ.get("KERAS_BACKEND")
    if not chosen:
        settings = _settings()
        chosen = settings.get("backend") if isinstance(settings, dict) else None
    if chosen and chosen != "tensorflow":
        _overruled["backend"] = chosen


def _settings() -> object:
    """What the settings file holds; no keys where it is missing or no JSON, as Keras takes it.

    None where Keras would fail to read it.
    """
    path = _settings_file()
    try:
        # whoever opens a pipe waits at it
        if path.is_fifo():
            return None
        return json.loads(path.read_text(encoding="utf-8")) if os.path.lexists(path) else {}
    except ValueError:
        return {}
    except (OSError, RecursionError):
        return None


def _check_settings(settings: object) -> None:
    if not isinstance(settings, dict):
        raise ConfigError(
            f"{_settings_file()}, the settings of Keras, must be a file with a JSON object, or "
            "absent; it cannot be read as one. Mend it, or delete it: Keras makes a new one."
        )
    for name, allowed in _ALLOWED.items():
        value = settings.get(name, allowed[0])
        if not (isinstance(value, float) if name == "epsilon" else value in allowed):
            wanted = "a number such as 1e-07" if name == "epsilon" else " or ".join(allowed)
            raise ConfigError(
                f"{_settings_file()}, the settings of Keras: {name} must be {wanted}; got "
                f"{brief(str(value), 100)}. Mend it, or delete the file."
            )


def _settings_file() -> Path:
    home = os.environ.get("KERAS_HOME", os.path.join("~", ".keras"))  # noqa: PTH118
    return Path(with_home(home)) / "keras.json"


def _set_environment(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _settings_as_needed() -> Iterator[None]:
    from keras import config

    before = {name: getattr(config, name)() for name in _NEEDED}
    _set(_NEEDED)
    yield
    _set(before)


@contextmanager
def _environment_as_needed() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    _set_environment(_ENVIRONMENT)
    yield
    _set_environment(before)


_shared_settings = SharedBlock(_settings_as_needed)
_shared_environment = SharedBlock(_environment_as_needed)


def _set(values: dict[str, Any]) -> None:
    from keras import config

    for name, value in values.items():
        getattr(config, f"set_{name}")(value)


def _warn(text: str) -> None:
    # the line that called a public function: past this one, `needed_keras` and what wraps it
    warnings.warn(text, stacklevel=6)
