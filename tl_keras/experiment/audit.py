"""A whole audit of images: files, copies, labels, and pictures of the same thing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.config.schema import BUNDLED_BACKBONE, ExperimentConfig
from tl_keras.data.corrections import counted, in_words
from tl_keras.data.duplicate_groups import duplicates_across_given_splits, keep_together
from tl_keras.data.file_audit import examine
from tl_keras.data.findings import in_order
from tl_keras.data.picture_reading import PictureReading
from tl_keras.data.sources import ImageTable, load_images
from tl_keras.digests import keep_json
from tl_keras.errors import WeightsError
from tl_keras.experiment.inputs import Configuration, experiment_config
from tl_keras.experiment.monitor import Monitor, Silent
from tl_keras.experiment.prepare import Prepared, load_backbone
from tl_keras.experiment.workbench import Workbench
from tl_keras.invocation import again
from tl_keras.keras_settings import needed_keras
from tl_keras.models.backbone import Backbone
from tl_keras.models.sources.source_places import network_in_words
from tl_keras.reporting.audit_page import audit_facts
from tl_keras.results.audit_report import AuditReport
from tl_keras.strategy_table import borrowing
from tl_keras.transfer.determinism import deterministic_ops
from tl_keras.transfer.embedding_matches import embedding_matches
from tl_keras.transfer.label_errors import check_labels
from tl_keras.transfer.seeds import seeds_kept

# Of fewer images the network says nothing worth a forward pass.
_LEAST_IMAGES = 10


@needed_keras()
def audit_images(
    config: Configuration | None = None,
    *,
    images: Any = None,
    network: bool = True,
    monitor: Monitor | None = None,
    **settings: Any,
) -> AuditReport:
    """Look at all images of an experiment; nothing is changed, and no file stops it.

    Args:
        config: as of `run_experiment`; one class is enough.
        images: as of `run_experiment`.
        network: whether to look with the backbone as well: labels, and pictures of the same thing.
        monitor: hears what takes long.
        settings: further keys of an experiment file.

    Raises:
        ConfigError: the configuration is not valid.
        DataError: there are no images.
        WeightsError: weights other than "imagenet" cannot be had. In place of "imagenet" the
            bundled ones are used, and a warning and a note say so: what is doubtful is shown to a
            person either way, where a run would answer another question.
    """
    experiment = experiment_config(config, images, None, settings)
    # of several networks the first looks at the images
    first = next(iter(experiment.backbone.networks.values()))
    experiment = experiment.with_network(first.at_largest)
    with seeds_kept(), deterministic_ops(experiment.deterministic):
        return _audited(experiment, network, monitor or Silent())


def _audited(experiment: ExperimentConfig, network: bool, monitor: Monitor) -> AuditReport:
    table = load_images(experiment.data, to_train=False)
    notes: list[str] = []
    backbone, looked_with = _network(experiment, notes, monitor) if network else (None, "")
    monitor.stage("Looking at the images")
    reading = PictureReading.of(experiment.data)
    checked = examine(table, image_size=experiment.backbone.side, reading=reading)
    leak = duplicates_across_given_splits(checked.table, checked.duplicates)
    if leak is not None:
        checked = replace(checked, findings=in_order((*checked.findings, leak)))
    report = AuditReport(experiment.name, table, checked, network=looked_with, data=experiment.data)
    notes += _corrections(table)
    if backbone is None:
        notes.append("Labels and pictures of the same thing were not looked at: no network.")
    elif len(checked.table.frame) < _LEAST_IMAGES:
        notes.append(
            f"Labels and pictures of the same thing were not looked at: that takes "
            f"{_LEAST_IMAGES} readable images."
        )
    else:
        rows = np.arange(len(checked.table.frame))
        bench = Workbench(experiment, backbone, checked.table, rows, monitor)
        report = look_with_network(report, bench.pooled_blocks(), rows)
    return replace(report, notes=(*notes, *report.notes))


def report_audit(prepared: Prepared) -> None:
    """Write what was found among an experiment's images, once.

    Labels are looked at too where source weights are there that can judge.
    """
    record = prepared.store.place("audit.json")
    if record.exists():
        return
    config, bench = prepared.config, prepared.bench
    listed = prepared.images.listed
    looked_with = network_in_words(config.backbone.network, config.backbone.weights)
    report = AuditReport(
        config.name,
        listed,
        prepared.images.audit,
        notes=_corrections(listed),
        network=looked_with,
    )
    if borrowing(config.strategies) and config.backbone.weights is not None:
        report = look_with_network(report, bench.pooled_blocks(), bench.rows)
        for text in report.label_warnings():
            prepared.monitor.warn(text)
    for name, table in report.tables().items():
        prepared.store.write(name, table)
    keep_json(record, audit_facts(report))


def _corrections(table: ImageTable) -> tuple[str, ...]:
    told = in_words(counted(table.corrections))
    return (told,) if told else ()


def look_with_network(
    report: AuditReport, blocks: Sequence[tuple[str, np.ndarray]], rows: np.ndarray
) -> AuditReport:
    """Add to an audit what features tell.

    Args:
        report: of the images.
        blocks: name and pooled features (n, features) of each block, from input to output.
        rows: positions of these n images among the readable ones.
    """
    together = keep_together(report.audit.table, report.audit.duplicates)
    groups = together.groups[rows]
    labels = check_labels(blocks, together.labels[rows], groups)
    suspects = labels.suspects.assign(position=rows[labels.suspects["position"].to_numpy(int)])
    suspects = _not_looked_at(suspects, report.audit.table)
    pairs = embedding_matches(blocks[-1][1], groups)
    return replace(
        report,
        labels=replace(labels, suspects=suspects),
        matches=_named(together.frame.iloc[rows], pairs),
        notes=(*report.notes, *([labels.note] if labels.note else [])),
    )


def _not_looked_at(suspects: pd.DataFrame, table: ImageTable) -> pd.DataFrame:
    """The suspects whose label no person has confirmed or corrected."""
    ids = table.frame["image_id"].iloc[suspects["position"].to_numpy(int)]
    left = suspects[~ids.isin([row.image_id for row in table.corrections]).to_numpy()]
    return left.assign(rank=np.arange(1, len(left) + 1)).reset_index(drop=True)


def _named(frame: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    firsts, seconds = (frame.iloc[pairs[side].to_numpy(np.int64)] for side in ("first", "second"))
    return pd.DataFrame(
        {
            "image_id": firsts["image_id"].to_numpy(),
            "other_image_id": seconds["image_id"].to_numpy(),
            "label": firsts["label"].to_numpy(),
            "other_label": seconds["label"].to_numpy(),
            "similarity": pairs["similarity"].to_numpy(float),
            "closeness": pairs["closeness"].to_numpy(float),
        }
    )


def _network(config: ExperimentConfig, notes: list[str], monitor: Monitor) -> tuple[Backbone, str]:
    """What looks at the images, and its name for people: the bundled weights where need be."""
    settings = config.backbone
    try:
        return load_backbone(config)[0], network_in_words(settings.network, settings.weights)
    except WeightsError:
        if settings.weights != "imagenet":
            raise
    monitor.warn(
        f"The ImageNet weights of {settings.name} are not on this machine and could not be "
        f"downloaded: {BUNDLED_BACKBONE} with the bundled weights looks at the labels."
    )
    notes.append(
        "The bundled weights, which looked at the labels in place of ImageNet's, know surfaces and "
        "not objects: on photos of objects expect them to miss wrong labels and to name right "
        f"ones. To look with others: {again({'backbone.weights': 'FILE'})}"
    )
    changes = {"name": BUNDLED_BACKBONE, "alpha": None, "weights": "bundled", "cut": "top"}
    bundled = settings.model_copy(update=changes)
    found = load_backbone(config.model_copy(update={"backbone": bundled}))[0]
    return found, network_in_words(BUNDLED_BACKBONE, "bundled")
