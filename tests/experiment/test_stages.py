"""An experiment end to end, on photos of three colours and a network of three blocks."""

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import tl_keras.experiment.export
import tl_keras.experiment.prepare
import tl_keras.experiment.stages
from tests.hostile.damaged_results import DAMAGES
from tests.hostile.older_folders import put_back
from tl_keras.backbone_table import BACKBONES
from tl_keras.config.files import fingerprint
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.data.pixels import load_pictures
from tl_keras.data.rows import whole
from tl_keras.errors import (
    ConfigError,
    DamagedError,
    DataError,
    ExportError,
    ResultsError,
    WeightsError,
)
from tl_keras.experiment.advise import advise
from tl_keras.experiment.monitor import Silent
from tl_keras.experiment.prepare import Images
from tl_keras.experiment.stages import ExperimentResult, export_experiment, run_experiment
from tl_keras.models.blocks import find_blocks
from tl_keras.models.keras_internals import ops_are_deterministic
from tl_keras.models.networks import scaling_layer
from tl_keras.models.sources.source_card import write_source_model
from tl_keras.models.sources.source_models import load_source
from tl_keras.results.repair import set_aside_damaged
from tl_keras.results.runs_table import FinishedRun, load_runs
from tl_keras.results.store import Store
from tl_keras.results_layout import place
from tl_keras.serving.verify import verify_export
from tl_keras.transfer.probes import LinearProbes
from tl_keras.transfer.run_plan import Run
from tl_keras.transfer.selection_losses import cross_fitted_losses
from tl_keras.transfer.trials import Trial

# KerasTuner asks for the current thread by its old name.
pytestmark = [
    pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning"),
    pytest.mark.usefixtures("without_report"),
]

CLASSES = ["amber", "blue", "green"]
PROMISED_COLUMNS = {
    "experiment",
    "run_id",
    "strategy",
    "seed",
    "train_per_class",
    "labelled_images_per_class",
    "unfrozen_blocks",
    "unfrozen_layers",
    "trainable_parameters",
    "validation_loss",
    "validation_accuracy",
    "test_accuracy",
    "test_macro_f1",
    "test_balanced_accuracy",
    "phase_1_seconds",
    "phase_2_seconds",
    "peak_memory_megabytes",
    "configuration_hash",
    "tl_keras_version",
    "tensorflow_version",
    "keras_version",
}
TABLES = ("runs", "summary", "per_class", "confusion", "history", "trials", "splits")


Configure = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def configure(
    photos: Path, tiny_backbone: None, checked_here: None, advised_once: None
) -> Configure:
    """`configure(results, **keys)`: all strategies, two seeds, two sizes, short training."""

    def configured(results: Path, **keys: Any) -> dict[str, Any]:
        training = {
            "batch_size": 8,
            "phase_1": {"epochs": 3, "learning_rate": 0.1},
            "phase_2": {"epochs": 2, "learning_rate": 0.01},
            "from_scratch": {"epochs": 2, "learning_rate": 0.01},
        }
        return {
            "name": "colours",
            "data": {
                "folder": photos,
                "train_per_class": [3, 5],
                "validation_per_class": 3,
                "test_fraction": 0.4,
            },
            "backbone": {"name": "Tiny", "weights": None, "image_size": 32},
            "training": training,
            "strategies": [
                "majority_class",
                "from_scratch",
                "feature_extraction",
                "fine_tuning",
                "searched",
            ],
            "fine_tuning": {"unfrozen_blocks": [1]},
            "search": {"max_trials": 2, "unfrozen_blocks": [1, 2], "learning_rates": [0.01]},
            "seeds": 2,
            "results_dir": results,
            "export": False,  # its check needs a process of its own, for some seconds
        } | keys

    return configured


class Listener(Silent):
    """Keeps what it hears; `stop_after` runs it raises KeyboardInterrupt."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.warnings: list[str] = []
        self.stages: list[str] = []
        self.finished_before = 0
        self.planned_seconds = self.done_seconds = 0.0
        self.runs: list[str] = []
        self.trials: list[Trial] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def plan(self, runs: tuple[Run, ...], finished: int, seconds: float) -> None:
        self.finished_before, self.planned_seconds = finished, seconds

    def progress(self, seconds: float) -> None:
        self.done_seconds += seconds

    def trial(self, trial: Trial) -> None:
        self.trials.append(trial)

    def run(self, run: Run, finished: FinishedRun) -> None:
        self.runs.append(run.run_id)
        if len(self.runs) == self.stop_after:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def listener() -> Listener:
    return Listener()


@pytest.fixture(scope="module")
def result(
    configure: Configure, listener: Listener, tmp_path_factory: pytest.TempPathFactory
) -> ExperimentResult:
    """The one experiment that most tests look at."""
    results = tmp_path_factory.mktemp("results")
    return run_experiment(configure(results, export=True), monitor=listener)


def without_measurements(table: pd.DataFrame) -> pd.DataFrame:
    """A table without its columns of time and memory."""
    return table.drop(columns=list(table.filter(regex="seconds|memory")))


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(place(folder, f"{name}.csv"))


def assert_same_tables(folder: Path, other: Path) -> None:
    """Every table is the same in both folders, bit for bit, time and memory aside."""
    for name in TABLES:
        pd.testing.assert_frame_equal(
            without_measurements(read(folder, name)),
            without_measurements(read(other, name)),
            check_exact=True,
            obj=name,
        )


def test_the_runs_are_all_that_were_planned(result: ExperimentResult, listener: Listener) -> None:
    sizes, strategies, seeds = 2, 5, 2
    assert len(result.runs) == sizes * strategies * seeds
    assert sorted(result.runs["run_id"]) == sorted(listener.runs)
    assert result.runs["run_id"].is_unique


def test_runs_have_the_promised_columns(result: ExperimentResult) -> None:
    assert set(result.runs) >= PROMISED_COLUMNS


def test_every_score_of_a_run_is_a_number(result: ExperimentResult) -> None:
    scores = ["validation_loss", "test_loss"]
    fractions = [
        "validation_accuracy",
        "test_accuracy",
        "test_macro_f1",
        "test_balanced_accuracy",
    ]
    assert np.isfinite(result.runs[scores]).all(axis=None)
    assert result.runs[fractions].ge(0).all(axis=None)
    assert result.runs[fractions].le(1).all(axis=None)


def test_labelled_images_are_training_and_validation_images(result: ExperimentResult) -> None:
    runs = result.runs
    assert (runs["labelled_images_per_class"] == runs["train_per_class"] + 3).all()
    assert (runs["training_images"] == 3 * runs["train_per_class"]).all()


def test_depth_and_trained_layers_follow_the_strategy(result: ExperimentResult) -> None:
    runs = result.runs.drop_duplicates("strategy").set_index("strategy")
    # convolution and BatchNorm of three blocks; a head of 6 x 3 weights and 3 biases
    assert runs.loc["from_scratch", "unfrozen_layers"] == 6
    assert runs.loc["feature_extraction", "unfrozen_layers"] == 0
    assert runs.loc["feature_extraction", "trainable_parameters"] == 21
    assert runs.loc["feature_extraction", "unfrozen_blocks"] == "0"
    # one convolution of 3 x 3 x 6 x 6 weights and 6 biases; its BatchNorm stays frozen
    assert runs.loc["fine_tuning", "unfrozen_layers"] == 1
    assert runs.loc["fine_tuning", "trainable_parameters"] == 21 + 330
    assert runs.loc["majority_class", "trainable_parameters"] == 0


def test_runs_say_what_the_images_cost_to_train_and_how_long(result: ExperimentResult) -> None:
    trained = result.runs[result.runs["strategy"] != "majority_class"]
    assert (trained["phase_1_seconds"] + trained["phase_2_seconds"] > 0).all()
    assert (result.runs["peak_memory_megabytes"] > 50).all()


@pytest.mark.parametrize("name", [*TABLES, "images", "ignored_files"])
def test_every_table_is_a_file(result: ExperimentResult, name: str) -> None:
    assert place(result.folder, f"{name}.csv").is_file()


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_in_memory_are_those_on_disk(result: ExperimentResult, name: str) -> None:
    in_memory = getattr(result, name)
    pd.testing.assert_frame_equal(
        read(result.folder, name), pd.read_csv(io.StringIO(in_memory.to_csv(index=False)))
    )


def test_the_parquet_file_holds_the_runs(result: ExperimentResult) -> None:
    stored = pd.read_parquet(place(result.folder, "runs.parquet"))
    pd.testing.assert_frame_equal(stored, result.runs, check_exact=True)


def test_the_configuration_is_written_with_its_defaults(result: ExperimentResult) -> None:
    stored = json.loads((result.folder / "config.json").read_text())
    assert stored == result.config.as_dict()
    assert stored["training"]["optimizer"] == "adam"


def test_the_environment_is_written(result: ExperimentResult) -> None:
    stored = json.loads(place(result.folder, "environment.json").read_text())
    assert stored["tensorflow"] == result.runs["tensorflow_version"].iloc[0]
    assert stored["source"] is None, "random weights saw no images"


def test_history_joins_the_phases_of_each_run(result: ExperimentResult) -> None:
    phases = result.history.groupby("run_id")["phase"].unique()
    assert list(phases["feature_extraction-n3-s0"]) == ["head"]
    assert list(phases["fine_tuning-1-n3-s0"]) == ["head", "fine_tuning"]
    assert list(phases["from_scratch-n3-s0"]) == ["from_scratch"]
    epochs = result.runs.set_index("run_id")["epochs"]
    counted = result.history["run_id"].value_counts()
    assert epochs[epochs > 0].to_dict() == counted.to_dict()


def test_epochs_are_whole_numbers(result: ExperimentResult) -> None:
    assert pd.api.types.is_integer_dtype(result.history["epoch"])


def test_fine_tuning_is_never_worse_than_its_head_on_validation(result: ExperimentResult) -> None:
    losses = result.runs.set_index(["strategy", "train_per_class", "seed"])["validation_loss"]
    assert (losses["fine_tuning"] <= losses["feature_extraction"]).all()


def test_summary_has_a_row_per_strategy_and_size(result: ExperimentResult) -> None:
    summary = result.summary
    assert len(summary) == 10
    assert summary["n"].eq(2).all()
    accuracy = result.runs.groupby(["strategy", "train_per_class"])["test_accuracy"]
    found = summary.set_index(["strategy", "train_per_class"]).sort_index()
    assert np.allclose(found["test_accuracy_mean"], accuracy.mean())
    assert np.allclose(found["test_accuracy_sd"], accuracy.std(ddof=1))
    assert (found["test_accuracy_low"] <= found["test_accuracy_mean"]).all()
    assert (found["test_accuracy_mean"] <= found["test_accuracy_high"]).all()


def test_every_strategy_is_compared_with_feature_extraction(result: ExperimentResult) -> None:
    summary = result.summary
    reference = summary["strategy"] == "feature_extraction"
    assert summary.loc[reference, "sentence"].isna().all()
    assert summary.loc[~reference, "sentence"].str.contains("feature extraction").all()
    summary = summary.set_index("strategy")
    # the difference is that of the means over the same seeds and test images
    for size, rows in summary.groupby("train_per_class"):
        means = rows["test_accuracy_mean"]
        difference = means.drop("feature_extraction") - means["feature_extraction"]
        found = rows["difference"].drop("feature_extraction")
        assert np.allclose(difference, found), f"{size} images per class"


def test_tables_on_the_test_split_agree_with_the_runs(result: ExperimentResult) -> None:
    confusion = result.confusion
    right = confusion["true_class"] == confusion["predicted_class"]
    accuracy = (
        confusion[right].groupby("run_id")["count"].sum()
        / confusion.groupby("run_id")["count"].sum()
    )
    runs = result.runs.set_index("run_id")
    assert np.allclose(accuracy[runs.index], runs["test_accuracy"])
    recall = result.per_class.groupby("run_id")["recall"].mean()
    assert np.allclose(recall[runs.index], runs["test_balanced_accuracy"])


def test_trials_of_every_size_are_kept_with_one_winner_each(result: ExperimentResult) -> None:
    assert result.trials is not None
    by_size = result.trials.groupby("train_per_class")
    assert by_size.size().to_dict() == {3: 2, 5: 2}
    assert by_size["chosen"].sum().eq(1).all()
    chosen = result.trials[result.trials["chosen"]].set_index("train_per_class")
    assert chosen["within_one_se"].all()
    assert (result.trials["folds"] == 3).all()
    assert (result.trials["milliseconds_per_image"] > 0).all()
    searched = result.runs[result.runs["strategy"] == "searched"]
    depth = searched.groupby("train_per_class")["unfrozen_blocks"].unique()
    assert [list(depths) for depths in depth] == [
        [str(blocks)] for blocks in chosen["unfrozen_blocks"]
    ]
    cuts = searched.groupby("train_per_class")["cut"].unique()
    assert [list(cut) for cut in cuts] == [[cut] for cut in chosen["cut"]]


def test_the_monitor_hears_of_every_trial(result: ExperimentResult, listener: Listener) -> None:
    assert result.trials is not None
    assert [trial.validation_loss for trial in listener.trials] == result.trials[
        "validation_loss"
    ].tolist()


def test_splits_are_disjoint_and_share_one_test_split(result: ExperimentResult) -> None:
    splits = result.splits
    test = set(splits.loc[splits["part"] == "test", "image_id"])
    assert len(test) == result.runs["test_images"].iloc[0] == 18
    for _, draw in splits[splits["part"] != "test"].groupby(["seed", "train_per_class"]):
        assert draw["image_id"].is_unique
        assert not test & set(draw["image_id"])


def test_the_exported_run_is_the_chosen_one(result: ExperimentResult) -> None:
    record = json.loads(place(result.folder, "export.json").read_text())
    assert json.loads(place(result.folder, "choice.json").read_text()) == asdict(result.choice)
    assert record["run_id"] == result.choice.run_id
    chosen = result.runs.set_index("run_id").loc[record["run_id"]]
    assert chosen["train_per_class"] == result.runs["train_per_class"].max()
    assert record["labels"] == CLASSES


def test_runs_are_compared_by_losses_that_their_images_did_not_choose(
    result: ExperimentResult,
) -> None:
    store, splits = Store(result.folder), result.splits
    groups = pd.read_csv(place(result.folder, "images.csv")).set_index("image_id")["group"]
    validation = splits[splits["part"] == "validation"].groupby(["seed", "train_per_class"])
    for run in map(FinishedRun.from_row, result.runs.to_dict("records")):
        losses = store.selection_losses(run.run_id)
        assert len(losses) == run.validation_images
        assert losses.mean() == pytest.approx(run.selection_loss)
        if run.epochs == 0:
            images = validation.get_group((run.seed, run.train_per_class))
            said = np.log(store.validation_probabilities(run.run_id))
            own = groups.loc[images["image_id"]].to_numpy()
            expected = cross_fitted_losses(said[np.newaxis], images["class_index"].to_numpy(), own)
            np.testing.assert_allclose(losses, expected)
    chosen = result.runs[result.runs["epochs"] > 1]
    assert (chosen["selection_loss"] != chosen["validation_loss"]).all()


def test_the_export_is_verified_and_lies_where_a_server_looks(result: ExperimentResult) -> None:
    assert result.export == result.folder / "export" / "1"
    # for the cell of a notebook
    told = repr(result).split("\n")
    assert told[:-2] == list(result.answer)
    assert str(result.export) in told[-1]
    assert "<table" in result._repr_html_()
    assert all(escape(line) in result._repr_html_() for line in told)
    assert (result.folder / "export" / "1" / "saved_model.pb").is_file()
    record = json.loads(place(result.folder, "export.json").read_text())
    assert record["verified_images"] == 18
    assert record["largest_probability_difference"] <= 1e-4


def card_of(version: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((version / "assets.extra" / "model_card.json").read_text())
    return card


def test_the_card_says_what_was_trained_and_measured(result: ExperimentResult) -> None:
    assert result.export is not None
    card = card_of(result.export)
    run = result.runs.set_index("run_id").loc[card["run"]["run_id"]]
    assert card["metrics"]["accuracy"] == run["test_accuracy"]
    assert card["metrics"]["test_images"] == card["verification"]["images"] == 18
    assert card["trained_on"]["training_images"] == run["training_images"]
    assert card["trained_on"]["per_class"]["test"] == dict.fromkeys(CLASSES, 6)
    assert card["configuration_hash"] == run["configuration_hash"]
    assert card["source"] is None, "random weights saw no images"
    assert card["milliseconds_per_image"]["batch_32"] > 0


@pytest.mark.slow
def test_a_finished_experiment_is_exported_again_wherever_it_lies(
    result: ExperimentResult, tmp_path: Path
) -> None:
    pytest.importorskip("ai_edge_litert", reason="the extra litert is not installed")
    folder = shutil.copytree(result.folder, tmp_path / "moved" / "colours")
    before = sorted((folder / "export" / "1").rglob("*"))
    listener = Listener()
    again = export_experiment(folder, ["litert", "litert_int8"], monitor=listener)
    assert again == folder / "export" / "2"
    assert (folder / "export" / "latest").read_text() == "2\n"
    assert sorted((folder / "export" / "1").rglob("*")) == before
    assert card_of(again)["metrics"] == card_of(folder / "export" / "1")["metrics"]
    assert json.loads(place(folder, "export.json").read_text())["version"] == "2"
    table = pd.read_csv(place(folder, "exports.csv"))
    assert table["target"].tolist() == ["saved_model", "litert", "litert_int8"]
    assert (table["labels_equal"][:2] == 1).all()
    assert (again / "assets.extra" / "classifier.tflite").is_file()
    steps = [text for text in listener.stages if "litert" in text or "SavedModel" in text]
    assert steps == [
        "Writing the SavedModel",
        "Checking the SavedModel",
        "Writing litert (1 of 2)",
        "Trying litert (1 of 2) on the test photos",
        "Writing litert_int8 (2 of 2)",
        "Trying litert_int8 (2 of 2) on the test photos",
    ]
    export_experiment(folder, ["litert"])
    table = pd.read_csv(place(folder, "exports.csv"))
    assert table["version"].tolist() == [3, 3, 2, 2, 2]
    assert table["target"].tolist()[:2] == ["saved_model", "litert"]


def test_a_renamed_folder_is_not_exported(result: ExperimentResult, tmp_path: Path) -> None:
    folder = shutil.copytree(result.folder, tmp_path / "colors")
    with pytest.raises(ConfigError, match=r"the experiment colours.*got colors"):
        export_experiment(folder)


@pytest.mark.slow
def test_a_target_that_cannot_be_written_is_left_out(
    result: ExperimentResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*asked: Any) -> None:
        raise ExportError("The converter cannot write this model.")

    monkeypatch.setattr("tl_keras.experiment.export.write_target", refuse)
    monkeypatch.setattr("tl_keras.experiment.stages.check_targets", lambda names: None)
    folder, listener = shutil.copytree(result.folder, tmp_path / "colours"), Listener()
    assert export_experiment(folder, ["onnx"], monitor=listener).name == "2"
    assert "onnx is left out: The converter cannot write this model." in listener.warnings
    assert pd.read_csv(place(folder, "exports.csv"))["target"].tolist() == ["saved_model"]


def test_what_was_never_exported_cannot_be_exported_again(quick: Configure) -> None:
    folder = run_experiment(quick()).folder
    with pytest.raises(ExportError, match=r"no exported run yet: .*export=True"):
        export_experiment(folder)


def test_weights_are_kept_for_the_exported_run_only(result: ExperimentResult) -> None:
    kept = [path.parent.name for path in place(result.folder, "runs").glob("*/weights.npz")]
    assert kept == [json.loads(place(result.folder, "export.json").read_text())["run_id"]]


def test_what_takes_seconds_is_made_first(listener: Listener) -> None:
    quick = [name.startswith(("majority_class", "feature_extraction")) for name in listener.runs]
    assert quick == sorted(quick, reverse=True)


def test_what_was_planned_is_what_was_done(result: ExperimentResult, listener: Listener) -> None:
    """Learning curve, explanations and export too."""
    assert listener.done_seconds == pytest.approx(listener.planned_seconds)
    assert listener.planned_seconds > 0


@pytest.mark.slow
def test_a_finished_experiment_started_again_trains_nothing(
    result: ExperimentResult, configure: Configure
) -> None:
    before = place(result.folder, "runs.csv").read_bytes()
    listener = Listener()
    again = run_experiment(configure(result.folder.parent, export=True), monitor=listener)
    assert (listener.finished_before, listener.runs) == (20, [])
    assert place(result.folder, "runs.csv").read_bytes() == before
    assert again.export == result.export


@pytest.mark.slow
def test_a_killed_experiment_goes_on_where_it_was(
    result: ExperimentResult, configure: Configure, tmp_path: Path
) -> None:
    config = configure(tmp_path, export=True)
    # between the two runs that follow the search of the first size
    killed = Listener(stop_after=17)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(config, monitor=killed)
    folder = tmp_path / "colours"
    assert len(read(folder, "runs")) >= 16
    half_written = place(folder, "runs") / ".searched-n3-s1"
    half_written.mkdir()
    (half_written / "row.json").write_text("{")

    resumed = Listener()
    run_experiment(config, monitor=resumed)

    assert resumed.finished_before == 17
    assert sorted(killed.runs + resumed.runs) == sorted(result.runs["run_id"])
    assert_same_tables(folder, result.folder)
    assert (
        place(folder, "export.json").read_text() == place(result.folder, "export.json").read_text()
    )


@pytest.mark.slow
@pytest.mark.parametrize("step", ["record_latest", "publish"])
def test_an_export_that_was_killed_at_its_end_leaves_one_version(
    result: ExperimentResult,
    configure: Configure,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    folder = shutil.copytree(result.folder, tmp_path / "colours")
    place(folder, "export.json").unlink()
    shutil.rmtree(folder / "export")
    module = "versions" if step == "record_latest" else "saved_model"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(f"tl_keras.serving.{module}.{step}", killed)
        run_experiment(configure(tmp_path, export=True))
    run_experiment(configure(tmp_path, export=True))
    assert sorted(path.name for path in (folder / "export").iterdir()) == ["1", "latest"]
    assert (folder / "export" / "latest").read_text() == "1\n"
    assert (
        place(folder, "export.json").read_text() == place(result.folder, "export.json").read_text()
    )


@pytest.mark.slow
def test_the_test_labels_change_nothing_but_the_figures_on_the_test_split(
    result: ExperimentResult,
    configure: Configure,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare = tl_keras.experiment.prepare.prepare_images

    def relabelled(*arguments: Any) -> Images:
        images = prepare(*arguments)
        frame, test = images.audit.table.frame, images.splits.test_of(0)
        frame.loc[test, "class_index"] = (frame.loc[test, "class_index"] + 1) % 3
        return images

    monkeypatch.setattr(tl_keras.experiment.prepare, "prepare_images", relabelled)
    other = run_experiment(configure(tmp_path, export=True))

    def without_test(runs: pd.DataFrame) -> pd.DataFrame:
        return without_measurements(runs.drop(columns=list(runs.filter(regex="^test_(?!images)"))))

    pd.testing.assert_frame_equal(without_test(other.runs), without_test(result.runs))
    assert not np.allclose(other.runs["test_accuracy"], result.runs["test_accuracy"])
    for name in ("history", "trials"):
        pd.testing.assert_frame_equal(
            without_measurements(getattr(other, name)), without_measurements(getattr(result, name))
        )
    records = [json.loads(place(r.folder, "export.json").read_text()) for r in (other, result)]
    assert records[0]["run_id"] == records[1]["run_id"]
    weights = [
        np.load(place(r.folder, "runs") / records[0]["run_id"] / "weights.npz")
        for r in (other, result)
    ]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[1])


REMADE = (
    "advice.json",
    "audit.json",
    "choice.json",
    "errors.json",
    "learning_curve.json",
    "decision.json",
    "comparisons.csv",
    "per_class.csv",
    "learning_curve.csv",
    "findings.csv",
    "errors.csv",
)


def damaged(result: ExperimentResult, results: Path, *names: str) -> Path:
    """A copy of finished results with some damages of `DAMAGES`."""
    folder = shutil.copytree(result.folder, results / result.folder.name)
    for name in names:
        assert DAMAGES[name](folder), name
    return folder


def assert_made_again(result: ExperimentResult, folder: Path) -> None:
    """All that the two experiments have in common is the same."""
    assert_same_tables(folder, result.folder)
    for name in REMADE:
        texts = [place(where, name).read_text() for where in (folder, result.folder)]
        assert texts[0] == texts[1] or "seconds" in texts[0], name
    assert set_aside_damaged(folder) is None


@pytest.mark.slow
def test_results_of_an_earlier_version_go_on_and_nothing_is_trained(
    result: ExperimentResult, configure: Configure, tmp_path: Path
) -> None:
    folder, listener = put_back(damaged(result, tmp_path)), Listener()
    run_experiment(configure(tmp_path, export=True), monitor=listener)
    assert (listener.finished_before, listener.runs) == (20, [])
    assert [text for text in listener.warnings if "Not as they were written" in text] == []
    assert_made_again(result, folder)
    entries = [path.name for path in folder.iterdir()]
    assert len(entries) <= 10
    readme = (folder / "README.md").read_text()
    assert [name for name in entries if f"- `{name}" not in readme] == ["README.md"]


@pytest.mark.slow
def test_damaged_tables_and_records_are_made_again_and_nothing_is_trained(
    result: ExperimentResult, configure: Configure, tmp_path: Path
) -> None:
    names = [name for name in DAMAGES if name.endswith(" halved") and "/" not in name]
    guards = ("images", "splits", "environment", "digests", "export.json", "probes", "label_errors")
    chosen = [name for name in names if not name.startswith(guards)]
    folder = damaged(result, tmp_path, *chosen, "search/*/trials.csv zeroed")
    listener = Listener()
    run_experiment(configure(tmp_path, export=True), monitor=listener)
    assert listener.runs == []
    (note,) = [text for text in listener.warnings if "Not as they were written" in text]
    assert all(name.split()[0] in note for name in chosen)
    assert_made_again(result, folder)
    assert (
        place(folder, "export.json").read_text() == place(result.folder, "export.json").read_text()
    )


@pytest.mark.slow
def test_records_that_nothing_proves_are_made_again_and_nothing_is_trained(
    result: ExperimentResult, configure: Configure, tmp_path: Path
) -> None:
    folder = damaged(result, tmp_path, "digests.json halved", "learning_curve.csv gone")
    # as good to read as before
    for name in ("advice.json", "audit.json", "errors.json", "learning_curve.json", "choice.json"):
        place(folder, name).write_text("{}")
    place(folder, "model.keras").write_bytes(b"PK")
    listener = Listener()
    run_experiment(configure(tmp_path, export=True), monitor=listener)
    assert listener.runs == []
    assert_made_again(result, folder)
    assert isinstance(keras.models.load_model(place(folder, "model.keras")), keras.Model)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["runs/*/row.json a number", "runs/*/history.csv halved at a line"]
)
def test_a_damaged_run_is_made_again_and_no_other(
    result: ExperimentResult, configure: Configure, tmp_path: Path, name: str
) -> None:
    folder = damaged(result, tmp_path, name)
    listener = Listener()
    run_experiment(configure(tmp_path, export=True), monitor=listener)
    assert len(listener.runs) == 1
    assert_made_again(result, folder)


@pytest.mark.slow
def test_whatever_is_damaged_is_made_again_or_refused(
    result: ExperimentResult, configure: Configure, tmp_path: Path
) -> None:
    refused = []
    names = list(DAMAGES)
    for number, name in enumerate((*names[::18], *names[-2:])):
        results = tmp_path / str(number)
        folder = shutil.copytree(result.folder, results / result.folder.name)
        if not DAMAGES[name](folder):
            continue
        try:
            run_experiment(configure(results, export=True))
        except ResultsError as error:
            assert str(folder) in str(error), name
            refused.append(name)
        else:
            assert_same_tables(folder, result.folder)
            assert set_aside_damaged(folder) is None, name
        shutil.rmtree(results)
    assert {name.split()[0] for name in refused} <= {"environment.json", "images.csv"}


@pytest.mark.slow
def test_photos_that_were_replaced_are_refused(
    configure: Configure, photos: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(photos, tmp_path / "photos")
    config = configure(tmp_path / "results", strategies=["majority_class"])
    config["data"] = config["data"] | {"folder": own}
    run_experiment(config)
    shutil.copy(own / "blue" / "1.png", own / "green" / "2.png")
    with pytest.raises(ResultsError, match=r"images\.csv differs in .* green/2\.png"):
        run_experiment(config)
    (own / "green" / "2.png").unlink()
    with pytest.raises(ResultsError, match=r"images\.csv differs in .* green/2\.png"):
        run_experiment(config)


def test_an_export_of_damaged_results_is_refused_by_the_file(
    result: ExperimentResult, tmp_path: Path
) -> None:
    for name in ("export.json halved", "config.json zeroed", "runs/*/row.json null"):
        folder = damaged(result, tmp_path / name.replace("/", "_"), name)
        with pytest.raises(DamagedError) as refused:
            export_experiment(folder)
        assert refused.value.path.name == name.split()[0].split("/")[-1]


@pytest.fixture
def quick(configure: Configure, tmp_path: Path) -> Configure:
    """`quick(**keys)`: the majority class alone, which trains nothing."""
    return lambda **keys: configure(tmp_path / "results", strategies=["majority_class"]) | keys


@pytest.mark.slow
def test_a_file_a_dict_and_a_configuration_give_the_same(quick: Configure, tmp_path: Path) -> None:
    file = tmp_path / "colours.json"
    file.write_text(json.dumps(quick(), default=str))
    from_dict = run_experiment(quick())
    assert run_experiment(file).runs.equals(from_dict.runs)
    assert run_experiment(str(file)).runs.equals(from_dict.runs)
    assert run_experiment(from_dict.config).runs.equals(from_dict.runs)


def test_a_folder_of_images_is_run_under_its_name(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[Any] = []

    class ReachedError(Exception):
        pass

    def load_source(*arguments: Any, **settings: Any) -> None:
        asked.append((arguments, settings))
        raise ReachedError

    monkeypatch.setattr("tl_keras.models.sources.source_models.load_source", load_source)
    # as where there is a network
    for module in ("tl_keras.models.sources.source_places", "tl_keras.experiment.prepare"):
        monkeypatch.setattr(f"{module}.check_imagenet", lambda *given, **how: None)
    with pytest.raises(ReachedError):
        run_experiment(photos)
    assert asked == [(("MobileNetV2",), {"image_size": 160, "alpha": None, "weights": "imagenet"})]


def test_the_majority_class_alone_exports_nothing_and_says_so(quick: Configure) -> None:
    listener = Listener()
    result = run_experiment(quick(export=True), monitor=listener)
    assert result.export is None
    assert any("Nothing was exported" in text for text in listener.warnings)
    assert not (result.folder / "export").exists()


def test_the_majority_class_has_the_loss_of_the_class_shares(quick: Configure) -> None:
    runs = run_experiment(quick()).runs
    assert np.allclose(runs["validation_loss"], np.log(3))
    assert np.allclose(runs["test_accuracy"], 1 / 3)


def test_export_false_exports_nothing(configure: Configure, tmp_path: Path) -> None:
    config = configure(tmp_path, strategies=["feature_extraction"], seeds=1, export=False)
    assert run_experiment(config).export is None
    assert not (tmp_path / "colours" / "export").exists()


@pytest.mark.slow
def test_the_export_answers_as_measured_before_a_restart(
    configure: Configure, photos: Path, tmp_path: Path
) -> None:
    config = configure(tmp_path, strategies=["feature_extraction"], seeds=1, export=True)
    keras.utils.set_random_seed(1)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(config, monitor=Listener(stop_after=2))
    keras.utils.set_random_seed(2)
    result = run_experiment(config)
    run_id = json.loads(place(result.folder, "export.json").read_text())["run_id"]
    measured = np.load(place(result.folder, "runs") / run_id / "probabilities.npz")["test"]
    test = result.splits.loc[result.splits["part"] == "test", "image_id"]
    assert result.export is not None
    verify_export(result.export, [photos / name for name in test], measured, CLASSES)


def test_a_changed_configuration_is_refused_with_the_difference(quick: Configure) -> None:
    folder = run_experiment(quick()).folder
    before = place(folder, "runs.csv").read_bytes()
    with pytest.raises(ResultsError, match=r"(?s)another configuration.*seeds: 2 -> 3.*fresh=True"):
        run_experiment(quick(seeds=3))
    assert place(folder, "runs.csv").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys", [{"description": "other"}, {"export": True}, {"decision": {"miss_cost": 5}}]
)
def test_what_changes_no_number_may_change(quick: Configure, keys: dict[str, Any]) -> None:
    first = run_experiment(quick())
    again = run_experiment(quick(**keys))
    assert again.runs.equals(first.runs)


@pytest.mark.slow
def test_results_that_were_moved_go_on_elsewhere(quick: Configure, tmp_path: Path) -> None:
    first = run_experiment(quick())
    first.folder.parent.rename(tmp_path / "moved")
    listener = Listener()
    run_experiment(quick(results_dir=tmp_path / "moved"), monitor=listener)
    assert listener.runs == []


@pytest.mark.slow
def test_fresh_moves_the_old_results_aside(quick: Configure) -> None:
    first = run_experiment(quick())
    old = first.runs
    run_experiment(quick(seeds=3), fresh=True)
    aside = [path for path in first.folder.parent.iterdir() if path != first.folder]
    assert [path.name.startswith("colours.") for path in aside] == [True]
    assert len(read(aside[0], "runs")) == len(old)


def test_a_folder_with_other_files_is_refused(quick: Configure, tmp_path: Path) -> None:
    mine = tmp_path / "results" / "colours" / "thesis.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(ResultsError, match=r"colours must be empty or hold results"):
        run_experiment(quick())
    assert [path.name for path in mine.parent.iterdir()] == ["thesis.txt"]


@pytest.mark.slow
def test_images_that_changed_since_are_refused(
    quick: Configure, photos: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shutil.copytree(photos, own)
    data = quick()["data"] | {"folder": own}
    run_experiment(quick(data=data))
    (own / "blue" / "0.png").unlink()
    with pytest.raises(ResultsError, match=r"(?s)images.*blue/0\.png.*fresh=True"):
        run_experiment(quick(data=data))


def test_nothing_is_written_when_the_images_cannot_be_used(
    quick: Configure, tmp_path: Path
) -> None:
    data = {"folder": tmp_path / "absent"}
    with pytest.raises(DataError, match="absent"):
        run_experiment(quick(data=data))
    assert not (tmp_path / "results").exists()


def test_a_wrong_key_is_refused_before_anything(quick: Configure, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sedes"):
        run_experiment(quick(sedes=2))
    assert not (tmp_path / "results").exists()


def test_findings_about_the_images_reach_the_monitor(
    quick: Configure, photos: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shutil.copytree(photos, own)
    (own / "blue" / "notes.txt").write_text("taken in May")
    listener = Listener()
    run_experiment(quick(data=quick()["data"] | {"folder": own}), monitor=listener)
    assert any("blue/notes.txt" in text for text in listener.warnings)


def test_runs_of_several_experiments_load_into_one_table(
    result: ExperimentResult, quick: Configure
) -> None:
    results = result.folder.parent
    run_experiment(quick(name="other", results_dir=results))
    runs = load_runs(results)
    assert runs["experiment"].value_counts().to_dict() == {"colours": 20, "other": 4}
    assert set(runs) >= PROMISED_COLUMNS


def test_rate_of_feature_extraction_is_that_of_phase_1(result: ExperimentResult) -> None:
    rates = result.runs.set_index("strategy")["learning_rate"]
    training = result.config.training
    assert (rates.loc[["feature_extraction"]] == training.phase_1.learning_rate).all()
    assert (rates.loc[["fine_tuning"]] == training.phase_2.learning_rate).all()


def read_card(folder: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((place(folder, "source_model") / "card.json").read_text())
    return card


@pytest.fixture(scope="module")
def faces(configure: Configure, tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    """From scratch on nine pictures: an experiment that leaves a source model."""
    results = tmp_path_factory.mktemp("source")
    data = configure(results)["data"] | {"train_per_class": 3}
    strategies = ["majority_class", "from_scratch"]
    return run_experiment(
        configure(results, name="faces", data=data, strategies=strategies, seeds=1, export=True)
    )


@pytest.fixture
def from_faces(configure: Configure, faces: ExperimentResult, tmp_path: Path) -> Configure:
    """`from_faces(**keys)`: fine-tuning of all blocks from the source model of `faces`."""
    backbone = configure(tmp_path)["backbone"] | {"weights": str(faces.folder)}
    keys = {
        "strategies": ["fine_tuning"],
        "export": True,
        "fine_tuning": {"unfrozen_blocks": ["all"]},
        "seeds": 1,
        "backbone": backbone,
        "data": configure(tmp_path)["data"] | {"train_per_class": 5},
    }
    return lambda **more: configure(tmp_path, **(keys | more))


@pytest.mark.slow
def test_a_run_from_scratch_leaves_a_source_model(faces: ExperimentResult) -> None:
    card = read_card(faces.folder)
    run = faces.runs.set_index("run_id").loc["from_scratch-n3-s0"]
    statistics, sha256 = card.pop("block_statistics"), card.pop("weights_sha256")
    assert (list(statistics), len(sha256)) == (["stem", "block1", "top"], 64)
    assert card == {
        "name": "faces",
        "backbone": "Tiny",
        "alpha": None,
        "images": 9,
        "classes": 3,
        "image_size": 32,
        "channels": 3,
        "scaling": "tf",
        "licence": "unknown",
        "generated": False,
        "description": "Trained from scratch on the images of experiment faces.",
        "started_from": None,
        "run_id": "from_scratch-n3-s0",
        "held_out_accuracy": run["test_accuracy"],
        "held_out_images": 18,
        "seconds": run["phase_1_seconds"] + run["phase_2_seconds"],
        "versions": {
            name: run[f"{name}_version"]
            for name in ("tl_keras", "tensorflow", "keras", "keras_tuner")
        },
        "configuration_hash": fingerprint(faces.config),
        "configuration": faces.config.as_dict(),
    }


@pytest.mark.slow
def test_the_source_model_has_the_weights_of_the_chosen_run(faces: ExperimentResult) -> None:
    with np.load(place(faces.folder, "runs") / "from_scratch-n3-s0" / "weights.npz") as stored:
        trained = [stored[name] for name in sorted(stored) if name.startswith("backbone")]
    backbone, _ = load_source("Tiny", image_size=32, weights=str(faces.folder))
    for weight, expected in zip(backbone.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.slow
def test_block_statistics_are_those_of_the_training_images(
    faces: ExperimentResult, photos: Path
) -> None:
    splits = faces.splits
    names = splits.loc[splits["part"] == "train", "image_id"]
    paths = [photos / name for name in names]
    pixels = load_pictures(paths, np.arange(9), image_size=32, reading=DEFAULTS)
    backbone, _ = load_source("Tiny", image_size=32, weights=str(faces.folder))
    stem = find_blocks(backbone, BACKBONES["Tiny"])[0].output
    scaled = scaling_layer(BACKBONES["Tiny"].scaling)(whole(pixels).astype(np.float32))
    activations = np.asarray(keras.Model(backbone.input, stem)(scaled, training=False))
    found = read_card(faces.folder)["block_statistics"]["stem"]
    np.testing.assert_allclose(found["mean"], activations.mean(axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(found["variance"], activations.var(axis=(0, 1, 2)), rtol=1e-4)


@pytest.mark.slow
def test_an_experiment_starts_from_a_finished_one(
    from_faces: Configure, faces: ExperimentResult
) -> None:
    listener = Listener()
    result = run_experiment(from_faces(name="digits"), monitor=listener)
    note = "The source faces saw 9 images, fewer than the 15 training images here"
    assert [text.startswith(note) for text in listener.warnings if "source" in text] == [True]
    source = json.loads(place(result.folder, "environment.json").read_text())["source"]
    assert (source["name"], source["images"]) == ("faces", 9)
    assert [text.startswith(note) for text in source["notes"]] == [True]
    card = read_card(result.folder)
    assert (card["started_from"], card["images"]) == ("faces", 9 + 15)
    assert card["description"] == "Fine-tuned from faces on the images of experiment digits."


@pytest.mark.slow
def test_a_source_of_unknown_size_makes_the_sum_unknown(
    from_faces: Configure, faces: ExperimentResult, tmp_path: Path
) -> None:
    file = shutil.copy(
        place(faces.folder, "source_model") / "model.weights.h5", tmp_path / "a.weights.h5"
    )
    backbone = from_faces()["backbone"] | {"weights": str(file)}
    result = run_experiment(from_faces(backbone=backbone))
    card = read_card(result.folder)
    assert (card["images"], card["started_from"]) == (None, "a.weights.h5")


@pytest.mark.slow
def test_other_source_weights_in_the_same_folder_are_refused(
    from_faces: Configure, faces: ExperimentResult, tmp_path: Path
) -> None:
    folder = shutil.copytree(place(faces.folder, "source_model"), tmp_path / "source")
    config = from_faces(
        backbone=from_faces()["backbone"] | {"weights": str(folder)},
        strategies=["feature_extraction"],
        export=False,
    )
    run_experiment(config)
    backbone, _ = load_source("Tiny", image_size=32, weights=str(folder))
    backbone.set_weights([2 * weight for weight in backbone.get_weights()])
    card = read_card(faces.folder)
    card.pop("weights_sha256")
    write_source_model(folder, backbone, card)
    with pytest.raises(ResultsError, match="source weights are not those of the results"):
        run_experiment(config)
    run_experiment(config, fresh=True)


@pytest.mark.slow
def test_a_run_from_scratch_owes_nothing_to_the_source(from_faces: Configure) -> None:
    result = run_experiment(from_faces(strategies=["from_scratch"]))
    card = read_card(result.folder)
    assert (card["images"], card["started_from"]) == (15, None)


@pytest.mark.slow
def test_a_finished_experiment_keeps_its_source_model(faces: ExperimentResult) -> None:
    def written() -> dict[str, int]:
        folder = place(faces.folder, "source_model")
        return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}

    before = written()
    run_experiment(faces.config)
    assert written() == before


@pytest.mark.slow
def test_a_kill_before_the_record_of_the_export_loses_no_source_model(
    from_faces: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tl_keras.experiment.export, "export_source_model", killed)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(from_faces())
    result = run_experiment(from_faces())
    assert read_card(result.folder)["started_from"] == "faces"


@pytest.mark.slow
def test_feature_extraction_leaves_no_source_model_and_names_what_it_used(
    from_faces: Configure, faces: ExperimentResult
) -> None:
    result = run_experiment(from_faces(strategies=["feature_extraction"]))
    assert not place(result.folder, "source_model").exists()
    backbone = from_faces()["backbone"] | {"weights": str(result.folder)}
    with pytest.raises(WeightsError, match=f'started from "{faces.folder}"'):
        run_experiment(from_faces(name="second", backbone=backbone))


@pytest.fixture(scope="module")
def probed(configure: Configure, tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    """Linear probes of two sizes, exported."""
    results = tmp_path_factory.mktemp("probed")
    return run_experiment(configure(results, strategies=["linear_probe"], export=True))


def test_a_linear_probe_looks_at_every_block_and_averages_some(probed: ExperimentResult) -> None:
    assert probed.probes is not None
    assert len(probed.probes) == 2 * 2 * 4, "seeds, sizes, blocks and their average"
    sharing = probed.probes[probed.probes["weight"] > 0].groupby("run_id")["block"]
    runs = probed.runs.set_index("run_id")
    assert sharing.agg(" ".join).to_dict() == runs["head_blocks"].to_dict()
    assert sharing.last().to_dict() == runs["cut"].to_dict()
    written = pd.read_csv(place(probed.folder, "probes.csv"))
    assert written["block"].tolist() == ["stem", "block1", "top", "average"] * 4
    # training and validation images
    assert written["images"].tolist() == [18] * 8 + [24] * 8


def test_a_linear_probe_learns_and_trains_the_head_alone(probed: ExperimentResult) -> None:
    assert (probed.runs["test_accuracy"] > 0.5).all()
    assert (probed.runs["unfrozen_blocks"] == "0").all()
    # six channels after every block, perhaps with their deviations, three classes
    blocks = probed.runs["head_blocks"].str.count(" ") + 1
    features = blocks * 6 * probed.runs["pooling"].map({"mean": 1, "mean_std": 2})
    assert (probed.runs["trainable_parameters"] == features * 3 + 3).all()
    assert (probed.runs["train_on"] == "all").all()


def test_an_exported_linear_probe_answers_as_measured(probed: ExperimentResult) -> None:
    record = json.loads(place(probed.folder, "export.json").read_text())
    assert record["run_id"].startswith("linear_probe")
    assert record["largest_probability_difference"] < 1e-4
    assert not place(probed.folder, "source_model").exists()


@pytest.mark.slow
def test_a_linear_probe_goes_on_where_it_was(configure: Configure, tmp_path: Path) -> None:
    config = configure(tmp_path, strategies=["linear_probe"])
    with pytest.raises(KeyboardInterrupt):
        run_experiment(config, monitor=Listener(stop_after=1))
    again = run_experiment(config)
    other = run_experiment(configure(tmp_path / "b", strategies=["linear_probe"]))
    assert again.probes is not None
    assert other.probes is not None
    pd.testing.assert_frame_equal(again.probes, other.probes)
    columns = ["run_id", "cut", "head_blocks", "validation_loss", "test_accuracy"]
    pd.testing.assert_frame_equal(again.runs[columns], other.runs[columns])


def test_other_strategies_use_the_whole_backbone(result: ExperimentResult) -> None:
    others = result.runs[result.runs["strategy"] != "searched"]
    assert set(others["cut"].dropna()) == {"top"}
    assert result.probes is None
    assert not place(result.folder, "probes.csv").exists()


@pytest.fixture(scope="module")
def cut(configure: Configure, tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    """Strategies that borrow the first two of three blocks."""
    return run_experiment(
        configure(
            tmp_path_factory.mktemp("cut"),
            backbone={"name": "Tiny", "weights": None, "image_size": 32, "cut": "block1"},
            strategies=["from_scratch", "linear_probe", "feature_extraction", "fine_tuning"],
            fine_tuning={"unfrozen_blocks": [1, "all"]},
            seeds=1,
        )
    )


@pytest.mark.slow
def test_a_cut_leaves_out_what_lies_above(cut: ExperimentResult) -> None:
    runs = cut.runs.set_index(["strategy", "unfrozen_blocks"])
    assert set(cut.runs.loc[cut.runs["strategy"] == "feature_extraction", "cut"]) == {"block1"}
    assert set(cut.runs.loc[cut.runs["strategy"] == "linear_probe", "cut"]) <= {"stem", "block1"}
    # Convolutions of 3 x 3 from 3 to 6 and from 6 to 6 channels, with biases; BatchNorm is frozen.
    head, stem, block = 6 * 3 + 3, 27 * 6 + 6, 54 * 6 + 6
    parameters = runs["trainable_parameters"].groupby(level=[0, 1]).first()
    assert parameters["fine_tuning", "1"] == head + block
    assert parameters["fine_tuning", "all"] == head + block + stem


@pytest.mark.slow
def test_a_cut_classifier_is_smaller_than_the_whole(cut: ExperimentResult) -> None:
    size = cut.runs.groupby("strategy")["parameters"].first()
    assert size["from_scratch"] - size["feature_extraction"] == 54 * 6 + 6 + 4 * 6
    assert (cut.runs["milliseconds_per_image"] > 0).all()
    megabytes = cut.runs["parameters"] * 4 / 2**20
    np.testing.assert_allclose(cut.runs["classifier_megabytes"], megabytes)


@pytest.mark.slow
def test_from_scratch_trains_the_whole_network_beside_a_cut(cut: ExperimentResult) -> None:
    row = cut.runs[cut.runs["strategy"] == "from_scratch"].iloc[0]
    assert row["cut"] == "top"
    norms = 3 * 2 * 6
    assert row["trainable_parameters"] == 6 * 3 + 3 + 27 * 6 + 6 + 2 * (54 * 6 + 6) + norms


@pytest.mark.slow
def test_a_cut_classifier_is_exported_and_checked(configure: Configure, tmp_path: Path) -> None:
    backbone = {"name": "Tiny", "weights": None, "image_size": 32, "cut": "block1"}
    config = configure(
        tmp_path, backbone=backbone, strategies=["fine_tuning"], seeds=1, export=True
    )
    result = run_experiment(config)
    record = json.loads(place(result.folder, "export.json").read_text())
    assert record["largest_probability_difference"] < 1e-4
    assert not place(result.folder, "source_model").exists()
    source = backbone | {"weights": str(result.folder), "cut": "top"}
    with pytest.raises(WeightsError, match="backbone was cut"):
        run_experiment(config | {"name": "second", "backbone": source})


@pytest.mark.slow
def test_a_searched_cut_is_the_one_that_probes_choose(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def first_block(probes: LinearProbes, train: np.ndarray, *others: Any) -> str:
        seen.append(len(train))
        return "stem"

    monkeypatch.setattr(LinearProbes, "choose_cut", first_block)
    listener = Listener()
    result = run_experiment(
        configure(
            tmp_path,
            backbone={"name": "Tiny", "weights": None, "image_size": 32, "cut": "search"},
            strategies=["feature_extraction", "fine_tuning", "searched"],
            fine_tuning={"unfrozen_blocks": [2, 3, "stem:block1"]},
            search={"max_trials": 3, "unfrozen_blocks": [0, 1, 2, "all"], "oracle": "grid"},
            seeds=1,
        ),
        monitor=listener,
    )
    assert [text for text in listener.warnings if "stem:block1" in text]
    assert seen[0] == 3 * 3, "training images of the smallest size"
    assert set(result.runs["cut"]) == {"stem"}
    tuned = result.runs[result.runs["strategy"] == "fine_tuning"]
    assert tuned["unfrozen_blocks"].tolist() == ["all"] * 2, "one for each of two sizes"
    assert result.trials is not None
    assert set(result.trials["unfrozen_blocks"].astype(str)) <= {"0", "1", "all"}


def test_every_seed_from_scratch_trains_as_much(result: ExperimentResult) -> None:
    """Measuring the cost of the first run must not freeze the network of the next."""
    runs = result.runs[result.runs["strategy"] == "from_scratch"]
    assert runs["trainable_parameters"].nunique() == 1
    assert runs["unfrozen_layers"].nunique() == 1
    assert runs["unfrozen_layers"].iloc[0] == 6


@pytest.mark.slow
def test_a_second_experiment_computes_no_features_and_finds_the_same(
    configure: Configure, tmp_path: Path
) -> None:
    tables, segments = [], []
    for name in ("first", "second"):
        config = configure(
            tmp_path / "results",
            name=name,
            strategies=["feature_extraction", "fine_tuning"],
            cache={"folder": str(tmp_path / "features")},
        )
        tables.append(run_experiment(config).runs.filter(regex="^(test|validation)_"))
        segments.append(set(tmp_path.rglob("*.rows")))
    assert len(segments[0]) > 0
    assert segments[0] == segments[1]
    first, second = tables
    pd.testing.assert_frame_equal(first, second, check_exact=True)


@pytest.mark.slow
def test_a_folder_of_features_that_cannot_be_written_is_a_warning(
    configure: Configure, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    listener = Listener()
    config = configure(
        tmp_path / "results",
        strategies=["feature_extraction"],
        cache={"folder": str(tmp_path / "file")},
    )
    run_experiment(config, monitor=listener)
    assert sum("feature cache" in text for text in listener.warnings) == 1


@pytest.fixture(scope="module")
def low(configure: Configure, tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    """A search of a cut below that of the experiment, and a range of blocks fine-tuned."""
    return run_experiment(
        configure(
            tmp_path_factory.mktemp("low"),
            data={
                **configure(Path())["data"],
                "train_per_class": 5,
            },
            strategies=["fine_tuning", "searched"],
            fine_tuning={"unfrozen_blocks": ["stem:block1"]},
            search={"cuts": ["block1"], "unfrozen_blocks": ["stem:stem", 1], "max_trials": 2},
            seeds=1,
        )
    )


@pytest.mark.slow
def test_a_searched_run_ends_at_the_cut_of_the_winner(low: ExperimentResult) -> None:
    runs = low.runs.set_index("strategy")
    assert runs["cut"].to_dict() == {"fine_tuning": "top", "searched": "block1"}
    parameters = runs["parameters"].to_dict()
    # the third convolution and its BatchNorm
    assert parameters["fine_tuning"] - parameters["searched"] == 54 * 6 + 6 + 4 * 6
    assert low.trials is not None
    assert set(low.trials["cut"]) == {"block1"}


@pytest.mark.slow
def test_a_range_of_blocks_is_a_run_with_a_name_for_every_system(low: ExperimentResult) -> None:
    runs = low.runs.set_index("strategy")
    assert runs.loc["fine_tuning", "run_id"] == "fine_tuning-stem-to-block1-n5-s0"
    assert runs.loc["fine_tuning", "unfrozen_blocks"] == "stem:block1"
    # stem and block1, without the frozen block above, and the head
    assert runs.loc["fine_tuning", "trainable_parameters"] == 27 * 6 + 6 + 54 * 6 + 6 + 6 * 3 + 3


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["fine_tuning", "searched"])
def test_what_was_kept_of_a_run_answers_as_it_did(
    low: ExperimentResult, configure: Configure, tmp_path: Path, strategy: str
) -> None:
    config = low.config.model_dump(mode="json")
    config |= {"results_dir": str(tmp_path), "strategies": [strategy], "export": True}
    again = run_experiment(config)
    record = json.loads(place(again.folder, "export.json").read_text())
    assert record["run_id"].startswith(strategy)
    assert record["largest_probability_difference"] < 1e-4
    assert place(again.folder, "source_model").exists() == (strategy == "fine_tuning")


@pytest.mark.slow
def test_a_search_of_other_weights_does_not_go_on(configure: Configure, tmp_path: Path) -> None:
    class Killed(Listener):
        def trial(self, trial: Trial) -> None:
            raise KeyboardInterrupt

    config = configure(tmp_path, strategies=["searched"], seeds=1)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(config, monitor=Killed())
    record = place(tmp_path / "colours", "search") / "n3" / "search.json"
    facts = json.loads(record.read_text())
    record.write_text(json.dumps(facts | {"source_weights_sha256": "12ab"}))
    record.with_name("digests.json").unlink()
    with pytest.raises(ResultsError, match=r'n3 holds .*\n  source_weights_sha256: "12ab" -> "'):
        run_experiment(config)


def test_errors_audit_curve_and_report_are_written(result: ExperimentResult) -> None:
    errors = pd.read_csv(place(result.folder, "errors.csv"))
    pictures = {path.name for path in (result.folder / "errors").glob("*.jpg")}
    assert len(pictures) == 2 * len(errors) > 0
    wrong = json.loads(place(result.folder, "errors.json").read_text())
    assert wrong["run_id"] == json.loads(place(result.folder, "export.json").read_text())["run_id"]
    assert wrong["wrong"] == (~errors["right"]).sum()

    found = json.loads(place(result.folder, "audit.json").read_text())
    assert found["classes"] == [[label, 14, 14] for label in CLASSES]

    curve = pd.read_csv(place(result.folder, "learning_curve.csv"))
    measured = curve[(curve["kind"] == "measured") & (curve["strategy"] == "feature_extraction")]
    own = result.summary[result.summary["strategy"] == "feature_extraction"]
    assert measured["train_per_class"].tolist() == [3, 5]
    assert measured["accuracy"].tolist() == pytest.approx(own["test_accuracy_mean"].tolist())

    page = (result.folder / "report.html").read_text(encoding="utf-8")
    for section in ("audit", "strategies", "training", "classes", "errors", "curve", "made"):
        assert f'<h2 id="{section}">' in page


@pytest.mark.slow
def test_one_size_has_a_curve_of_the_quick_strategies_on_parts(
    configure: Configure, tmp_path: Path
) -> None:
    config = configure(tmp_path, strategies=["linear_probe", "feature_extraction"])
    config["data"] = config["data"] | {"train_per_class": 8, "validation_per_class": 2}
    config["data"]["test_fraction"] = 0.25
    result = run_experiment(config)
    curve = pd.read_csv(place(result.folder, "learning_curve.csv"))
    sizes = curve[curve["kind"] == "measured"].groupby("strategy")["train_per_class"].apply(list)
    assert sizes.to_dict() == {"linear_probe": [2, 4, 8], "feature_extraction": [2, 4, 8]}
    assert sorted(result.runs["train_per_class"].unique()) == [8], "small runs are not kept"
    whole = curve[(curve["kind"] == "measured") & (curve["train_per_class"] == 8)]
    assert whole["accuracy"].tolist() == pytest.approx(
        result.summary["test_accuracy_mean"].tolist()
    )


def test_runs_that_have_epochs_have_events_for_tensorboard(result: ExperimentResult) -> None:
    with_epochs = result.runs.loc[result.runs["epochs"] > 0, "run_id"]
    folders = {path.name for path in (result.folder / "tensorboard").iterdir()}
    assert folders == set(with_epochs)


def test_the_model_handed_over_answers_as_the_run_did(result: ExperimentResult) -> None:
    # whole numbers, to which the export rounds
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    model = result.model()
    before = model.predict(images, verbose=0)
    assert result.export is not None
    served = tf.saved_model.load(str(result.export)).signatures["serving_images"]
    answers = served(images=tf.constant(images))["probabilities"].numpy()
    np.testing.assert_allclose(before, answers, atol=1e-6)
    # what is done with one of them is nothing to the other, nor to the file
    other = result.model()
    other.set_weights([weights + 1 for weights in other.get_weights()])
    np.testing.assert_array_equal(model.predict(images, verbose=0), before)
    np.testing.assert_array_equal(result.model().predict(images, verbose=0), before)


def test_without_an_export_there_is_no_model(
    configure: Configure, tmp_path: Path, without_report: None
) -> None:
    result = run_experiment(configure(tmp_path, strategies=["majority_class"], seeds=1))
    with pytest.raises(ExportError, match="export"):
        result.model()


def test_an_experiment_leaves_operations_as_it_found_them(result: ExperimentResult) -> None:
    assert result.config.deterministic
    assert not ops_are_deterministic()


@pytest.mark.slow
def test_what_a_kill_left_out_after_the_export_is_made_up_for(
    result: ExperimentResult, configure: Configure, tmp_path: Path, without_report: None
) -> None:
    """Also what an earlier version did not write: the model for Keras."""
    folder = shutil.copytree(result.folder, tmp_path / "colours")
    place(folder, "model.keras").unlink()
    kept = next(place(folder, "runs").glob("*/weights.npz"))
    left = (
        next(path for path in place(folder, "runs").glob("*") if path != kept.parent)
        / "weights.npz"
    )
    shutil.copy(kept, left)
    again = run_experiment(configure(tmp_path, export=True))
    assert again.export == folder / "export" / "1"
    images = np.zeros((1, 32, 32, 3), np.float32)
    expected = result.model().predict(images, verbose=0)
    np.testing.assert_array_equal(again.model().predict(images, verbose=0), expected)
    assert list(place(folder, "runs").glob("*/weights.npz")) == [kept]


def test_the_random_numbers_of_the_caller_go_on(quick: Configure) -> None:
    np.random.seed(7)
    expected = np.random.random()
    np.random.seed(7)
    run_experiment(quick())
    assert np.random.random() == expected


def test_advice_on_a_draw_that_there_is_not_is_refused(quick: Configure) -> None:
    with pytest.raises(ConfigError, match="seed must"):
        advise(quick(), seed=99)
