"""Command line that makes a source model: `python -m tl_keras.pretrain CONFIG.json`.

Generates the source task, trains MobileNetV2 on it from scratch, and writes the backbone's weights
with a card that says what it saw. A run that was stopped goes on at its last checkpoint.
"""

import argparse
import hashlib
import json
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tl_keras.errors import ConfigError, TlKerasError
from tl_keras.source_task import SourceConfig, read_source_config, replace_text, stored_images

WEIGHTS_FILE, CARD_FILE = "model.weights.h5", "card.json"


def pretrain(config: SourceConfig, budget: float | None = None, command: str = "") -> Path:
    """Generate, train, measure and write; returns the folder of weights and card.

    Args:
        config: From `read_source_config`.
        budget: Seconds for the training; the schedule shrinks to fit. None: no limit.
        command: What was typed, for the card.

    Raises:
        ConfigError: If the working folder belongs to another configuration.
    """
    images = stored_images(config, _GeneratorProgress())
    # Seconds of import, not needed before the images are there.
    from tl_keras import source_training as training

    backbone, classifier = training.build_classifier(config)
    progress = training.train(classifier, images, config, budget)
    training.reestimate_batch_norm(backbone, images, config)
    accuracy = training.held_out_accuracy(classifier, images, config)
    output = Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    backbone.save_weights(output / WEIGHTS_FILE)
    measured = {
        "made_with": command,
        "held_out_accuracy": accuracy,
        "epochs": progress.rounds / config.rounds_per_epoch,
        "seconds": round(progress.seconds),
    }
    card = model_card(config, measured, output / WEIGHTS_FILE)
    replace_text(output / CARD_FILE, json.dumps(card, indent=2) + "\n")
    print(f"Held-out accuracy {accuracy:.3f}. Weights and card: {output}")
    return output


def model_card(config: SourceConfig, measured: dict[str, Any], weights: Path) -> dict[str, Any]:
    """What a user of the weights has to know, ready for JSON."""
    return {
        "name": config.name,
        "backbone": "MobileNetV2",
        "alpha": 1.0,
        "images": config.classes * config.images_per_class,
        "classes": config.classes,
        "image_size": config.image_size,
        "channels": 3,
        "scaling": "tf",
        "licence": "Apache-2.0",
        "generated": True,
        "description": config.description,
        **measured,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("tensorflow", "keras", "numpy", "scipy", "pillow")},
        },
        "configuration": config.model_dump(mode="json", exclude={"output", "work"}),
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }


def write_preview(config: SourceConfig, path: Path) -> None:
    """Write a contact sheet: one row of eight images for each of the first 32 classes."""
    from PIL import Image

    from tl_keras.data.procedural_textures import contact_sheet

    classes = min(config.classes, 32)
    try:
        Image.fromarray(contact_sheet(classes, 8, config.image_size, config.seed)).save(path)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--preview {path}: cannot be written ({error}). "
            "Give a .png path in a folder that exists."
        ) from error
    print(f"Contact sheet of {classes} classes: {path}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns its exit code: 0, or 2 for what the user can mend."""
    words = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(words)
    try:
        config = read_source_config(options.config)
        if options.work:
            config = config.model_copy(update={"work": options.work})
        if options.output:
            config = config.model_copy(update={"output": options.output})
        if options.preview:
            write_preview(config, options.preview)
            return 0
        command = f"python -m tl_keras.pretrain {options.config}"
        if options.seconds:
            command += f" --seconds {options.seconds:g}"
        pretrain(config, options.seconds, command)
    except TlKerasError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


class _GeneratorProgress:
    """Prints the images generated so far with the time left, at most every ten seconds."""

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
    parser = argparse.ArgumentParser(
        prog="python -m tl_keras.pretrain",
        description="Train a source model from scratch on generated images.",
    )
    parser.add_argument("config", type=Path, help="JSON file, such as source_textures.json")
    parser.add_argument("--preview", type=Path, help="write a contact sheet here and stop")
    parser.add_argument("--work", help="folder of images and checkpoints, in place of the file's")
    parser.add_argument("--output", help="folder of weights and card, in place of the file's")
    parser.add_argument(
        "--seconds", type=float, help="shorten the schedule so that training takes no longer"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
