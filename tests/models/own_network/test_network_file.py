"""A network of one's own is read from its file, or refused in a sentence that says what to do."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tests.own_networks import convolved, nested, residual, separable, trained, with_classifier
from tl_keras.backbone_table import MeanAndStd, Scaling
from tl_keras.config.schema import BackboneConfig
from tl_keras.errors import ConfigError, WeightsError
from tl_keras.models.own_network.given_network import network_name, write_network
from tl_keras.models.own_network.network_file import load_network
from tl_keras.models.own_network.scaling_fit import USUAL, better_scaling
from tl_keras.models.pretrained import load_backbone, load_given
from tl_keras.models.sources.source_places import check_source
from tl_keras.models.stored.network_facts import network_facts

UNIT = MeanAndStd((0.0,) * 3, (255.0,) * 3)


SHARED = Path(__file__).parents[3].parent / "shared"
REAL, STEEL = SHARED / "weights/efficientnet_lite0_imagenet_no_top.keras", SHARED / "data/neu_cls"


def pixels(side: int = 32) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 255, (2, side, side, 3)).astype("float32")


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[keras.Model], Path]:
    def save(model: keras.Model) -> Path:
        path = tmp_path / "own.keras"
        model.save(path)
        return path

    return save


Saved = Callable[[keras.Model], Path]


def load(path: Path, scaling: Scaling | None = "tf", side: int = 32, **how: Any) -> Any:
    return load_network(path, image_size=side, scaling=scaling, **{"trust_code": False, **how})


def test_a_file_becomes_a_backbone_with_a_row_and_a_card(saved: Saved) -> None:
    path = saved(with_classifier(below=trained(residual(named=True))))
    backbone, card = load_given("file", image_size=64, weights=path, alpha=None, scaling="torch")
    assert backbone.block_names == ("stem", "block1", "block2", "block3")
    assert (backbone.spec.name, backbone.spec.scaling, backbone.image_size) == ("own", "torch", 64)
    assert len(backbone.spec.file_digest) == 64
    assert card is not None
    assert (card.name, card.images, card.image_size, card.scaling) == (path.name, None, 32, "torch")
    # 112 x 112 x 3 x 3 x (3 x 4 + 3 x 4 x 4), at 224 px
    assert backbone.spec.gflops == pytest.approx(112**2 * 9 * 60 / 1e9)
    random = backbone.random()
    assert random.block_names == backbone.block_names
    assert random.source_digest() != backbone.source_digest()


@pytest.mark.parametrize("build", [lambda: residual(None), nested, separable])
def test_it_computes_what_the_file_does_at_any_size(
    saved: Saved, build: Callable[[], keras.Model]
) -> None:
    path = saved(trained(build()))
    model, _ = load(path)
    network = keras.models.load_model(path)
    pooled = [x for x in network.layers if isinstance(x, keras.layers.GlobalAveragePooling2D)]
    expected = keras.Model(network.inputs[0], pooled[0].input if pooled else network.outputs[0])
    np.testing.assert_allclose(model(pixels()), expected(pixels()), rtol=1e-5, atol=1e-5)
    assert load(path, side=64)[0].output.shape[1] == 2 * model.output.shape[1]


def test_the_size_that_works_is_named(saved: Saved) -> None:
    images = keras.Input((32, 32, 3))
    outputs = keras.layers.Reshape((16, 16, 16))(keras.layers.Conv2D(4, 1)(images))
    path = saved(keras.Model(images, keras.layers.Conv2D(2, 3)(outputs)))
    load(path)
    with pytest.raises(WeightsError, match=r"64 pixels.*backbone.image_size to 32"):
        load(path, side=64)


class Subclassed(keras.Model):
    """A model without a graph."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.convolution = keras.layers.Conv2D(2, 3)

    def call(self, inputs: Any) -> Any:
        return self.convolution(inputs)


def subclassed() -> keras.Model:
    model = Subclassed()
    model(np.zeros((1, 32, 32, 3), "float32"))
    return model


def two_inputs() -> keras.Model:
    images, others = keras.Input((32, 32, 3)), keras.Input((32, 32, 3))
    return keras.Model([images, others], keras.layers.Add()([images, others]))


def two_outputs() -> keras.Model:
    below = residual()
    return keras.Model(below.input, [below.output, below.layers[3].output])


def gray() -> keras.Model:
    images = keras.Input((32, 32, 1))
    return keras.Model(images, convolved(images, 4))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (subclassed, "functional or sequential"),
        (two_inputs, "one input; got 2"),
        (two_outputs, "one output; got 2"),
        (gray, r"colour images.*\[None, 32, 32, 1\]"),
    ],
)
def test_what_cannot_be_a_backbone_is_refused_before_it_is_built(
    saved: Saved, build: Callable[[], keras.Model], words: str
) -> None:
    path = saved(build())
    settings = BackboneConfig(name="file", weights=str(path))
    with pytest.raises(WeightsError, match=words):
        check_source(settings)


@pytest.mark.filterwarnings("ignore:The `lambda.*")
def test_code_is_run_where_it_is_trusted_only(saved: Saved) -> None:
    images = keras.Input((32, 32, 3))
    halved = keras.layers.Lambda(lambda values: values / 2, output_shape=(32, 32, 3))(images)
    model = trained(keras.Model(images, convolved(halved, 4)))
    path = saved(model)
    for refused in (
        lambda: check_source(BackboneConfig(name="file", weights=str(path))),
        lambda: load(path),
    ):
        with pytest.raises(WeightsError, match="trust_code"):
            refused()
    check_source(BackboneConfig(name="file", weights=str(path), trust_code=True))
    network, _ = load(path, trust_code=True)
    np.testing.assert_allclose(network(pixels()), model(pixels()), rtol=1e-5, atol=1e-5)


@keras.saving.register_keras_serializable(package="own_networks")
class Twice(keras.layers.Layer):
    """A registered layer of one's own."""

    def call(self, inputs: Any) -> Any:
        return 2 * inputs


def test_a_layer_that_nobody_registered_is_named(
    saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = keras.Input((32, 32, 3))
    path = saved(keras.Model(images, convolved(Twice()(images), 4)))
    assert network_facts(path, trust_code=False).foreign == ("own_networks>Twice",)
    network, _ = load(path)
    assert any(isinstance(layer, Twice) for layer in network.layers)
    monkeypatch.setattr(keras.saving, "get_registered_object", lambda name: None)
    other = path.with_name("other.keras")
    other.write_bytes(path.read_bytes())
    with pytest.raises(WeightsError, match="own_networks>Twice"):
        load(other)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"config": {}, "class_name": "Functional"}'])
def test_a_damaged_description_is_refused(saved: Saved, content: str) -> None:
    path = saved(residual())
    with zipfile.ZipFile(path) as archive:
        others = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, held in others.items():
            archive.writestr(name, content if name == "config.json" else held)
    with pytest.raises(WeightsError):
        network_facts(path, trust_code=False)


def test_a_description_that_cannot_be_built_is_refused(saved: Saved) -> None:
    path = saved(residual())
    with zipfile.ZipFile(path) as archive:
        others = {name: archive.read(name) for name in archive.namelist()}
    described = json.loads(others["config.json"])
    described["config"]["layers"][1]["config"]["filters"] = 5
    with zipfile.ZipFile(path, "w") as archive:
        for name, held in others.items():
            archive.writestr(name, json.dumps(described) if name == "config.json" else held)
    with pytest.raises(WeightsError, match="cannot be built"):
        load(path)


def test_a_model_from_python_is_a_file_of_its_own(tmp_path: Path) -> None:
    model = trained(with_classifier())
    backbone = load_backbone(model, image_size=48, scaling={"mean": 127, "std": 128})
    assert backbone.spec.scaling == MeanAndStd((127.0,) * 3, (128.0,) * 3)
    assert backbone.image_size == 48
    name = network_name(model)
    path = write_network(model, tmp_path / "_networks" / name)
    assert network_name(keras.models.load_model(path)).split("-")[1] == name.split("-")[1]
    model.set_weights([weight + 1 for weight in model.get_weights()])
    assert network_name(model) != name
    again = load_backbone("file", weights=path, scaling="none")
    np.testing.assert_array_equal(again.source_weights[0], backbone.source_weights[0])
    with pytest.raises(ConfigError, match="scaling"):
        load_backbone("file", weights=path, scaling="imagenet")  # type: ignore[arg-type]
    for given, wrong in (
        ({"name": "file"}, r"\.keras or \.h5 file"),
        ({"name": model, "alpha": 1.0}, "alpha"),
        ({"name": "MobileNetV2", "scaling": "tf"}, "scaling"),
    ):
        with pytest.raises(ConfigError, match=wrong):
            load_backbone(**given)
    with pytest.raises(ConfigError, match="functional"):
        network_name(subclassed())
    first, second = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    with pytest.raises(ConfigError, match="2 inputs and 1 output"):
        network_name(keras.Model([first, second], keras.layers.Add()([first, second])))
    with pytest.raises(ConfigError, match="not built"):
        network_name(keras.Sequential([keras.layers.Conv2D(2, 3)]))


@pytest.mark.slow
@pytest.mark.skipif(not (REAL.is_file() and STEEL.is_dir()), reason="shared has no such network")
def test_a_real_network_is_known_by_its_file_alone() -> None:
    backbone = load_backbone("file", weights=REAL, image_size=224)
    assert backbone.spec.scaling == "tf"
    assert backbone.block_names == ("stem", *(f"block{number}" for number in range(16)), "top")
    given = keras.models.load_model(REAL, compile=False)
    scaled = (pixels(224) - 127) / 128
    np.testing.assert_allclose(backbone.model(scaled), given(scaled), rtol=1e-4, atol=1e-4)
    # 0.407 with the classifier, as its authors count
    assert backbone.spec.gflops == pytest.approx(0.407, rel=0.1)
    assert load_backbone("file", weights=REAL, image_size=96).channels == 1280
    files = sorted(STEEL.rglob("*.*"))[::60]
    steel = np.stack(
        [np.asarray(Image.open(file).convert("RGB").resize((224, 224))) for file in files]
    )
    exact = MeanAndStd((127.0,) * 3, (128.0,) * 3)
    found = {each: better_scaling(backbone.model, each, steel) for each in (*USUAL, exact)}
    assert found == {"tf": None, exact: None} | dict.fromkeys(
        ("torch", "caffe", "none", UNIT), "tf"
    )


class Own(keras.Model):
    """A functional model of a class of its own, which says nothing of its graph."""

    def __init__(self, filters: int) -> None:
        images = keras.Input((32, 32, 3))
        super().__init__(images, convolved(images, filters))
        self.filters = filters

    def get_config(self) -> dict[str, Any]:
        return {"filters": self.filters}


def test_a_graph_of_a_class_of_its_own_is_taken_from_python() -> None:
    own = trained(Own(4))
    backbone = load_backbone(own, image_size=32, scaling="tf")
    np.testing.assert_allclose(backbone.model(pixels()), own(pixels()), rtol=1e-5, atol=1e-5)
