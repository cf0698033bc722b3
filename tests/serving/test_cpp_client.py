"""A C++ program classifies pictures with an export: the loader of TensorFlow Serving, no Python.

The program is compiled against the headers and libraries that come with TensorFlow's wheel.
"""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tl_keras.data.decoding import load_pixels
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.models.backbone import Backbone
from tl_keras.models.networks import build_backbone
from tl_keras.serving.exported_classifier import Answers, ExportedClassifier
from tl_keras.serving.saved_model import export_classifier
from tl_keras.transfer.probes import probe_classifier
from tl_keras.transfer.probing import fit_probe

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).with_name("classify.cc")
HEADER = "tensorflow/cc/saved_model/loader.h"
LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")

SHARED = Path(__file__).parents[3] / "shared"
WEIGHTS = SHARED / "weights/mobilenetv2_1.0_imagenet_no_top.weights.h5"
BLOCK = "block_7"
SIZE = 96
PER_CLASS, TRAIN_PER_CLASS = 30, 20


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled client."""
    compiler, folder = shutil.which("g++"), tf.sysconfig.get_lib()
    if compiler is None:
        pytest.skip("there is no g++")
    needed = [Path(tf.sysconfig.get_include(), HEADER), *(Path(folder, lib) for lib in LIBRARIES)]
    if absent := [path.name for path in needed if not path.exists()]:
        pytest.skip(f"this TensorFlow has no {', '.join(absent)}")
    target = tmp_path_factory.mktemp("client") / "classify"
    link = [f"-L{folder}", f"-Wl,-rpath,{folder}", "-Wl,--no-as-needed"]
    link += [f"-l:{name}" for name in LIBRARIES]
    words = [compiler, "-O0", "-w", *tf.sysconfig.get_compile_flags(), str(SOURCE), *link]
    done = subprocess.run([*words, "-o", str(target)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return target


@pytest.fixture(scope="module")
def version(colour_export: Path) -> Path:
    return colour_export / "3"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four kinds of files of four sizes, and two that are no pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    coarse = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    for side, name in enumerate(("a.jpg", "b.png", "c.bmp", "d.gif"), start=9):
        Image.fromarray(coarse).resize((side, 2 * side)).save(folder / name)
    (folder / "e.jpg").write_bytes(b"garbage")
    (folder / "f.png").touch()
    return sorted(folder.iterdir())


def run(program: Path, *words: object) -> list[list[str]]:
    """The fields of each line that the program prints."""
    done = subprocess.run(
        [str(program), *map(str, words)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [line.split("\t") for line in done.stdout.splitlines()]


def assert_same(
    lines: list[list[str]], paths: list[Path], expected: Answers, rule: DecisionRule
) -> None:
    files, labels, probability, probabilities, decoded, *verdicts = zip(*lines, strict=True)
    assert list(files) == [str(path) for path in paths]
    assert list(labels) == expected.labels
    assert [text == "1" for text in decoded] == expected.decoded.tolist()
    values = np.array([text.split() for text in probabilities], float)
    np.testing.assert_allclose(values, expected.probabilities, rtol=0, atol=1e-4)
    largest = np.array(probability, float)
    np.testing.assert_allclose(largest, expected.probability, rtol=0, atol=1e-4)
    # bit for bit what the rule makes of the same probabilities
    answers = Answers(list(labels), values.astype(np.float32), expected.decoded).decided(rule)
    assert answers.decision is not None
    assert list(zip(*verdicts, strict=True)) == [
        (word, f"{np.float32(sure):.9g}") for word, sure in answers.verdicts
    ]


def pixels_of(paths: list[Path]) -> np.ndarray:
    """Float32 (files, SIZE, SIZE, 3), 0..255, as in training."""
    pixels = [load_pixels(tf.constant(path.read_bytes()), SIZE, DEFAULTS) for path in paths]
    return np.stack(pixels).astype(np.float32)


def trained_classifier(pixels: np.ndarray, labels: np.ndarray) -> keras.Model:
    """A linear head on a middle block of MobileNetV2 with the weights of ImageNet."""
    network = build_backbone("MobileNetV2", image_size=SIZE)
    network.load_weights(WEIGHTS)
    backbone = Backbone.wrap("MobileNetV2", None, network)
    features = backbone.up_to(BLOCK, pooled=True).predict(pixels, verbose=0)
    classes = int(labels.max()) + 1
    probe = fit_probe(features, labels, classes)
    return probe_classifier(backbone, [BLOCK], classes, [probe.kernel, probe.bias])


def test_answers_are_those_of_python(program: Path, version: Path, pictures: list[Path]) -> None:
    expected = list(ExportedClassifier(version).classify_paths(pictures))
    assert Answers.of_batches(expected).decoded.tolist() == [True] * 4 + [False] * 2
    lines = run(program, version, *pictures)
    labels = ("red", "grün", "blue")
    rule = DecisionRule(labels, 2.0, (1.0, 1.0, 1.0), ("grün",), 0.4, 0.2)
    assert_same(lines, pictures, Answers.of_batches(expected), rule)


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="the ImageNet weights are not on this machine")
@pytest.mark.parametrize(("photos", "accuracy"), [("neu_cls", 0.9), ("cats_vs_dogs", 0.6)])
def test_photos_are_answered_as_by_the_trained_model(
    program: Path, tmp_path: Path, photos: str, accuracy: float
) -> None:
    source = SHARED / "data" / photos
    if not source.is_dir():
        pytest.skip(f"the photos {photos} are not on this machine")
    folders = sorted(path for path in source.iterdir() if path.is_dir())
    files = [path for folder in folders for path in sorted(folder.iterdir())[:PER_CLASS]]
    classes = np.repeat(np.arange(len(folders)), PER_CLASS)
    train = np.arange(len(files)) % PER_CLASS < TRAIN_PER_CLASS
    pixels = pixels_of(files)
    model = trained_classifier(pixels[train], classes[train])
    expected = model.predict(pixels[~train], verbose=0)

    names = [folder.name for folder in folders]
    # some photos lie on its borders
    rule = DecisionRule(tuple(names), 1.4, tuple(np.linspace(0.5, 1.5, len(names))), (names[0],))
    rule = replace(rule, threshold=float(np.median(rule.score(expected))))
    rule = replace(rule, review_limit=float(np.quantile(rule.doubt(expected), 0.8)))
    version = export_classifier(
        model, labels=names, image_size=SIZE, reading=DEFAULTS, directory=tmp_path, rule=rule
    )
    labels = [names[column] for column in expected.argmax(axis=1)]
    tested = [path for path, trained in zip(files, train, strict=True) if not trained]
    lines = run(program, version, *tested)
    assert_same(lines, tested, Answers(labels, expected, np.ones(len(tested), bool)), rule)
    assert len({line[5] for line in lines}) == 3
    right = [line[1] == path.parent.name for line, path in zip(lines, tested, strict=True)]
    assert np.mean(right) > accuracy


def test_no_python_is_in_the_process(
    program: Path, version: Path, pictures: list[Path], tmp_path: Path
) -> None:
    run(program, f"--maps={tmp_path / 'maps'}", version, pictures[0])
    mapped = (tmp_path / "maps").read_text()
    assert "libtensorflow_cc" in mapped
    assert "libpython" not in mapped
    assert "bin/python" not in mapped


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{empty}", "{picture}"], "Could not find SavedModel"),
        (["--signature=other", "{version}", "{picture}"], "No signature other"),
        (["--signature=serving_images", "{version}", "{picture}"], "No input image_bytes"),
        (["{version}", "{empty}/absent.jpg"], "Cannot read"),
        (["{version}"], "Usage"),
    ],
)
def test_a_failure_is_told(
    program: Path,
    version: Path,
    pictures: list[Path],
    tmp_path: Path,
    words: list[str],
    message: str,
) -> None:
    places = {"empty": tmp_path, "version": version, "picture": pictures[0]}
    command = [str(program), *(word.format_map(places) for word in words)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert not done.stdout
