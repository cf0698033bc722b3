"""A classifier for LiteRT (TensorFlow Lite): phones, single-board computers, microcontrollers.

Both kinds of file take one image at a time, because the processors of phones and the runtime for
microcontrollers want every shape to be fixed. The class names lie in the file, as `labels.txt` in
the archive at its end, which is where LiteRT's metadata has them: `unzip -p classifier.tflite
labels.txt` shows them, and a runtime that knows nothing of them does not read so far.
"""

import io
import os
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tl_keras.data.rows import spread
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.quiet import no_standard_error
from tl_keras.serving.decided import decide, network
from tl_keras.serving.runtime import Outputs, Runtime
from tl_keras.serving.signature_names import PROBABILITIES
from tl_keras.serving.versions import LABELS_FILE

CALIBRATION_IMAGES = 200


def convert_float(
    model: keras.Model,
    labels: Sequence[str],
    calibration: NDArray[np.uint8] | None = None,
    rule: DecisionRule | None = None,
) -> bytes:
    """A file that computes in float32, as the model does.

    Its signature `serving_default` takes `images`, float32 (1, size, size, 3), RGB, 0..255, and
    answers `probabilities`, float32 (1, classes), in the order of `labels`; with a rule
    `confidence`, float32 (1,), and `decision`, int32 (1,), a place in `DecisionRule.names`; and
    `familiar`, float32 (1,), where the model does.
    """
    return _with_labels(_converter(model, rule).convert(), labels)


def convert_int8(
    model: keras.Model,
    labels: Sequence[str],
    calibration: NDArray[np.uint8],
    rule: DecisionRule | None = None,
) -> bytes:
    """A file that computes in 8-bit integers alone: a quarter of the size.

    Its signature `serving_default` takes `images`, uint8 (1, size, size, 3), RGB: the bytes of a
    camera or of a decoded file as they are. It answers `probabilities`, uint8 (1, classes), in
    256ths, in the order of `labels`. So nothing around it needs floating point either, which not
    every microcontroller has, and no scale can be applied wrongly. Probabilities come in steps of
    1/256. Neither a rule nor what tells strangers is in the file, which has no numbers fine
    enough: who needs decisions makes them of the probabilities, as `load_litert` leaves them.

    Weights get one scale per channel, activations one per tensor, from their range on the
    calibration images (Jacob et al. 2018, https://arxiv.org/abs/1712.05877).

    Args:
        model: as in `write_target`.
        labels: in the order of the outputs.
        calibration: (n, size, size, 3), n at least 1, of training images; `CALIBRATION_IMAGES` of
            them, evenly spaced, are used.
        rule: not looked at.
    """
    converter = _converter(model, None, only=(PROBABILITIES,))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _representative(calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    with warnings.catch_warnings():
        # The converter runs TensorFlow's own interpreter, which says that it is deprecated.
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf.lite.Interpreter is deprecated")
        return _with_labels(converter.convert(), labels)


def load_litert(path: Path) -> Runtime:
    """A file of this module in the LiteRT interpreter, on all processors."""
    from ai_edge_litert.interpreter import Interpreter

    # Of itself it speaks when it is asked for the first time; its errors are Python's.
    with no_standard_error():
        runner = Interpreter(str(path), num_threads=os.cpu_count()).get_signature_runner()
        details = runner.get_input_details()["images"]
        takes = details["dtype"]
        runner(images=np.zeros(details["shape"], takes))
    gives = runner.get_output_details()

    def classify(pixels: NDArray[np.uint8]) -> Outputs:
        answer = runner(images=pixels.astype(takes))
        return {name: _real_values(values, gives[name]) for name, values in answer.items()}

    return Runtime(classify, batch=1)


def _converter(
    model: keras.Model, rule: DecisionRule | None, only: Sequence[str] | None = None
) -> Any:
    """Of a model with a rule; `only` names the outputs that are wanted, None is all."""
    ask = network(model)

    @tf.function(
        input_signature=[tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="images")],
        autograph=False,
    )
    def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = decide(ask(images), rule)
        return {name: outputs[name] for name in only or outputs}

    # The plain TensorFlow variables: of a Keras model the converter sees none, and writes a file
    # that reads variables which nobody has set.
    owner = tf.Module(name="classifier")
    owner.model_variables = [variable.value for variable in model.variables]
    return tf.lite.TFLiteConverter.from_concrete_functions(
        [classify.get_concrete_function()], owner
    )


def _representative(calibration: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[np.float32]]]:
    for place, picture in enumerate(spread(calibration, CALIBRATION_IMAGES)):
        image = picture[None].astype(np.float32)
        if place == 0:
            # Two pixels span 0..255, so that the scale of the input is 1 and bytes fit as they are.
            image[0, 0, 0], image[0, -1, -1] = 0, 255
        yield {"images": image}


def _real_values(answer: NDArray[Any], details: dict[str, Any]) -> NDArray[Any]:
    scale, zero_point = details["quantization"]
    if scale == 0:
        return answer
    return ((answer.astype(np.float32) - zero_point) * scale).astype(np.float32)


def _with_labels(model: bytes, labels: Sequence[str]) -> bytes:
    content = io.BytesIO(model)
    with zipfile.ZipFile(content, "a") as archive:
        # The same model makes the same file, whenever it is written.
        entry = zipfile.ZipInfo(LABELS_FILE)
        archive.writestr(entry, "".join(f"{label}\n" for label in labels))
    return content.getvalue()
