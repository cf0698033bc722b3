"""A wrong export is refused; a right one is described."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tl_keras.data.decoding import load_pixels
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.errors import ExportError
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.serving.exported_classifier import Answers, ExportedClassifier
from tl_keras.serving.fresh import answers_of_fresh_process, classify_and_time
from tl_keras.serving.saved_model import export_classifier
from tl_keras.serving.verify import Verification, check_heat_maps, compare, verify_export

SIZE = 6
LABELS = ["blue", "green", "red"]
FILES = {
    "red.png": (200, 20, 30),
    "green.jpg": (30, 180, 40),
    "blue.bmp": (10, 20, 220),
    "red.gif": (250, 90, 80),
    "green.png": (100, 140, 90),
}


class Colour(keras.layers.Layer):
    """Answer with the shares of blue, green and red: known without training."""

    def call(self, images: tf.Tensor) -> tf.Tensor:
        means = keras.ops.mean(images, axis=(1, 2))
        return keras.ops.flip(means / keras.ops.sum(means, axis=1, keepdims=True), axis=1)


def colour_model() -> keras.Model:
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), Colour()])


def export_with(directory: Path, labels: list[str]) -> Path:
    return export_classifier(
        colour_model(), labels=labels, image_size=SIZE, reading=DEFAULTS, directory=directory
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_with(tmp_path_factory.mktemp("export"), LABELS)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for side, (name, colour) in enumerate(FILES.items(), start=5):
        Image.new("RGB", (side, 2 * side), colour).save(folder / name)
    return [folder / name for name in FILES]


@pytest.fixture(scope="module")
def expected(files: list[Path]) -> np.ndarray:
    pixels = [load_pixels(tf.constant(file.read_bytes()), SIZE, DEFAULTS) for file in files]
    return np.asarray(colour_model()(np.stack(pixels).astype(np.float32)))


def check(
    version: Path, files: list[Path], expected: np.ndarray, tolerance: float = 1e-4
) -> Verification:
    """As `verify_export`, in this process, which is quicker."""
    answers = Answers.of_batches(list(ExportedClassifier(version).classify_paths(files)))
    return compare(answers, files, expected, LABELS, tolerance=tolerance)


def test_right_export_is_described(exported: Path, files: list[Path], expected: np.ndarray) -> None:
    found = verify_export(exported, files, expected, LABELS)
    assert found.images == 5
    assert found.largest_difference < 1e-6
    assert found.labels_equal
    assert found.milliseconds_batch_1 > 0
    assert found.milliseconds_batch_32 > 0


def test_largest_difference_is_measured(
    exported: Path, files: list[Path], expected: np.ndarray
) -> None:
    shifted = expected.copy()
    shifted[2] += [0, 0.003, -0.003]
    found = check(exported, files, shifted, tolerance=0.01)
    assert found.largest_difference == pytest.approx(0.003, abs=1e-6)


def test_worst_file_and_its_difference_are_named(
    exported: Path, files: list[Path], expected: np.ndarray
) -> None:
    shifted = expected.copy()
    shifted[1] += [0.1, -0.1, 0]
    shifted[3] += [0.25, 0, -0.25]
    with pytest.raises(ExportError, match=r"within 0.0001, got a difference of 0.25 on .*red.gif"):
        check(exported, files, shifted)


def test_permuted_probabilities_are_refused(
    exported: Path, files: list[Path], expected: np.ndarray
) -> None:
    with pytest.raises(ExportError, match="must answer as the trained model does"):
        check(exported, files, expected[:, [1, 2, 0]])


def test_rows_of_other_files_are_refused(
    exported: Path, files: list[Path], expected: np.ndarray
) -> None:
    with pytest.raises(ExportError, match="must answer as the trained model does"):
        check(exported, files, expected[::-1])


def test_value_that_is_no_number_is_refused(
    exported: Path, files: list[Path], expected: np.ndarray
) -> None:
    broken = expected.copy()
    broken[4, 0] = np.nan
    with pytest.raises(ExportError, match=r"difference of nan on .*green.png"):
        check(exported, files, broken)


def test_labels_in_another_order_are_refused(
    tmp_path: Path, files: list[Path], expected: np.ndarray
) -> None:
    wrong = export_with(tmp_path, ["green", "blue", "red"])
    with pytest.raises(ExportError, match=r"'green' for .*green.jpg, got 'blue'"):
        check(wrong, files, expected)


def test_tie_within_the_tolerance_is_fine(exported: Path, tmp_path: Path) -> None:
    picture = tmp_path / "even.png"
    Image.new("RGB", (SIZE, SIZE), (100, 100, 0)).save(picture)
    slightly_red = np.array([[0, 0.5 - 5e-5, 0.5 + 5e-5]])
    found = check(exported, [picture], slightly_red)
    assert not found.labels_equal
    assert found.largest_difference == pytest.approx(5e-5, abs=1e-7)


def test_undecodable_file_is_refused(exported: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(ExportError, match=r"cannot decode 1 of 1 files, such as .*broken.png"):
        check(exported, [broken], np.array([[1.0, 0.0, 0.0]]))


RULE = DecisionRule(tuple(LABELS), 0.5, (1.0, 2.0, 1.0), ("red",), 0.4, 0.2)


@pytest.fixture(scope="module")
def decided(exported: Path, files: list[Path]) -> Answers:
    return ExportedClassifier(exported).classify(list(map(Path.read_bytes, files))).decided(RULE)


def test_decisions_of_the_rule_are_right(
    decided: Answers, files: list[Path], expected: np.ndarray
) -> None:
    assert compare(decided, files, expected, LABELS, rule=RULE).labels_equal


def test_a_decision_of_another_rule_is_refused(
    decided: Answers, files: list[Path], expected: np.ndarray
) -> None:
    other = replace(RULE, threshold=0.999, review_limit=None)
    with pytest.raises(ExportError, match=r"'not red' at .* for .*red.png, got 'red' at"):
        compare(decided, files, expected, LABELS, rule=other)


def test_another_confidence_is_refused(
    decided: Answers, files: list[Path], expected: np.ndarray
) -> None:
    assert decided.confidence is not None
    for changed in (decided.confidence - 0.01, np.full(len(files), np.nan)):
        with pytest.raises(ExportError, match="must decide as its rule does"):
            compare(replace(decided, confidence=changed), files, expected, LABELS, rule=RULE)


def test_an_export_without_its_decisions_is_refused(
    exported: Path, files: list[Path], expected: np.ndarray
) -> None:
    with pytest.raises(ExportError, match="with a decision and a confidence, got neither"):
        verify_export(exported, files, expected, LABELS, classify_and_time, RULE)


@pytest.mark.slow
def test_what_a_fresh_process_answers_is_kept_whole(
    tmp_path: Path, files: list[Path], expected: np.ndarray
) -> None:
    version = export_classifier(
        colour_model(),
        labels=LABELS,
        image_size=SIZE,
        reading=DEFAULTS,
        directory=tmp_path,
        rule=RULE,
    )
    found = verify_export(version, files, expected, LABELS, rule=RULE)
    assert found.example is not None
    assert found.example["file"] == files[0].name
    here = ExportedClassifier(version).classify([files[0].read_bytes()])
    assert found.example["answer"] == here.rows()[0]
    assert found.example["answer"]["decision"] == "red"


def test_heat_maps_that_do_not_add_up_to_the_score_are_refused(files: list[Path]) -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [1.0, 0.0, 0.0]], np.float32)
    # of the third the logarithms are not known
    scores = np.array([1.0662, 0.4757, 40.0])
    check_heat_maps(scores, probabilities, files)
    for place, wrong in ((0, 1.09), (1, -0.4757), (1, np.nan), (2, np.inf)):
        changed = scores.copy()
        changed[place] = wrong
        with pytest.raises(ExportError, match=files[place].name):
            check_heat_maps(changed, probabilities, files)


def test_missing_model_is_refused(tmp_path: Path, files: list[Path], expected: np.ndarray) -> None:
    with pytest.raises(ExportError, match="must be a SavedModel"):
        check(tmp_path / "7", files, expected)


def test_model_without_the_signature_is_refused(
    tmp_path: Path, files: list[Path], expected: np.ndarray
) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "1"))
    with pytest.raises(ExportError, match="with the signature 'serving_default'"):
        check(tmp_path / "1", files, expected)


def test_rows_must_match_files(exported: Path, files: list[Path], expected: np.ndarray) -> None:
    with pytest.raises(ExportError, match=r"\(5, 3\), got \(4, 3\)"):
        check(exported, files, expected[:4])


def test_nothing_to_compare_is_refused() -> None:
    none = Answers([], np.zeros((0, 3)), np.zeros(0, bool))
    with pytest.raises(ExportError, match="at least one"):
        compare(none, [], np.zeros((0, 3)), LABELS)


def test_failing_process_is_reported(tmp_path: Path, files: list[Path]) -> None:
    with pytest.raises(ExportError, match=r"(?s)new process \(exit code 1\).*must be a SavedModel"):
        answers_of_fresh_process(tmp_path / "3", files)
