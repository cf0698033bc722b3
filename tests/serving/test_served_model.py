"""A loaded model knows its signatures and answers from them."""

import re
from pathlib import Path

import numpy as np
import pytest

from tl_keras.errors import ExportError
from tl_keras.serving.json_tensors import RequestError, TensorInfo
from tl_keras.serving.served_model import ServedModel, load_model
from tl_keras.serving.versions import Version, find_version


@pytest.fixture(scope="module")
def model(served_export: Path) -> ServedModel:
    return load_model(find_version(served_export), "parts")


def test_signatures_have_their_methods_and_inputs(model: ServedModel) -> None:
    assert {name: signature.method for name, signature in model.signatures.items()} == {
        "serving_default": "tensorflow/serving/predict",
        "serving_images": "tensorflow/serving/predict",
        "serving_images_uint8": "tensorflow/serving/predict",
        "classify": "tensorflow/serving/classify",
    }
    assert model.signatures["serving_images_uint8"].inputs == {
        "images": TensorInfo("uint8", (None, None, None, 3))
    }
    assert model.signatures["classify"].inputs == {"inputs": TensorInfo("string", (None,))}


def test_a_signature_answers_with_arrays_by_name(model: ServedModel) -> None:
    images = np.array([[[[0, 255, 0]]]], np.uint8)
    answer = model.signatures["serving_images_uint8"].run({"images": images})
    expected = np.exp([0, 2, 0]) / np.exp([0, 2, 0]).sum()
    assert list(answer) == ["label", "probabilities", "probability"]
    assert answer["label"].tolist() == ["grün".encode()]
    np.testing.assert_allclose(answer["probabilities"], [expected], rtol=1e-6)


def test_what_the_model_refuses_is_told_in_one_sentence(model: ServedModel) -> None:
    files = np.array([b"no picture"], object)
    with pytest.raises(RequestError, match=r"^The model cannot answer this: [^\n\[]+$") as caught:
        model.signatures["serving_default"].run({"image_bytes": files})
    assert "node" not in str(caught.value)


def test_an_unknown_signature_is_answered_with_the_known_ones(model: ServedModel) -> None:
    names = "classify, serving_default, serving_images, serving_images_uint8"
    with pytest.raises(RequestError, match=re.escape(f"one of {names}, got 'other'")):
        model.signature("other")


def test_metadata_describes_the_signatures_as_tensorflow_serving_does(model: ServedModel) -> None:
    metadata = model.metadata()
    assert metadata["model_spec"] == {"name": "parts", "signature_name": "", "version": "3"}
    definitions = metadata["metadata"]["signature_def"]["signature_def"]
    definition = definitions["serving_images"]
    assert set(definitions) >= set(model.signatures)
    assert definition["method_name"] == "tensorflow/serving/predict"
    assert set(definition["outputs"]) == {"label", "probability", "probabilities"}
    assert definition["inputs"]["images"] == {
        "dtype": "DT_FLOAT",
        "tensor_shape": {
            "dim": [{"size": size, "name": ""} for size in ("-1", "-1", "-1", "3")],
            "unknown_rank": False,
        },
        "name": "serving_images_images:0",
    }


@pytest.mark.parametrize("damage", ["garbage", "no variables"])
def test_a_damaged_model_is_refused(tmp_path: Path, served_export: Path, damage: str) -> None:
    folder = tmp_path / "1"
    folder.mkdir()
    file = folder / "saved_model.pb"
    whole = (served_export / "3" / "saved_model.pb").read_bytes()
    file.write_bytes(b"garbage" if damage == "garbage" else whole)
    with pytest.raises(ExportError, match=r"must be a SavedModel, got: .*Export the model again"):
        load_model(Version(folder, 1), "parts")
