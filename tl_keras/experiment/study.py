"""The search behind a run: one per training size, and per fold where there are folds."""

import hashlib
from typing import Any

from tl_keras.config.schema import SearchConfig
from tl_keras.data.folds import fold_draws
from tl_keras.data.splits import Draw
from tl_keras.experiment.prepare import Prepared
from tl_keras.transfer.run_plan import Run
from tl_keras.transfer.search import Study, search


def study(prepared: Prepared, run: Run) -> Study:
    """The search for a run, made when the first of its runs asks.

    With one test split the draw of the first seed chooses for all: none of its images is a test
    image. A fold's images are test images of the others, so each chooses for itself.
    """
    config, bench = prepared.config, prepared.bench
    folded, (size, seed) = config.estimate.method == "k_fold", _searched(prepared, run)
    if (size, seed) not in bench.studies:
        name = "all" if size is None else size
        where = f", fold {seed + 1} of {config.draws}" if folded else ""
        folder = prepared.store.open_search(size, _facts(prepared), seed if folded else None)
        draw = prepared.images.splits.draws[seed, size]
        space = _space(prepared, draw)
        folds = fold_draws(draw, prepared.labels, prepared.groups, space.folds, space.seed)
        prepared.monitor.stage(f"Searching with {name} training images per class{where}")
        found = bench.studies[size, seed] = search(
            bench.trainer,
            folds,
            space,
            config.training.phase_2,
            folder,
            bench.costs.milliseconds,
            prepared.monitor.trial,
        )
        prepared.store.add_trials(folder, size, seed, found.trials)
    return bench.studies[size, seed]


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
        **{key: prepared.config.as_dict()[key] for key in sections},
        "images_sha256": hashlib.sha256(images.encode()).hexdigest(),
        "source_weights_sha256": prepared.backbone.source_digest(),
    }
