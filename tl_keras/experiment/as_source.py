"""A finished experiment as a source model for other experiments."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.rows import Rows
from tl_keras.models.backbone import Backbone
from tl_keras.models.block_statistics import block_statistics, scaled_batches
from tl_keras.models.source_card import SourceCard, write_source_model
from tl_keras.results.environment import versions


def export_source_model(
    folder: Path,
    backbone: Backbone,
    pixels: Rows,
    training_rows: np.ndarray,
    facts: Mapping[str, Any],
) -> None:
    """Write a run's backbone with its card, and what its blocks answer to the training images.

    Args:
        folder: To write; an existing one is replaced.
        backbone: With the weights of the run.
        pixels: uint8 (n, size, size, 3), 0..255, which may be mapped from a file.
        training_rows: Positions of the run's training images.
        facts: From `source_facts`.
    """
    batches = scaled_batches(backbone.spec, pixels, training_rows)
    statistics = block_statistics(backbone.model, backbone.blocks, batches)
    write_source_model(folder, backbone.model, {**facts, "block_statistics": statistics})


def source_facts(
    row: Mapping[str, Any], config: ExperimentConfig, scaling: str, card: SourceCard | None
) -> dict[str, Any]:
    """The card of the backbone that a run trained, as JSON types.

    Args:
        row: Of the run, as in `runs.csv`.
        config: Of the experiment.
        scaling: As in `BackboneSpec.scaling`.
        card: Of the source that the experiment's backbone came from.
    """
    source = None if row["strategy"] == "from_scratch" else card
    return {
        "name": config.name,
        "backbone": config.backbone.name,
        "alpha": config.backbone.alpha,
        "images": _images_seen(row["training_images"], source),
        "classes": row["classes"],
        "image_size": config.backbone.image_size,
        "channels": 3,
        "scaling": scaling,
        "licence": "unknown",
        "generated": row["generated_images"],
        "description": _description(row["strategy"], config.name, source),
        "started_from": None if source is None else source.name,
        "run_id": row["run_id"],
        "held_out_accuracy": row["test_accuracy"],
        "held_out_images": row["test_images"],
        "seconds": row["phase_1_seconds"] + row["phase_2_seconds"],
        "versions": {name: row[f"{name}_version"] for name in versions()},
        "configuration_hash": row["configuration_hash"],
        "configuration": config.as_dict(),
    }


def _images_seen(training_images: int, source: SourceCard | None) -> int | None:
    """Those of the run and of its source; None where the source's are not known."""
    if source is None:
        return training_images
    return None if source.images is None else source.images + training_images


def _description(strategy: str, experiment: str, source: SourceCard | None) -> str:
    if strategy == "from_scratch":
        return f"Trained from scratch on the images of experiment {experiment}."
    start = "random weights" if source is None else source.name
    return f"Fine-tuned from {start} on the images of experiment {experiment}."
