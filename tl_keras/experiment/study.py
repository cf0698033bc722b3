"""The search behind a run: one per training size, and per fold where there are folds."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tl_keras.config.schema import SearchConfig
from tl_keras.data.folds import fold_draws
from tl_keras.data.splits import Draw
from tl_keras.engine.pool import Pool
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.run_tasks import PoolTrainings
from tl_keras.transfer.run_plan import Run
from tl_keras.transfer.search import Study, TwoPhaseTuner
from tl_keras.transfer.trials import Trial


def studies(
    prepared: Prepared, runs: Sequence[Run], pool: Pool, seconds: float
) -> Iterator[tuple[Run, Study]]:
    """The searches for some runs, each made once: all begin together, and end in this order.

    With one test split the draw of the first seed chooses for all: none of its images is a test
    image. A fold's images are test images of the others, so each chooses for itself.

    Args:
        prepared: the experiment.
        runs: those that train what is found.
        pool: of its workers.
        seconds: about how long all searches take.
    """
    keys = dict.fromkeys(_searched(prepared, run) for run in runs)
    share = seconds / max(1, len(keys) * prepared.config.search.max_trials)

    def on_trial(trial: Trial) -> None:
        prepared.monitor.trial(trial)
        prepared.monitor.progress(share)

    begun = {key: _begin(prepared, *key, pool, on_trial) for key in keys}
    found: dict[tuple[int | None, int], Study] = {}
    for run in runs:
        key = _searched(prepared, run)
        if key not in found:
            found[key] = _finish(prepared, *key, begun[key])
        yield run, found[key]


def _begin(
    prepared: Prepared,
    size: int | None,
    seed: int,
    pool: Pool,
    on_trial: Callable[[Trial], None],
) -> tuple[TwoPhaseTuner, Path]:
    """A search and its folder."""
    config, folded = prepared.config, prepared.config.estimate.method == "k_fold"
    folder = prepared.store.open_search(size, _facts(prepared), seed if folded else None)
    draw = prepared.images.splits.draws[seed, size]
    space = _space(prepared, draw)

    def pooling(cut: str) -> str:
        return prepared.bench.head_pooling(draw, space.seed, cut)

    search = TwoPhaseTuner(
        PoolTrainings(prepared, pool),
        prepared.backbone.block_names,
        fold_draws(draw, prepared.labels, prepared.groups, space.folds, space.seed),
        space,
        config.training.phase_2,
        folder,
        on_trial,
        pooling,
    )
    return search, folder


def _finish(
    prepared: Prepared, size: int | None, seed: int, begun: tuple[TwoPhaseTuner, Path]
) -> Study:
    config = prepared.config
    folded, (tuner, folder) = config.estimate.method == "k_fold", begun
    name = "all" if size is None else size
    where = f", fold {seed + 1} of {config.draws}" if folded else ""
    prepared.monitor.stage(f"Searching with {name} training images per class{where}")
    found = tuner.finish(prepared.bench.costs.milliseconds)
    prepared.store.add_trials(folder, size, seed, found.trials)
    return found


def lost_table(prepared: Prepared, run: Run) -> bool:
    """Whether the table of the search for a finished run was damaged."""
    size, seed = _searched(prepared, run)
    folded = prepared.config.estimate.method == "k_fold"
    return prepared.store.lost_trials(size, seed if folded else None)


def _searched(prepared: Prepared, run: Run) -> tuple[int | None, int]:
    """Training size and seed of the search for a run."""
    folded = prepared.config.estimate.method == "k_fold"
    return run.train_per_class, run.seed if folded else 0


def _space(prepared: Prepared, draw: Draw) -> SearchConfig:
    """The search's, with the names of its cuts, each once, and with values of the decay."""
    config, names = prepared.config.search, {"own": prepared.cut}
    names["top"] = prepared.backbone.block_names[-1]
    if "probed" in config.cuts:
        names["probed"] = prepared.bench.probes.choose_cut(draw.train, config.seed, prepared.cut)
    cuts = dict.fromkeys(names.get(cut, cut) for cut in config.cuts)
    decays = config.layer_decays or (prepared.config.training.layer_decay,)
    return config.model_copy(update={"cuts": tuple(cuts), "layer_decays": decays})


def _facts(prepared: Prepared) -> dict[str, Any]:
    """All that the trials of a search depend on."""
    sections = ("data", "backbone", "head", "training", "search", "estimate", "deterministic")
    images = prepared.images.audit.images[["image_id", "sha256"]].to_csv(index=False)
    return {
        **{key: prepared.asked.as_dict()[key] for key in sections},
        "images_sha256": hashlib.sha256(images.encode()).hexdigest(),
        "source_weights_sha256": prepared.backbone.source_digest(),
    }
