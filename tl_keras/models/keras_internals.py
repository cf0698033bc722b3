"""All that this package does with parts of Keras, KerasTuner and TensorFlow that are not public.

A release may take such a part away without a word, so each function says why the public ones do
not do. What each rests on stands in `RESTS_ON`, which a test goes through, and setup.cfg allows no
release of these packages that was not tried.
"""

from collections.abc import Callable
from typing import Any

# package, the object in it, its private part
RESTS_ON = (
    ("keras", "keras:KerasTensor", "_keras_history"),
    ("keras", "keras:Operation", "_inbound_nodes"),
    ("keras", "keras:Model", "_run_through_graph"),
    ("keras", "keras.layers:Layer", "_flatten_layers"),
    ("keras", "keras:Optimizer", "_all_reduce_sum_gradients"),
    ("keras", "keras:Optimizer", "_get_variable_index"),
    ("keras", "keras.optimizers:Adam", "_momentums"),
    ("keras", "keras.optimizers:Adam", "_velocities"),
    ("keras-tuner", "keras_tuner:Oracle", "_max_collisions"),
    ("keras-tuner", "keras_tuner.oracles:HyperbandOracle", "_get_size"),
    ("tensorflow", "tensorflow.core.protobuf.trackable_object_graph_pb2", "TrackableObjectGraph"),
    ("tensorflow", "tensorflow.python.framework.config", "disable_op_determinism"),
    ("tensorflow", "tensorflow.python.framework.config", "is_op_determinism_enabled"),
    (
        "tensorflow",
        "tensorflow.python.framework.convert_to_constants",
        "convert_variables_to_constants_v2",
    ),
)


def origin(tensor: Any) -> tuple[Any, list[Any]]:
    """The operation that computes a symbolic tensor, and the symbolic tensors that it reads.

    `Operation.input` and `Operation.output` tell of its first call only, and a layer that two
    models share is called twice.
    """
    operation, call, _ = tensor._keras_history
    return operation, list(operation._inbound_nodes[call].input_tensors)


def called_again(model: Any, inputs: Any, call: Callable[..., Any]) -> Any:
    """What a functional model gives for other symbolic inputs, each operation called by `call`.

    `clone_model` leaves operations that are no layers as they are, and cannot begin within a graph.

    Args:
        model: with one input.
        inputs: in place of it.
        call: takes an operation and what it is called with.
    """

    def operation(found: Any) -> Callable[..., Any]:
        return lambda *values, **options: call(found, *values, **options)

    return model._run_through_graph([inputs], operation)


def layers_inside(layer: Any, *, nested: bool = False) -> list[Any]:
    """The layers that a layer holds, in attributes and lists; with `nested` also those in them.

    Only a model lists its layers in public.
    """
    return list(layer._flatten_layers(include_self=False, recursive=nested))


def sum_no_gradients(optimizer: Any) -> None:
    """Let an optimizer use the gradients as they are, which is right on one device.

    With one device there is nothing to add up, and TensorFlow would keep every graph that does so
    for the life of the process: 50 MB for a whole MobileNetV2. No option leaves it out.
    """
    optimizer._all_reduce_sum_gradients = list


def moments_of(optimizer: Any, variable: Any) -> tuple[Any, Any]:
    """What Adam keeps of the gradients of a variable and of their squares, variables of TensorFlow.

    An operation that updates all three at once needs them; nothing public leads to them.
    """
    place = optimizer._get_variable_index(variable)
    return optimizer._momentums[place].value, optimizer._velocities[place].value


def draw_again(oracle: Any, times: int) -> None:
    """Let an oracle draw so many times for values that it has not tried yet.

    After 20 draws that were tried before, it would stop short of the end of a small space. The
    number is no argument of any oracle.
    """
    oracle._max_collisions = times


def limit_rounds(oracle: Any, largest: Callable[[int], int]) -> None:
    """Let no round of Hyperband have more trials than `largest` says for its number, from 0.

    The sizes of rounds follow from `max_epochs` and `factor` alone.
    """
    size = oracle._get_size

    def limited(bracket_num: int, round_num: int) -> int:
        return min(size(bracket_num, round_num), largest(round_num))

    oracle._get_size = limited


def frozen_graph(concrete: Any) -> Any:
    """A concrete function with its variables as constants.

    The public function of this kind is for sessions of TensorFlow 1.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(concrete)


def variable_names(reader: Any) -> dict[str, str]:
    """Full names of variables (layer/variable) by their keys in a checkpoint; none in an old one.

    What is public restores variables into a model that is built already.
    """
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    key = "_CHECKPOINTABLE_OBJECT_GRAPH"
    if not reader.has_tensor(key):
        return {}
    graph = TrackableObjectGraph.FromString(reader.get_tensor(key))
    return {
        each.checkpoint_key: each.full_name or each.checkpoint_key
        for node in graph.nodes
        for each in node.attributes
    }


def ops_are_deterministic() -> bool:
    """Whether operations are deterministic in this process; there is a public switch, no view."""
    from tensorflow.python.framework.config import is_op_determinism_enabled

    return bool(is_op_determinism_enabled())


def allow_nondeterministic_ops() -> None:
    """Undo `tf.config.experimental.enable_op_determinism`, which has no public counterpart."""
    from tensorflow.python.framework.config import disable_op_determinism

    disable_op_determinism()
