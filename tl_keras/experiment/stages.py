"""One experiment, end to end: images, splits, runs, tables, and the model to serve."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tl_keras.config.files import load_config, parse_config
from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.audit import Audit, audit
from tl_keras.data.division import divide
from tl_keras.data.duplicate_groups import duplicates_across_splits, keep_together
from tl_keras.data.findings import in_order
from tl_keras.data.pixels import load_pictures
from tl_keras.data.sources import ImageTable, load_images
from tl_keras.data.splits import Splits
from tl_keras.errors import ExportError, ResultsError
from tl_keras.evaluation.positive_classes import check_positive
from tl_keras.experiment.as_source import export_source_model, source_facts
from tl_keras.experiment.conclusions import Concluder
from tl_keras.experiment.export import Exporter
from tl_keras.experiment.monitor import Monitor, Silent
from tl_keras.experiment.network_look import look_with_network
from tl_keras.experiment.run_maker import RunMaker
from tl_keras.models.backbone import Backbone
from tl_keras.models.source_card import SourceCard
from tl_keras.models.source_folder import SOURCE_MODEL_FOLDER
from tl_keras.models.source_models import load_source
from tl_keras.reporting.audit_page import audit_facts
from tl_keras.reporting.report import write_report
from tl_keras.results.audit_report import AuditReport
from tl_keras.results.choice import Choice
from tl_keras.results.environment import environment
from tl_keras.results.store import Ledger, runs_table, write_json
from tl_keras.serving.targets import check_targets
from tl_keras.serving.versions import EXPORT_FOLDER, find_version
from tl_keras.transfer.probing import choose_cut
from tl_keras.transfer.recipe import Trained
from tl_keras.transfer.source_checks import source_notes
from tl_keras.transfer.strategies import Run, fitting_depths, plan_runs


@dataclass(frozen=True)
class ExperimentResult:
    """The tables of a finished experiment, as they are in its folder.

    Attributes:
        config: defaults included.
        folder: `<results_dir>/<name>`.
        notice: a sentence to show beside every figure, or None.
        runs: one row per run.
        summary: one row per strategy, depth and training size.
        comparisons: one row per pair of strategies of the same training size.
        per_class: recall and precision per run and class.
        confusion: test images per run, true and predicted class.
        history: one row per run and epoch.
        trials: one row per trial of the search; None without one.
        probes: one row per linear probe and block; None without such a run.
        splits: every image's part in every run.
        choice: the run to hand over, and why.
        decision: what `decision.json` holds; None of a majority class alone.
        export: the SavedModel's folder; None where `export` is false.
    """

    config: ExperimentConfig
    folder: Path
    notice: str | None
    runs: pd.DataFrame
    summary: pd.DataFrame
    comparisons: pd.DataFrame
    per_class: pd.DataFrame
    confusion: pd.DataFrame
    history: pd.DataFrame
    trials: pd.DataFrame | None
    probes: pd.DataFrame | None
    splits: pd.DataFrame
    choice: Choice
    decision: dict[str, Any] | None
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


def export_experiment(
    folder: str | os.PathLike[str],
    targets: Sequence[str] = (),
    *,
    monitor: Monitor | None = None,
) -> Path:
    """Export the chosen run of a finished experiment again, as the next version.

    Args:
        folder: of the experiment, such as results/defects; it may lie elsewhere than it was made.
        targets: other formats to write as well, of `tl_keras.serving.targets.TARGETS`.
        monitor: hears about progress.

    Returns:
        The folder of the version.

    Raises:
        ConfigError: the configuration in the folder cannot be read.
        DataError: the images are no longer there.
        WeightsError: the source weights cannot be had.
        ResultsError: it is no folder of an experiment, or images or weights are not those of it.
        ExportError: nothing was exported before, or the model does not answer as the trained one.
    """
    path = Path(folder).resolve()
    if not (path / "config.json").is_file():
        raise ResultsError(
            f"{folder} must be the folder of a finished experiment, such as results/defects, with "
            "its config.json; got another path."
        )
    stored = load_config(path / "config.json")
    if path.name != stored.name:
        raise ResultsError(
            f"{folder} must have the name of its experiment, {stored.name}, to go on with it; got "
            f"{path.name}. Rename it."
        )
    check_targets(targets)
    moved = stored.model_copy(update={"results_dir": str(path.parent)})
    return _Experiment(moved, False, monitor or Silent()).export_again(targets)


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

    listed: ImageTable
    audit: Audit
    splits: Splits


def prepare_images(config: ExperimentConfig, monitor: Monitor) -> Images:
    """List, audit and divide the images; warnings go to the monitor.

    Raises:
        DataError: the images cannot be used.
        ConfigError: `decision.positive` names classes that they do not have.
    """
    monitor.stage("Looking at the images")
    data = config.data
    listed = load_images(data)
    checked = audit(
        listed,
        image_size=config.backbone.image_size,
        skip_unreadable=data.skip_unreadable,
        resize=data.resize,
    )
    check_positive(config.decision.positive, checked.table.classes)
    if data.keep_duplicates_together:
        checked = replace(checked, table=keep_together(checked.table, checked.duplicates))
    splits = divide(checked.table, config)
    leak = duplicates_across_splits(checked.table, checked.duplicates, splits)
    if leak is not None:
        checked = replace(checked, findings=in_order((*checked.findings, leak)))
    for finding in checked.findings:
        monitor.warn(finding.message)
    return Images(listed, checked, splits)


class _Experiment:
    def __init__(self, config: ExperimentConfig, fresh: bool, monitor: Monitor) -> None:
        self._config, self._monitor = config, monitor
        check_targets(config.export_targets if config.export else ())
        if config.deterministic:
            tf.config.experimental.enable_op_determinism()
        # Everything that can be wrong is found before the folder changes, what is quick first.
        if not fresh and Path(config.results_folder).is_dir():
            Ledger.check(config)
        self._backbone, self._card = load_backbone(config)
        images = prepare_images(config, monitor)
        self._listed, self._audit, self._splits = images.listed, images.audit, images.splits
        self._cut = self._chosen_cut()
        # What is borrowed, but for a search of other cuts.
        self._borrowed = self._backbone.cut_after(self._cut)
        self._planned = plan_runs(config, self._borrowed.block_names)
        self._warn_of_ranges_above_the_cut()
        self._ledger = Ledger.open(config, fresh=fresh)
        self._maker = RunMaker(
            config, self._backbone, self._cut, self._audit, self._splits, self._ledger, monitor
        )
        self._concluder = Concluder(
            config, self._audit, self._splits, self._ledger, self._maker, monitor
        )

    def run(self) -> ExperimentResult:
        self._write_inputs()
        self._advise()
        self._report_audit()
        planned = self._planned
        left = [run for run in planned if not self._ledger.is_finished(run.run_id)]
        self._monitor.plan(planned, len(planned) - len(left))
        for run in left:
            self._ledger.add(run.run_id, self._maker.make(run))
            self._monitor.run(run, self._ledger.row(run.run_id))
            self._write_runs(planned)
        return self._finish(planned)

    def _chosen_cut(self) -> str:
        """The block that `backbone.cut` stands for."""
        cut = self._config.backbone.cut
        if cut == "search":
            self._monitor.stage("Probing every block")
            return self._probed_cut()
        return self._backbone.block_names[-1] if cut == "top" else cut

    def _warn_of_ranges_above_the_cut(self) -> None:
        """A cut that the probes chose may lie below a range of blocks that was asked for."""
        depths = self._config.fine_tuning.unfrozen_blocks
        fitting = fitting_depths(depths, self._borrowed.block_names)
        missing = [str(depth) for depth in depths if ":" in str(depth) and depth not in fitting]
        if missing and "fine_tuning" in self._config.strategies:
            self._monitor.warn(
                f"Left out of fine_tuning.unfrozen_blocks: {', '.join(missing)}; the probes chose "
                f"the cut {self._cut}, which lies below."
            )

    def _probed_cut(self) -> str:
        """The block that linear probes choose, on training images that every size has."""
        frame, config = self._audit.table.frame, self._config
        rows = self._splits.draws[0, config.data.training_sizes[0]].train
        pixels = load_pictures(
            frame["path"].iloc[rows].tolist(),
            np.arange(len(rows)),
            image_size=config.backbone.image_size,
            resize=config.data.resize,
        )
        return choose_cut(
            self._backbone,
            pixels,
            frame["class_index"].to_numpy(np.int64)[rows],
            frame["group"].to_numpy(str)[rows],
        )

    def _write_inputs(self) -> None:
        frame, images = self._audit.table.frame, self._audit.images
        groups = images["image_id"].map(frame.set_index("image_id")["group"])
        self._ledger.keep_inputs(images.assign(group=groups), self._splits.manifest)
        self._ledger.write("ignored_files", self._audit.table.ignored)
        most = max(len(draw.train) for draw in self._splits.draws.values())
        notes = source_notes(self._card, most)
        for note in notes:
            self._monitor.warn(note)
        source = None if self._card is None else {**asdict(self._card), "notes": notes}
        self._ledger.keep_environment(
            {
                **environment(),
                "source": source,
                "source_weights_sha256": self._borrowed.source_digest(),
            }
        )

    def _advise(self) -> None:
        """Say what to borrow, once, where anything is borrowed."""
        record = self._ledger.folder / "advice.json"
        if self._borrows and not record.exists():
            advice = self._maker.advice(self._card)
            write_json(record, advice.as_dict())
            self._monitor.advise(advice)

    def _report_audit(self) -> None:
        """Write what was found among the images, once; labels too, where a network can judge."""
        record = self._ledger.folder / "audit.json"
        if record.exists():
            return
        report = AuditReport(self._config.name, self._listed, self._audit)
        if self._borrows and self._config.backbone.weights is not None:
            report = look_with_network(report, *self._maker.pooled_blocks())
            for text in report.label_warnings():
                self._monitor.warn(text)
        for name, table in report.tables().items():
            self._ledger.write(name, table)
        write_json(record, audit_facts(report))

    @property
    def _borrows(self) -> bool:
        """Whether any strategy uses the source weights."""
        return bool(set(self._config.strategies) - {"majority_class", "from_scratch"})

    def _write_runs(self, planned: tuple[Run, ...]) -> pd.DataFrame:
        """The table of the runs finished so far, in the planned order."""
        finished = [run.run_id for run in planned if self._ledger.is_finished(run.run_id)]
        table = runs_table([self._ledger.row(run_id) for run_id in finished])
        self._ledger.write("runs", table)
        table.to_parquet(self._ledger.folder / "runs.parquet", index=False)
        return table

    def _finish(self, planned: tuple[Run, ...]) -> ExperimentResult:
        runs = self._write_runs(planned)
        results = self._concluder.results(runs)
        tables = self._concluder.tables(runs, results)
        probes = self._concluder.probes(runs)
        self._concluder.learning_curve(runs, results)
        choice = self._concluder.choose(runs, self._backbone.block_names[-1])
        decision = self._concluder.decide(runs, choice.run_id)
        self._concluder.explain(runs, choice.run_id)
        export = self._export(runs, choice.run_id) if self._config.export else None
        write_report(self._ledger.folder)
        return ExperimentResult(
            config=self._config,
            folder=self._ledger.folder,
            notice=self._audit.table.notice,
            runs=runs,
            trials=self._ledger.trials(),
            probes=probes,
            splits=self._splits.manifest,
            choice=choice,
            decision=decision,
            export=export,
            **tables,
        )

    def _export(self, runs: pd.DataFrame, run_id: str) -> Path | None:
        """Export a run, once, and check that it answers as the trained model."""
        if (self._ledger.folder / "export.json").exists():
            directory = self._ledger.folder / EXPORT_FOLDER
            return directory / str(find_version(directory).number)
        chosen = runs[runs["run_id"] == run_id].iloc[0]
        if chosen["strategy"] == "majority_class":
            self._monitor.warn("Nothing was exported: the majority class is no model to serve.")
            return None
        return self._publish(chosen, self._config.export_targets)

    def export_again(self, targets: Sequence[str]) -> Path:
        """Export the same run as the next version, from the weights that were kept."""
        record = self._ledger.folder / "export.json"
        if not record.exists():
            raise ExportError(
                f"{self._ledger.folder} has no exported run yet: set export to true and run the "
                "experiment to its end; what is trained is kept."
            )
        self._write_inputs()
        runs, run_id = self._write_runs(self._planned), json.loads(record.read_text())["run_id"]
        self._concluder.decide(runs, run_id)
        return self._publish(runs[runs["run_id"] == run_id].iloc[0], targets)

    def _publish(self, run: pd.Series, targets: Sequence[str]) -> Path:
        self._monitor.stage(f"Exporting {run['run_id']}")
        self._warn_of_guessing(run)
        exporter = Exporter(
            self._config,
            self._audit,
            self._splits,
            self._ledger,
            self._maker,
            self._card,
            self._monitor,
        )
        exported = exporter.export(run, targets)
        # before the record, so that a killed experiment that lacks it makes it when it goes on
        self._export_source(str(run["run_id"]), exported.trained)
        exporter.record(exported)
        self._ledger.keep_weights_of(str(run["run_id"]))
        return exported.path

    def _export_source(self, run_id: str, trained: Trained) -> None:
        """Keep the backbone of the chosen run for other experiments, if it is whole and changed."""
        if not trained.backbone_weights:
            return
        row, trainer = self._ledger.row(run_id), self._maker.trainer()
        backbone = trainer.trained_backbone(trained)
        if not backbone.is_whole:
            return
        draw = self._splits.draws[row["seed"], row["train_per_class"]]
        export_source_model(
            self._ledger.folder / SOURCE_MODEL_FOLDER,
            backbone,
            trainer.images.pixels,
            draw.train,
            source_facts(row, self._config, self._backbone.spec.scaling, self._card),
        )

    def _warn_of_guessing(self, chosen: pd.Series) -> None:
        guessing = float(np.log(chosen["classes"]))
        if chosen["validation_loss"] > 0.95 * guessing:
            self._monitor.warn(
                f"{chosen['run_id']} is exported and hardly better than guessing: validation "
                f"cross-entropy {chosen['validation_loss']:.3f}, that of guessing {guessing:.3f}."
            )


def load_backbone(config: ExperimentConfig) -> tuple[Backbone, SourceCard | None]:
    """The whole backbone with its source weights, and the card of their source.

    Raises:
        WeightsError: the weights cannot be had or do not fit.
    """
    settings = config.backbone
    # random source weights (`weights` null) must be the same when the experiment is started again
    keras.utils.set_random_seed(0)
    model, card = load_source(
        settings.name,
        image_size=settings.image_size,
        alpha=settings.alpha,
        weights=settings.weights,
    )
    return Backbone.wrap(settings.name, settings.alpha, model), card
