"""A C++ program classifies pictures with an export: the loader of TensorFlow Serving, no Python.

The program is compiled against the headers and libraries that come with TensorFlow's wheel.
"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tl_keras.serving.classifier import Answers, ExportedClassifier

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).with_name("classify.cc")
LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled client."""
    compiler, folder = shutil.which("g++"), tf.sysconfig.get_lib()
    if compiler is None:
        pytest.skip("there is no g++")
    if absent := [name for name in LIBRARIES if not Path(folder, name).exists()]:
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
        text=True,
        check=False,
        env={"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [line.split("\t") for line in done.stdout.splitlines()]


def assert_same(lines: list[list[str]], paths: list[Path], expected: Answers) -> None:
    files, labels, probability, probabilities, decoded = zip(*lines, strict=True)
    assert list(files) == [str(path) for path in paths]
    assert list(labels) == expected.labels
    assert [text == "1" for text in decoded] == expected.decoded.tolist()
    values = np.array([text.split() for text in probabilities], float)
    np.testing.assert_allclose(values, expected.probabilities, atol=1e-4)
    np.testing.assert_allclose(np.array(probability, float), expected.probability, atol=1e-4)


def test_answers_are_those_of_python(program: Path, version: Path, pictures: list[Path]) -> None:
    expected = list(ExportedClassifier(version).classify_paths(pictures))
    assert Answers.of_batches(expected).decoded.tolist() == [True] * 4 + [False] * 2
    lines = run(program, version, *pictures)
    assert_same(lines, pictures, Answers.of_batches(expected))


def test_no_python_is_in_the_process(
    program: Path, version: Path, pictures: list[Path], tmp_path: Path
) -> None:
    run(program, f"--maps={tmp_path / 'maps'}", version, pictures[0])
    mapped = (tmp_path / "maps").read_text()
    assert "libtensorflow_cc" in mapped
    assert "libpython" not in mapped
    assert "bin/python" not in mapped


def test_a_folder_without_a_model_is_an_error(
    program: Path, pictures: list[Path], tmp_path: Path
) -> None:
    words = [str(program), str(tmp_path), str(pictures[0])]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert str(tmp_path) in done.stderr
