"""The user's settings of Keras: overruled inside, said, and as before afterwards."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import pytest

from tests.hostile.keras_files import REFUSED, TAKEN
from tl_keras import keras_settings
from tl_keras.errors import ConfigError
from tl_keras.keras_settings import check_keras, needed_keras, tensorflow_backend

# What a caller may have chosen; each is written as Keras writes it.
CHOSEN = (
    ("image_data_format", "channels_first"),
    ("floatx", "float16"),
    ("floatx", "float64"),
    ("epsilon", 1e-3),
    ("dtype_policy", "mixed_float16"),
    ("dtype_policy", "bfloat16"),
)

FROM_PYTHON = """
import os, warnings
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    from tl_keras import load_backbone
    model = load_backbone("MobileNet", weights=None, image_size=32).model
    load_backbone("MobileNet", weights=None, image_size=32)
import keras
told = [str(w.message) for w in told if "overruled" in str(w.message)]
print([model.input.shape[-1], model.compute_dtype, keras.backend.backend(), len(told),
       os.environ.get("KERAS_BACKEND"), os.environ.get("TF_USE_LEGACY_KERAS"),
       keras.config.image_data_format(), keras.config.floatx()])
"""


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    policy = keras.config.dtype_policy()
    monkeypatch.setattr(keras_settings, "_said", set())
    monkeypatch.setattr(keras_settings, "_overruled", {})
    yield
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_dtype_policy(policy)


def settings() -> tuple[object, ...]:
    config = keras.config
    policy = config.dtype_policy().name
    return config.image_data_format(), config.floatx(), config.epsilon(), policy


@pytest.mark.parametrize(("name", "value"), CHOSEN)
def test_layers_inside_are_as_needed_and_the_settings_then_as_before(
    name: str, value: object
) -> None:
    getattr(keras.config, f"set_{name}")(value)
    before = settings()
    with pytest.warns(UserWarning, match=f"{name} {value}"), needed_keras():
        layer = keras.layers.Conv2D(1, 1)
        assert (layer.data_format, layer.compute_dtype) == ("channels_last", "float32")
        assert layer.variable_dtype == "float32"
    assert settings() == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with needed_keras():
            assert settings() == ("channels_last", "float32", 1e-7, "float32")
    assert settings() == before, "also when it was said before"


def test_nothing_is_said_of_the_usual_settings() -> None:
    with needed_keras():
        pass


def test_an_error_leaves_the_settings_as_before() -> None:
    keras.config.set_epsilon(1e-2)
    with pytest.warns(UserWarning), pytest.raises(ZeroDivisionError), needed_keras():
        1 / 0  # noqa: B018
    assert keras.config.epsilon() == 1e-2


def test_another_backend_that_is_loaded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ConfigError, match=r"torch.*KERAS_BACKEND=tensorflow"), needed_keras():
        pass


def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "nonsense")
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    before = dict(os.environ)
    with tensorflow_backend():
        assert os.environ["KERAS_BACKEND"] == "tensorflow"
        assert "TF_USE_LEGACY_KERAS" not in os.environ
    assert dict(os.environ) == before


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of Keras, which is not loaded yet."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "keras")
    return tmp_path


@pytest.mark.parametrize("content", TAKEN, ids=range(len(TAKEN)))
def test_a_settings_file_that_keras_takes_is_no_error(home: Path, content: bytes) -> None:
    (home / "keras.json").write_bytes(content)
    check_keras()


@pytest.mark.parametrize("content", REFUSED, ids=range(len(REFUSED)))
def test_a_settings_file_that_keras_dies_of_is_a_sentence(home: Path, content: bytes) -> None:
    (home / "keras.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"keras\.json"):
        check_keras()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_settings_file_is_a_sentence(home: Path, make: Callable[[Path], None]) -> None:
    make(home / "keras.json")
    with pytest.raises(ConfigError, match=r"keras\.json"):
        check_keras()


@pytest.mark.parametrize(("where", "backend"), [("environment", "nonsense"), ("file", "torch")])
def test_a_new_process_gets_what_the_package_needs(
    tmp_path: Path, where: str, backend: str
) -> None:
    written = {"image_data_format": "channels_first", "floatx": "float16", "backend": backend}
    given: dict[str, str] = {}
    if where == "environment":
        written = {}
        given = {"KERAS_BACKEND": backend, "TF_USE_LEGACY_KERAS": "1"}
    (tmp_path / "keras.json").write_text(json.dumps(written))
    kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environment = {**kept, "PYTHONPATH": os.pathsep.join(sys.path), "KERAS_HOME": str(tmp_path)}
    answer = subprocess.run(
        [sys.executable, "-c", FROM_PYTHON],
        env={**environment, **given},
        capture_output=True,
        text=True,
        check=True,
    )
    legacy = given.get("TF_USE_LEGACY_KERAS")
    chosen = [written.get("image_data_format", "channels_last"), written.get("floatx", "float32")]
    found = [3, "float32", "tensorflow", 1, given.get("KERAS_BACKEND"), legacy, *chosen]
    assert answer.stdout.splitlines()[-1] == str(found)
