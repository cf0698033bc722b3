"""The source model's training and its command line."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tl_keras import source_training as training
from tl_keras.errors import ConfigError
from tl_keras.pretrain import main, model_card
from tl_keras.source_task import SourceConfig, SourceImages, read_source_config, stored_images

ROOT = Path(__file__).parents[1]
CARD_KEYS = {
    *("name", "backbone", "alpha", "images", "classes", "image_size", "channels", "scaling"),
    *("licence", "generated", "description", "made_with", "held_out_accuracy", "epochs"),
    *("seconds", "versions", "configuration", "weights_sha256"),
}

# Keras's save_weights converts TensorFlow variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def configuration(folder: Path, **changes: Any) -> SourceConfig:
    facts: dict[str, Any] = {
        "name": "tiny",
        "description": "A few shapes.",
        "classes": 3,
        "images_per_class": 6,
        "held_out_per_class": 2,
        "image_size": 32,
        "small_image_size": 32,
        "epochs": 2,
        "rounds_per_epoch": 2,
        "batch_size": 4,
        "batch_norm_images": 12,
        "seed": 1,
        "output": str(folder / "model"),
        "work": str(folder / "work"),
    }
    return SourceConfig(**(facts | changes))


def images_of(config: SourceConfig) -> SourceImages:
    per_class = config.images_per_class + config.held_out_per_class
    rows = np.arange(config.classes * per_class)
    size = config.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (len(rows), size, size, 3), np.uint8)
    held_out = rows % per_class >= config.images_per_class
    return SourceImages(pixels, rows[~held_out], rows[held_out], rows // per_class)


def tiny_classifier(config: SourceConfig) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3))
    hidden = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, strides=4)(inputs))
    pooled = keras.layers.GlobalAveragePooling2D()(hidden)
    model = keras.Model(inputs, keras.layers.Dense(config.classes)(pooled))
    optimizer = keras.optimizers.AdamW(config.learning_rate)
    optimizer.build(model.trainable_variables)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def test_shipped_configuration_is_valid() -> None:
    config = read_source_config(ROOT / "experiments" / "source_textures.json")

    assert 200 <= config.classes <= 400
    assert config.image_size >= 96


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"clases": 3}', "clases: unknown key. Did you mean classes?"),
        ("{", "Invalid JSON"),
        ('{"epochs": 0}', "epochs: .*greater than or equal to 1, got 0"),
        ('{"epochs": "3"}', "epochs: .*valid integer, got '3'"),
        ("{}", "images_per_class: Field required"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)

    with pytest.raises(ConfigError, match=message):
        read_source_config(path)


def test_a_missing_file_exits_with_2_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nowhere.json"]) == 2
    assert "nowhere.json: cannot be read" in capsys.readouterr().err


def test_help_needs_no_tensorflow() -> None:
    code = (
        "import sys, tl_keras.pretrain as p\n"
        "try: p.main(['--help'])\n"
        "except SystemExit: sys.exit('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "--preview" in done.stdout


def test_preview_is_a_picture_of_the_first_classes(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    path = tmp_path / "tiny.json"
    path.write_text(config.model_dump_json())

    assert main([str(path), "--preview", str(tmp_path / "sheet.png")]) == 0
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_preview_in_a_missing_folder_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.json"
    path.write_text(configuration(tmp_path).model_dump_json())

    assert main([str(path), "--preview", str(tmp_path / "none" / "sheet.png")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_images_are_stored_once_and_split_by_class(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    reports: list[tuple[int, int]] = []
    images = stored_images(config, lambda done, total: reports.append((done, total)), processes=1)
    again = stored_images(config, lambda done, total: pytest.fail("generated again"))

    assert reports == [(8, 24), (16, 24), (24, 24)]
    assert images.training.tolist() == [*range(6), *range(8, 14), *range(16, 22)]
    assert images.held_out.tolist() == [6, 7, 14, 15, 22, 23]
    assert np.array_equal(images.pixels, again.pixels)


def test_images_of_another_configuration_are_refused(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "images.json").write_text('{"classes": 9}')

    with pytest.raises(ConfigError, match="images of another configuration"):
        stored_images(configuration(tmp_path), lambda done, total: None)


def test_learning_rate_rises_then_falls_to_zero(tmp_path: Path) -> None:
    config = configuration(tmp_path, learning_rate=0.1, warm_up=0.2)
    rates = [training.learning_rate(config, part) for part in (0.1, 0.2, 0.6, 1.0)]

    assert rates == pytest.approx([0.05, 0.1, 0.05, 0.0])


def test_rounds_of_an_epoch_see_every_image_once(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    images = images_of(config)
    rounds = [training.TrainingBatches(images, config, k, 32).order for k in (0, 1)]

    assert sorted(np.concatenate(rounds).tolist()) == images.training.tolist()


def test_small_batches_are_shrunk_and_scaled(tmp_path: Path) -> None:
    config = configuration(tmp_path, image_size=48)
    pixels, targets = training.TrainingBatches(images_of(config), config, 0, 32)[0]

    assert tuple(pixels.shape) == (4, 32, 32, 3)
    assert np.abs(pixels).max() <= 1
    assert targets.sum(axis=1).tolist() == [1, 1, 1, 1]


def test_augmentation_without_strength_changes_nothing(tmp_path: Path) -> None:
    config = configuration(tmp_path, shift=0, flip=False, brightness=0.0, contrast=0.0)
    pixels = images_of(config).pixels[:3]

    same = training.augmented(pixels, config, np.random.default_rng(0))

    assert np.array_equal(same, pixels)


def test_augmentation_mirrors_about_half(tmp_path: Path) -> None:
    config = configuration(tmp_path, shift=0, brightness=0.0, contrast=0.0)
    pixels = np.repeat(images_of(config).pixels[:1], 200, axis=0)

    changed = training.augmented(pixels, config, np.random.default_rng(0))
    mirrored = [np.array_equal(image, pixels[0, :, ::-1]) for image in changed]

    assert 70 < sum(mirrored) < 130


def test_a_stopped_training_goes_on_at_its_last_round(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    images = images_of(config)
    first = tiny_classifier(config)
    whole = training.train(first, images, config, None)
    state = json.loads((tmp_path / "work" / "progress.json").read_text())
    second = tiny_classifier(config)
    resumed = training.train(second, images, config, None)

    assert whole.rounds == state["rounds"] == resumed.rounds == 4
    assert resumed.history == whole.history
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert first.optimizer.iterations.numpy() == second.optimizer.iterations.numpy() > 0


def test_only_the_last_checkpoint_stays(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    training.train(tiny_classifier(config), images_of(config), config, None)

    assert [p.name for p in (tmp_path / "work").glob("*.h5")] == ["round_004.weights.h5"]


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    training.train(tiny_classifier(config), images_of(config), config, None)
    other = configuration(tmp_path, learning_rate=0.5)

    with pytest.raises(ConfigError, match="checkpoint of another configuration"):
        training.train(tiny_classifier(other), images_of(other), other, None)


def test_a_budget_shortens_the_schedule(tmp_path: Path) -> None:
    config = configuration(tmp_path, epochs=50)
    progress = training.train(tiny_classifier(config), images_of(config), config, budget=0.001)

    assert progress.rounds == progress.total == 1


def test_the_last_part_is_seen_at_full_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(tmp_path, image_size=48, epochs=4, full_size_part=0.5)
    sides: list[int] = []

    class Recorded(training.TrainingBatches):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            sides.append(self.side)

    monkeypatch.setattr(training, "TrainingBatches", Recorded)
    progress = training.train(tiny_classifier(config), images_of(config), config, None)

    assert sides == [32] * 4 + [48] * 4
    assert progress.full_from == 4


def test_full_size_stays_where_the_schedule_grows_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(tmp_path, image_size=48, epochs=3, full_size_part=0.5)
    sides: list[int] = []
    totals = iter([2, 6, 6, 6, 6, 6])

    class Recorded(training.TrainingBatches):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            sides.append(self.side)

    monkeypatch.setattr(training, "TrainingBatches", Recorded)
    monkeypatch.setattr(training, "_fitting", lambda *_: next(totals))
    training.train(tiny_classifier(config), images_of(config), config, budget=9.0)

    assert sides == [32] + [48] * 5


def test_batch_norm_statistics_become_those_of_the_images(tmp_path: Path) -> None:
    config = configuration(tmp_path, batch_norm_images=18, batch_size=6)
    images = images_of(config)
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.BatchNormalization(momentum=0.999)(inputs))

    training.reestimate_batch_norm(model, images, config)

    pixels = training.scaled(images.pixels[images.training])
    norm = model.layers[1]
    np.testing.assert_allclose(norm.moving_mean, pixels.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, pixels.var((0, 1, 2)), rtol=1e-2)


def test_card_holds_the_agreed_facts(tmp_path: Path) -> None:
    weights = tmp_path / "model.weights.h5"
    weights.write_bytes(b"weights")
    measured = {"made_with": "x", "held_out_accuracy": 0.5, "epochs": 1.0, "seconds": 2}
    card = model_card(configuration(tmp_path), measured, weights)

    assert set(card) == CARD_KEYS
    assert card["images"] == 18
    assert card["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert json.loads(json.dumps(card)) == card


def test_bundled_card_fits_its_weights() -> None:
    folder = ROOT / "tl_keras" / "models" / "bundled" / "mobilenetv2_procedural"
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    weights = (folder / "model.weights.h5").read_bytes()

    assert set(card) == CARD_KEYS
    assert card["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert len(weights) <= 10e6


def test_bundled_card_tells_of_the_shipped_configuration() -> None:
    folder = ROOT / "tl_keras" / "models" / "bundled" / "mobilenetv2_procedural"
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    config = read_source_config(ROOT / "experiments" / "source_textures.json")

    assert card["configuration"] == config.model_dump(mode="json", exclude={"output", "work"})


@pytest.mark.slow
def test_command_writes_weights_that_load_into_mobilenetv2(tmp_path: Path) -> None:
    config = configuration(tmp_path, epochs=1, rounds_per_epoch=1)
    path = tmp_path / "tiny.json"
    path.write_text(config.model_dump_json())

    assert main([str(path)]) == 0
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    backbone = keras.applications.MobileNetV2(
        input_shape=(32, 32, 3), alpha=1.0, include_top=False, weights=None
    )
    before = backbone.get_weights()[0]
    backbone.load_weights(tmp_path / "model" / "model.weights.h5")

    assert card["epochs"] == 1
    assert not np.array_equal(before, backbone.get_weights()[0])
