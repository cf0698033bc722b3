"""One experiment, end to end: images, splits, runs, tables, and the model to serve."""

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tl_keras import __version__
from tl_keras.config import ExperimentConfig
from tl_keras.config_file import fingerprint, load_config, parse_config
from tl_keras.data.audit import Audit, audit, duplicates_across_splits
from tl_keras.data.pixels import load_pictures
from tl_keras.data.sources import load_images
from tl_keras.data.splits import Draw, Splits, labelled_images_per_class, make_splits
from tl_keras.evaluation.metrics import evaluate
from tl_keras.models.classifier import Backbone
from tl_keras.models.source_models import SourceCard, load_source
from tl_keras.reporting.ledger import Ledger, Outcome, runs_table, write_json
from tl_keras.reporting.tables import (
    TestResults,
    best_run,
    confusion_table,
    per_class_table,
    summary_table,
)
from tl_keras.serving.export import export_classifier, latest_version
from tl_keras.serving.verify import verify_export
from tl_keras.transfer.search import Study, Trial, search
from tl_keras.transfer.strategies import Run, plan_runs, recipes_for
from tl_keras.transfer.training import LabelledImages, Recipe, Trained, Trainer

VERIFIED_IMAGES = 64


class Monitor(Protocol):
    """Hears how an experiment goes on."""

    def stage(self, text: str) -> None:
        """Something starts that is not a run."""

    def warn(self, text: str) -> None:
        """Something that the user should know about the images."""

    def plan(self, runs: tuple[Run, ...], finished: int) -> None:
        """Which runs there are, and how many of them a former start has finished."""

    def trial(self, trial: Trial) -> None:
        """A trial of the search is finished."""

    def run(self, run: Run, row: Mapping[str, Any]) -> None:
        """A run is finished."""


class Silent:
    """A monitor that ignores everything."""

    def stage(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...
    def plan(self, runs: tuple[Run, ...], finished: int) -> None: ...
    def trial(self, trial: Trial) -> None: ...
    def run(self, run: Run, row: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True)
class ExperimentResult:
    """The tables of a finished experiment, as they are in its folder.

    Attributes:
        config: defaults included.
        folder: `<results_dir>/<name>`.
        notice: a sentence to show beside every figure, or None.
        runs: one row per run.
        summary: one row per strategy, depth and training size.
        per_class: recall and precision per run and class.
        confusion: test images per run, true and predicted class.
        history: one row per run and epoch.
        trials: one row per trial of the search; None without one.
        splits: every image's part in every run.
        export: the SavedModel's folder; None where `export` is false.
    """

    config: ExperimentConfig
    folder: Path
    notice: str | None
    runs: pd.DataFrame
    summary: pd.DataFrame
    per_class: pd.DataFrame
    confusion: pd.DataFrame
    history: pd.DataFrame
    trials: pd.DataFrame | None
    splits: pd.DataFrame
    export: Path | None


def run_experiment(
    config: ExperimentConfig | Mapping[str, Any] | str | os.PathLike[str],
    *,
    fresh: bool = False,
    monitor: Monitor | None = None,
) -> ExperimentResult:
    """Run an experiment, or what is left of it.

    Args:
        config: a configuration, the same as a dict, or the path of a JSON file or of a folder of
            images.
        fresh: move existing results of this name aside first.
        monitor: hears about progress.

    Raises:
        ConfigError: the configuration is not valid.
        DataError: the images cannot be used.
        WeightsError: the source weights cannot be had or do not fit.
        ResultsError: the folder holds results of another configuration.
        ExportError: the exported model does not answer as the trained one.
    """
    checked = as_config(config)
    return _Experiment(checked, fresh, monitor or Silent()).run()


def as_config(
    config: ExperimentConfig | Mapping[str, Any] | str | os.PathLike[str],
) -> ExperimentConfig:
    """Whatever `run_experiment` accepts, as a checked configuration."""
    if isinstance(config, ExperimentConfig):
        return config
    return parse_config(config) if isinstance(config, Mapping) else load_config(config)


@dataclass(frozen=True)
class Images:
    """The audited images of an experiment, divided and, unless only planned, decoded."""

    audit: Audit
    splits: Splits


def prepare_images(config: ExperimentConfig, monitor: Monitor) -> Images:
    """List, audit and divide the images; warnings go to the monitor.

    Raises:
        DataError: the images cannot be used.
    """
    monitor.stage("Looking at the images")
    data = config.data
    checked = audit(
        load_images(data),
        image_size=config.backbone.image_size,
        skip_unreadable=data.skip_unreadable,
        resize=data.resize,
    )
    splits = make_splits(checked.table, data, config.seeds)
    leak = duplicates_across_splits(checked, splits)
    for finding in (*checked.findings, *([leak] if leak else [])):
        monitor.warn(finding.message)
    return Images(checked, splits)


class _Experiment:
    def __init__(self, config: ExperimentConfig, fresh: bool, monitor: Monitor) -> None:
        self._config, self._monitor = config, monitor
        if config.deterministic:
            tf.config.experimental.enable_op_determinism()
        # Everything that can be wrong with images or weights is found before the folder changes.
        self._backbone, self._card = _load_backbone(config)
        images = prepare_images(config, monitor)
        self._audit, self._splits = images.audit, images.splits
        self._ledger = Ledger.open(config, fresh=fresh)
        self._trainer: Trainer | None = None
        self._studies: dict[int | None, Study] = {}
        self._labels = self._audit.table.frame["class_index"].to_numpy(np.int64)

    def run(self) -> ExperimentResult:
        self._write_inputs()
        planned = plan_runs(self._config)
        left = [run for run in planned if not self._ledger.is_finished(run.run_id)]
        self._monitor.plan(planned, len(planned) - len(left))
        for run in left:
            self._ledger.add(run.run_id, self._make(run))
            self._monitor.run(run, self._ledger.row(run.run_id))
            self._write_runs(planned)
        return self._finish(planned)

    def _write_inputs(self) -> None:
        self._ledger.write("splits", self._splits.manifest)
        self._ledger.write("images", self._audit.images)
        self._ledger.write("ignored_files", self._audit.table.ignored)
        source = None if self._card is None else asdict(self._card)
        write_json(self._ledger.folder / "environment.json", {**_environment(), "source": source})

    def _make(self, run: Run) -> Outcome:
        draw = self._splits.draws[run.seed, run.train_per_class]
        if run.strategy == "majority_class":
            return self._majority(run, draw)
        trainer = self._ready_trainer()
        winner = self._study(run.train_per_class).winner if run.strategy == "searched" else None
        candidates = [
            trainer.train(recipe, draw, run.seed)
            for recipe in recipes_for(run, self._config, winner)
        ]
        trained = min(candidates, key=lambda candidate: candidate.validation_loss)
        validation, test = (
            trainer.probabilities(trained, rows) for rows in (draw.validation, self._splits.test)
        )
        row = self._row(run, draw, validation, test) | {
            "unfrozen_blocks": str(trained.recipe.unfrozen_blocks),
            "unfrozen_layers": trained.unfrozen_layers,
            "trainable_parameters": trained.trainable_parameters,
            "augmentation": trained.recipe.augmentation,
            "hidden_units": " ".join(map(str, trained.recipe.hidden_units)),
            "learning_rate": trained.recipe.last_phase.learning_rate,
            "epochs": len(trained.history),
            "validation_loss": trained.validation_loss,
            "phase_1_seconds": sum(candidate.phase_1_seconds for candidate in candidates),
            "phase_2_seconds": sum(candidate.phase_2_seconds for candidate in candidates),
            "peak_memory_megabytes": _peak_memory_megabytes(),
        }
        history = trained.history.assign(run_id=run.run_id)
        return Outcome(row, history, validation, test, _pack(trained))

    def _majority(self, run: Run, draw: Draw) -> Outcome:
        """Answer every image with the class shares of the training images."""
        counts = np.bincount(self._labels[draw.train], minlength=len(self._audit.table.classes))
        shares = (counts / counts.sum()).astype(np.float32)
        validation, test = (
            np.tile(shares, (len(rows), 1)) for rows in (draw.validation, self._splits.test)
        )
        row = self._row(run, draw, validation, test) | {
            "validation_loss": evaluate(self._labels[draw.validation], validation).cross_entropy,
            "peak_memory_megabytes": _peak_memory_megabytes(),
        }
        return Outcome(row, pd.DataFrame({"run_id": []}), validation, test, {})

    def _row(
        self, run: Run, draw: Draw, validation: np.ndarray, test: np.ndarray
    ) -> dict[str, Any]:
        held_out = evaluate(self._labels[draw.validation], validation)
        tested = evaluate(self._labels[self._splits.test], test)
        table = self._audit.table
        return {
            "experiment": self._config.name,
            "run_id": run.run_id,
            "strategy": run.strategy,
            "seed": run.seed,
            "train_per_class": run.train_per_class,
            "labelled_images_per_class": labelled_images_per_class(draw, len(table.classes)),
            "unfrozen_blocks": None,
            "unfrozen_layers": 0,
            "trainable_parameters": 0,
            "augmentation": None,
            "hidden_units": None,
            "learning_rate": None,
            "epochs": 0,
            "validation_loss": held_out.cross_entropy,
            "validation_accuracy": held_out.accuracy,
            "test_loss": tested.cross_entropy,
            "test_accuracy": tested.accuracy,
            "test_macro_f1": tested.macro_f1,
            "test_balanced_accuracy": tested.balanced_accuracy,
            "classes": len(table.classes),
            "training_images": len(draw.train),
            "validation_images": len(draw.validation),
            "test_images": len(self._splits.test),
            "images_left_out": self._audit.left_out,
            "generated_images": table.notice is not None,
            "backbone": self._config.backbone.name,
            "weights": self._config.backbone.weights,
            "image_size": self._config.backbone.image_size,
            "phase_1_seconds": 0.0,
            "phase_2_seconds": 0.0,
            "configuration_hash": fingerprint(self._config),
            **{f"{name}_version": number for name, number in _versions().items()},
        }

    def _ready_trainer(self) -> Trainer:
        if self._trainer is None:
            self._monitor.stage("Decoding the images")
            table, backbone = self._audit.table, self._config.backbone
            draws = self._splits.draws.values()
            used = [self._splits.test, *(rows for d in draws for rows in (d.train, d.validation))]
            pixels = load_pictures(
                table.frame["path"].tolist(),
                np.unique(np.concatenate(used)),
                image_size=backbone.image_size,
                resize=self._config.data.resize,
            )
            self._trainer = Trainer(
                self._backbone,
                LabelledImages(pixels, self._labels, len(table.classes)),
                self._config.head,
                self._config.training,
            )
        return self._trainer

    def _study(self, size: int | None) -> Study:
        """The search of a training size, on the draw of the first seed."""
        if size not in self._studies:
            name = "all" if size is None else size
            self._monitor.stage(f"Searching with {name} training images per class")
            self._studies[size] = search(
                self._ready_trainer(),
                self._splits.draws[0, size],
                self._config.search,
                self._config.training.phase_2,
                self._ledger.folder / "search" / f"n{name}",
                self._monitor.trial,
            )
            self._ledger.write("trials", self._trials())
        return self._studies[size]

    def _trials(self) -> pd.DataFrame:
        return pd.concat(
            [study.trials.assign(train_per_class=size) for size, study in self._studies.items()],
            ignore_index=True,
        )

    def _write_runs(self, planned: tuple[Run, ...]) -> pd.DataFrame:
        """The table of the runs finished so far, in the planned order."""
        finished = [run.run_id for run in planned if self._ledger.is_finished(run.run_id)]
        table = runs_table([self._ledger.row(run_id) for run_id in finished])
        self._ledger.write("runs", table)
        table.to_parquet(self._ledger.folder / "runs.parquet", index=False)
        return table

    def _finish(self, planned: tuple[Run, ...]) -> ExperimentResult:
        runs = self._write_runs(planned)
        results = TestResults(
            self._labels[self._splits.test],
            {
                run_id: self._ledger.test_probabilities(run_id).argmax(axis=1)
                for run_id in runs["run_id"]
            },
            self._audit.table.classes,
        )
        tables = {
            "summary": summary_table(runs, results),
            "per_class": per_class_table(runs, results),
            "confusion": confusion_table(runs, results),
            "history": pd.concat(
                [self._ledger.history(run_id) for run_id in runs["run_id"]], ignore_index=True
            ),
        }
        for name, table in tables.items():
            self._ledger.write(name, table)
        searched = (self._ledger.folder / "trials.csv").exists()
        return ExperimentResult(
            config=self._config,
            folder=self._ledger.folder,
            notice=self._audit.table.notice,
            runs=runs,
            trials=self._ledger.read("trials") if searched else None,
            splits=self._splits.manifest,
            export=self._export(runs) if self._config.export else None,
            **tables,
        )

    def _export(self, runs: pd.DataFrame) -> Path | None:
        """Export the chosen run, once, and check that it answers as the trained model."""
        record = self._ledger.folder / "export.json"
        directory = self._ledger.folder / "export"
        if record.exists():
            return latest_version(directory)
        chosen = runs[runs["run_id"] == best_run(runs)].iloc[0]
        if chosen["strategy"] == "majority_class":
            self._monitor.warn("Nothing was exported: the majority class is no model to serve.")
            return None
        self._monitor.stage("Exporting the model")
        config, table = self._config, self._audit.table
        trained = _unpack(self._ledger.weights(str(chosen["run_id"])), chosen, config)
        trainer = self._ready_trainer()
        path = export_classifier(
            trainer.inference_model(trained),
            labels=table.classes,
            image_size=config.backbone.image_size,
            resize=config.data.resize,
            directory=directory,
        )
        rows = np.linspace(0, len(self._splits.test) - 1, VERIFIED_IMAGES).round().astype(int)
        sample = self._splits.test[np.unique(rows)]
        check = verify_export(
            path,
            [Path(name) for name in table.frame["path"].iloc[sample]],
            trainer.probabilities(trained, sample),
            table.classes,
        )
        write_json(
            record,
            {
                "run_id": chosen["run_id"],
                "version": path.name,
                "verified_images": check.images,
                "largest_probability_difference": check.largest_difference,
                "labels": list(table.classes),
            },
        )
        self._ledger.keep_weights_of(str(chosen["run_id"]))
        return path


def _load_backbone(config: ExperimentConfig) -> tuple[Backbone, SourceCard | None]:
    settings = config.backbone
    model, card = load_source(
        settings.name,
        image_size=settings.image_size,
        alpha=settings.alpha,
        weights=settings.weights,
    )
    return Backbone.wrap(settings.name, settings.alpha, model), card


def _pack(trained: Trained) -> dict[str, np.ndarray]:
    parts = {"head": trained.head_weights, "backbone": trained.backbone_weights or []}
    return {
        f"{part}_{position:04d}": weight
        for part, weights in parts.items()
        for position, weight in enumerate(weights)
    }


def _unpack(stored: Mapping[str, np.ndarray], row: pd.Series, config: ExperimentConfig) -> Trained:
    """A trained classifier with what is needed to use it; its history stays in its tables."""
    head, backbone = (
        [stored[name] for name in sorted(stored) if name.startswith(part)]
        for part in ("head_", "backbone_")
    )
    depth = row["unfrozen_blocks"]
    recipe = Recipe(
        unfrozen_blocks="all" if depth == "all" else int(depth),
        augmentation=row["augmentation"],
        hidden_units=tuple(int(units) for units in str(row["hidden_units"]).split()),
        last_phase=config.training.phase_2,
        from_scratch=row["strategy"] == "from_scratch",
    )
    return Trained(
        recipe,
        head,
        backbone or None,
        pd.DataFrame(),
        row["validation_loss"],
        row["phase_1_seconds"],
        row["phase_2_seconds"],
        row["unfrozen_layers"],
        row["trainable_parameters"],
    )


def _versions() -> dict[str, str]:
    return {
        "tl_keras": __version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "keras_tuner": version("keras-tuner"),
    }


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "accelerators": [device.name for device in tf.config.list_physical_devices("GPU")],
        **_versions(),
        "numpy": np.__version__,
        "pandas": pd.__version__,
    }


def _peak_memory_megabytes() -> float:
    """Largest memory of this process so far; not a number where the system does not say."""
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
