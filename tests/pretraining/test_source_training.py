"""The source model's training: schedule, checkpoints, replicas."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.errors import ConfigError
from tl_keras.pretraining import source_batches, source_training
from tl_keras.pretraining.source_config import SourceConfig
from tl_keras.pretraining.source_images import SourceImages

Make = Callable[..., SourceConfig]
MakeImages = Callable[[SourceConfig], SourceImages]

# Keras's save_weights converts TensorFlow variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def tiny_network(config: SourceConfig) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    hidden = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, strides=4)(scaled))
    pooled = keras.layers.GlobalAveragePooling2D()(hidden)
    assert config.generated is not None
    logits = keras.layers.Dense(config.generated.classes, name="classes")(pooled)
    model = keras.Model(inputs, {"classes": logits})
    optimizer = keras.optimizers.AdamW(config.learning_rate)
    optimizer.build(model.trainable_variables)
    loss = {"classes": keras.losses.CategoricalCrossentropy(from_logits=True)}
    model.compile(optimizer, loss, metrics={"classes": ["accuracy"]})
    return model


def sides_of_rounds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sides that the rounds of a later training ask for."""
    sides: list[int] = []
    made = source_batches.round_batches

    def recorded(images: SourceImages, config: SourceConfig, index: int, side: int) -> Any:
        sides.append(side)
        return made(images, config, index, side)

    monkeypatch.setattr(source_training, "round_batches", recorded)
    return sides


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `finished` keeps what it has trained; nothing is there at first."""
    return tmp_path_factory.mktemp("finished") / "work"


@pytest.fixture
def finished(
    tmp_path: Path, kept: Path, source_config: Make, source_images: MakeImages
) -> SourceConfig:
    """A configuration whose training is finished in its folder; it is made once."""
    config = source_config()
    if kept.exists():
        shutil.copytree(kept, tmp_path / "work")
    else:
        source_training.train(tiny_network(config), source_images(config), config)
        shutil.copytree(tmp_path / "work", kept)
    return config


def test_learning_rate_rises_then_falls_to_zero(source_config: Make) -> None:
    config = source_config(learning_rate=0.1, warm_up=0.2)
    rates = [source_training.learning_rate(config, part) for part in (0.1, 0.2, 0.6, 1.0)]

    assert rates == pytest.approx([0.05, 0.1, 0.05, 0.0])


@pytest.mark.slow
def test_a_stopped_training_goes_on_at_its_last_round(
    tmp_path: Path,
    source_config: Make,
    source_images: MakeImages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = source_config()
    images = source_images(config)
    whole = tiny_network(config)
    progress = source_training.train(whole, images, config)

    stopped = config.model_copy(update={"work": str(tmp_path / "stopped")})
    saved = source_training._save

    def save_then_stop(
        network: keras.Model, progress: source_training.Progress, folder: Path
    ) -> None:
        saved(network, progress, folder)
        if progress.rounds == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(source_training, "_save", save_then_stop)
    with pytest.raises(KeyboardInterrupt):
        source_training.train(tiny_network(stopped), images, stopped)
    monkeypatch.setattr(source_training, "_save", saved)
    resumed = tiny_network(stopped)
    again = source_training.train(resumed, images, stopped)

    assert again.rounds == progress.rounds == 4
    assert again.history == progress.history
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_a_finished_training_is_not_repeated(
    source_config: Make, source_images: MakeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = source_config()
    first = tiny_network(config)
    source_training.train(first, source_images(config), config)
    sides = sides_of_rounds(monkeypatch)
    second = tiny_network(config)
    source_training.train(second, source_images(config), config)

    assert sides == []
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("name", ["progress.json", "round_004.weights.h5"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[1]",
        b'{"rounds": 3}',
        b'{"configuration": 3, "total": 4}',
        b"\x89HDF\r\n\x1a\n",
    ],
)
def test_a_damaged_checkpoint_is_refused_by_its_file(
    tmp_path: Path, finished: SourceConfig, source_images: MakeImages, name: str, content: bytes
) -> None:
    (tmp_path / "work" / name).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"{name}: the checkpoint is damaged.*progress\.json"):
        source_training.train(tiny_network(finished), source_images(finished), finished)


def test_only_the_last_checkpoint_stays(tmp_path: Path, finished: SourceConfig) -> None:
    assert [p.name for p in (tmp_path / "work").glob("*.h5")] == ["round_004.weights.h5"]
    state = json.loads((tmp_path / "work" / "progress.json").read_text())
    assert (state["rounds"], len(state["history"])) == (4, 4)


@pytest.mark.usefixtures("finished")
def test_a_checkpoint_of_another_configuration_is_refused(
    source_config: Make, source_images: MakeImages
) -> None:
    other = source_config(learning_rate=0.5)

    with pytest.raises(ConfigError, match=r"another configuration \(learning_rate: 0.002 -> 0.5\)"):
        source_training.train(tiny_network(other), source_images(other), other)


def test_a_checkpoint_older_than_some_keys_of_its_images_is_of_the_same_configuration(
    tmp_path: Path, source_config: Make
) -> None:
    data = {"folder": str(tmp_path / "photos"), "exif_rotation": "ignore"}
    config = source_config(generated=None, data=data)
    facts = config.as_learned()
    younger = {"class_level", "merge_labels", "exif_rotation", "range_16_bit", "max_megapixels"}
    younger |= {"columns", "corrections"}
    facts["data"] = {key: value for key, value in facts["data"].items() if key not in younger}
    work = tmp_path / "work"
    work.mkdir()
    for data_of_it, wrong in ((facts["data"], "is missing"), (7, "another configuration")):
        state = {"configuration": {**facts, "data": data_of_it}, "total": 4, "rounds": 2}
        (work / "progress.json").write_text(json.dumps(state))
        with pytest.raises(ConfigError, match=wrong):
            source_training._restored(keras.Sequential(), config, work)


def test_a_missing_checkpoint_is_named(
    tmp_path: Path, finished: SourceConfig, source_images: MakeImages
) -> None:
    (tmp_path / "work" / "round_004.weights.h5").unlink()

    with pytest.raises(ConfigError, match=r"round_004.weights.h5: the checkpoint .* is missing"):
        source_training.train(tiny_network(finished), source_images(finished), finished)


@pytest.mark.parametrize(("part", "small"), [(0.7, 3), (0.95, 0), (1.0, 0), (0.01, 9)])
def test_the_part_at_full_size_is_at_least_what_was_asked_for(
    source_config: Make, part: float, small: int
) -> None:
    config = source_config(image_size=48, full_size_part=part)
    sides = [
        source_training._side(source_training.Progress({}, 10, done), config) for done in range(10)
    ]

    assert sides == [32] * small + [48] * (10 - small)


@pytest.mark.slow
def test_the_last_part_is_seen_at_full_size(
    source_config: Make, source_images: MakeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = source_config(image_size=48, epochs=4, full_size_part=0.5)
    sides = sides_of_rounds(monkeypatch)
    source_training.train(tiny_network(config), source_images(config), config)

    assert sides == [32] * 4 + [48] * 4


def test_accuracy_counts_the_held_out_images(
    source_config: Make, source_images: MakeImages
) -> None:
    config = source_config()
    images = source_images(config)

    class Knowing:
        def predict_on_batch(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
            wrong = np.arange(len(pixels)) % 3 == 0
            right = images.labels[images.held_out]
            return {"classes": np.eye(3)[np.where(wrong, (right + 1) % 3, right)]}

    assert source_training.held_out_accuracy(Knowing(), images) == pytest.approx(4 / 6)


def test_network_answers_classes_at_every_auxiliary_block(source_config: Make) -> None:
    config = source_config(auxiliary_blocks=["block_2", "block_5"], picture_weight=1.0)
    network = source_training.build_network(config, classes=7)
    answers = network.model(np.zeros((2, 32, 32, 3), np.float32), training=False)

    assert {name: tuple(value.shape) for name, value in answers.items()} == {
        "classes": (2, 7),
        "classes_block_2": (2, 7),
        "classes_block_5": (2, 7),
        "picture": (2, source_batches.PICTURE_NUMBERS),
    }
    backbone = keras.applications.MobileNetV2(
        input_shape=(32, 32, 3), alpha=1.0, include_top=False, weights=None
    )
    assert [w.shape for w in network.backbone.weights] == [w.shape for w in backbone.weights]


def test_more_replicas_than_a_used_process_allows_are_refused() -> None:
    tf.config.list_logical_devices("CPU")
    with pytest.raises(ConfigError, match="replicas must be 1 where TensorFlow was used before"):
        source_training.replicated(2)


@pytest.mark.slow
def test_replicas_share_a_batch_and_stay_equal(source_config: Make) -> None:
    """In a process of its own: devices are divided before TensorFlow starts."""
    config = source_config(replicas=2, epochs=1, rounds_per_epoch=1)
    code = f"""
from tl_keras.pretraining import source_training
from tl_keras.pretraining.source_config import SourceConfig
from tl_keras.pretraining.source_images import stored_images
import numpy as np
if __name__ == "__main__":
    config = SourceConfig.model_validate_json({config.model_dump_json()!r})
    images = stored_images(config, lambda *_: None, processes=1)
    strategy = source_training.replicated(2)
    network = source_training.build_network(config, 3, strategy)
    before = network.backbone.get_weights()
    source_training.train(network.model, images, config)
    changed = [not np.array_equal(a, b) for a, b in zip(before, network.backbone.get_weights())]
    print(strategy.num_replicas_in_sync, sum(changed) > 200)
    for variable in network.backbone.trainable_variables:
        one, other = (v.numpy() for v in variable.value.values)
        assert np.array_equal(one, other)
"""
    script = Path(config.work).with_name("replicas.py")
    script.write_text(code)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2:] == ["2", "True"]
