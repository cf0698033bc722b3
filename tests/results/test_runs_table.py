"""A finished run and its row."""

from tl_keras.results.runs_table import FinishedRun, runs_table

ROW = {
    "run_id": "linear_probe-n5-s0",
    "strategy": "linear_probe",
    "seed": 0,
    "test_accuracy": 0.5,
    "test_images": 8,
    "keras_version": "3.15.1",
}


def test_scores_and_versions_are_found_by_their_names() -> None:
    run = FinishedRun.from_row(ROW)
    assert run.test == {"accuracy": 0.5}
    assert run.versions == {"keras": "3.15.1"}
    assert run.test_images == 8


def test_a_column_that_an_earlier_version_did_not_write_is_missing_and_not_0() -> None:
    run = FinishedRun.from_row(ROW)
    assert run.as_row()["parameters"] is None
    assert runs_table([run])["classifier_megabytes"].isna().all()


def test_a_row_is_given_back_as_it_was() -> None:
    run = FinishedRun.from_row(ROW)
    assert ROW.items() <= run.as_row().items()
    assert FinishedRun.from_row(run.as_row()) == run
