"""The formats beside the SavedModel that an export can be written in, as a table of facts.

To add one: a row here, and two functions: one that makes its content, one that loads it again.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class TargetSpec:
    """A row of the table.

    Attributes:
        file: what it is written as.
        extra: of this package, which installs `modules`.
        modules: to convert a model and to run it.
        convert: "module:function", from (model, labels, calibration images, decision rule or None)
            to the file's bytes, or to those of a folder's files by their names.
        load: "module:function", from the file to a `tl_keras.serving.runtime.Runtime`.
        about: in a few words, for the schema of configurations.
        exact: whether it answers as the trained model does, and decides; a quantised one answers
            so roughly, and leaves decisions to its readers.
        seconds: about how long it takes to write and to try, of MobileNetV2 at 96 px on two cores.
        furnish: "module:function", from the file and a `tl_keras.serving.handover.Handover` to
            remarks, of one that takes files; None of others.
    """

    file: str
    extra: str
    modules: tuple[str, ...]
    convert: str
    load: str
    about: str
    exact: bool = True
    seconds: float = 7.0
    furnish: str | None = None


_LITERT, _ONNX = "tl_keras.serving.litert", "tl_keras.serving.onnx"
PORTABLE = "portable"
_FOLDER = "tl_keras.serving.portable_folder"

TARGETS = {
    "litert": TargetSpec(
        file="classifier.tflite",
        extra="litert",
        modules=("ai_edge_litert",),
        convert=f"{_LITERT}:convert_float",
        load=f"{_LITERT}:load_litert",
        about="float",
    ),
    "litert_int8": TargetSpec(
        file="classifier_int8.tflite",
        extra="litert",
        modules=("ai_edge_litert",),
        convert=f"{_LITERT}:convert_int8",
        load=f"{_LITERT}:load_litert",
        about="quantised with the training images",
        exact=False,
    ),
    "onnx": TargetSpec(
        file="classifier.onnx",
        extra="onnx",
        modules=("onnx", "onnxruntime", "tf2onnx"),
        convert=f"{_ONNX}:convert_onnx",
        load=f"{_ONNX}:load_onnx",
        about="float",
        seconds=15.0,
    ),
    PORTABLE: TargetSpec(
        file="portable",
        extra="litert",
        modules=("ai_edge_litert",),
        convert=f"{_FOLDER}:convert_portable",
        load=f"{_FOLDER}:load_portable",
        about="a folder for a computer with nothing but Python",
        # its libraries are fetched
        seconds=15.0,
        furnish=f"{_FOLDER}:furnish_portable",
    ),
}
