"""A loaded model answers files row by row, and describes itself as TensorFlow Serving does."""

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.hostile.pictures import SOUND, black_png
from tl_keras.errors import ExportError
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.reporting.heat_picture import strongest_share
from tl_keras.serving.exported_classifier import BATCH, Answers
from tl_keras.serving.served_model import ServedModel, load_model
from tl_keras.serving.versions import Version, find_version


@pytest.fixture(scope="module")
def model(colour_export: Path) -> ServedModel:
    return load_model(find_version(colour_export), "colours")


def test_files_are_answered_by_rows(model: ServedModel) -> None:
    green = bytes(tf.io.encode_png(np.full((5, 6, 3), [0, 255, 0], np.uint8)).numpy())
    row, broken = model.predict([green, b"no picture"])["predictions"]
    low, high = (float(np.exp(logit) / (np.exp(2) + 2)) for logit in (0, 2))
    assert (row["label"], row["decoded"]) == ("grün", True)
    assert row["probabilities"] == pytest.approx([low, high, low], rel=1e-5)
    assert row["probability"] == max(row["probabilities"])
    # as short as a float32 can be
    assert all(len(str(number)) <= 11 for number in row["probabilities"])
    assert row["decision"] == "grün"
    assert row["confidence"] == pytest.approx(float(np.e / (np.e + 2)), rel=1e-6)
    assert broken == {
        "label": "",
        "probability": 0.0,
        "probabilities": [0.0, 0.0, 0.0],
        "decoded": False,
        "decision": "",
        "confidence": 0.0,
        "problem": "no JPEG, PNG, BMP or GIF content",
    }


def test_a_format_that_is_not_served_is_answered_with_those_that_are(model: ServedModel) -> None:
    tiff, empty = model.predict([SOUND["plain.tif"], b""])["predictions"]
    assert not tiff["decoded"]
    assert tiff["problem"].startswith("TIFF content, where an exported model takes JPEG, PNG, BMP")
    assert empty["problem"] == "empty file"


def test_what_is_too_large_is_not_said_to_be_damaged(model: ServedModel) -> None:
    large, cut = model.predict([black_png(14_000), black_png(50)[:-30]])["predictions"]
    assert "data.max_megapixels" in large["problem"]
    assert cut["problem"] == "damaged or cut short PNG"


def test_many_files_are_answered_a_few_at_a_time() -> None:
    batches: list[int] = []

    class Classifier:
        def classify(self, files: Sequence[bytes]) -> Answers:
            batches.append(len(files))
            ones = np.ones((len(files), 1), np.float32)
            return Answers([file.decode() for file in files], ones, np.ones(len(files), bool))

    files = [str(number).encode() for number in range(2 * BATCH + 1)]
    rows = ServedModel("m", 1, cast(Any, Classifier()), {}).predict(files)["predictions"]
    assert [row["label"] for row in rows] == [file.decode() for file in files]
    assert batches == [BATCH, BATCH, 1]


def test_files_of_all_formats_are_answered_as_the_command_answers_them(model: ServedModel) -> None:
    same = io.BytesIO()
    Image.open(io.BytesIO(SOUND["plain.tif"])).save(same, "PNG")
    rows = model.predict_files([SOUND["plain.tif"], same.getvalue(), b""])["predictions"]
    assert rows[0] == rows[1]
    assert ["file", *rows[0]] == model.columns
    assert rows[2]["problem"] == "empty file"


def test_an_export_that_leaves_the_decision_to_its_readers_is_decided(model: ServedModel) -> None:
    class Earlier:
        reading, decides, knows_strangers = model.classifier.reading, False, False

        def classify_paths(self, files: Sequence[bytes]) -> Iterator[Answers]:
            yield Answers(["a"], np.array([[0.75, 0.25]], np.float32), np.ones(1, bool))

    rule = DecisionRule(("a", "b"), 1.0, (1.0, 1.0), review_limit=0.125)
    earlier = ServedModel("m", 1, cast(Any, Earlier()), {}, rule)
    (row,) = earlier.predict_files([b""])["predictions"]
    assert (row["confidence"], row["decision"]) == (0.75, "review")
    assert ["file", *row] == earlier.columns


def test_heat_maps_are_pictures_of_the_files_that_could_be_read(model: ServedModel) -> None:
    # what speaks for blue is above, and nothing for red or green
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:2, :, 2] = 255
    photo = bytes(tf.io.encode_png(pixels).numpy())
    found = model.heat_maps([SOUND["plain.tif"], b"garbage", *[photo] * BATCH])["heat_maps"]
    assert [row["decoded"] for row in found] == [True, False, *[True] * BATCH]
    assert found[1] == {
        "decoded": False,
        "problem": "no JPEG, PNG, BMP, GIF, TIFF or WEBP content",
    }
    seen = model.classifier.heat_maps([photo])
    picture = Image.open(io.BytesIO(base64.b64decode(found[-1]["picture"]["b64"])))
    assert picture.format == "PNG"
    np.testing.assert_array_equal(np.asarray(picture), seen.pictures[0])
    assert "blue" in found[-1]["words"][0]
    assert found[-1]["strongest_share"] == strongest_share(seen.evidence[0])


def test_metadata_describes_the_signatures(model: ServedModel) -> None:
    metadata = model.metadata()
    assert metadata["model_spec"] == {"name": "colours", "signature_name": "", "version": "3"}
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "serving_images", "classify"} <= set(signatures)
    assert signatures["serving_images"]["inputs"]["images"] == {
        "dtype": "DT_FLOAT",
        "tensor_shape": {
            "dim": [{"size": size, "name": ""} for size in ("-1", "-1", "-1", "3")],
            "unknown_rank": False,
        },
        "name": "serving_images_images:0",
    }


@pytest.mark.parametrize("damage", ["garbage", "no variables"])
def test_a_damaged_model_is_refused(tmp_path: Path, colour_export: Path, damage: str) -> None:
    folder = tmp_path / "1"
    folder.mkdir()
    whole = (colour_export / "3" / "saved_model.pb").read_bytes()
    (folder / "saved_model.pb").write_bytes(b"garbage" if damage == "garbage" else whole)
    with pytest.raises(ExportError, match="must be a SavedModel"):
        load_model(Version(folder, 1), "parts")
