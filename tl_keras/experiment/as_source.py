"""A finished experiment as a source model for other experiments."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tl_keras.config.schema import ExperimentConfig
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.strategies.making import backbone_making
from tl_keras.models.block_statistics import block_statistics, scaled_batches
from tl_keras.models.sources.source_card import SourceCard, write_source_model
from tl_keras.models.sources.source_folder import SOURCE_MODEL_FOLDER
from tl_keras.results.runs_table import FinishedRun


def export_source_model(
    prepared: Prepared, chosen: FinishedRun, weights: Mapping[str, np.ndarray]
) -> None:
    """Keep the backbone of a run for other experiments, if it is whole and was changed.

    It is written with its card and with what its blocks answer to the training images; an
    earlier one is replaced.

    Args:
        prepared: the experiment.
        chosen: a finished run.
        weights: that it left.
    """
    if not chosen.spec.changes_backbone:
        return
    backbone = backbone_making(chosen.strategy).trained_backbone(prepared, chosen, weights)
    if backbone is None or not backbone.is_whole:
        return
    pixels, rows = prepared.bench.images.pixels, prepared.draw_of(chosen).train
    batches = scaled_batches(backbone.spec.scaling, pixels, rows)
    statistics = block_statistics(backbone.model, backbone.blocks, batches)
    facts = source_facts(chosen, prepared.config, str(backbone.spec.scaling), prepared.card)
    folder = prepared.store.place(SOURCE_MODEL_FOLDER)
    network = backbone.from_pixels() if backbone.spec.file_digest else None
    write_source_model(folder, backbone.model, {**facts, "block_statistics": statistics}, network)


def source_facts(
    run: FinishedRun, config: ExperimentConfig, scaling: str, card: SourceCard | None
) -> dict[str, Any]:
    """The card of the backbone that a run trained, as JSON types.

    Args:
        run: The run.
        config: Of the experiment.
        scaling: As in `BackboneSpec.scaling`.
        card: Of the source that the experiment's backbone came from.
    """
    source = card if run.spec.borrows else None
    return {
        "name": config.name,
        "backbone": config.backbone.label,
        "alpha": config.backbone.alpha,
        "images": _images_seen(run.training_images, source),
        "classes": run.classes,
        "image_size": run.image_size,
        "channels": 3,
        "scaling": scaling,
        "licence": "unknown",
        "generated": run.generated_images,
        "description": _description(run, config.name, source),
        "started_from": None if source is None else source.name,
        "run_id": run.run_id,
        "held_out_accuracy": run.test["accuracy"],
        "held_out_images": run.test_images,
        "seconds": run.seconds,
        "versions": dict(run.versions),
        "configuration_hash": run.configuration_hash,
        "configuration": config.as_dict(),
    }


def _images_seen(training_images: int, source: SourceCard | None) -> int | None:
    """Those of the run and of its source; None where the source's are not known."""
    if source is None:
        return training_images
    return None if source.images is None else source.images + training_images


def _description(run: FinishedRun, experiment: str, source: SourceCard | None) -> str:
    if not run.spec.borrows:
        return f"Trained from scratch on the images of experiment {experiment}."
    start = "random weights" if source is None else source.name
    return f"Fine-tuned from {start} on the images of experiment {experiment}."
