"""Making the runs of an experiment: from a strategy, a seed and a size to what the ledger keeps."""

import hashlib
import time
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from tl_keras.config.files import fingerprint
from tl_keras.config.schema import ExperimentConfig, SearchConfig
from tl_keras.data.audit import Audit
from tl_keras.data.cache_entries import default_folder
from tl_keras.data.folds import fold_draws
from tl_keras.data.pixels import load_pictures
from tl_keras.data.row_cache import RowCache
from tl_keras.data.splits import Draw, Splits, labelled_images_per_class
from tl_keras.evaluation.metrics import cross_entropies, evaluate
from tl_keras.experiment.monitor import Monitor
from tl_keras.models.backbone import Backbone
from tl_keras.models.cost import Cost, cost_of
from tl_keras.models.source_card import SourceCard
from tl_keras.results.environment import peak_memory_megabytes, versions
from tl_keras.results.store import Ledger, Outcome
from tl_keras.transfer.advice import Advice, advise
from tl_keras.transfer.linear_probe import LinearProbes, probe_classifier
from tl_keras.transfer.measurements import measure
from tl_keras.transfer.probing import choose_block
from tl_keras.transfer.recipe import Recipe, Trained, depth_of
from tl_keras.transfer.search import Study, search
from tl_keras.transfer.strategies import Run, recipes_for
from tl_keras.transfer.trainer import LabelledImages, Trainer

# Some 25 MobileNetV2: enough for the trials that a later run repeats.
REMEMBERED_BYTES = 2**28


class RunMaker:
    """Makes the runs of one experiment, sharing images, features and searches between them."""

    def __init__(
        self,
        config: ExperimentConfig,
        backbone: Backbone,
        cut: str,
        audit: Audit,
        splits: Splits,
        ledger: Ledger,
        monitor: Monitor,
    ) -> None:
        """Prepare to make runs.

        Args:
            config: of the experiment.
            backbone: the whole one, with its source weights.
            cut: the block that `backbone.cut` stands for.
            audit: of the images.
            splits: of the images.
            ledger: keeps the search's trials.
            monitor: hears what takes long.
        """
        self._config, self._backbone, self._cut, self._ledger = config, backbone, cut, ledger
        self._audit, self._splits, self._monitor = audit, splits, monitor
        self._trainer: Trainer | None = None
        self._probes: LinearProbes | None = None
        self._costs: dict[Hashable, Cost] = {}
        self._studies: dict[tuple[int | None, int], Study] = {}
        self._labels = audit.table.frame["class_index"].to_numpy(np.int64)

    def make(self, run: Run, draw: Draw | None = None) -> Outcome:
        """Train and evaluate one run; nothing is written but the search's trials.

        Args:
            run: the strategy, its seed and size.
            draw: of other images than those that the experiment drew for the seed and size.
        """
        draw = draw or self._splits.draws[run.seed, run.train_per_class]
        if run.strategy == "majority_class":
            return self._majority(run, draw)
        if run.strategy == "linear_probe":
            return self._linear_probe(run, draw)
        trainer = self.trainer()
        winner = self._study(run).winner if run.strategy == "searched" else None
        candidates = [
            trainer.train(recipe, draw, run.seed)
            for recipe in recipes_for(run, self._config, winner, self._cut)
        ]
        trained = min(candidates, key=lambda candidate: candidate.selection_losses.mean())
        validation, test = (
            trainer.probabilities(trained, rows) for rows in self._held_out(run, draw)
        )
        cut = trained.recipe.cut or self._backbone.block_names[-1]
        row = self._row(run, draw, validation, test) | {
            "unfrozen_blocks": str(trained.recipe.unfrozen_blocks),
            "cut": cut,
            "head_blocks": cut,
            "unfrozen_layers": trained.unfrozen_layers,
            "trainable_parameters": trained.trainable_parameters,
            "augmentation": trained.recipe.augmentation,
            "hidden_units": " ".join(map(str, trained.recipe.hidden_units)),
            "learning_rate": self._last_rate(trained.recipe),
            "layer_decay": trained.recipe.layer_decay,
            "epochs": len(trained.history),
            "validation_loss": trained.validation_loss,
            "selection_loss": float(trained.selection_losses.mean()),
            "phase_1_seconds": sum(candidate.phase_1_seconds for candidate in candidates),
            "phase_2_seconds": sum(candidate.phase_2_seconds for candidate in candidates),
            **self._cost(
                (trained.recipe.from_scratch, trained.recipe.cut, trained.recipe.hidden_units),
                lambda: trainer.inference_model(trained),
            ),
            "peak_memory_megabytes": peak_memory_megabytes(),
        }
        history = trained.history.copy()
        history.insert(0, "run_id", run.run_id)
        losses = trained.selection_losses
        return Outcome(row, history, validation, losses, test, pack(trained))

    def _held_out(self, run: Run, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the validation images and of the test images."""
        return draw.validation, self._splits.test_of(run.seed)

    def _cost(self, shape: Hashable, build: Callable[[], keras.Model]) -> dict[str, float]:
        """Parameters, size and speed, which are the same for every run of one shape."""
        if shape not in self._costs:
            self._costs[shape] = cost_of(build())
        cost = self._costs[shape]
        return {
            "parameters": cost.parameters,
            "classifier_megabytes": cost.megabytes,
            "milliseconds_per_image": cost.milliseconds_per_image,
        }

    def _linear_probe(self, run: Run, draw: Draw) -> Outcome:
        self.trainer()  # decodes the images, which is no part of any run
        started = time.perf_counter()
        probes = self._linear_probes()
        fitted = probes.fit(draw.train, run.seed, self._cut)
        validation, test = (
            probes.probabilities(fitted, rows) for rows in self._held_out(run, draw)
        )
        head = {"head_0000": fitted.probe.kernel, "head_0001": fitted.probe.bias}
        row = self._row(run, draw, validation, test) | {
            "unfrozen_blocks": "0",
            "cut": fitted.blocks[-1],
            "head_blocks": " ".join(fitted.blocks),
            "trainable_parameters": sum(weights.size for weights in head.values()),
            "augmentation": "none",
            "hidden_units": "",
            "phase_1_seconds": time.perf_counter() - started,
            **self._cost_of_blocks(fitted.blocks),
            "peak_memory_megabytes": peak_memory_megabytes(),
        }
        table = None if fitted.table is None else _of_run(fitted.table, row)
        losses = self._losses(draw, validation)
        return Outcome(row, pd.DataFrame({"run_id": []}), validation, losses, test, head, table)

    def _losses(self, draw: Draw, validation: np.ndarray) -> np.ndarray:
        """Of the validation images, of a run without epochs to choose among."""
        return cross_entropies(self._labels[draw.validation], validation)

    def _cost_of_blocks(self, blocks: tuple[str, ...]) -> dict[str, float]:
        """The cost of a classifier without hidden layers on the outputs of some blocks."""
        classes = len(self._audit.table.classes)
        return self._cost(blocks, lambda: probe_classifier(self._backbone, blocks, classes))

    def _linear_probes(self) -> LinearProbes:
        if self._probes is None:
            self._monitor.stage("Probing every block")
            groups = self._audit.table.frame["group"].to_numpy(str)
            images = self.trainer().images
            self._probes = LinearProbes(self._backbone, images, groups, self._used_rows())
        return self._probes

    def advice(self, card: SourceCard | None) -> Advice:
        """What to borrow, from the training and validation images of the first seed.

        Args:
            card: of the backbone's source.
        """
        rows = self._splits.labelled(seed=0)
        images, probes = self.trainer().images, self._linear_probes()
        self._monitor.stage("Measuring what to borrow")
        return advise(measure(self._backbone, card, images, probes, rows))

    def pooled_blocks(self) -> tuple[list[tuple[str, np.ndarray]], np.ndarray]:
        """Name and pooled features of every block, and the positions of the images they are of."""
        rows = self._used_rows()
        return list(self._linear_probes().features(rows).items()), rows

    def _last_rate(self, recipe: Recipe) -> float:
        head_only = recipe.unfrozen_blocks == 0
        phase = self._config.training.phase_1 if head_only else recipe.last_phase
        return phase.learning_rate

    def _majority(self, run: Run, draw: Draw) -> Outcome:
        """Answer every image with the class shares of the training images."""
        counts = np.bincount(self._labels[draw.train], minlength=len(self._audit.table.classes))
        shares = (counts / counts.sum()).astype(np.float32)
        validation, test = (np.tile(shares, (len(rows), 1)) for rows in self._held_out(run, draw))
        row = self._row(run, draw, validation, test) | {
            "peak_memory_megabytes": peak_memory_megabytes(),
        }
        losses = self._losses(draw, validation)
        return Outcome(row, pd.DataFrame({"run_id": []}), validation, losses, test, {})

    def _row(
        self, run: Run, draw: Draw, validation: np.ndarray, test: np.ndarray
    ) -> dict[str, Any]:
        held_out = evaluate(self._labels[draw.validation], validation)
        rows = self._splits.test_of(run.seed)
        tested = evaluate(self._labels[rows], test)
        table = self._audit.table
        return {
            "experiment": self._config.name,
            "run_id": run.run_id,
            "strategy": run.strategy,
            "seed": run.seed,
            "train_per_class": run.train_per_class,
            "labelled_images_per_class": labelled_images_per_class(draw, len(table.classes)),
            "unfrozen_blocks": None,
            "cut": None,
            "head_blocks": None,
            "unfrozen_layers": 0,
            "trainable_parameters": 0,
            "augmentation": None,
            "hidden_units": None,
            "learning_rate": None,
            "layer_decay": None,
            "epochs": 0,
            "validation_loss": held_out.cross_entropy,
            "validation_accuracy": held_out.accuracy,
            "selection_loss": held_out.cross_entropy,
            "test_loss": tested.cross_entropy,
            "test_accuracy": tested.accuracy,
            "test_macro_f1": tested.macro_f1,
            "test_balanced_accuracy": tested.balanced_accuracy,
            "test_auroc": tested.auroc,
            "test_average_precision": tested.average_precision,
            "classes": len(table.classes),
            "training_images": len(draw.train),
            "validation_images": len(draw.validation),
            "test_images": len(rows),
            "images_left_out": self._audit.left_out,
            "generated_images": table.notice is not None,
            "backbone": self._config.backbone.name,
            "weights": self._config.backbone.weights,
            "image_size": self._config.backbone.image_size,
            "phase_1_seconds": 0.0,
            "phase_2_seconds": 0.0,
            "parameters": 0,
            "classifier_megabytes": 0.0,
            "milliseconds_per_image": 0.0,
            "configuration_hash": fingerprint(self._config),
            **{f"{name}_version": number for name, number in versions().items()},
        }

    def trainer(self) -> Trainer:
        """The trainer of all runs; the first call decodes the images."""
        if self._trainer is None:
            self._monitor.stage("Decoding the images")
            table, backbone = self._audit.table, self._config.backbone
            pixels = load_pictures(
                table.frame["path"].tolist(),
                self._used_rows(),
                image_size=backbone.image_size,
                resize=self._config.data.resize,
            )
            self._trainer = Trainer(
                self._backbone,
                LabelledImages(pixels, self._labels, len(table.classes)),
                self._config.head,
                self._config.training,
                remembered_bytes=REMEMBERED_BYTES,
                cache=self._cache(),
            )
        return self._trainer

    def _cache(self) -> RowCache:
        settings = self._config.cache
        return RowCache(
            settings.memory_megabytes * 10**6,
            Path(settings.folder) if settings.folder else default_folder(),
            made_by=self._config.name,
            warn=self._monitor.warn,
        )

    def _search_config(self, draw: Draw) -> SearchConfig:
        """The search's, with the names of its cuts, each once, and with values of the decay."""
        search, names = self._config.search, {"own": self._cut}
        names["top"] = self._backbone.block_names[-1]
        if "probed" in search.cuts:
            names["probed"] = self._probed_cut(draw)
        cuts = dict.fromkeys(names.get(cut, cut) for cut in search.cuts)
        decays = search.layer_decays or (self._config.training.layer_decay,)
        return search.model_copy(update={"cuts": tuple(cuts), "layer_decays": decays})

    def _probed_cut(self, draw: Draw) -> str:
        """The single block that linear probes choose; the experiment's cut with too few images."""
        seed = self._config.search.seed
        table = self._linear_probes().cross_validate(draw.train, seed, self._cut)
        return choose_block(table) if len(table) else self._cut

    def _used_rows(self) -> np.ndarray:
        draws = self._splits.draws.values()
        used = [self._splits.tested, *(rows for d in draws for rows in (d.train, d.validation))]
        return np.unique(np.concatenate(used))

    def inference_model(self, run: pd.Series, trained: Trained) -> keras.Model:
        """Images, 0..255 (batch, size, size, 3), to probabilities, as a finished run left it."""
        if run["strategy"] != "linear_probe":
            return self.trainer().inference_model(trained)
        classes = len(self._audit.table.classes)
        blocks = run["head_blocks"].split()
        return probe_classifier(self._backbone, blocks, classes, trained.head_weights)

    def _study(self, run: Run) -> Study:
        """The search for a run: one per training size and fold.

        With one test split the draw of the first seed chooses for all: none of its images is a
        test image. A fold's images are test images of the others, so each chooses for itself.
        """
        folded, size = self._config.estimate.method == "k_fold", run.train_per_class
        seed = run.seed if folded else 0
        if (size, seed) not in self._studies:
            name = "all" if size is None else size
            where = f", fold {seed + 1} of {self._config.draws}" if folded else ""
            folder = self._ledger.open_search(size, self._search_facts(), seed if folded else None)
            draw, groups = self._splits.draws[seed, size], self._audit.table.frame["group"]
            config = self._search_config(draw)
            folds = fold_draws(draw, self._labels, groups.to_numpy(str), config.folds, config.seed)
            self._monitor.stage(f"Searching with {name} training images per class{where}")
            study = self._studies[size, seed] = search(
                self.trainer(),
                folds,
                config,
                self._config.training.phase_2,
                folder,
                lambda cut: self._cost_of_blocks((cut,))["milliseconds_per_image"],
                self._monitor.trial,
            )
            self._ledger.add_trials(folder, size, seed, study.trials)
        return self._studies[size, seed]

    def _search_facts(self) -> dict[str, Any]:
        """All that the trials of a search depend on."""
        sections = ("data", "backbone", "head", "training", "search", "estimate", "deterministic")
        images = self._audit.images[["image_id", "sha256"]].to_csv(index=False)
        return {
            **{key: self._config.as_dict()[key] for key in sections},
            "images_sha256": hashlib.sha256(images.encode()).hexdigest(),
            "source_weights_sha256": self._backbone.source_digest(),
        }


def _of_run(probes: pd.DataFrame, row: Mapping[str, Any]) -> pd.DataFrame:
    """The probes with the run that they belong to."""
    own = {name: [row[name]] * len(probes) for name in ("run_id", "seed", "train_per_class")}
    return pd.concat([pd.DataFrame(own), probes], axis=1)


def pack(trained: Trained) -> dict[str, np.ndarray]:
    """The weights of a trained classifier by name, for the ledger."""
    parts = {"head": dict(enumerate(trained.head_weights)), "backbone": trained.backbone_weights}
    return {
        f"{part}_{position:04d}": weight
        for part, weights in parts.items()
        for position, weight in weights.items()
    }


def unpack(stored: Mapping[str, np.ndarray], row: pd.Series, config: ExperimentConfig) -> Trained:
    """A trained classifier with what is needed to use it; its history stays in its tables."""
    head, backbone = (
        {int(name[len(part) :]): stored[name] for name in sorted(stored) if name.startswith(part)}
        for part in ("head_", "backbone_")
    )
    from_scratch = row["strategy"] == "from_scratch"
    recipe = Recipe(
        unfrozen_blocks=depth_of(row["unfrozen_blocks"]),
        augmentation=row["augmentation"],
        hidden_units=tuple(int(units) for units in str(row["hidden_units"]).split()),
        last_phase=config.training.phase_2,
        from_scratch=from_scratch,
        cut=None if from_scratch else row["cut"],
    )
    return Trained(
        recipe=recipe,
        head_weights=list(head.values()),
        backbone_weights=backbone,
        history=pd.DataFrame(),
        validation_losses=np.array([row["validation_loss"]]),
        epoch_losses=np.array([[row["validation_loss"]]]),
        phase_1_seconds=row["phase_1_seconds"],
        phase_2_seconds=row["phase_2_seconds"],
        unfrozen_layers=row["unfrozen_layers"],
        trainable_parameters=row["trainable_parameters"],
    )
