"""The stage that says what to borrow, in seconds, and the same without an experiment."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.digests import keep_json
from tl_keras.errors import ConfigError
from tl_keras.experiment.first_look import FirstLook
from tl_keras.experiment.inputs import Configuration, experiment_config
from tl_keras.experiment.monitor import Monitor, Silent
from tl_keras.experiment.network_choice import chosen_candidate
from tl_keras.experiment.prepare import (
    ADVICE,
    Prepared,
    load_all,
    load_backbone,
    measured_networks,
    prepare_images,
)
from tl_keras.experiment.workbench import Workbench
from tl_keras.keras_settings import needed_keras
from tl_keras.models.sources.source_card import SourceCard
from tl_keras.strategy_table import borrowing
from tl_keras.transfer import advice
from tl_keras.transfer.advice import Advice
from tl_keras.transfer.determinism import deterministic_ops
from tl_keras.transfer.measurements import measure
from tl_keras.transfer.network_words import scaling_doubts
from tl_keras.transfer.seeds import seeds_kept
from tl_keras.transfer.similarity import input_moments


def write_advice(prepared: Prepared) -> None:
    """Say what to borrow, once, where anything is borrowed, and write `advice.json`."""
    record = prepared.store.place(ADVICE)
    if record.exists() or not borrowing(prepared.config.strategies):
        return
    rows = prepared.images.splits.labelled(seed=0)
    found = _advice(prepared.bench, prepared.card, rows, prepared.networks, 0)
    keep_json(record, found.as_dict())
    prepared.monitor.advise(found)


@needed_keras()
def advise(
    config: Configuration | None = None,
    *,
    images: Any = None,
    seed: int = 0,
    monitor: Monitor | None = None,
    **settings: Any,
) -> Advice:
    """What to borrow for the images of an experiment.

    Only training and validation images of one seed, in the largest training size, are looked at;
    the test split is not even decoded.

    Args:
        config: as of `run_experiment`.
        images: as of `run_experiment`.
        seed: of the draw, below `seeds` of the configuration.
        monitor: hears what takes long, and warnings about the images.
        settings: further keys of an experiment file.

    Raises:
        ConfigError: the configuration or the seed is not valid.
        DataError: the images cannot be used.
        WeightsError: the source weights cannot be had or do not fit.
    """
    checked, monitor = experiment_config(config, images, None, settings), monitor or Silent()
    if not 0 <= seed < checked.draws:
        raise ConfigError(
            f"seed must be that of a draw, 0 to {checked.draws - 1}; got {seed}. Enlarge seeds, or "
            "ask for another draw."
        )
    with seeds_kept(), deterministic_ops(checked.deterministic):
        loaded = load_all(checked, checked.backbone.only)
        prepared = prepare_images(FirstLook(checked), monitor)
        rows, networks = prepared.splits.labelled(seed), None
        if loaded is None:
            networks = measured_networks(checked, prepared, seed, monitor)
            checked = checked.with_network(chosen_candidate(checked, networks))
        backbone, card = load_backbone(checked) if loaded is None else loaded
        bench = Workbench(checked, backbone, prepared.table, rows, monitor)
        found = _advice(bench, card, rows, networks, seed)
    if networks is None:  # else it was told when this network was measured
        for doubt in scaling_doubts(found.as_dict()):
            monitor.warn(doubt)
    return found


def _advice(
    bench: Workbench,
    card: SourceCard | None,
    rows: np.ndarray,
    networks: pd.DataFrame | None,
    seed: int,
) -> Advice:
    """Drawn from training and validation images alone."""
    # Before the probes, for one pass gives what both read.
    input_moments(bench.bank, rows)
    images, probes = bench.images, bench.probes
    bench.monitor.stage("Measuring what to borrow")
    found = advice.advise(measure(bench.bank, card, images, probes, rows, networks, seed))
    asked = bench.config.backbone.model_dump(mode="json", exclude_unset=True)
    return replace(found, backbone=asked)
