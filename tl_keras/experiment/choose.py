"""The stage that chooses the run to explain, to decide with and to hand over."""

from dataclasses import asdict

import pandas as pd

from tl_keras.digests import keep_json, whole_json
from tl_keras.experiment.prepare import ADVICE, Prepared
from tl_keras.results.choice import Choice, OnValidation, choose_run, follows
from tl_keras.results.runs_table import FinishedRun


def choose(prepared: Prepared, runs: pd.DataFrame) -> Choice:
    """Choose on validation images alone, and write `choice.json`.

    Args:
        prepared: the experiment.
        runs: as `runs.csv`.
    """
    store = prepared.store
    record = store.place(ADVICE)
    advice = whole_json(record, ("strategy", "cut")) if record.exists() else None
    validation = {
        run.run_id: _on_validation(prepared, run)
        for run in map(FinishedRun.from_row, runs.to_dict("records"))
    }
    # the advice calls the last block of the whole backbone its top
    last_block = prepared.backbone.block_names[-1]
    choice = choose_run(
        runs, validation, lambda run: advice is not None and follows(advice, run, last_block)
    )
    keep_json(store.place("choice.json"), asdict(choice))
    return choice


def _on_validation(prepared: Prepared, run: FinishedRun) -> OnValidation:
    store, rows = prepared.store, prepared.draw_of(run).validation
    answers = store.validation_probabilities(run.run_id).argmax(axis=1)
    right = answers == prepared.labels[rows]
    return OnValidation(store.selection_losses(run.run_id), right, prepared.groups[rows])
