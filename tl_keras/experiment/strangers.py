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
    LEAST_PHOTOS,
    Familiarity,
    carry_familiarity,
    fit_familiarity,
    reach_the_middle,
    refused_classes,
    watched_blocks,
)

# of `decision.json`'s neighbours: what the newest export knows of strangers
RECORD = "strangers.json"


@dataclass(frozen=True)
class _Network:
    """Whose features say how strange photos are.

    Attributes:
        backbone: up to the classifier's cut.
        blocks: that are read, from input to output.
        source: whether the features are those of the source, whoever the backbone learned from.
        trained: whether any weight of the backbone is not the source's.
    """

    backbone: Backbone
    blocks: tuple[str, ...]
    source: bool
    trained: bool

    def features(self, prepared: Prepared, rows: np.ndarray) -> dict[str, np.ndarray]:
        """By block, (rows, 2 * channels), until the trainer does more."""
        if self.trained:
            return features_of(self.backbone, self.blocks, prepared.bench.images.pixels, rows)
        # another run may have changed what it shares
        prepared.backbone.restore_source()
        return features_kept(prepared.bench.bank, self.blocks, rows)


@dataclass(frozen=True)
class _Known:
    """What is known of labelled photos.

    Attributes:
        found: what was fitted to them.
        rows: of them.
        features: by block, (rows, 2 * channels); None where the network learned from any.
    """

    found: Familiarity
    rows: np.ndarray
    features: Mapping[str, np.ndarray] | None


def knowing_strangers(
    prepared: Prepared, handed: HandedOver, model: keras.Model
) -> tuple[keras.Model, dict[str, Any] | None]:
    """A classifier with p-values of being like the labelled photos.

    Features of a source are the same whoever is left out, so all labelled photos that the
    classifier learned from say how strange photos may be, and those that chose its epochs.
    Fine-tuning leaves the blocks as they are that it did not reach: these are read, where they go
    far enough. Else a network has learned its photos, whose features therefore lie closer together
    than those of new ones; how strange these may be is then said by photos that the measured run
    did not learn, beside those that it did.

    Args:
        prepared: the experiment.
        handed: what is handed over.
        model: its classifier, until the trainer does more.

    Returns:
        The classifier as `familiar_classifier` makes it, and what is known as JSON types; the model
        itself and None where `decision.stranger_share` is 0, the model has no backbone, or the
        photos are too few.
    """
    share = prepared.config.decision.stranger_share
    if share == 0 or not has_backbone(model):
        return model, None
    test = familiar_test_photos(prepared, handed.run)
    # last: the model shares its layers, which hold the weights that were asked for last
    network = _network(prepared, handed.run, handed.weights(prepared.store))
    known = _known(prepared, handed, network)
    if known is None:
        return model, None
    found, rows = known.found, known.rows
    test_groups = prepared.groups[prepared.test_of(handed.run)]
    facts = {
        "run_id": handed.run.run_id,
        "train_on": "all" if handed.learned_all else "training",
        "stranger_share": share,
        "blocks": list(found.blocks),
        "images": len(found.scores),
        "refused_images": _refused(prepared, rows, found, share),
        "refused_test": None
        if test is None
        else proportion(test < share, pd.factorize(test_groups)[0]),
        "refused_classes": {}
        if known.features is None
        else _left_out(prepared, rows, known.features, share),
    }
    return familiar_classifier(model, network.backbone, found), facts


def without_strangers(handed: HandedOver) -> str | None:
    """Why a classifier that learned all photos knows no strangers; None where it says nothing new.

    Args:
        handed: what `knowing_strangers` found nothing for.
    """
    if not handed.learned_all or not handed.run.spec.changes_backbone:
        return None
    return (
        "The model is exported without knowing strangers: its backbone has learned all "
        "photos, and the measured run, which could say how strange is too strange, left its own as "
        f"it was or held out fewer than {LEAST_PHOTOS} photos. With export.train_on training, or a "
        "strategy that leaves the backbone as it is, it does."
    )


def familiar_test_photos(prepared: Prepared, run: FinishedRun) -> np.ndarray | None:
    """p-values of the test photos of a run, (test,), by the others alone.

    Returns:
        None where the weights of the run are gone or the photos too few.
    """
    if run.run_id not in prepared.familiar:
        prepared.familiar[run.run_id] = _familiar_test_photos(prepared, run)
    return prepared.familiar[run.run_id]


def _familiar_test_photos(prepared: Prepared, run: FinishedRun) -> np.ndarray | None:
    if run.spec.trivial or not prepared.store.has_weights(run.run_id):
        return None
    weights, test = prepared.store.weights(run.run_id), prepared.test_of(run)
    network = _network(prepared, run, weights)
    draw = prepared.draw_of(run)
    rows = np.concatenate([draw.train, draw.validation])
    features = network.features(prepared, np.concatenate([rows, test]))
    found = _fit(prepared, network, rows, _first(features, len(rows)), draw.train)
    return None if found is None else found.familiar(_first(features, len(rows), rest=True))


def _network(prepared: Prepared, run: FinishedRun, weights: Mapping[str, np.ndarray]) -> _Network:
    """What the classifier computes with, up to its cut, with these weights."""
    trained = None
    if run.spec.changes_backbone:
        trained = backbone_making(run.strategy).trained_backbone(prepared, run, weights)
    if trained is None:
        last = (run.head_blocks or prepared.backbone.block_names[-1]).split()[-1]
        backbone = prepared.backbone.cut_after(last)
        present = backbone.block_names
        return _Network(backbone, watched_blocks(backbone.spec.blocks, present), True, False)
    every, present = trained.spec.blocks, trained.block_names
    still = trained.blocks_as_loaded() if run.spec.borrows else ()
    source = reach_the_middle(every, still)
    blocks = watched_blocks(every, still if source else present)
    return _Network(trained, blocks, source, True)


def _known(prepared: Prepared, handed: HandedOver, network: _Network) -> _Known | None:
    """What the photos say that the classifier learned from, and those that chose its epochs."""
    run, store = handed.run, prepared.store
    draw = prepared.draw_of(run)
    rows = np.concatenate([draw.train, draw.validation])
    if handed.learned_all:
        rows = np.sort(prepared.bench.rows)
    measured = None
    if handed.learned_all and not network.source:
        before = _network(prepared, run, store.weights(run.run_id))
        if not before.trained:
            # of other weights than those that all photos have changed
            return None
        measured = before.features(prepared, rows)
        network = _network(prepared, run, handed.weights(store))
    features = network.features(prepared, rows)
    found = _fit(prepared, network, rows, features, draw.train, measured)
    return None if found is None else _Known(found, rows, features if network.source else None)


def _fit(
    prepared: Prepared,
    network: _Network,
    rows: np.ndarray,
    features: Mapping[str, np.ndarray],
    learned: np.ndarray,
    measured: Mapping[str, np.ndarray] | None = None,
) -> Familiarity | None:
    """Fit to the photos at some rows.

    Args:
        prepared: the experiment.
        network: that gives the features.
        rows: of the photos.
        features: by block, (rows, 2 * channels).
        learned: rows that the measured run learned from.
        measured: as the features, of that run; None: these are.
    """
    labels = prepared.labels[rows]
    if network.source:
        return fit_familiarity(features, labels, prepared.groups[rows])
    return carry_familiarity(features, labels, measured or features, np.isin(rows, learned))


def _first(
    features: Mapping[str, np.ndarray], count: int, *, rest: bool = False
) -> dict[str, np.ndarray]:
    """Of the first photos, or of the others."""
    part = slice(count, None) if rest else slice(count)
    return {name: values[part] for name, values in features.items()}


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


def _left_out(
    prepared: Prepared, rows: np.ndarray, features: Mapping[str, np.ndarray], share: float
) -> dict[str, float]:
    """By class, the share of its photos that a model without it would refuse."""
    shares = refused_classes(features, prepared.labels[rows], prepared.groups[rows], share)
    return {prepared.classes[label]: value for label, value in shares.items()}
