"""One experiment, end to end: the stages in their order, and what they leave."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from tl_keras.config.files import check_folder_name, load_config
from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.corrections import COLUMNS
from tl_keras.data.picture_rows import with_rows
from tl_keras.digests import whole_json
from tl_keras.errors import NoExportError
from tl_keras.experiment.advise import write_advice
from tl_keras.experiment.audit import report_audit
from tl_keras.experiment.choose import choose
from tl_keras.experiment.compare import begin_small_runs, compare, write_learning_curves
from tl_keras.experiment.decide import decide
from tl_keras.experiment.expected_time import CURVE, ERRORS, EXPORT, REFIT, REPORT, expected_seconds
from tl_keras.experiment.explain import explain
from tl_keras.experiment.export import export, exported_run, publish
from tl_keras.experiment.first_look import FirstLook, look_at_results, look_before
from tl_keras.experiment.hand_over import hand_over
from tl_keras.experiment.inputs import Configuration, experiment_config
from tl_keras.experiment.monitor import Monitor, Silent
from tl_keras.experiment.network_choice import scaling_doubt
from tl_keras.experiment.prepare import Prepared, prepare
from tl_keras.experiment.train import RunsLeft, runs_left, write_runs
from tl_keras.experiment.workers import starting_workers
from tl_keras.keras_settings import needed_keras
from tl_keras.reporting.answer import answer
from tl_keras.reporting.folder_readme import write_readme
from tl_keras.reporting.report import write_report
from tl_keras.results.choice import Choice
from tl_keras.results.environment import environment
from tl_keras.results.finished_experiment import FinishedExperiment, check_experiment_folder
from tl_keras.results.folder_lock import alone_in
from tl_keras.results_layout import CONFIG
from tl_keras.results_layout import REPORT as PAGE
from tl_keras.serving.keras_file import read_model
from tl_keras.serving.predictions import predict
from tl_keras.serving.targets import check_targets
from tl_keras.serving.wheels import HERE, Destination
from tl_keras.transfer.determinism import deterministic_ops
from tl_keras.transfer.seeds import seeds_kept
from tl_keras.transfer.source_checks import source_notes
from tl_keras.transfer.threads import fix_threads, training_threads


@dataclass(frozen=True, repr=False)
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
        splits: every image's part in every run; with arrays the column row says which it is.
        choice: the run to hand over, and why.
        decision: what `decision.json` holds; None of a majority class alone.
        export: the SavedModel's folder; None where `export` is false or a majority class is all.
        answer: to the experiment's question, in sentences, as the report begins.
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
    answer: tuple[str, ...]

    def __repr__(self) -> str:
        """In words: tables and settings would fill the cell of a notebook."""
        exported = "nothing is exported" if self.export is None else str(self.export)
        report = self.folder / PAGE
        return "\n".join([*self.answer, f"The report: {report}", f"The model: {exported}"])

    def _repr_html_(self) -> str:
        """The same for notebooks, with the accuracy of every strategy."""
        ends = [f"test_accuracy_{end}" for end in ("mean", "low", "high")]
        swept = ["train_per_class"] * bool(self.summary["train_per_class"].notna().any())
        table = self.summary[["strategy", *swept, "n", *ends]]
        told = "".join(f"<p>{escape(line)}</p>" for line in repr(self).split("\n"))
        return told + str(table.to_html(index=False, float_format="{:.1%}".format))

    @property
    def finished(self) -> FinishedExperiment:
        """All that lies in the folder, by name: `.table("errors")`, `.facts("learning_curve")`."""
        return FinishedExperiment.open(self.folder)

    def predict(self, photos: Any) -> pd.DataFrame:
        """What the exported model says of photos: a row each, as `tl_keras.predict`."""
        return predict(self.folder, photos)

    @needed_keras()
    def model(self) -> keras.Model:
        """The exported run's classifier, RGB pixels 0..255 (batch, size, size, 3) to probabilities.

        A plain model of Keras with weights of its own, read anew from `model.keras` at each call:
        it can be saved, trained further, and loaded where this package is not installed.

        Raises:
            ExportError: nothing was exported.
        """
        return read_model(self.folder, trust_code=self.config.backbone.trust_code)


@needed_keras()
def run_experiment(
    config: Configuration | None = None,
    *,
    images: Any = None,
    name: str | None = None,
    fresh: bool = False,
    monitor: Monitor | None = None,
    **settings: Any,
) -> ExperimentResult:
    """Run an experiment, or what is left of it.

    Args:
        config: a configuration, the same as a dict, or the path of a JSON file or of a folder of
            images; None where `images` says what it is about.
        images: a folder, a table, arrays `(x, y)` or `(x, y, groups)`, or a `tf.data.Dataset` of
            (image, label); see `tl_keras.experiment.inputs.experiment_config`.
        name: of the folder for the results; None is that of the images.
        fresh: move existing results of this name aside first.
        monitor: hears about progress.
        settings: further keys of an experiment file, such as `seeds=1` or
            `backbone={"image_size": 96}`.

    Raises:
        ConfigError: the configuration is not valid.
        DataError: the images cannot be used.
        WeightsError: the source weights cannot be had or do not fit.
        ResultsError: the folder holds results of another configuration, or another process works
            there.
        ExportError: a target needs what is not installed, or the exported model does not answer as
            the trained one.
    """
    checked, monitor = experiment_config(config, images, name, settings), monitor or Silent()
    with alone_in(Path(checked.results_folder), monitor.warn):
        return run_stages(look_before(checked, fresh=fresh), monitor)


@needed_keras()
def run_stages(looked: FirstLook, monitor: Monitor) -> ExperimentResult:
    """Run an experiment whose folder is held and that was looked at; as `run_experiment`."""
    if note := fix_threads(training_threads(looked.config)):
        monitor.warn(note)
    with (
        seeds_kept(),
        deterministic_ops(looked.config.deterministic),
    ):
        with starting_workers(looked, monitor) as workers:
            prepared = prepare(looked, monitor, mend=True)
            write_inputs(prepared)
            write_readme(prepared.store.folder)
            left, pool = runs_left(prepared), workers(prepared)
            seconds = expected_seconds(prepared.config, prepared.images.splits, left)
            training = RunsLeft(prepared, pool, left, seconds)
            training.begin()
            write_advice(prepared)
            report_audit(prepared)
            finished = len(prepared.planned) - len(left)
            monitor.plan(prepared.planned, finished, sum(seconds.values()))
            runs = training.finish()
            # the workers make them while this process explains and exports
            small = begin_small_runs(prepared, pool)
            if small is None:
                pool.close()
            tables = compare(prepared, runs)
            choice = choose(prepared, runs)
            handed = hand_over(prepared, runs, choice.run_id)
            monitor.progress(seconds.get(REFIT, 0.0))
            decision = decide(prepared, runs, choice.run_id, handed)
            explain(prepared, runs, choice.run_id)
            monitor.progress(seconds[ERRORS])
            curves = partial(write_learning_curves, prepared, runs, small)
            exported = export(prepared, handed, curves)
            monitor.progress(seconds.get(EXPORT, 0.0))
            curves()
            monitor.progress(seconds.get(CURVE, 0.0))
        monitor.stage("Drawing the report")
        write_report(prepared.store.folder)
        monitor.progress(seconds[REPORT])
    return ExperimentResult(
        config=prepared.asked,
        folder=prepared.store.folder,
        notice=prepared.images.table.notice,
        runs=runs,
        trials=prepared.store.trials(),
        splits=with_rows(prepared.images.splits.manifest),
        choice=choice,
        decision=decision,
        export=exported,
        answer=tuple(answer(FinishedExperiment.open(prepared.store.folder))),
        **vars(tables),
    )


@needed_keras()
def export_experiment(
    folder: str | os.PathLike[str],
    targets: Sequence[str] = (),
    *,
    destination: Destination = HERE,
    monitor: Monitor | None = None,
) -> Path:
    """Export the chosen run of a finished experiment again, as the next version.

    Args:
        folder: of the experiment, such as results/defects; it may lie elsewhere than it was made.
        targets: other formats to write as well, of `tl_keras.target_table.TARGETS`.
        destination: where a target with libraries, such as "portable", shall run.
        monitor: hears about progress.

    Returns:
        The folder of the version.

    Raises:
        ConfigError: the configuration in the folder cannot be read, or the folder was renamed.
        DataError: the images are no longer there.
        WeightsError: the source weights cannot be had.
        ResultsError: it is no folder of an experiment, images or weights are not those of it, a
            file in it is damaged, or another process works there.
        ExportError: nothing was exported before, or the model does not answer as the trained one.
    """
    path = Path(os.path.realpath(folder))
    check_experiment_folder(Path(folder))
    whole_json(path / CONFIG)
    stored = load_config(path / CONFIG)
    check_folder_name(path, stored)
    check_targets(targets)
    moved = stored.model_copy(update={"results_dir": str(path.parent)})
    run_id, monitor = exported_run(path), monitor or Silent()
    with (
        alone_in(path, monitor.warn),
        seeds_kept(),
        deterministic_ops(moved.deterministic),
    ):
        prepared = prepare(look_at_results(moved), monitor)
        write_inputs(prepared)
        runs = write_runs(prepared)
        handed = hand_over(prepared, runs, run_id)
        if handed is None:
            raise NoExportError(f"{run_id} of {folder} must be a model; got the majority class.")
        decide(prepared, runs, run_id, handed)
        return publish(prepared, handed, targets, destination=destination)


def write_inputs(prepared: Prepared) -> None:
    """Write what all runs rest on: images, splits, versions, the source; warn of a poor source."""
    table, images, store = prepared.images.table, prepared.images.audit.images, prepared.store
    groups = images["image_id"].map(table.frame.set_index("image_id")["group"])
    splits, said = prepared.images.splits.manifest, None
    if table.corrections:
        said = pd.DataFrame(map(asdict, table.corrections))[list(COLUMNS)]
    store.keep_inputs(images.assign(group=groups), splits, said)
    store.write("ignored_files", table.ignored)
    most = max(len(draw.train) for draw in prepared.images.splits.draws.values())
    notes = source_notes(prepared.card, most)
    doubt = scaling_doubt(prepared.bench, prepared.images.splits.labelled(seed=0))
    for note in notes:
        prepared.monitor.warn(note)
    if doubt is not None:
        notes = (*notes, doubt)
        if prepared.networks is None:  # else it was told when this network was measured
            prepared.monitor.warn(doubt)
    source = None if prepared.card is None else {**asdict(prepared.card), "notes": notes}
    digest = prepared.borrowed.source_digest()
    store.keep_environment({**environment(), "source": source, "source_weights_sha256": digest})
