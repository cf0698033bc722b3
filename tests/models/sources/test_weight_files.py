"""A weights file that disks or people damaged is refused in words, or is what it was."""

import shlex
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.hostile.damaged_caches import flipped_bytes, halved
from tl_keras.backbone_table import BACKBONES
from tl_keras.commands.advise import _parser
from tl_keras.commands.command_line import overrides_in
from tl_keras.config.asked_network import looking_at
from tl_keras.config.overrides import read_overrides, with_overrides
from tl_keras.config.problems import schema_of
from tl_keras.config.schema import BackboneConfig, ExperimentConfig
from tl_keras.errors import WeightsError
from tl_keras.invocation import typed
from tl_keras.models.networks import build_backbone
from tl_keras.models.sources.source_places import check_source
from tl_keras.models.sources.weight_files import load_weight_file
from tl_keras.models.stored.layer_match import match
from tl_keras.models.stored.stored_layers import stored_layers


@pytest.mark.parametrize("name", ["model.weights.h5", "model.keras"])
def test_whatever_a_damaged_file_raises_is_a_sentence_about_it(tmp_path: Path, name: str) -> None:
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 3)])
    path = tmp_path / name
    (model.save if name.endswith(".keras") else model.save_weights)(path)
    sound, refused = path.read_bytes(), 0
    for seed in range(40):
        path.write_bytes(sound)
        if seed == 0:
            halved(path)
        else:
            flipped_bytes(path, count=40, seed=seed)
        try:
            load_weight_file(model, path, BACKBONES["VGG16"], None)
        except WeightsError as error:
            refused += 1
            assert str(path) in str(error)
        else:
            assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert refused > 20


def test_a_layer_that_scales_pixels_computes_with_the_statistics_of_the_file(
    tmp_path: Path,
) -> None:
    """It keeps what follows from them, so that setting them is not enough."""

    def network() -> keras.Model:
        scaled = keras.layers.Normalization()(images := keras.Input((4, 4, 3)))
        return keras.Model(images, keras.layers.Conv2D(2, 3)(scaled))

    source, target, images = network(), network(), np.ones((1, 4, 4, 3), "float32")
    source.layers[1].adapt(np.arange(96.0).reshape(2, 4, 4, 3))
    source.save_weights(tmp_path / "scaled.weights.h5")
    match(target, stored_layers(tmp_path / "scaled.weights.h5")).give(target)
    np.testing.assert_allclose(target(images), source(images), rtol=1e-6)


def test_the_command_after_wrong_weights_keeps_the_list_and_the_file(tmp_path: Path) -> None:
    path = tmp_path / "my narrow.weights.h5"
    build_backbone("MobileNet", image_size=32, alpha=0.25).save_weights(path)
    asked = f"MobileNet-0.5={path}"
    networks = BackboneConfig(name=("own.keras", asked)).networks
    model = build_backbone("MobileNet", image_size=32, alpha=0.5)
    with (
        pytest.raises(WeightsError) as refused,
        typed(["tl-keras", "advise", "photos", "--networks", f"own.keras,{asked}"]),
        looking_at(networks, asked),
    ):
        load_weight_file(model, path, BACKBONES["MobileNet"], 0.5)
    _, _, words = str(refused.value).partition("tl-keras advise ")
    options = _parser().parse_args(shlex.split(words))
    sets = read_overrides(overrides_in(options), schema_of(ExperimentConfig))[0]
    found = with_overrides({}, sets)["backbone"]["name"]
    assert found == ["own.keras", f"MobileNet-0.25={path}"]


def test_a_misspelt_name_with_a_file_is_no_missing_file() -> None:
    network = BackboneConfig(name="MobileNtV2=nets/mobilenet.h5")
    with pytest.raises(WeightsError, match='did you mean "MobileNetV2"'):
        check_source(network)
