"""What an experiment ran on."""

import json
from importlib.metadata import version

from tl_keras.results.environment import environment, peak_memory_megabytes, versions


def test_versions_are_those_installed() -> None:
    found = versions()
    assert found["tensorflow"] == version("tensorflow")
    assert found["keras_tuner"] == version("keras-tuner")


def test_the_environment_is_json_and_holds_the_versions() -> None:
    found = json.loads(json.dumps(environment()))
    assert found.items() >= versions().items()
    assert found["processors"] >= 1


def test_the_peak_is_in_megabytes_and_never_falls() -> None:
    before = peak_memory_megabytes()
    block = b"x" * 2**20
    assert 50 < before <= peak_memory_megabytes() < 1_000_000
    assert len(block) == 2**20
