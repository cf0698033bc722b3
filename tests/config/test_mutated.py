"""Whatever stands in a configuration, the answer is a configuration or a short message."""

import json
import os
import time
from pathlib import Path
from random import Random

import pytest

from tests.hostile.configurations import WHOLE, mutate
from tl_keras.config.files import load_config, parse_config
from tl_keras.config.schema import ExperimentConfig
from tl_keras.errors import ConfigError

# More with TL_KERAS_MUTATIONS=10000.
COUNT = int(os.environ.get("TL_KERAS_MUTATIONS", "300"))
# Ten lines and the count of the others, each shortened.
LONGEST = 15_000


def answer(mutated: object, path: Path) -> ExperimentConfig | str:
    """What reading it gives."""
    try:
        if isinstance(mutated, dict):
            return parse_config(mutated)
        path.write_bytes(str(mutated).encode("utf-8", "surrogatepass"))
        return load_config(path)
    except ConfigError as error:
        return str(error)


def test_what_is_not_mutated_is_valid() -> None:
    assert parse_config(WHOLE).name == "parts"


@pytest.mark.parametrize("seed", range(4))
def test_every_mutation_is_answered(tmp_path: Path, seed: int) -> None:
    rng, accepted = Random(seed), 0
    for number in range(COUNT // 4):
        mutated = mutate(WHOLE, rng)
        began = time.monotonic()
        found = answer(mutated, tmp_path / "x.json")
        what = f"seed {seed}, number {number}"
        assert time.monotonic() - began < 5, what
        if isinstance(found, str):
            assert 0 < len(found) < LONGEST, what
            found.encode()
        else:
            accepted += 1
            # what is accepted can be stored, and read again as it is
            stored = json.dumps(found.as_dict())
            assert parse_config(json.loads(stored)) == found, what
    assert accepted < COUNT / 4


def test_the_same_state_gives_the_same_mutation() -> None:
    first, second = ([repr(mutate(WHOLE, Random(seed))) for seed in range(20)] for _ in range(2))
    assert first == second
    assert len(set(first)) == 20
