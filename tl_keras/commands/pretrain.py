"""Command line that makes a source model: `tl-keras pretrain CONFIG.json`.

Takes the images of a source task, trains a backbone on them from scratch, and writes its weights
with a card that says what it saw. A run that was stopped goes on at its last checkpoint.
"""

import argparse
import platform
import shlex
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tl_keras.backbone_table import BACKBONES
from tl_keras.commands.command_line import (
    Parser,
    add_overrides,
    carry_out,
    check_file,
    loading,
    read_options,
    say,
    warn,
)
from tl_keras.errors import ConfigError
from tl_keras.keras_settings import needed_keras
from tl_keras.pretraining.source_config import PLACES, SourceConfig, read_source_config
from tl_keras.pretraining.source_images import SourceImages, stored_images
from tl_keras.reporting.safe_console import SafeConsole
from tl_keras.results.folder_lock import alone_in

if TYPE_CHECKING:
    import numpy as np

    from tl_keras.models.backbone import Backbone
    from tl_keras.pretraining.source_training import Progress, SourceNetwork

# Enough for means and variances of every channel.
STATISTICS_IMAGES = 2048


@needed_keras()
def pretrain(config: SourceConfig, command: str = "") -> Path:
    """Make the images, train, measure and write; returns the folder of weights and card.

    Args:
        config: From `read_source_config`.
        command: What was typed, for the card.

    Raises:
        ConfigError: If the working folder belongs to another configuration, or the images are too
            few for a batch.
        DataError: If the images cannot be used.
        WeightsError: If the output folder holds something else.
    """
    # Seconds of import, not needed where the configuration is refused.
    with loading(SafeConsole()):
        from tl_keras.models.sources.source_card import check_replaceable

    check_replaceable(Path(config.output))
    with alone_in(Path(config.work), warn):
        return _pretrained(config, command)


def _pretrained(config: SourceConfig, command: str) -> Path:
    from tl_keras.models.sources.source_card import write_source_model
    from tl_keras.pretraining import source_training

    # Before the images: decoding them uses TensorFlow, which settles its devices.
    strategy = source_training.replicated(config.replicas)
    images = stored_images(config, _ImageProgress())
    _check_enough(images, config)
    trained = source_training.build_network(config, len(images.classes), strategy)
    progress = source_training.train(trained.model, images, config)
    network = source_training.build_network(config, len(images.classes))
    network.model.set_weights(trained.model.get_weights())
    backbone = _with_statistics(network, images, config)
    measured = {
        "made_with": command,
        "held_out_accuracy": source_training.held_out_accuracy(network.model, images),
        "block_statistics": _block_statistics(backbone, images),
    }
    card = model_card(config, images, progress) | measured
    write_source_model(Path(config.output), network.backbone, card)
    say(
        f"Held-out accuracy {card['held_out_accuracy']:.3f} on {len(images.held_out)} images "
        f"(guessing: {1 / len(images.classes):.3f}). Weights and card: {config.output}"
    )
    return Path(config.output)


def model_card(config: SourceConfig, images: SourceImages, progress: "Progress") -> dict[str, Any]:
    """What a user of the weights has to know, but what is measured at the end; for JSON."""
    return {
        "name": config.name,
        "backbone": config.backbone,
        "alpha": config.alpha or 1.0,
        "images": len(images.training),
        "classes": len(images.classes),
        "image_size": config.image_size,
        "channels": 3,
        "scaling": BACKBONES[config.backbone].scaling,
        "licence": config.licence,
        "generated": config.generated is not None,
        "description": config.description,
        "held_out_images": len(images.held_out),
        "epochs": config.epochs,
        "seconds": round(progress.seconds),
        "configuration": config.as_learned(),
        "configuration_hash": config.fingerprint(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("tensorflow", "keras", "numpy", "scipy", "pillow")},
        },
    }


def write_preview(config: SourceConfig, path: Path) -> None:
    """Write a contact sheet: one row of eight images for each of the first 32 classes.

    Raises:
        ConfigError: If the images are not generated, or the file cannot be written.
    """
    from PIL import Image

    from tl_keras.drawn.procedural_textures import contact_sheet

    if config.generated is None:
        raise ConfigError("--preview shows generated images; this source task takes them from data")
    classes = min(config.generated.classes, 32)
    sheet = contact_sheet(classes, 8, config.image_size, config.generated.seed)
    try:
        Image.fromarray(sheet).save(path)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--preview {path}: cannot be written ({error}). "
            "Give a .png path in a folder that exists."
        ) from error
    say(f"Contact sheet of {classes} classes: {path}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for a mistake."""
    options = read_options(_parser(), arguments)
    return carry_out(
        lambda: _pretrain(options),
        words=options.words,
        stopped="stopped; the same command goes on at the last checkpoint",
    )


def _pretrain(options: argparse.Namespace) -> int:
    config = read_source_config(options.config, options.set)
    if options.preview:
        check_file(options.preview, "--preview", (".png", ".jpg", ".jpeg"))
        write_preview(config, options.preview)
    else:
        pretrain(config, _command(options))
    return 0


def _command(options: argparse.Namespace) -> str:
    """What was typed, less the places, which change nothing and belong to one machine."""
    changes = [text for text in options.set if text.partition("=")[0].strip() not in PLACES]
    words = ["tl-keras", "pretrain", str(options.config)]
    return shlex.join([*words, *(word for text in changes for word in ("--set", text))])


def _check_enough(images: SourceImages, config: SourceConfig) -> None:
    each = len(images.training) // config.rounds_per_epoch
    if each < config.batch_size:
        raise ConfigError(
            f"batch_size must be at most the images of a round, {each} ({len(images.training)} "
            f"training images in {config.rounds_per_epoch} rounds); got {config.batch_size}. Lower "
            "batch_size or rounds_per_epoch, or add images."
        )


def _with_statistics(
    network: "SourceNetwork", images: SourceImages, config: SourceConfig
) -> "Backbone":
    """The backbone with BatchNorm statistics that belong to its weights and full-size images."""
    from tl_keras.models.backbone import Backbone
    from tl_keras.transfer.batch_norm import BatchNormStatistics

    backbone = Backbone.wrap(config.backbone, config.alpha, network.backbone)
    rows = _every_nth(images.training, config.batch_norm_images)
    BatchNormStatistics(backbone).estimate(images.pixels, rows)
    return backbone


def _block_statistics(
    backbone: "Backbone", images: SourceImages
) -> dict[str, dict[str, list[float]]]:
    from tl_keras.models.block_statistics import block_statistics, scaled_batches

    rows = _every_nth(images.training, STATISTICS_IMAGES)
    batches = scaled_batches(backbone.spec.scaling, images.pixels, rows)
    return block_statistics(backbone.model, backbone.blocks, batches)


def _every_nth(rows: "np.ndarray", most: int) -> "np.ndarray":
    """At most so many rows, from all over the set, which is sorted by class."""
    return rows[:: -(-len(rows) // most)]


class _ImageProgress:
    """Prints the images written so far with the time left, at most every ten seconds."""

    def __init__(self) -> None:
        self.started = self.printed = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.printed < 10 and done < total:
            return
        self.printed = now
        speed = done / max(now - self.started, 1e-6)
        left = (total - done) / speed / 60
        print(f"images {done}/{total} {speed:.0f} images/s, about {left:.0f} min left", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="tl-keras pretrain",
        description="Train a network of your own from scratch, to borrow from later: on generated "
        "images, a folder, a table, or a data set of TensorFlow Datasets. One that was stopped "
        "goes on where it was last saved.",
    )
    parser.add_argument(
        "config",
        type=Path,
        metavar="CONFIG",
        help="a JSON file, such as experiments/source_textures.json",
    )
    parser.add_argument(
        "--preview",
        type=Path,
        metavar="FILE",
        help="only draw some of the generated images on one sheet, a .png file, and stop",
    )
    add_overrides(parser, "epochs=3 or output=models/mine")
    return parser
