"""Training of the source model from scratch, resumable at the last finished round.

Imports TensorFlow; `tl_keras.commands.pretrain` is the command line.
"""

import json
import math
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from pydantic import ValidationError

from tl_keras.atomic_files import replacing, write_json
from tl_keras.config.schema import DataConfig
from tl_keras.config.stored import completed
from tl_keras.digests import any_json
from tl_keras.errors import ConfigError, DamagedError
from tl_keras.models.blocks import find_blocks
from tl_keras.models.networks import build_backbone, find_spec, scaling_layer
from tl_keras.pretraining.source_batches import (
    CLASSES,
    PICTURE,
    PICTURE_NUMBERS,
    class_outputs,
    round_batches,
)
from tl_keras.pretraining.source_config import SourceConfig
from tl_keras.pretraining.source_images import SourceImages


@dataclass
class Progress:
    """What a checkpoint knows besides the weights.

    Attributes:
        configuration: What the training depends on.
        total: Rounds of the whole schedule.
        rounds: Rounds done.
        seconds: Time they took.
        history: Losses and accuracies on the training images of every round.
    """

    configuration: dict[str, Any]
    total: int
    rounds: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class SourceNetwork:
    """A backbone in training.

    Attributes:
        backbone: From scaled images of any side to activations.
        model: From images, 0..255, to a dict of answers: logits of the classes, and of the
            auxiliary classifiers and the description where the configuration has them.
    """

    backbone: keras.Model
    model: keras.Model


class RateAndReport(keras.callbacks.Callback):
    """Sets the learning rate before every batch and prints progress with the time left."""

    def __init__(self, config: SourceConfig, progress: Progress, steps: int) -> None:
        super().__init__()
        self.config, self.progress, self.steps = config, progress, steps
        self.started = self.printed = time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the rate."""
        part = (self.progress.rounds + batch / self.steps) / self.progress.total
        self.model.optimizer.learning_rate = learning_rate(self.config, part)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Print a line every 30 seconds."""
        now = time.monotonic()
        if now - self.printed < 30 and batch + 1 < self.steps:
            return
        self.printed = now
        speed = (batch + 1) / (now - self.started)
        rounds_left = self.progress.total - self.progress.rounds - 1
        left = (self.steps - batch - 1 + rounds_left * self.steps) / speed
        print(
            f"round {self.progress.rounds + 1}/{self.progress.total} "
            f"step {batch + 1}/{self.steps} loss {logs['loss']:.3f} "
            f"accuracy {logs[accuracy_name(self.model)]:.3f} "
            f"{speed * self.config.batch_size:.0f} images/s, "
            f"about {left / 60:.0f} min left at this speed",
            flush=True,
        )


def learning_rate(config: SourceConfig, part: float) -> float:
    """Linear warm-up, then a cosine down to 0; `part` is the fraction of the training done."""
    if part < config.warm_up:
        return config.learning_rate * max(part, 1e-3) / config.warm_up
    angle = np.pi * (part - config.warm_up) / (1 - config.warm_up)
    return float(config.learning_rate * 0.5 * (1 + np.cos(angle)))


def accuracy_name(model: keras.Model) -> str:
    """How Keras names the accuracy of the last classifier."""
    return "accuracy" if len(model.outputs) == 1 else f"{CLASSES}_accuracy"


def replicated(replicas: int) -> tf.distribute.Strategy | None:
    """A strategy of that many copies: on GPUs where there are any, else on the CPU, a thread each.

    TensorFlow's own threads hardly speed up the small operations of one copy. To be called before
    TensorFlow does anything else.

    Raises:
        ConfigError: There are fewer GPUs, or TensorFlow was used before in this process.
    """
    if replicas == 1:
        return None
    if gpus := tf.config.list_physical_devices("GPU"):
        if len(gpus) < replicas:
            raise ConfigError(f"replicas must be at most {len(gpus)}, the GPUs; got {replicas}.")
        return tf.distribute.MirroredStrategy([f"GPU:{index}" for index in range(replicas)])
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(replicas)
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration() for _ in range(replicas)],
        )
    except RuntimeError as error:
        raise ConfigError(
            f"replicas must be 1 where TensorFlow was used before in the same process; got "
            f"{replicas}. Run tl-keras pretrain in a process of its own."
        ) from error
    return tf.distribute.MirroredStrategy(
        [f"CPU:{index}" for index in range(replicas)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def build_network(
    config: SourceConfig, classes: int, strategy: tf.distribute.Strategy | None = None
) -> SourceNetwork:
    """A new backbone with its classifiers, compiled, for images of any side."""
    keras.utils.set_random_seed(config.seed)
    with strategy.scope() if strategy else nullcontext():
        backbone = build_backbone(config.backbone, image_size=None, alpha=config.alpha)
        for layer in backbone.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = config.batch_norm_momentum
        model = _with_answers(backbone, config, classes)
        _compile(model, config)
    return SourceNetwork(backbone, model)


def train(network: keras.Model, images: SourceImages, config: SourceConfig) -> Progress:
    """Train to the end of the schedule, from the last checkpoint where there is one.

    Args:
        network: The model of `build_network`; its weights change.
        images: The source task.
        config: The schedule.

    Raises:
        ConfigError: If the checkpoint belongs to another configuration.
    """
    folder = Path(config.work)
    folder.mkdir(parents=True, exist_ok=True)
    progress = _restored(network, config, folder)
    side = 0
    while progress.rounds < progress.total:
        started = time.monotonic()
        if side != (side := _side(progress, config)):
            network.train_function = None  # traced again, for the new size alone
        batches = round_batches(images, config, progress.rounds, side)
        report = RateAndReport(config, progress, len(batches))
        record = network.fit(batches, epochs=1, verbose=0, shuffle=False, callbacks=[report])
        progress.history.append({k: float(v[-1]) for k, v in record.history.items()})
        progress.rounds += 1
        progress.seconds += time.monotonic() - started
        _save(network, progress, folder)
    return progress


def held_out_accuracy(network: keras.Model, images: SourceImages) -> float:
    """Fraction of the held-out images that are classified correctly, at full size."""
    right = 0
    for start in range(0, len(images.held_out), 256):
        rows = images.held_out[start : start + 256]
        logits = network.predict_on_batch(images.pixels[rows].astype(np.float32))[CLASSES]
        right += int((np.argmax(logits, axis=-1) == images.labels[rows]).sum())
    return right / len(images.held_out)


def _with_answers(backbone: keras.Model, config: SourceConfig, classes: int) -> keras.Model:
    spec = find_spec(config.backbone)
    outputs = {block.name: block.output for block in find_blocks(backbone, spec)}
    trunk = keras.Model(
        backbone.input, [backbone.output, *(outputs[name] for name in config.auxiliary_blocks)]
    )
    images = keras.Input((None, None, 3))
    activations = trunk(scaling_layer(spec.scaling)(images))
    pooled = [keras.layers.GlobalAveragePooling2D()(a) for a in keras.tree.flatten(activations)]
    last = keras.layers.Dropout(config.dropout)(pooled[0]) if config.dropout else pooled[0]
    answers = {}
    for name, features in zip(class_outputs(config), [last, *pooled[1:]], strict=True):
        if name != CLASSES:
            # Linear bottlenecks differ in scale by orders of magnitude.
            features = keras.layers.BatchNormalization()(features)
        answers[name] = keras.layers.Dense(classes, name=name)(features)
    if config.picture_weight:
        answers[PICTURE] = keras.layers.Dense(PICTURE_NUMBERS, name=PICTURE)(pooled[0])
    return keras.Model(images, answers)


def _compile(model: keras.Model, config: SourceConfig) -> None:
    optimizer = keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    optimizer.build(model.trainable_variables)
    names = class_outputs(config)
    losses: dict[str, Any] = {
        name: keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=config.label_smoothing
        )
        for name in names
    }
    weights = dict.fromkeys(names, config.auxiliary_weight) | {CLASSES: 1.0}
    if config.picture_weight:
        losses[PICTURE] = keras.losses.MeanSquaredError()
        weights[PICTURE] = config.picture_weight
    model.compile(optimizer, losses, loss_weights=weights, metrics={CLASSES: ["accuracy"]})


def _side(progress: Progress, config: SourceConfig) -> int:
    """Side of the images in the next round."""
    # Rounded first: 0.3 of 10 rounds is a little more than 3 in binary fractions.
    small_rounds = math.floor(round((1 - config.full_size_part) * progress.total, 9))
    return config.small_image_size if progress.rounds < small_rounds else config.image_size


def _restored(network: keras.Model, config: SourceConfig, folder: Path) -> Progress:
    facts = config.as_learned()
    state = folder / "progress.json"
    if not state.exists():
        return Progress(facts, config.epochs * config.rounds_per_epoch)
    try:
        progress = Progress(**any_json(state))
    except (DamagedError, TypeError) as error:
        raise _damaged(state, state) from error
    if not isinstance(progress.configuration, dict):
        raise _damaged(state, state)
    if data := progress.configuration.get("data"):
        progress.configuration["data"] = _with_younger_keys(data)
    if progress.configuration != facts:
        changed = [
            f"{key}: {progress.configuration.get(key)} -> {value}"
            for key, value in facts.items()
            if progress.configuration.get(key) != value
        ]
        raise ConfigError(
            f"{state}: a checkpoint of another configuration ({'; '.join(changed)}). Set another "
            "work folder, undo the change, or delete the checkpoint to begin again."
        )
    weights = _weights_path(folder, progress.rounds)
    if not weights.is_file():
        raise ConfigError(
            f"{weights}: the checkpoint that {state.name} names is missing. Restore it, or delete "
            f"{state} to begin again."
        )
    try:
        network.load_weights(weights)
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(weights, state) from error
    print(f"going on after round {progress.rounds} of {progress.total}", flush=True)
    return progress


def _with_younger_keys(data: Any) -> Any:
    """The section of a checkpoint, with the keys that are younger than it."""
    try:
        text = json.dumps(completed({"data": data})["data"])
        return DataConfig.model_validate_json(text).model_dump(mode="json")
    except ValidationError:
        return data  # the comparison names what is wrong


def _damaged(path: Path, state: Path) -> ConfigError:
    return ConfigError(
        f"{path}: the checkpoint is damaged. Restore it, or delete {state} to begin again."
    )


def _save(network: keras.Model, progress: Progress, folder: Path) -> None:
    """Weights first, then the file that names them, then the older weights go."""
    weights = _weights_path(folder, progress.rounds)
    with replacing(weights) as unfinished:
        network.save_weights(unfinished)
    write_json(folder / "progress.json", asdict(progress))
    for old in folder.glob("round_*.weights.h5"):
        if old != weights:
            old.unlink()


def _weights_path(folder: Path, index: int) -> Path:
    return folder / f"round_{index:03d}.weights.h5"
