"""The private parts that the package rests on are there, and do what they are used for."""

import ast
import importlib
import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.models import keras_internals
from tl_keras.models.keras_internals import (
    RESTS_ON,
    draw_again,
    frozen_graph,
    limit_rounds,
    moments_of,
    origin,
    sum_no_gradients,
)

MODULE = Path(keras_internals.__file__)
# An instance of each class, as private parts may be set in a constructor.
EXAMPLES: dict[str, Callable[[], Any]] = {
    "keras:KerasTensor": lambda: keras.layers.ReLU()(keras.Input((1,))),
    "keras:Operation": keras.layers.ReLU,
    "keras.layers:Layer": keras.layers.ReLU,
    "keras:Model": lambda: keras.Model(images := keras.Input((1,)), keras.layers.ReLU()(images)),
    "keras:Optimizer": keras.optimizers.SGD,
    "keras.optimizers:Adam": lambda: built_adam(keras.Variable([3.0])),
    "keras_tuner:Oracle": lambda: keras_tuner.oracles.RandomSearchOracle("loss"),
    "keras_tuner.oracles:HyperbandOracle": lambda: keras_tuner.oracles.HyperbandOracle("loss"),
}


def built_adam(variable: keras.Variable) -> keras.optimizers.Adam:
    optimizer = keras.optimizers.Adam()
    optimizer.build([variable])
    return optimizer


@pytest.mark.parametrize(("package", "owner", "part"), RESTS_ON)
def test_a_private_part_is_still_there(package: str, owner: str, part: str) -> None:
    example = EXAMPLES[owner]() if owner in EXAMPLES else importlib.import_module(owner)
    assert hasattr(example, part), (
        f"{package} {importlib.metadata.version(package)} has no {part} in {owner} any more. Find "
        f"another way in {MODULE.name}, or keep {package} below this version in setup.cfg."
    )


def private_uses(path: Path) -> list[str]:
    """Attributes `_name` that no class of the file has itself, and imports of private modules."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    own = {node.attr for node in attributes if ast.unparse(node.value) in ("self", "cls")}
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    private = ("tensorflow.python", "keras.src", "keras_tuner.src")
    return [
        *(module for module in modules if module.startswith(private)),
        *(
            ast.unparse(node)
            for node in attributes
            if node.attr.startswith("_") and not node.attr.startswith("__") and node.attr not in own
        ),
    ]


def test_private_parts_are_used_in_one_module_only() -> None:
    uses = {path: private_uses(path) for path in MODULE.parents[1].rglob("*.py")}
    assert [path for path, found in uses.items() if found] == [MODULE]


def test_origin_of_each_call_of_a_layer() -> None:
    first, second = keras.Input((1,)), keras.Input((1,))
    layer = keras.layers.ReLU()
    called = [layer(first), layer(second)]
    assert [origin(tensor)[0] for tensor in called] == [layer, layer]
    assert origin(called[0])[1][0] is first
    assert origin(called[1])[1][0] is second
    assert origin(first)[1] == []


@pytest.mark.parametrize("summed", [True, False])
def test_gradients_are_used_as_they_are(summed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def all_reduce(self: object, operation: object, gradients: list[Any]) -> list[Any]:
        calls.append(gradients)
        return gradients

    monkeypatch.setattr(tf.distribute.ReplicaContext, "all_reduce", all_reduce)
    optimizer, variable = keras.optimizers.SGD(0.5), keras.Variable([3.0])
    optimizer.build([variable])
    if not summed:
        sum_no_gradients(optimizer)
    optimizer.apply([tf.constant([2.0])])
    np.testing.assert_array_equal(variable, [2.0])
    assert len(calls) == summed


def test_adam_keeps_a_mean_of_gradients_and_of_their_squares() -> None:
    variable = keras.Variable([3.0])
    optimizer = built_adam(variable)
    optimizer.apply([tf.constant([2.0])], [variable])
    mean, square = moments_of(optimizer, variable.value)
    np.testing.assert_allclose(mean, [0.1 * 2], rtol=1e-6)
    np.testing.assert_allclose(square, [0.001 * 4], rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*currentThread:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*getName:DeprecationWarning")
def test_an_oracle_finds_the_last_values_of_a_small_space(tmp_path: Path) -> None:
    """Of 30 values one is left at the end: 20 draws miss it with a probability of a half."""
    space = keras_tuner.HyperParameters()
    space.Choice("value", list(range(30)))
    oracle = keras_tuner.oracles.RandomSearchOracle(
        "loss", max_trials=30, seed=1, hyperparameters=space
    )
    oracle._set_project_dir(tmp_path, "search")
    draw_again(oracle, 1000)
    trials = [oracle.create_trial(f"tuner {number}") for number in range(30)]
    values = {trial.hyperparameters.values.get("value") for trial in trials}
    assert values == set(range(30))


def test_rounds_of_hyperband_are_limited() -> None:
    oracle = keras_tuner.oracles.HyperbandOracle("loss", max_epochs=9, factor=3)
    sizes = [oracle._get_size(2, number) for number in range(3)]
    limit_rounds(oracle, lambda number: (2, 100, 100)[number])
    assert sizes[0] > 2
    assert [oracle._get_size(2, number) for number in range(3)] == [2, *sizes[1:]]


def test_a_frozen_graph_holds_its_numbers() -> None:
    variable = tf.Variable(3.0)
    times = tf.function(lambda x: x * variable, input_signature=[tf.TensorSpec(())])
    frozen = frozen_graph(times.get_concrete_function())
    variable.assign(5.0)
    (answer,) = frozen(tf.constant(2.0))
    assert float(answer) == 6.0
