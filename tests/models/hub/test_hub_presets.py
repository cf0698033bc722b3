"""Presets of KerasHub become networks of Keras's own layers that answer as KerasHub does."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.hub_presets import PRESETS, write_preset
from tl_keras.config.schema import BackboneConfig
from tl_keras.errors import ConfigError, TlKerasError, WeightsError
from tl_keras.models.hub.hub_presets import as_file
from tl_keras.models.hub.preset_places import is_folder
from tl_keras.models.pretrained import load_backbone

BLOCKS = {
    "resnet": ("stem", "stack0_block0", "stack1_block0", "stack1_block1"),
    "efficientnet": ("stem", "block1a", "block2a", "block2b", "top"),
    "vit": ("stem", "block_1", "block_2", "block_3"),
    "dinov2": ("stem", "block_1", "block_2", "block_3"),
}
Written = Callable[[str], tuple[str, Any, Any]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """`written(name)`: a preset's name for us, its network and its image converter."""
    folder, known = tmp_path_factory.mktemp("presets"), dict[str, tuple[str, Any, Any]]()

    def of(name: str) -> tuple[str, Any, Any]:
        if name not in known:
            known[name] = (f"keras_hub:{folder / name}", *write_preset(name, folder))
        return known[name]

    return of


@pytest.mark.parametrize("name", PRESETS)
def test_it_answers_as_the_preset_in_layers_of_keras(name: str, written: Written) -> None:
    preset, network, converter = written(name)
    found = load_backbone(preset, image_size=32)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    converter.image_size = None
    given = np.asarray(converter(pixels))
    expected = np.asarray(network({"images": given} if name == "dinov2" else given))
    answered = np.asarray(found.from_pixels()(pixels))
    if expected.ndim == 3:
        # tokens: the class, registers, 16 patches
        patches, of_class = expected[:, -16:].reshape(2, 4, 4, 8), expected[:, None, :1]
        expected = np.concatenate([patches, np.tile(of_class, (1, 4, 4, 1))], -1)
        answered = answered[..., :16]
    np.testing.assert_allclose(answered, expected, rtol=1e-3, atol=1e-4)
    assert found.block_names == BLOCKS[name]
    assert {type(each).__module__.split(".")[0] for each in found.model.operations} == {"keras"}


def test_positions_of_a_transformer_fit_other_sizes(written: Written) -> None:
    preset = written("vit")[0]
    assert load_backbone(preset, image_size=48).model.output.shape[1:] == (6, 6, 16)
    with pytest.raises(WeightsError, match=r"Set backbone\.image_size to 40"):
        load_backbone(preset, image_size=42)


def test_scaling_and_random_weights_can_be_asked_for(written: Written) -> None:
    preset = written("resnet")[0]
    given = load_backbone(preset, image_size=32, scaling="tf")
    assert given.spec.scaling == "tf"
    random = load_backbone(preset, image_size=32, scaling="tf", weights=None)
    assert random.block_names == given.block_names
    assert random.source_digest() != given.source_digest()


def test_a_preset_without_a_converter_asks_for_the_scaling(
    written: Written, tmp_path: Path
) -> None:
    written("resnet")[1].save_to_preset(str(tmp_path / "bare"))
    with pytest.raises(ConfigError, match=r"backbone\.scaling must be given"):
        load_backbone(f"keras_hub:{tmp_path / 'bare'}", image_size=32)
    assert load_backbone(f"keras_hub:{tmp_path / 'bare'}", image_size=32, scaling="torch")


def test_a_file_is_written_once_and_read_without_keras_hub(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = written("vit")[0]
    asked, larger = (BackboneConfig(name=preset, image_size=size) for size in (32, 48))
    found = as_file(asked, str(tmp_path))
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    assert as_file(asked, str(tmp_path)) == found
    assert keras.models.load_model(found.weights).count_params()
    with pytest.raises(WeightsError, match=r'pip install "\.\[hub\]"'):
        as_file(larger, str(tmp_path))


def test_offline_the_command_that_is_told_writes_what_is_missing(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("keras_hub")
    folder = written("resnet")[0].removeprefix("keras_hub:")

    def offline(*_: Any, **__: Any) -> None:
        raise ConnectionError("Failed to resolve 'api.kaggle.com'")

    with monkeypatch.context() as patched:
        patched.setattr(hub.models.Backbone, "from_preset", offline)
        with pytest.raises(WeightsError, match="could not be downloaded") as told:
            load_backbone("keras_hub:resnet_18_imagenet")
    found = re.search(r'python -c "(.*)"', str(told.value))
    assert found is not None
    monkeypatch.chdir(tmp_path)
    exec(found[1].replace("from_preset('resnet_18_imagenet')", f"from_preset({folder!r})"))
    assert load_backbone("keras_hub:./resnet_18_imagenet", image_size=32).block_names


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnet_18_imagnet", "Did you mean resnet_18_imagenet"),
        ("./nowhere", "must be the folder of a preset"),
    ],
)
def test_a_preset_that_there_is_not(name: str, told: str) -> None:
    pytest.importorskip("keras_hub")
    with pytest.raises(TlKerasError, match=told):
        load_backbone(f"keras_hub:{name}")


def test_a_preset_of_texts_is_refused(tmp_path: Path) -> None:
    hub = pytest.importorskip("keras_hub")
    hub.models.BertBackbone(
        vocabulary_size=9, num_layers=1, num_heads=1, hidden_dim=4, intermediate_dim=4
    ).save_to_preset(str(tmp_path / "bert"))
    with pytest.raises(WeightsError, match="colour images"):
        load_backbone(f"keras_hub:{tmp_path / 'bert'}")


def test_weights_are_those_of_the_preset(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="weights must be"):
        load_backbone("keras_hub:resnet_18_imagenet", weights=tmp_path / "w.h5")


def test_names_of_folders_are_told_from_others(tmp_path: Path) -> None:
    named = ("hf://keras/vit", "resnet_18_imagenet", "./resnet", str(tmp_path))
    assert [is_folder(name) for name in named] == [False, False, True, True]
