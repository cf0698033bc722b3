"""Every form of weights in the table of docs/weights.md is loaded as it says, or refused."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.sources.test_source_models import assert_same_weights, save_older_h5
from tests.own_networks import nested, trained
from tl_keras.config.schema import BackboneConfig
from tl_keras.errors import WeightsError
from tl_keras.models.networks import build_backbone
from tl_keras.models.pretrained import load_backbone
from tl_keras.models.sources.source_places import check_source

PAGE = Path(__file__).parents[3] / "docs/weights.md"
# As Keras 2.19 saved it: a network with arithmetic around another, with its features of `PATTERN`.
KERAS_2 = Path(__file__).with_name("keras_2.h5")
PATTERN = (np.arange(32 * 32 * 3) % 251).reshape(1, 32, 32, 3).astype("float32")
Form = Callable[["Networks", Path], str]


class Networks:
    """MobileNet with alpha 0.25, alone, with a classifier, and as one layer below one."""

    def __init__(self) -> None:
        self.alone = trained(build_backbone("MobileNet", image_size=32, alpha=0.25))
        outputs = keras.layers.GlobalAveragePooling2D()(self.alone.output)
        self.flat = keras.Model(self.alone.input, keras.layers.Dense(5)(outputs))
        images = keras.Input((32, 32, 3))
        outputs = keras.layers.GlobalAveragePooling2D()(self.alone(images, training=False))
        self.nested = keras.Model(images, keras.layers.Dense(5)(outputs))


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks()


def keras_2_nested(networks: Networks, folder: Path) -> str:
    """A group for the model inside, its frozen weights first those of no training."""
    inside, path = networks.alone, folder / "nested.h5"
    frozen = sorted(inside.weights, key=lambda weight: "moving" in weight.name)
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [b"mobilenet_0.25_32"]
        group = root.create_group("mobilenet_0.25_32")
        names = ["/".join(weight.path.split("/")[-2:]) + ":0" for weight in frozen]
        names = [name.replace("dw_1/kernel", "dw_1/depthwise_kernel") for name in names]
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name, weight in zip(names, frozen, strict=True):
            group[name] = weight.numpy()
    return str(path)


def older(networks: Networks, folder: Path) -> str:
    save_older_h5(networks.alone, folder / "older.h5")
    return str(folder / "older.h5")


def older_top(networks: Networks, folder: Path) -> str:
    save_older_h5(networks.flat, folder / "older_top.h5")
    return str(folder / "older_top.h5")


def saved(network: str, name: str) -> Form:
    """What Keras writes under a name."""

    def save(networks: Networks, folder: Path) -> str:
        model, path = getattr(networks, network), folder / name
        (model.save_weights if ".weights." in name else model.save)(path)
        return str(path)

    return save


def unnamed(networks: Networks, folder: Path) -> str:
    """As Keras 2 and the first releases of Keras 3 wrote it, without names of layers."""
    path = saved("nested", "unnamed.weights.h5")(networks, folder)

    def forget(_: str, item: Any) -> None:
        item.attrs.pop("name", None)

    with h5py.File(path, "r+") as file:
        file.visititems(forget)
    return path


def object_checkpoint(networks: Networks, folder: Path) -> str:
    """Keys by place, full names by layer: as `save_weights` of Keras 2."""
    layers = [layer for layer in networks.flat.layers if layer.weights]
    parts = {
        f"layer_with_weights-{number}": tf.train.Checkpoint(
            **{
                each.name: tf.Variable(each, name=f"{layer.name}/{each.name}")
                for each in layer.weights
            }
        )
        for number, layer in enumerate(layers)
    }
    tf.train.Checkpoint(**parts).write(str(folder / "ckpt"))
    return str(folder / "ckpt")


def model_checkpoint(networks: Networks, folder: Path) -> str:
    return str(tf.train.Checkpoint(model=networks.nested).save(str(folder / "ck"))) + ".index"


def exported(networks: Networks, folder: Path) -> str:
    """Each variable twice, as `export` of Keras 3 has them."""
    twice = [
        [tf.Variable(each, name=each.path) for each in of]
        for of in (networks.nested.weights, reversed(networks.nested.weights))
    ]
    kept = tf.train.Checkpoint(variables=twice[0], _all_variables=twice[1])
    kept.write(str(folder / "export/variables/variables"))
    return str(folder / "export")


def saved_model(networks: Networks, folder: Path) -> str:
    """The part of it that is read."""
    kept = tf.train.Checkpoint(_operations=networks.flat.layers)
    kept.write(str(folder / "saved/variables/variables"))
    (folder / "saved/saved_model.pb").touch()
    return str(folder / "saved/saved_model.pb")


def npz(networks: Networks, folder: Path) -> str:
    np.savez(folder / "w.npz", *networks.flat.get_weights())
    return str(folder / "w.npz")


def named_npz(networks: Networks, folder: Path) -> str:
    np.savez(
        folder / "n.npz", **{each.path: each.numpy() for each in reversed(networks.flat.weights)}
    )
    return str(folder / "n.npz")


def renamed(networks: Networks, folder: Path) -> str:
    return str(shutil.move(saved("flat", "x.keras")(networks, folder), folder / "x.bin"))


def zipped(networks: Networks, folder: Path) -> str:
    with zipfile.ZipFile(folder / "net.zip", "w") as archive:
        archive.write(saved("alone", "net.keras")(networks, folder), "net.keras")
    return str(folder / "net.zip")


def several(networks: Networks, folder: Path) -> str:
    (folder / "many").mkdir()
    for name in ("a.keras", "b.keras"):
        saved("alone", f"many/{name}")(networks, folder)
    return str(folder / "many")


def larger(networks: Networks, folder: Path) -> str:
    model = build_backbone("MobileNet", image_size=32, alpha=0.25)
    outputs = keras.layers.Conv2D(4, 3, padding="same", name="conv_pw_14")(model.output)
    keras.Model(model.input, outputs).save(folder / "larger.keras")
    return str(folder / "larger.keras")


def another(networks: Networks, folder: Path) -> str:
    images = keras.Input((32, 32, 3))
    keras.Model(images, keras.layers.Conv2D(4, 3)(images)).save(folder / "own.keras")
    return str(folder / "own.keras")


def written(name: str, content: bytes) -> Form:
    def write(_: Networks, folder: Path) -> str:
        (folder / name).write_bytes(content)
        return str(folder / name)

    return write


def pytorch(_: Networks, folder: Path) -> str:
    with zipfile.ZipFile(folder / "net.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    return str(folder / "net.pt")


def keras_2_description() -> dict[str, Any]:
    with h5py.File(KERAS_2) as file:
        return dict(json.loads(file.attrs["model_config"]))


def keras_2_whole(_: Networks, folder: Path) -> str:
    return str(shutil.copy(KERAS_2, folder / "last_year.h5"))


def keras_2_saved_model(_: Networks, folder: Path) -> str:
    """Its two parts that are read: variables, and metadata as a message of protocol buffers."""
    with h5py.File(KERAS_2) as file:
        group = file["model_weights"]
        weights = {
            name: np.asarray(group[layer][name])
            for layer in group.attrs["layer_names"]
            for name in group[layer].attrs["weight_names"]
        }
    (folder / "variables").mkdir()
    listed = [tf.Variable(value, name=name.split(":")[0]) for name, value in weights.items()]
    tf.train.Checkpoint(variables=listed).write(str(folder / "variables/variables"))
    text = json.dumps({"model_config": keras_2_description()}).encode()

    def part(field: int, value: bytes) -> bytes:
        size, length = b"", len(value)
        while length > 127:
            size, length = size + bytes([length & 127 | 128]), length >> 7
        return bytes([field << 3 | 2]) + size + bytes([length]) + value

    (folder / "keras_metadata.pb").write_bytes(part(1, part(3, b"root") + part(5, text)))
    (folder / "saved_model.pb").touch()
    return str(folder)


# What a person has, how it is made, and what comes of it under the name of its network and as
# "file": True where it is borrowed from, or else a word of the sentence that refuses it.
FORMS: dict[str, tuple[Form, bool | str, bool | str]] = {
    "`.weights.h5` without a classifier": (saved("alone", "w.weights.h5"), True, "weights alone"),
    "`.weights.h5` with a classifier": (saved("nested", "w.weights.h5"), True, "weights alone"),
    "`.weights.h5` without names": (unnamed, True, "weights alone"),
    "`.keras` without a classifier": (saved("alone", "n.keras"), True, True),
    "`.keras` with a classifier": (saved("flat", "n.keras"), True, True),
    "`.keras`, the network as one layer": (saved("nested", "n.keras"), True, True),
    "`.h5` of a whole model, Keras 3": (saved("nested", "n.h5"), True, True),
    "`.h5` of weights, Keras 2, without a classifier": (older, True, "weights alone"),
    "`.h5` of weights, Keras 2, with a classifier": (older_top, True, "weights alone"),
    "`.h5` of weights, Keras 2, the network as one layer": (keras_2_nested, True, "weights alone"),
    "`.h5` of a whole model, Keras 2": (keras_2_whole, "another network", True),
    "checkpoint, `save_weights` of Keras 2": (object_checkpoint, True, "weights alone"),
    "checkpoint, `tf.train.Checkpoint`": (model_checkpoint, True, "weights alone"),
    "SavedModel, `export`": (exported, True, "weights alone"),
    "SavedModel, `tf.saved_model.save`": (saved_model, True, "weights alone"),
    "SavedModel, `save` of Keras 2": (keras_2_saved_model, "another network", True),
    "`.npz` of `get_weights`": (npz, True, "weights alone"),
    "`.npz` by names": (named_npz, True, "weights alone"),
    "a file under another ending": (renamed, True, True),
    "a `.zip` around a file": (zipped, "Unpack", "Unpack"),
    "a folder of several files": (several, "a.keras", "a.keras"),
    "a larger network of the same names": (larger, "larger network", True),
    "a network of another kind": (another, "another network", True),
    "PyTorch `.pt`, `.pth`": (pytorch, "PyTorch", "PyTorch"),
    "`.safetensors`": (written("m.safetensors", b"\x08"), "PyTorch", "PyTorch"),
    "ONNX": (written("net.onnx", b"\x08\x07"), "ONNX", "ONNX"),
    "LiteRT `.tflite`": (written("net.bin", b"\x1c\0\0\0TFL3"), "LiteRT", "LiteRT"),
    "frozen graph `.pb`": (written("graph.pb", b"\x0a"), "frozen", "frozen"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_weights(form: str, networks: Networks, tmp_path: Path) -> None:
    make, as_row, as_file = FORMS[form]
    weights = make(networks, tmp_path)

    def load(name: str, **options: Any) -> Any:
        return load_backbone(name, weights=weights, image_size=32, **options)

    if as_row is True:
        assert_same_weights(load("MobileNet", alpha=0.25).model, networks.alone)
    else:
        with pytest.raises(WeightsError, match=str(as_row)):
            load("MobileNet", alpha=0.25)
    if as_file is not True:
        with pytest.raises(WeightsError, match=str(as_file)):
            load("file", scaling="tf")
    else:
        check_source(BackboneConfig(name="file", weights=weights))
    if make in (keras_2_whole, keras_2_saved_model):
        with h5py.File(KERAS_2) as file:
            expected = np.asarray(file["answer"])
        np.testing.assert_allclose(load("file").model(PATTERN), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["n.h5", "n.bin"])
def test_a_network_of_keras_3_in_another_file_computes_the_same(tmp_path: Path, name: str) -> None:
    model = trained(nested())
    model.save(tmp_path / "n.keras")
    if name == "n.h5":
        model.save(tmp_path / name)
    else:
        shutil.copy(tmp_path / "n.keras", tmp_path / name)
    expected, found = (
        load_backbone("file", weights=tmp_path / each, image_size=32).model(PATTERN)
        for each in ("n.keras", name)
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_page_has_every_form() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in lines if line[:2] == "| "}
    assert FORMS.keys() <= rows.keys()
    for form, (_, as_row, as_file) in FORMS.items():
        told = [cell.strip().startswith("yes") for cell in rows[form].strip("| ").split("|")[2:]]
        assert told == [as_row is True, as_file is True], form


def test_one_of_two_networks_in_a_file_is_not_guessed(networks: Networks, tmp_path: Path) -> None:
    images, other = keras.Input((32, 32, 3)), keras.models.clone_model(networks.alone)
    other.name = "other"
    both = keras.layers.Add()([networks.alone(images), other(images)])
    keras.Model(images, both).save_weights(tmp_path / "two.weights.h5")
    with pytest.raises(WeightsError, match="does not hold"):
        load_backbone("MobileNet", weights=tmp_path / "two.weights.h5", image_size=32, alpha=0.25)


def test_a_checkpoint_without_its_values_is_told(tmp_path: Path) -> None:
    tf.train.Checkpoint(a=tf.Variable(1.0)).write(str(tmp_path / "ck"))
    (tmp_path / "ck.data-00000-of-00001").unlink()
    with pytest.raises(WeightsError, match=r"ck\.data-00000-of-00001"):
        load_backbone("MobileNet", weights=tmp_path / "ck", image_size=32)
