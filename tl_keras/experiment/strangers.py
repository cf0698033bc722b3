"""What lets an exported classifier know strangers, and what the photos at hand say of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pandas as pd

from tl_keras.evaluation.figures import proportion
from tl_keras.experiment.hand_over import HandedOver
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.strategies.making import backbone_making
from tl_keras.models.backbone import Backbone
from tl_keras.results.runs_table import FinishedRun
from tl_keras.transfer.familiar_network import (
    familiar_classifier,
    features_kept,
    features_of,
    has_backbone,
)
from tl_keras.transfer.familiarity import (
    Familiarity,
    fit_familiarity,
    refused_classes,
    watched_blocks,
)

# of `decision.json`'s neighbours: what the newest export knows of strangers
RECORD = "strangers.json"


@dataclass(frozen=True)
class _Photos:
    """Photos of a run with what its network gives for them.

    Attributes:
        rows: of the labelled ones, training and then validation.
        learned: bool (labelled,), whether the features were trained on them; None of a source.
        test: rows of the others.
        features: by block, (labelled, 2 * channels).
        test_features: likewise.
    """

    rows: np.ndarray
    learned: np.ndarray | None
    test: np.ndarray
    features: Mapping[str, np.ndarray]
    test_features: Mapping[str, np.ndarray]


def knowing_strangers(
    prepared: Prepared, handed: HandedOver, model: keras.Model
) -> tuple[keras.Model, dict[str, Any] | None]:
    """A classifier with p-values of being like the labelled photos of its run.

    Features of a source are the same whoever is left out. A fine-tuned network has learned from its
    training photos, whose features therefore lie closer together than those of new ones: how
    strange photos may be is then said by the validation photos alone, which chose its epochs and
    nothing else. One that was fitted anew to all photos leaves none that could say it.

    Args:
        prepared: the experiment.
        handed: what is handed over.
        model: its classifier, until the trainer does more.

    Returns:
        The classifier as `familiar_classifier` makes it, and what is known as JSON types; the model
        itself and None where `decision.stranger_share` is 0, the model has no backbone, or the
        photos are too few.
    """
    chosen, weights = handed.run, handed.weights(prepared.store)
    share = prepared.config.decision.stranger_share
    if share == 0 or not has_backbone(model):
        return model, None
    backbone, is_source = _backbone(prepared, chosen, weights)
    if handed.learned_all and not is_source:
        return model, None
    photos = _photos(prepared, chosen, backbone, is_source)
    labels, groups = prepared.labels[photos.rows], prepared.groups[photos.rows]
    found = fit_familiarity(photos.features, labels, groups, learned=photos.learned)
    if found is None:
        return model, None
    facts = {
        "run_id": chosen.run_id,
        "stranger_share": share,
        "blocks": list(found.blocks),
        "images": int(np.isfinite(found.held_out).sum()),
        "refused_images": _refused(prepared, photos.rows, found, share),
        "refused_test": proportion(
            found.familiar(photos.test_features) < share,
            pd.factorize(prepared.groups[photos.test])[0],
        ),
        "refused_classes": _left_out(prepared, photos, share),
    }
    return familiar_classifier(model, backbone, found), facts


def _backbone(
    prepared: Prepared, chosen: FinishedRun, weights: Mapping[str, np.ndarray]
) -> tuple[Backbone, bool]:
    """What the classifier computes with, up to its cut, and whether that is the source's."""
    trained = None
    if chosen.spec.changes_backbone:
        trained = backbone_making(chosen.strategy).trained_backbone(prepared, chosen, weights)
    if trained is not None:
        return trained, False
    last = (chosen.head_blocks or prepared.backbone.block_names[-1]).split()[-1]
    return prepared.backbone.cut_after(last), True


def _photos(
    prepared: Prepared, chosen: FinishedRun, backbone: Backbone, is_source: bool
) -> _Photos:
    draw, test = prepared.draw_of(chosen), prepared.test_of(chosen)
    rows = np.concatenate([draw.train, draw.validation])
    every, pixels = np.concatenate([rows, test]), prepared.bench.images.pixels
    blocks = watched_blocks(backbone.spec.blocks, backbone.block_names)
    features = (
        features_kept(prepared.bench.bank, blocks, every)
        if is_source
        else features_of(backbone, blocks, pixels, every)
    )
    return _Photos(
        rows,
        None if is_source else np.isin(rows, draw.train),
        test,
        {name: values[: len(rows)] for name, values in features.items()},
        {name: values[len(rows) :] for name, values in features.items()},
    )


def _refused(
    prepared: Prepared, rows: np.ndarray, found: Familiarity, share: float
) -> list[dict[str, Any]]:
    """The labelled photos that would be refused if they were new, the strangest first."""
    names = prepared.images.table.frame["image_id"].iloc[rows].to_numpy()
    order = np.argsort(found.held_out, kind="stable")
    return [
        {
            "image_id": str(names[place]),
            "class": prepared.classes[prepared.labels[rows[place]]],
            "familiar": float(found.held_out[place]),
        }
        for place in order
        if found.held_out[place] < share
    ]


def _left_out(prepared: Prepared, photos: _Photos, share: float) -> dict[str, float]:
    """By class, the share of its photos that a model without it would refuse."""
    shares = refused_classes(
        photos.features,
        prepared.labels[photos.rows],
        prepared.groups[photos.rows],
        share,
        learned=photos.learned,
    )
    return {prepared.classes[label]: value for label, value in shares.items()}
