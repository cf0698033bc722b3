"""Exported classifiers stand in one table, and one that answers otherwise is refused."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.errors import ExportError
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.evaluation.intervals import IN_GROUPS, WILSON
from tl_keras.serving import measure
from tl_keras.serving.measure import AskedImages, exports_table, measure_saved_model, measure_target
from tl_keras.serving.runtime import Runtime
from tl_keras.serving.saved_model import export_classifier
from tl_keras.serving.targets import write_target

SIZE = 6
NAMES = ["blue", "red"]
PIXELS = np.zeros((5, SIZE, SIZE, 3), np.uint8)
PIXELS[:, :, :, 0] = np.array([10, 200, 90, 250, 30])[:, None, None]
PIXELS[:, :, :, 2] = 100
EXPECTED = np.array(
    [[10 / 11, 1 / 11], [1 / 3, 2 / 3], [10 / 19, 9 / 19], [2 / 7, 5 / 7], [10 / 13, 3 / 13]]
)
LABELS = np.array([0, 1, 1, 1, 0])
ASKED = AskedImages(PIXELS, LABELS, EXPECTED)


class Colour(keras.layers.Layer):
    """Answer with the shares of blue and red: known without training."""

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        means = keras.ops.mean(images, axis=(1, 2))
        pair = keras.ops.stack([means[:, 2], means[:, 0]], axis=1)
        return pair / keras.ops.sum(pair, axis=1, keepdims=True)


def colour_model() -> keras.Model:
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), Colour()])


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_classifier(
        colour_model(),
        labels=NAMES,
        image_size=SIZE,
        reading=DEFAULTS,
        directory=tmp_path_factory.mktemp("export"),
    )


def constant(answers: np.ndarray, monkeypatch: pytest.MonkeyPatch, **others: np.ndarray) -> None:
    """Let every target answer so, without its libraries."""

    def classify(pixels: np.ndarray) -> dict[str, np.ndarray]:
        rows = np.arange(len(pixels)) % len(answers)
        outputs = {"probabilities": np.asarray(answers, np.float32), **others}
        return {name: values[rows] for name, values in outputs.items()}

    monkeypatch.setattr(measure, "load_target", lambda *_: Runtime(classify, batch=None))


def test_saved_model_is_measured(saved_model: Path) -> None:
    row = measure_saved_model(saved_model, ASKED)
    assert (row["target"], row["file"], row["test_images"]) == ("saved_model", "1", 5)
    assert row["test_accuracy"] == pytest.approx(0.8)
    # Wilson's interval of 4 in 5, as in Newcombe (1998)
    assert row["test_accuracy_low"] == pytest.approx(0.3755, abs=1e-4)
    assert row["test_accuracy_high"] == pytest.approx(0.9638, abs=1e-4)
    assert row["labels_equal"] == 1
    assert 0 <= float(str(row["largest_probability_difference"])) < 1e-6
    files = [path for path in saved_model.rglob("*") if path.is_file()]
    assert row["megabytes"] == sum(path.stat().st_size for path in files) / 2**20


@pytest.mark.parametrize("name", ["litert", "onnx"])
def test_answers_away_from_the_trained_model_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    constant(EXPECTED + np.array([2e-4, -2e-4]), monkeypatch)
    with pytest.raises(ExportError, match=r"within 0.0001, got a difference of 0.0002 on 5"):
        measure_target(name, tmp_path, ASKED)


def test_value_that_is_no_number_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constant(np.full_like(EXPECTED, np.nan), monkeypatch)
    with pytest.raises(ExportError, match="got a difference of nan"):
        measure_target("onnx", tmp_path, ASKED)


def test_integers_are_reported_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = EXPECTED.copy()
    changed[2] = [0.25, 0.75]
    constant(changed, monkeypatch)
    row = measure_target("litert_int8", tmp_path, ASKED)
    assert row["test_accuracy"] == 1
    assert row["labels_equal"] == pytest.approx(0.8)
    assert row["largest_probability_difference"] == pytest.approx(10 / 19 - 0.25)


RULE = DecisionRule(("blue", "red"), 1.0, (1.0, 1.0), ("red",), 0.4, 0.16)
DECIDED = replace(ASKED, rule=RULE)


def test_decisions_are_compared_with_those_of_the_trained_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # scores of 1/11, 2/3, 9/19, 5/7 and 3/13; doubt is 0.6 of a low one, 0.4 of what a high lacks
    assert RULE.decisions(EXPECTED) == ["blue", "red", "review", "red", "blue"]
    changed = EXPECTED.copy()
    changed[4] = [0.9, 0.1]
    changed[2] = [0.3, 0.7]
    constant(changed, monkeypatch)
    row = measure_target("litert_int8", tmp_path, DECIDED)
    assert row["decisions_equal"] == pytest.approx(0.8)
    row = measure_target("litert_int8", tmp_path, ASKED)
    assert np.isnan(float(str(row["decisions_equal"])))


@pytest.mark.parametrize(
    "others", [{}, {"decision": np.array([0, 1, 1, 1, 0], np.int32)}], ids=["none", "another"]
)
def test_other_decisions_than_those_of_the_rule_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: dict[str, np.ndarray]
) -> None:
    constant(EXPECTED, monkeypatch, decision=np.array([0, 1, 2, 1, 0], np.int32))
    row = measure_target("onnx", tmp_path, DECIDED)
    assert row["decisions_equal"] == 1
    constant(EXPECTED, monkeypatch, **others)
    with pytest.raises(ExportError, match="must decide as its rule does"):
        measure_target("onnx", tmp_path, DECIDED)


def test_strangers_are_decided_on_by_what_the_file_says_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    familiar = np.array([1, 0.01, 1, 1, 1], np.float32)
    decision = np.array([0, 3, 2, 1, 0], np.int32)
    constant(EXPECTED, monkeypatch, decision=decision, familiar=familiar)
    rule = replace(RULE, stranger_share=0.05)
    row = measure_target("litert", tmp_path, replace(ASKED, rule=rule))
    assert row["decisions_equal"] == 1


def test_a_saved_model_decides_in_words(tmp_path: Path) -> None:
    version = export_classifier(
        colour_model(),
        labels=NAMES,
        image_size=SIZE,
        reading=DEFAULTS,
        directory=tmp_path,
        rule=RULE,
    )
    row = measure_saved_model(version, DECIDED)
    assert row["decisions_equal"] == 1
    with pytest.raises(ExportError, match="must decide as its rule does"):
        measure_saved_model(version, replace(ASKED, rule=replace(RULE, threshold=0.9)))


@pytest.mark.parametrize(("groups", "count"), [(None, 5), ([0, 0, 1, 1, 1], 2)])
def test_the_groups_behind_an_interval_are_counted(
    saved_model: Path, groups: list[int] | None, count: int
) -> None:
    numbers = None if groups is None else np.array(groups)
    row = measure_saved_model(saved_model, replace(ASKED, groups=numbers))
    assert exports_table([row])["test_groups"].tolist() == [count]


def test_rows_must_fit(saved_model: Path) -> None:
    with pytest.raises(ValueError, match=r"\(5, 2\); got labels \(4,\)"):
        measure_saved_model(saved_model, replace(ASKED, labels=LABELS[:4]))


def test_missing_saved_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="with the signature 'serving_images_uint8'"):
        measure_saved_model(tmp_path / "7", ASKED)


@pytest.mark.skipif(find_spec("ai_edge_litert") is None, reason="ai_edge_litert is not installed")
def test_batch_that_a_file_does_not_take_has_no_time(tmp_path: Path) -> None:
    path = write_target("litert", colour_model(), tmp_path, PIXELS, NAMES)
    row = measure_target("litert", path, ASKED)
    assert float(str(row["milliseconds_batch_1"])) > 0
    assert np.isnan(float(str(row["milliseconds_batch_32"])))


def test_table_has_its_columns_in_order_and_their_types(saved_model: Path) -> None:
    table = exports_table([measure_saved_model(saved_model, ASKED)])
    assert list(table.columns[:4]) == ["target", "file", "megabytes", "test_images"]
    assert list(table.columns[-2:]) == ["milliseconds_batch_1", "milliseconds_batch_32"]
    assert table.dtypes.equals(exports_table([]).dtypes)
    assert (table["milliseconds_batch_32"] > 0).all()


def test_photos_of_one_group_count_as_few(saved_model: Path) -> None:
    row = measure_saved_model(saved_model, replace(ASKED, groups=np.array([0, 1, 1, 2, 0])))
    assert row["test_accuracy"] == pytest.approx(0.8)
    # of three groups rather than five photos
    assert float(str(row["test_accuracy_low"])) < 0.3
    assert row["interval_method"] == WILSON + IN_GROUPS
