"""Training of the source model from scratch, resumable at the last finished round.

Imports TensorFlow; `tl_keras.pretrain` is the command line.
"""

import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tl_keras.errors import ConfigError
from tl_keras.source_task import SourceConfig, SourceImages, replace_text

Batch = tuple[Any, NDArray[np.float32]]


@dataclass
class Progress:
    """What a checkpoint knows besides the weights.

    Attributes:
        configuration: What the training depends on.
        total: Rounds of the whole schedule.
        rounds: Rounds done.
        seconds: Time they took.
        full_from: First round at the full image size, -1 before it. From there on the size stays,
            also where the schedule grows again.
        history: Loss and accuracy on the training images of every round.
    """

    configuration: dict[str, Any]
    total: int
    rounds: int = 0
    seconds: float = 0.0
    full_from: int = -1
    history: list[dict[str, float]] = field(default_factory=list)


class TrainingBatches(keras.utils.PyDataset):
    """Shuffled and augmented batches of one round; the order follows from the seed and the round.

    A batch is `(images, targets)`: (batch, side, side, 3) in [-1, 1] and (batch, classes).
    """

    def __init__(self, images: SourceImages, config: SourceConfig, index: int, side: int) -> None:
        super().__init__(workers=1)
        self.images, self.config, self.round, self.side = images, config, index, side
        epoch, part = divmod(index, config.rounds_per_epoch)
        order = np.random.default_rng([config.seed, epoch]).permutation(images.training)
        self.order = np.array_split(order, config.rounds_per_epoch)[part]

    def __len__(self) -> int:
        return len(self.order) // self.config.batch_size

    def __getitem__(self, index: int) -> Batch:
        size = self.config.batch_size
        rows = np.sort(self.order[index * size : (index + 1) * size])
        rng = np.random.default_rng([self.config.seed, self.round, index])
        pixels = scaled(augmented(self.images.pixels[rows], self.config, rng))
        if self.side != self.config.image_size:
            pixels = tf.image.resize(pixels, (self.side, self.side), antialias=True)
        labels = self.images.labels[rows]
        return pixels, np.eye(self.config.classes, dtype=np.float32)[labels]


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
            f"accuracy {logs['accuracy']:.3f} {speed * self.config.batch_size:.0f} images/s, "
            f"about {left / 60:.0f} min left at this speed",
            flush=True,
        )


def learning_rate(config: SourceConfig, part: float) -> float:
    """Linear warm-up, then a cosine down to 0; `part` is the fraction of the training done."""
    if part < config.warm_up:
        return config.learning_rate * max(part, 1e-3) / config.warm_up
    angle = np.pi * (part - config.warm_up) / (1 - config.warm_up)
    return float(config.learning_rate * 0.5 * (1 + np.cos(angle)))


def scaled(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Pixels 0..255 to [-1, 1]."""
    return np.asarray(pixels, np.float32) / 127.5 - 1


def augmented(
    pixels: NDArray[np.uint8], config: SourceConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Randomly shifted, mirrored, brightened copies: (batch, size, size, 3), 0..255."""
    count, size = pixels.shape[:2]
    edge = config.shift
    padded = np.pad(pixels, ((0, 0), (edge, edge), (edge, edge), (0, 0)), mode="reflect")
    shifts = rng.integers(0, 2 * edge + 1, (count, 2))
    mirrored = np.less(rng.random(count), 0.5 if config.flip else 0.0)
    moved = np.empty((count, size, size, 3), np.float32)
    for k, (top, left) in enumerate(shifts):
        crop = padded[k, top : top + size, left : left + size]
        moved[k] = crop[:, ::-1] if mirrored[k] else crop
    gain = 1 + rng.uniform(-config.contrast, config.contrast, (count, 1, 1, 1))
    offset = 127.5 + 255 * rng.uniform(-config.brightness, config.brightness, (count, 1, 1, 1))
    moved = (moved - 127.5) * gain.astype(np.float32) + offset.astype(np.float32)
    return np.clip(moved, 0, 255)


def build_classifier(config: SourceConfig) -> tuple[keras.Model, keras.Model]:
    """A new MobileNetV2 and the compiled classifier around it, both for images of any side."""
    keras.utils.set_random_seed(config.seed)
    backbone = keras.applications.MobileNetV2(
        input_shape=(None, None, 3), alpha=1.0, include_top=False, weights=None
    )
    for layer in batch_norms(backbone):
        layer.momentum = config.batch_norm_momentum
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    dropped = keras.layers.Dropout(config.dropout)(pooled)
    logits = keras.layers.Dense(config.classes)(dropped)
    classifier = keras.Model(backbone.input, logits)
    optimizer = keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    optimizer.build(classifier.trainable_variables)
    loss = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=config.label_smoothing
    )
    classifier.compile(optimizer, loss, metrics=["accuracy"])
    return backbone, classifier


def batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The BatchNormalization layers of a model, from input to output."""
    kind = keras.layers.BatchNormalization
    return [layer for layer in model.layers if isinstance(layer, kind)]


def train(
    classifier: keras.Model, images: SourceImages, config: SourceConfig, budget: float | None
) -> Progress:
    """Train to the end of the schedule, from the last checkpoint where there is one.

    Args:
        classifier: From `build_classifier`; its weights change.
        images: The source task.
        config: The schedule.
        budget: Seconds that all rounds together may take: the schedule shrinks to the rounds
            that fit, at the speed measured, so that the rate still falls to 0.

    Raises:
        ConfigError: If the checkpoint belongs to another configuration.
    """
    folder = Path(config.work)
    folder.mkdir(parents=True, exist_ok=True)
    progress = _restored(classifier, config, folder)
    side = 0
    while progress.rounds < progress.total:
        started = time.monotonic()
        if side != (side := _side(progress, config)):
            classifier.train_function = None  # traced again, for the new size alone
        batches = TrainingBatches(images, config, progress.rounds, side)
        report = RateAndReport(config, progress, len(batches))
        record = classifier.fit(batches, epochs=1, verbose=0, callbacks=[report])
        progress.history.append({k: float(v[-1]) for k, v in record.history.items()})
        seconds = time.monotonic() - started
        progress.rounds += 1
        progress.seconds += seconds
        if budget is not None:
            progress.total = _fitting(progress, config, budget, seconds / side**2)
        _save(classifier, progress, folder)
    return progress


def reestimate_batch_norm(
    backbone: keras.Model, images: SourceImages, config: SourceConfig
) -> None:
    """Replace the moving statistics by plain averages over batches of training images."""
    rng = np.random.default_rng([config.seed, 1])
    count = min(config.batch_norm_images, len(images.training))
    rows = rng.choice(images.training, count, replace=False)
    norms = batch_norms(backbone)
    size = config.batch_size
    for index in range(max(1, count // size)):
        for layer in norms:
            # The mean of k + 1 batches out of the mean of k.
            layer.momentum = index / (index + 1)
        chosen = np.sort(rows[index * size : (index + 1) * size])
        backbone(scaled(images.pixels[chosen]), training=True)


def held_out_accuracy(classifier: keras.Model, images: SourceImages, config: SourceConfig) -> float:
    """Fraction of the held-out images that are classified correctly, at full size."""
    right = 0
    for start in range(0, len(images.held_out), 256):
        rows = images.held_out[start : start + 256]
        logits = classifier.predict_on_batch(scaled(images.pixels[rows]))
        right += int((np.argmax(logits, axis=-1) == images.labels[rows]).sum())
    return right / len(images.held_out)


def _side(progress: Progress, config: SourceConfig) -> int:
    """Side of the images in the next round."""
    if progress.full_from < 0 and progress.rounds >= _small_rounds(progress.total, config):
        progress.full_from = progress.rounds
    return config.small_image_size if progress.full_from < 0 else config.image_size


def _small_rounds(total: int, config: SourceConfig) -> int:
    return math.ceil((1 - config.full_size_part) * total)


def _fitting(progress: Progress, config: SourceConfig, budget: float, per_area: float) -> int:
    """Most rounds in all, not under those done, that fit into the budget.

    Args:
        progress: What was done.
        config: The schedule.
        budget: Seconds for all rounds.
        per_area: Seconds that the last round took, divided by its images' area.
    """
    planned = config.epochs * config.rounds_per_epoch
    for total in range(planned, progress.rounds, -1):
        small = max(0, _small_rounds(total, config) - progress.rounds)
        small = small if progress.full_from < 0 else 0
        full = total - progress.rounds - small
        area = small * config.small_image_size**2 + full * config.image_size**2
        if progress.seconds + per_area * area <= budget:
            return total
    return progress.rounds


def _restored(classifier: keras.Model, config: SourceConfig, folder: Path) -> Progress:
    facts = config.model_dump(exclude={"name", "output", "work", "description"})
    state = folder / "progress.json"
    if not state.exists():
        return Progress(facts, config.epochs * config.rounds_per_epoch)
    progress = Progress(**json.loads(state.read_text()))
    if progress.configuration != facts:
        raise ConfigError(
            f"{state}: a checkpoint of another configuration. Delete it or set another `work`."
        )
    classifier.load_weights(_weights_path(folder, progress.rounds))
    return progress


def _save(classifier: keras.Model, progress: Progress, folder: Path) -> None:
    """Weights first, then the file that names them, then the older weights go."""
    temporary = folder / "part.weights.h5"
    classifier.save_weights(temporary)
    temporary.replace(_weights_path(folder, progress.rounds))
    replace_text(folder / "progress.json", json.dumps(asdict(progress), indent=1))
    for old in folder.glob("round_*.weights.h5"):
        if old != _weights_path(folder, progress.rounds):
            old.unlink()


def _weights_path(folder: Path, index: int) -> Path:
    return folder / f"round_{index:03d}.weights.h5"
