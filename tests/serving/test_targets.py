"""Other formats of a classifier say what they need, hold the class names and answer as it does."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

from tl_keras.config.files import parse_config
from tl_keras.errors import ConfigError, ExportError
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.models.pooling import VIEWS, Pooling
from tl_keras.serving import targets
from tl_keras.serving.targets import (
    caution,
    check_targets,
    is_exact,
    load_target,
    remove_target,
    write_target,
)
from tl_keras.target_table import TARGETS, TargetSpec

ROOT = Path(__file__).parents[2]
SIZE = 16
LABELS = ["scratches", "pitted surface", "überzug"]
PIXELS = np.random.default_rng(0).integers(0, 256, (40, SIZE, SIZE, 3), np.uint8)
PIXELS[:, :, :, 1] //= np.arange(1, 41, dtype=np.uint8)[:, None, None]


def needs(module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed")


INSTALLED = [
    pytest.param(name, marks=needs("tf2onnx" if name == "onnx" else "ai_edge_litert"), id=name)
    for name in TARGETS
]


def classifier(*layers: keras.layers.Layer, classes: int = 3) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.Rescaling(1 / 127.5, offset=-1),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.BatchNormalization(),
            *layers,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(classes, kernel_initializer="random_normal"),
            keras.layers.Rescaling(40.0),
            keras.layers.Softmax(),
        ]
    )


def write(
    name: str, folder: Path, model: keras.Model | None = None, rule: DecisionRule | None = None
) -> Path:
    return write_target(name, model or classifier(), folder, PIXELS, LABELS, rule)


def knowing_strangers() -> keras.Model:
    """The classifier, which also says how red a picture is, 0..1, as how familiar."""
    images, inner = keras.Input((SIZE, SIZE, 3)), classifier()
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
    return keras.Model(images, {"probabilities": inner(images), "familiar": means[:, 0]})


@pytest.mark.parametrize("name", INSTALLED)
def test_file_answers_as_the_model(tmp_path: Path, name: str) -> None:
    model = classifier()
    expected = model.predict(PIXELS.astype(np.float32), verbose=0)
    assert np.ptp(expected, axis=0).min() > 0.02
    answers = load_target(name, write(name, tmp_path, model)).outputs(PIXELS)["probabilities"]
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, expected, atol=1e-6 if is_exact(name) else 0.03)


def test_runtimes_say_nothing_of_themselves(tmp_path: Path) -> None:
    modules = {"onnx": "tf2onnx"}
    names = [name for name in TARGETS if find_spec(modules.get(name, "ai_edge_litert"))]
    paths = {name: str(write(name, tmp_path)) for name in names}
    program = (
        "import sys, json, pathlib, numpy as np\n"
        "from tl_keras.quiet import quiet_tensorflow\n"
        "with quiet_tensorflow():\n"
        "    from tl_keras.serving.targets import load_target\n"
        f"image = np.zeros((1, {SIZE}, {SIZE}, 3), np.uint8)\n"
        "for name, path in json.loads(sys.argv[1]).items():\n"
        "    runtime = load_target(name, pathlib.Path(path))\n"
        "    print(name, runtime.outputs(image)['probabilities'].shape)"
    )
    # some speak once in a process
    command = [sys.executable, "-c", program, json.dumps(paths)]
    asked = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert asked.stderr == ""
    assert asked.stdout == "".join(f"{name} (1, 3)\n" for name in names)


def classifier_of(views: str) -> keras.Model:
    """One that sees every side with different eyes, and reads means and deviations of views."""
    keras.utils.set_random_seed(0)
    images = keras.Input((SIZE, SIZE, 3))
    maps = keras.layers.Conv2D(8, 3, 2, padding="same", activation="relu")(images / 127.5 - 1)
    features = Pooling("mean_std", views).network(keras.Model(images, maps), [maps])
    logits = keras.layers.Dense(3, kernel_initializer="random_normal")(features.output)
    return keras.Model(features.input, keras.layers.Softmax()(logits * 40))


@pytest.mark.parametrize("views", [name for name in VIEWS if Pooling(views=name).passes > 1])
@pytest.mark.parametrize("name", INSTALLED)
def test_file_answers_as_the_model_of_views(tmp_path: Path, name: str, views: str) -> None:
    model = classifier_of(views)
    expected = model.predict(PIXELS.astype(np.float32), verbose=0)
    assert np.ptp(expected, axis=0).min() > 0.02
    answers = load_target(name, write(name, tmp_path, model)).outputs(PIXELS)["probabilities"]
    np.testing.assert_allclose(answers, expected, atol=1e-5 if is_exact(name) else 0.03)


@pytest.mark.parametrize("model", [classifier, knowing_strangers])
@pytest.mark.parametrize("name", INSTALLED)
def test_file_decides_as_its_rule_does(
    tmp_path: Path, name: str, model: Callable[[], keras.Model]
) -> None:
    rule = DecisionRule(tuple(LABELS), 0.7, (1.2, 0.9, 1.0), (LABELS[1],), stranger_share=0.49)
    given = classifier().predict(PIXELS.astype(np.float32), verbose=0)
    rule = replace(rule, threshold=float(np.median(rule.score(given))))
    rule = replace(rule, review_limit=float(np.quantile(rule.doubt(given), 0.8)))
    found = load_target(name, write(name, tmp_path, model(), rule)).outputs(PIXELS)
    strangers = model is knowing_strangers
    assert ("familiar" in found) == (strangers and is_exact(name))
    if "familiar" in found:
        red = PIXELS[..., 0].mean(axis=(1, 2)) / 255
        np.testing.assert_allclose(found["familiar"], red, atol=1e-6)
    if not is_exact(name):
        assert "decision" not in found
        return
    assert found["decision"].dtype == np.int32
    words = [rule.names[each] for each in found["decision"]]
    assert words == rule.decisions(found["probabilities"], found.get("familiar"))
    assert len(set(words)) == (4 if strangers else 3)
    np.testing.assert_array_equal(found["confidence"], rule.confidence(found["probabilities"]))


@pytest.mark.parametrize("name", INSTALLED)
def test_a_rule_for_other_classes_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError, match="for the classes of the model"):
        write(name, tmp_path, rule=DecisionRule(("a", "b", "c"), 1.0, (1.0, 1.0, 1.0)))


@pytest.mark.parametrize("name", INSTALLED)
def test_class_names_lie_in_the_file(tmp_path: Path, name: str) -> None:
    path = write(name, tmp_path)
    if name == "portable":
        assert json.loads((path / "classifier.json").read_text())["labels"] == LABELS
    elif name == "onnx":
        import onnx

        (entry,) = onnx.load(path).metadata_props
        assert (entry.key, json.loads(entry.value)) == ("labels", LABELS)
    else:
        # as `unzip -p FILE labels.txt` does
        with zipfile.ZipFile(path) as archive:
            assert archive.read("labels.txt").decode().splitlines() == LABELS


@pytest.mark.parametrize("name", INSTALLED)
def test_file_is_replaced_and_nothing_else_is_left(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "export" / "1"
    first = write(name, folder)
    # of a folder, what is in it
    held = first / "classifier.tflite" if first.is_dir() else first
    held.write_bytes(b"of an earlier time")
    (held.parent / "of an earlier time").touch()
    assert write(name, folder) == first
    assert held.stat().st_size > 1000
    assert held.stat().st_mode & 0o044 == first.stat().st_mode & 0o044 == 0o044
    (folder / "of an earlier time").unlink(missing_ok=True)
    assert [path.name for path in folder.iterdir()] == [first.name]
    assert not (held.parent / "of an earlier time").exists()


@pytest.mark.parametrize("name", INSTALLED)
def test_a_target_is_removed_as_a_whole(tmp_path: Path, name: str) -> None:
    remove_target(name, tmp_path)
    write(name, tmp_path)
    remove_target(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@needs("ai_edge_litert")
@pytest.mark.parametrize("name", ["litert", "litert_int8"])
def test_litert_takes_one_image_of_a_fixed_shape(tmp_path: Path, name: str) -> None:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(write(name, tmp_path))).get_signature_runner("serving_default")
    (takes,) = runner.get_input_details().values()
    (gives,) = runner.get_output_details().values()
    assert takes["shape_signature"].tolist() == [1, SIZE, SIZE, 3]
    assert gives["shape_signature"].tolist() == [1, len(LABELS)]
    assert {takes["dtype"], gives["dtype"]} == {np.float32 if is_exact(name) else np.uint8}


@needs("ai_edge_litert")
def test_integers_are_the_bytes_of_the_picture_and_256ths(tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    dull = np.clip(PIXELS, 60, 180)
    path = write_target("litert_int8", classifier(), tmp_path, dull, LABELS)
    runner = Interpreter(str(path)).get_signature_runner()
    assert runner.get_input_details()["images"]["quantization"] == (1.0, 0)
    assert runner.get_output_details()["probabilities"]["quantization"] == (1 / 256, 0)


@needs("ai_edge_litert")
def test_calibration_images_are_left_as_they_are(tmp_path: Path) -> None:
    before = PIXELS.copy()
    write("litert_int8", tmp_path)
    np.testing.assert_array_equal(PIXELS, before)


@needs("tf2onnx")
def test_onnx_names_its_tensors_and_takes_any_batch(tmp_path: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(write("onnx", tmp_path)))
    (takes,), (gives,) = session.get_inputs(), session.get_outputs()
    assert (takes.name, takes.type) == ("images", "tensor(float)")
    assert takes.shape == ["batch", SIZE, SIZE, 3]
    assert (gives.name, gives.shape) == ("probabilities", ["batch", 3])


@needs("tf2onnx")
@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Conv2D(8, 3, groups=8),
        keras.layers.Activation(keras.activations.gelu),
        keras.layers.Normalization(mean=[0.5] * 8, variance=[2.0] * 8),
    ],
    ids=["grouped convolution", "exact GELU", "constants of a layer"],
)
def test_onnx_has_what_the_converter_alone_cannot_write(
    tmp_path: Path, layer: keras.layers.Layer
) -> None:
    model = classifier(layer)
    expected = model.predict(PIXELS.astype(np.float32), verbose=0)
    answers = load_target("onnx", write("onnx", tmp_path, model)).outputs(PIXELS)["probabilities"]
    np.testing.assert_allclose(answers, expected, atol=1e-5)


@needs("tf2onnx")
def test_operation_that_onnx_lacks_is_refused(tmp_path: Path) -> None:
    model = classifier(keras.layers.Lambda(lambda tensor: keras.ops.erfinv(tensor / 100)))
    with pytest.raises(ExportError, match=r"cannot write this model as 'onnx', got .*Erfinv"):
        write("onnx", tmp_path, model)
    assert list(tmp_path.iterdir()) == []


def test_unknown_target_is_refused() -> None:
    with pytest.raises(ExportError, match="litert_int8, onnx, portable, got 'coreml'"):
        check_targets(["coreml"])


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("litert_int8", "ai_edge_litert", "litert"), ("onnx", "onnxruntime", "onnx")],
)
def test_missing_library_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, name: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ExportError, match=rf"without .*{module}.*\[{extra}\]"):
        check_targets([name])


@pytest.mark.parametrize("name", INSTALLED)
def test_file_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "classifier"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ExportError, match=r"must be a file that write_target wrote.*Write it"):
        load_target(name, path)


@pytest.mark.parametrize("name", INSTALLED)
def test_other_number_of_classes_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError, match="one probability per label"):
        write(name, tmp_path, classifier(classes=4))


@pytest.mark.parametrize("pixels", [PIXELS[:0], PIXELS[:, 1:], PIXELS.astype(np.float32)])
@pytest.mark.parametrize("name", INSTALLED)
def test_unusable_calibration_is_refused(tmp_path: Path, name: str, pixels: np.ndarray) -> None:
    with pytest.raises(ExportError, match="calibration must be uint8 of shape"):
        write_target(name, classifier(), tmp_path, pixels, LABELS)


def test_half_a_file_never_has_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_half(path: Path, _: bytes) -> None:
        path.touch()
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(OSError, match="No space left"):
        targets._write(b"content", tmp_path, "classifier.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_row_is_all_that_a_new_target_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("listed_target")

    def convert(model: Any, labels: Sequence[str], calibration: np.ndarray, rule: None) -> bytes:
        return json.dumps([*labels, len(calibration)]).encode()

    vars(module).update(convert=convert, load=lambda path: json.loads(path.read_text()))
    monkeypatch.setitem(sys.modules, "listed_target", module)
    spec = TargetSpec(
        file="classifier.json",
        extra="dev",
        modules=("json",),
        convert="listed_target:convert",
        load="listed_target:load",
        about="names only",
    )
    config = {"name": "parts", "data": {"folder": "photos"}, "export_targets": ["listed"]}
    with pytest.raises(ConfigError, match="listed"):
        parse_config(config)
    monkeypatch.setitem(TARGETS, "listed", spec)
    assert parse_config(config).export_targets == ("listed",)
    path = write("listed", tmp_path)
    assert path.name == "classifier.json"
    loaded: object = load_target("listed", path)
    assert loaded == [*LABELS, len(PIXELS)]


@pytest.mark.parametrize(
    ("equal", "said"), [(1.0, False), (0.95, False), (0.94, True), (0.3, True)]
)
def test_a_format_that_often_answers_otherwise_is_told(equal: float, said: bool) -> None:
    row = {
        "target": "litert_int8",
        "labels_equal": equal,
        "test_images": 50,
        "test_accuracy": 0.625,
    }
    text = caution(row)
    assert (text is not None) is said
    if text is not None:
        assert f"litert_int8 gives only {equal:.0%} of the 50 test photos" in text
        assert "62.5%" in text
