"""A classifier as an ONNX file: ONNX Runtime, and what else reads the format."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.models.keras_internals import frozen_graph
from tl_keras.serving.decided import decide, network
from tl_keras.serving.runtime import Outputs, Runtime

LABELS_KEY = "labels"
# Of December 2021 and all that this needs: older runtimes on devices read it too.
OPSET = 15


def convert_onnx(
    model: keras.Model,
    labels: Sequence[str],
    calibration: Any = None,
    rule: DecisionRule | None = None,
) -> bytes:
    """A file that computes in float32, as the model does.

    It takes `images`, float32 (batch, size, size, 3), RGB, 0..255, and answers `probabilities`,
    float32 (batch, classes), in the order of the class names, which lie in its metadata as the
    JSON list `labels`; with a rule `confidence`, float32 (batch,), and `decision`, int32 (batch,),
    a place in `DecisionRule.names`; and `familiar`, float32 (batch,), where the model does.
    """
    import onnx
    import tf2onnx

    graph, outputs = _frozen_graph(model, rule)
    converted, _ = tf2onnx.convert.from_graph_def(
        graph,
        input_names=["images:0"],
        output_names=list(outputs),
        tensors_to_rename={"images:0": "images", **outputs},
        opset=OPSET,
        custom_op_handlers={"Erfc": (_convert_erfc, [])},
    )
    for tensor in (*converted.graph.input, *converted.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    converted.metadata_props.add(key=LABELS_KEY, value=json.dumps(list(labels)))
    # An operation that tf2onnx does not know is only logged by it, and left in the graph.
    onnx.checker.check_model(converted)
    return bytes(converted.SerializeToString())


def load_onnx(path: Path) -> Runtime:
    """A file of this module in ONNX Runtime, on the processors."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    names = [output.name for output in session.get_outputs()]

    def classify(pixels: NDArray[np.uint8]) -> Outputs:
        answer = session.run(names, {"images": pixels.astype(np.float32)})
        return dict(zip(names, answer, strict=True))

    return Runtime(classify, batch=None)


def _frozen_graph(model: keras.Model, rule: DecisionRule | None) -> tuple[Any, dict[str, str]]:
    """The model as one graph with its numbers in it, and by its tensors what they answer."""
    ask = network(model)
    classify = tf.function(
        # a tensor that passes through has no name of its own
        lambda images: {
            name: tf.identity(values) for name, values in decide(ask(images), rule).items()
        },
        input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="images")],
        autograph=False,
    )
    with _inlined_functions():
        concrete = classify.get_concrete_function()
    # `tf2onnx.convert.from_function` would take constants of a layer, such as the mean and variance
    # of a Normalization, for inputs of the model.
    frozen = frozen_graph(concrete)
    # TensorFlow lists the values of a dict by their names
    names = sorted(concrete.structured_outputs)
    outputs = {tensor.name: name for tensor, name in zip(frozen.outputs, names, strict=True)}
    return frozen.graph.as_graph_def(), outputs


@contextmanager
def _inlined_functions() -> Iterator[None]:
    """Trace without the calls of compiled functions, which Keras wraps grouped convolutions in.

    ONNX has no counterpart of such a call.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _convert_erfc(context: Any, node: Any, name: str, _: Sequence[Any]) -> None:
    """Write 1 - erf(x), of the exact GELU, as the operations that ONNX has."""
    one = context.make_const(f"{name}_one", np.ones((), np.float32))
    erf = context.make_node("Erf", [node.input[0]])
    outputs, shape, kind = node.output, node.output_shapes, node.output_dtypes
    context.remove_node(node.name)
    context.make_node(
        "Sub",
        [one.output[0], erf.output[0]],
        name=name,
        outputs=outputs,
        shapes=shape,
        dtypes=kind,
    )
