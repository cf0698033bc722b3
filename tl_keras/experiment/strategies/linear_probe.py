"""The strategy linear_probe: logistic regressions on the blocks that cross-validation chooses."""

import time
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import pandas as pd

from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.splits import Draw
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.strategies.duration import HEAD_SECONDS, forward_seconds, probing_seconds
from tl_keras.experiment.strategies.fitted import Fitted, Refitted
from tl_keras.models.pooling import Pooling
from tl_keras.results.runs_table import FinishedRun
from tl_keras.transfer.probes import ChosenProbe, probe_classifier
from tl_keras.transfer.probing import (
    MOST_IMAGES,
    PENALTY,
    LinearProbe,
    average_weights,
    usual_repeats,
)
from tl_keras.transfer.representation import Candidates, Representation
from tl_keras.transfer.run_plan import Run
from tl_keras.transfer.selection_losses import cross_fitted_losses

_KERNEL, _BIAS = "head_0000", "head_0001"


def fit(prepared: Prepared, run: Run, draw: Draw) -> Fitted:
    """Cross-validate every block, and fit probes on those that are good."""
    bench = prepared.bench
    _ = bench.images  # decoded here, which is no part of any run
    started = time.perf_counter()
    fitted, validation, losses = _fitted(prepared, run, draw)
    test = bench.probes.probabilities(fitted, prepared.test_of(run))
    weights = {_KERNEL: fitted.probe.kernel, _BIAS: fitted.probe.bias}
    columns = {
        "unfrozen_blocks": "0",
        "cut": fitted.blocks[-1],
        "head_blocks": " ".join(fitted.blocks),
        "trainable_parameters": sum(values.size for values in weights.values()),
        "augmentation": "none",
        "hidden_units": "",
        "pooling": fitted.representation.pooling.kind,
        "views": fitted.representation.pooling.views,
        "penalty": fitted.representation.penalty,
        "train_on": "all" if fitted.images > len(draw.train) else "training",
        "phase_1_seconds": time.perf_counter() - started,
    }
    table = None if fitted.table is None else _of_run(fitted.table, run)
    return Fitted(validation, test, weights, columns, losses, probes=table)


def _fitted(
    prepared: Prepared, run: Run, draw: Draw
) -> tuple[ChosenProbe, np.ndarray, np.ndarray | None]:
    """The probe, what it says of the validation images, and its losses there.

    A probe has no epochs to choose, so it learns from the validation images too, and what it says
    of these comes from its folds. Where there are too few images for folds, it learns from the
    training images alone.
    """
    probes, count = prepared.bench.probes, len(draw.train)
    if prepared.config.probe.train_on == "all":
        rows = np.concatenate([draw.train, draw.validation])
        fitted = probes.fit(rows, run.seed, prepared.cut)
        if fitted.held_out is not None:
            labels, groups = prepared.labels[rows], prepared.groups[rows]
            losses = cross_fitted_losses(fitted.held_out[np.newaxis], labels, groups)
            # of one division: the mean of several would be surer than the probe is
            return fitted, np.exp(fitted.held_out[0, count:]), losses[count:]
    fitted = probes.fit(draw.train, run.seed, prepared.cut)
    return fitted, probes.probabilities(fitted, draw.validation), None


def model(prepared: Prepared, run: FinishedRun, weights: Mapping[str, np.ndarray]) -> keras.Model:
    """The probe on the blocks that it reads."""
    blocks = str(run.head_blocks).split()
    head = [weights[_KERNEL], weights[_BIAS]]
    pooling = Pooling.of(run.pooling, run.views)
    return probe_classifier(prepared.backbone, blocks, len(prepared.classes), head, pooling)


def refit(prepared: Prepared, runs: Sequence[FinishedRun], rows: np.ndarray) -> Refitted:
    """Fit the probes on the same blocks, with the same shares in the average."""
    run = runs[0]
    table = prepared.store.probes([run.run_id])
    weights = {str(run.head_blocks): 1.0} if table is None else average_weights(table)
    probe, held_out = prepared.bench.probes.refit(rows, run.seed, weights, _representation(run))
    answers = None if held_out is None else np.exp(held_out)
    return Refitted({_KERNEL: probe.kernel, _BIAS: probe.bias}, held_out=answers)


def probabilities(
    prepared: Prepared, run: FinishedRun, weights: Mapping[str, np.ndarray], rows: np.ndarray
) -> np.ndarray:
    """Of the probe, from the features of the images."""
    fitted = ChosenProbe(
        tuple(str(run.head_blocks).split()),
        LinearProbe(weights[_KERNEL], weights[_BIAS]),
        run.training_images,
        _representation(run),
    )
    return prepared.bench.probes.probabilities(fitted, rows)


def seconds(run: Run, config: ExperimentConfig, train: int, validation: int) -> float:
    """Passes of the network for all views, and a regression for every block and fold."""
    folds = probing_seconds(config, train, usual_repeats(min(train, MOST_IMAGES)))
    views = Candidates.of(config.probe).views
    passes = max(Pooling(views=name).passes for name in views)
    return HEAD_SECONDS + passes * forward_seconds(config) * (train + validation) + folds


def _representation(run: FinishedRun) -> Representation:
    """What the probe of a run reads; an earlier version left the penalty out, which was one."""
    pooling = Pooling.of(run.pooling, run.views)
    return Representation(pooling, PENALTY if run.penalty is None else run.penalty)


def _of_run(probes: pd.DataFrame, run: Run) -> pd.DataFrame:
    """The probes with the run that they belong to."""
    own = {"run_id": run.run_id, "seed": run.seed, "train_per_class": run.train_per_class}
    repeated = pd.DataFrame({name: [value] * len(probes) for name, value in own.items()})
    return pd.concat([repeated, probes], axis=1)
