"""Where source weights come from, and what is said when they cannot be had."""

import hashlib
import json
import shutil
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import h5py
import keras
import numpy as np
import pytest

from tests.models.sources.cards import CARD
from tl_keras.errors import ConfigError, WeightsError
from tl_keras.models import networks
from tl_keras.models.networks import IMAGENET_MEAN, IMAGENET_STDDEV, build_backbone
from tl_keras.models.sources import source_places
from tl_keras.models.sources.source_card import SourceCard, write_source_model
from tl_keras.models.sources.source_models import load_source
from tl_keras.models.sources.source_places import read_source_card

WEIGHTS = Path(__file__).parents[3].parent / "shared" / "weights"
MOBILENET_V2 = WEIGHTS / "mobilenetv2_1.0_imagenet_no_top.weights.h5"
MOBILENET = WEIGHTS / "mobilenet_0.25_imagenet_no_top.h5"
BUNDLED = Path(networks.__file__).parent / "bundled" / source_places.BUNDLED

needs_mobilenet_v2 = pytest.mark.skipif(
    not MOBILENET_V2.is_file(), reason="shared/weights has no MobileNetV2 file"
)
needs_mobilenet = pytest.mark.skipif(
    not MOBILENET.is_file(), reason="shared/weights has no MobileNet file"
)


def save_older_h5(model: keras.Model, path: Path) -> None:
    """Write the layout of the files of Keras Applications."""
    layers = [layer for layer in model.layers if layer.weights]
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        for layer in layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:{i}" for i, weight in enumerate(layer.weights)]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name, data=value)


def small(seed: int = 1) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return build_backbone("MobileNet", image_size=32, alpha=0.25)


def load_small(weights: Path | str | None) -> tuple[keras.Model, SourceCard | None]:
    return load_source(
        "MobileNet",
        image_size=32,
        alpha=0.25,
        weights=str(weights) if weights is not None else None,
    )


def assert_same_weights(first: keras.Model, second: keras.Model) -> None:
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights of `small()` in every format."""
    folder = tmp_path_factory.mktemp("weights")
    model = small()
    model.save_weights(folder / "small.weights.h5")
    model.save(folder / "small.keras")
    save_older_h5(model, folder / "small.h5")
    return folder


@pytest.fixture
def card() -> dict[str, Any]:
    return {**CARD, "alpha": 0.25}


@pytest.fixture
def folder(files: Path, tmp_path: Path, card: dict[str, Any]) -> Path:
    weights = shutil.copy(files / "small.weights.h5", tmp_path / "model.weights.h5")
    card["weights_sha256"] = hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    (tmp_path / "card.json").write_text(json.dumps(card))
    return tmp_path


def test_random_initialisation_has_no_card() -> None:
    _, card = load_small(None)
    assert card is None


def test_file_without_a_card_is_of_unknown_origin(files: Path) -> None:
    _, card = load_small(files / "small.weights.h5")
    assert card is not None
    assert (card.name, card.images, card.classes) == ("small.weights.h5", None, None)


def test_weights_fit_another_image_size(files: Path) -> None:
    backbone, _ = load_source(
        "MobileNet", image_size=48, alpha=0.25, weights=str(files / "small.weights.h5")
    )
    assert_same_weights(backbone, small())


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weights file .*absent\.h5 .*\"bundled\", None or"):
        load_small(tmp_path / "absent.h5")


def test_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(WeightsError, match=r'got "imagnet"\. Did you mean "imagenet"'):
        load_small("imagnet")


def test_unknown_file_format(tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"model\.pth is a file of PyTorch"):
        load_small(tmp_path / "model.pth")


@pytest.mark.parametrize("name", ["broken.weights.h5", "broken.h5", "broken.keras"])
def test_file_that_is_something_else(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no weights at all")
    with pytest.raises(WeightsError, match=r"broken.* \(17 bytes\) is not .*fetch it again"):
        load_small(tmp_path / name)


def test_truncated_file(files: Path, tmp_path: Path) -> None:
    whole = (files / "small.weights.h5").read_bytes()
    (tmp_path / "half.weights.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="interrupted download"):
        load_small(tmp_path / "half.weights.h5")


def test_hdf5_file_without_weights(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "table.weights.h5", "w") as file:
        file["numbers"] = [1, 2]
    with pytest.raises(WeightsError, match=r"without Keras weights \(it holds numbers\)"):
        load_small(tmp_path / "table.weights.h5")


@pytest.mark.parametrize(
    ("written", "named"),
    [("small.weights.h5", "new.h5"), ("small.h5", "new.weights.h5")],
)
def test_a_file_is_known_by_its_content(
    files: Path, tmp_path: Path, written: str, named: str
) -> None:
    shutil.copy(files / written, tmp_path / named)
    assert_same_weights(load_small(tmp_path / named)[0], small())


def test_other_width(files: Path) -> None:
    message = r"with alpha 0\.5: .*: 54 \(conv1 .*those of MobileNet with alpha 0\.25: .*0\.25"
    with pytest.raises(WeightsError, match=message):
        load_source("MobileNet", image_size=32, alpha=0.5, weights=str(files / "small.keras"))


def test_other_backbone(files: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"of VGG16: none of its layers .*MobileNet with alpha 0\.25"
    ):
        load_source("VGG16", image_size=32, weights=str(files / "small.h5"))


def test_same_number_of_parameters_in_other_shapes(files: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(files / "small.weights.h5", tmp_path / "shapes.weights.h5"))
    with h5py.File(path, "r+") as file:
        kernel = np.asarray(file["layers/conv2d/vars/0"])
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars/0"] = kernel.reshape(-1)
    with pytest.raises(WeightsError, match="conv1 has 216, not 3 x 3 x 3 x 8"):
        load_small(path)


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    backbone = small()
    backbone.layers[1].kernel.assign(np.full(backbone.layers[1].kernel.shape, np.nan))
    backbone.save_weights(tmp_path / "nan.weights.h5")
    with pytest.raises(WeightsError, match=r"has 1 arrays .* not finite"):
        load_small(tmp_path / "nan.weights.h5")


def test_folder_gives_weights_and_card(folder: Path) -> None:
    backbone, card = load_small(folder)
    assert_same_weights(backbone, small())
    assert card == SourceCard(
        name="tiny_source",
        images=1200,
        classes=12,
        image_size=32,
        scaling="tf",
        licence="Apache-2.0",
        description="Made for a test.",
        generated=True,
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("backbone", "VGG16", r"is a VGG16 with alpha 0\.25"),
        ("alpha", 0.5, r"is a MobileNet with alpha 0\.5 .* got MobileNet with alpha 0\.25"),
        ("scaling", "caffe", 'scaling "caffe".*wants scaling "tf"'),
        ("weights_sha256", "0" * 64, "its SHA-256 must be 0000"),
    ],
)
def test_folder_with_a_card_that_disagrees(
    folder: Path, card: dict[str, Any], key: str, value: object, message: str
) -> None:
    (folder / "card.json").write_text(json.dumps({**card, key: value}))
    with pytest.raises(WeightsError, match=message):
        load_small(folder)


def test_folder_without_a_card(folder: Path) -> None:
    (folder / "card.json").unlink()
    with pytest.raises(WeightsError, match=r"no card\.json.*\n.*model\.weights\.h5"):
        load_small(folder)


def test_folder_with_a_card_that_lacks_keys(folder: Path, card: dict[str, Any]) -> None:
    del card["classes"], card["alpha"], card["channels"]
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="must have the keys alpha, channels, classes"):
        load_small(folder)


def test_folder_without_weights(folder: Path) -> None:
    (folder / "model.weights.h5").unlink()
    with pytest.raises(WeightsError, match=r"no weights file .*model\.weights\.h5"):
        load_small(folder)


def test_bundled_of_another_backbone_names_the_one_that_exists(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_places, "_bundled_folder", lambda: folder)
    with pytest.raises(WeightsError, match=r"is a MobileNet with alpha 0\.25 .*got VGG16"):
        load_source("VGG16", image_size=32, weights="bundled")


def test_bundled_missing_from_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_places, "BUNDLED", "absent")
    with pytest.raises(WeightsError, match="missing from this installation"):
        load_small("bundled")


@pytest.mark.skipif(not BUNDLED.is_dir(), reason="the package has no bundled source model yet")
def test_bundled_weights_and_card_agree() -> None:
    backbone, card = load_source("MobileNetV2", image_size=96, alpha=1.0, weights="bundled")
    assert card is not None
    assert card.generated
    assert card.scaling == "tf"
    assert card.images
    assert card.classes
    assert (BUNDLED / "model.weights.h5").stat().st_size <= 10_000_000
    pixels = np.random.default_rng(0).uniform(-1, 1, (1, 96, 96, 3))
    assert np.isfinite(np.asarray(backbone(pixels, training=False))).all()


@pytest.mark.parametrize(
    "failure", [URLError("not known"), HTTPError("https://host", 404, "not known", Message(), None)]
)
def test_imagenet_without_a_network_says_what_to_do(
    failure: URLError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure is that of Python's own download, so what Keras makes of it is tested, too."""

    def urlopen(*args: object, **kwargs: object) -> None:
        raise failure

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        load_source("VGG16", image_size=32, weights="imagenet")
    for part in (
        "https://storage.googleapis.com/",
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "not known",
        f"{tmp_path}/models/vgg16",
        'weights="FOLDER/vgg16_weights',
        'weights="bundled", with MobileNetV2',
    ):
        assert part in str(caught.value)


def test_other_failures_of_keras_pass_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_file(*args: object, **kwargs: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(OSError, match=r"^disk full$"):
        load_source("VGG16", image_size=32, weights="imagenet")


def test_imagenet_from_the_cache_folder(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "keras.src.utils.file_utils.get_file", lambda *args, **kwargs: str(files / "small.h5")
    )
    backbone, card = load_small("imagenet")
    assert_same_weights(backbone, small())
    assert card is not None
    assert (card.images, card.classes, card.image_size) == (1_281_167, 1000, 224)


def test_official_efficientnet_file_answers_as_under_imagenet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official = build_backbone("EfficientNetB0", image_size=32)
    normalization = next(
        layer for layer in official.layers if isinstance(layer, keras.layers.Normalization)
    )
    normalization.set_weights([np.array(v) for v in (IMAGENET_MEAN, IMAGENET_STDDEV, 0)])
    path = tmp_path / "efficientnetb0_notop.h5"
    save_older_h5(official, path)
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *args, **kwargs: str(path))
    downloaded, _ = load_source("EfficientNetB0", image_size=32, weights="imagenet")
    from_file, _ = load_source("EfficientNetB0", image_size=32, weights=str(path))
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    expected = np.asarray(downloaded(pixels, training=False))
    answer = np.asarray(from_file(pixels, training=False))
    np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_too_small_an_image() -> None:
    with pytest.raises(ConfigError, match="image_size must be at least 71 for Xception"):
        load_source("Xception", image_size=64, weights=None)


@needs_mobilenet_v2
def test_real_mobilenet_v2_file() -> None:
    backbone, card = load_source("MobileNetV2", image_size=96, weights=str(MOBILENET_V2))
    assert card is not None
    assert card.name == MOBILENET_V2.name
    # trained kernels differ in scale from the initialiser's, and the statistics from 0 and 1
    variance = backbone.get_layer("bn_Conv1").moving_variance
    assert not np.allclose(variance, 1)


@needs_mobilenet
def test_real_older_mobilenet_file() -> None:
    backbone, _ = load_source("MobileNet", image_size=96, alpha=0.25, weights=str(MOBILENET))
    with h5py.File(MOBILENET) as file:
        kernel = np.asarray(file["conv1/conv1/kernel:0"])
    np.testing.assert_array_equal(backbone.get_layer("conv1").kernel, kernel)


@needs_mobilenet
def test_real_file_of_another_width() -> None:
    with pytest.raises(WeightsError, match=r"those of MobileNet with alpha 0\.25"):
        load_source("MobileNet", image_size=96, alpha=0.5, weights=str(MOBILENET))


def write_experiment(folder: Path, weights: str | None = None, **keys: Any) -> Path:
    """What an experiment leaves in its results folder, as far as it is read."""
    config = {"name": "old", "backbone": {"weights": weights}, "strategies": [], "export": True}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config | keys))
    return folder


def test_results_folder_of_an_experiment_with_a_source_model(
    tmp_path: Path, card: dict[str, Any]
) -> None:
    results = write_experiment(tmp_path / "old")
    write_source_model(results / "source_model", small(), card)
    backbone, found = load_small(results)
    assert_same_weights(backbone, small())
    assert found is not None
    assert (found.name, found.images) == ("tiny_source", 1200)


def test_results_folder_with_a_source_model_of_another_width(
    tmp_path: Path, card: dict[str, Any]
) -> None:
    results = write_experiment(tmp_path / "old")
    write_source_model(results / "source_model", small(), card | {"alpha": 0.5})
    with pytest.raises(WeightsError, match=r"tiny_source is a MobileNet with alpha 0\.5 .*got Mob"):
        load_small(results)


def test_unfinished_experiment(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"old, an experiment without .*is not finished.*Run it"):
        load_small(write_experiment(tmp_path / "old"))


def test_experiment_that_exports_nothing(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"exported nothing.*export=True"):
        load_small(write_experiment(tmp_path / "old", export=False))


@pytest.mark.parametrize(("weights", "shown"), [("bundled", '"bundled"'), (None, "None")])
def test_experiment_whose_best_run_is_feature_extraction(
    tmp_path: Path, weights: str | None, shown: str
) -> None:
    results = write_experiment(tmp_path / "old", weights)
    (results / "export.json").write_text('{"run_id": "a"}')
    (results / "runs" / "a").mkdir(parents=True)
    row = {"run_id": "a", "strategy": "feature_extraction"}
    (results / "runs" / "a" / "row.json").write_text(json.dumps(row))
    with pytest.raises(WeightsError, match=f"run, a, .*started from {shown}: set backbone.weights"):
        load_small(results)


def test_folder_with_the_configuration_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"backbone": "bert"}')
    with pytest.raises(WeightsError, match=r"must hold model\.weights\.h5 and a readable card"):
        load_small(tmp_path)


def test_results_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r'got ".*/faces".*run that experiment first'):
        load_small(tmp_path / "faces")


@pytest.mark.parametrize("name", ["small.weights.h5", "small.h5"])
def test_card_of_a_file_is_known_without_loading_it(files: Path, name: str) -> None:
    _, card = load_small(files / name)
    assert read_source_card("MobileNet", str(files / name)) == card


def test_card_of_a_folder_is_known_without_loading_it(folder: Path) -> None:
    _, card = load_small(folder)
    assert read_source_card("MobileNet", str(folder)) == card


def test_cards_by_name() -> None:
    imagenet = read_source_card("MobileNet", "imagenet")
    bundled = read_source_card("MobileNetV2", "bundled")
    assert imagenet is not None
    assert imagenet.images == 1_281_167
    assert bundled is not None
    assert bundled.generated
    assert read_source_card("MobileNet", None) is None


DEEP = "[" * 900 + "]" * 900


@pytest.mark.parametrize(
    "content", ["null", "3", "[]", '"card"', DEEP, '{"a":' * 900 + "1" + "}" * 900, "", "\0", "{"]
)
def test_a_card_that_is_none_is_refused(folder: Path, content: str) -> None:
    (folder / "card.json").write_text(content)
    for read in (load_small, lambda weights: read_source_card("MobileNet", str(weights))):
        with pytest.raises(WeightsError, match=r"card\.json"):
            read(folder)


@pytest.mark.parametrize("value", [None, 3, -1, 0.5, True, "a", [], {"a": 1}])
@pytest.mark.parametrize("key", ["name", "images", "channels", "alpha", "generated", "backbone"])
def test_a_fact_of_another_type_is_refused_by_its_name(
    folder: Path, key: str, value: object
) -> None:
    card = json.loads((folder / "card.json").read_text())
    if value is None and card[key] is None:
        pytest.skip("what it was")
    (folder / "card.json").write_text(json.dumps(card | {key: value}))
    try:
        read_source_card("MobileNet", str(folder))
    except WeightsError as error:
        assert f"{key} in" in str(error)
    else:
        allowed = {
            "name": str,
            "images": int | None,
            "channels": int,
            "alpha": float | int | None,
            "generated": bool,
            "backbone": str,
        }
        assert isinstance(value, allowed[key])
        assert key == "generated" or not isinstance(value, bool)


@pytest.mark.parametrize("content", ["null", "[]", '{"run_id": []}', '{"run_id": {"a": 1}}', DEEP])
def test_damaged_records_of_an_experiment_are_no_traceback(tmp_path: Path, content: str) -> None:
    results = write_experiment(tmp_path / "old", None)
    (results / "export.json").write_text(content)
    with pytest.raises(WeightsError, match=r"without .*source_model"):
        load_small(results)
