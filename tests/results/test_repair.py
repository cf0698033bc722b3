"""Damaged results: refused by who reads, set aside by who goes on, never taken for whole."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.hostile.damaged_results import DAMAGES
from tl_keras.config.files import load_config
from tl_keras.config.schema import ExperimentConfig
from tl_keras.digests import DIGESTS, any_json, keep_json, list_in
from tl_keras.errors import DamagedError, ResultsError, TlKerasError
from tl_keras.reporting.report import write_report
from tl_keras.results import repair
from tl_keras.results.finished_experiment import FinishedExperiment
from tl_keras.results.repair import _MADE_AGAIN, ASIDE, set_aside, set_aside_damaged
from tl_keras.results.runs_table import load_runs
from tl_keras.results.store import Store
from tl_keras.results_layout import inner, place

TABLES = ("runs", "summary", "comparisons", "per_class", "confusion", "history", "images", "splits")
FACTS = ("environment", "choice")
Finish = Callable[..., Path]


@pytest.fixture
def folder(finish: Finish) -> Path:
    finished = finish(strategies=("feature_extraction", "fine_tuning"))
    store = Store(finished)
    for name in TABLES:
        store.write(name, store.read(name))
    store.write_runs(store.read("runs"))
    for name in ("config", *FACTS):
        keep_json(place(finished, f"{name}.json"), any_json(place(finished, f"{name}.json")))
    return finished


def without_digests(folder: Path) -> Path:
    """As a version before this one left it."""
    for path in list(folder.rglob(DIGESTS)):
        path.unlink()
    return folder


def all_that_is_read(folder: Path) -> dict[str, Any]:
    results = FinishedExperiment.open(folder)
    read: dict[str, Any] = {name: results.table(name) for name in TABLES}
    read |= {name: results.facts(name) for name in FACTS}
    read["chosen"] = dict(results.chosen), dict(results.summary_of(results.chosen))
    read["confused"], read["parquet"] = results.confusion, load_runs(folder.parent)
    for run_id in results.runs["run_id"]:
        store = Store(folder)
        read[f"run {run_id}"] = store.run(run_id)
        read[f"history {run_id}"] = store.histories([run_id])
        read[f"answers {run_id}"] = store.test_probabilities(run_id)
    return read


def same(a: Any, b: Any) -> bool:
    if isinstance(a, pd.DataFrame):
        return a.equals(b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    return repr(a) == repr(b)


# One damage in so many, of all that there are.
every = pytest.mark.parametrize("step", [11, pytest.param(3, marks=pytest.mark.slow)])


def damaged_copies(folder: Path, step: int) -> Iterator[tuple[str, Path]]:
    """Damages that this experiment has a file for, and a copy of the folder with each."""
    copy = folder.parent.parent / "damaged" / folder.name
    tried = 0
    for name, damage in list(DAMAGES.items())[::step]:
        shutil.copytree(folder, copy)
        if damage(copy):
            tried += 1
            yield name, copy
        shutil.rmtree(copy)
    assert tried > 72 / step


@every
def test_a_damaged_file_is_refused_by_name_or_read_as_it_was(folder: Path, step: int) -> None:
    whole = all_that_is_read(folder)
    for name, copy in damaged_copies(folder, step):
        try:
            read = all_that_is_read(copy)
        except DamagedError as error:
            assert error.path.is_relative_to(copy), name
            assert str(error.path) in str(error), name
        except ResultsError as error:
            assert name in ("config.json gone", "choice.json gone", "runs.parquet gone"), error
        else:
            assert [key for key in whole if not same(whole[key], read[key])] == [], name


@every
def test_without_digests_damage_is_told_in_a_sentence(folder: Path, step: int) -> None:
    for name, copy in damaged_copies(without_digests(folder), step):
        try:
            all_that_is_read(copy)
        except ResultsError as error:
            # whoever looks for the runs of many experiments names where it looked
            looked = copy.parent if name == "runs.parquet gone" else copy
            assert str(looked) in str(error), name


def test_what_is_whole_stays_where_it_is(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    assert set_aside_damaged(folder) is None
    assert set_aside_damaged(without_digests(folder)) is None
    assert sorted(folder.rglob("*")) == [path for path in before if path.name != DIGESTS]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ASIDE not in path.relative_to(folder).parts
    }


def part_of(name: str) -> str:
    """The run or search that a file is of, else the file itself."""
    return "/".join(name.split("/")[:3])


@pytest.mark.slow
@every
@pytest.mark.parametrize("digests", [True, False])
def test_what_is_damaged_is_set_aside_and_the_rest_kept(
    folder: Path, digests: bool, step: int
) -> None:
    whole = contents(folder if digests else without_digests(folder))
    for name, copy in damaged_copies(folder, step):
        damaged = contents(copy)
        changed = {part_of(each) for each in whole if damaged.get(each) != whole[each]}
        listed = list_in(folder).relative_to(folder).as_posix()
        unproven = {inner(name) for name in _MADE_AGAIN if digests and listed in changed}
        note = set_aside_damaged(copy)
        left = contents(copy)
        assert set_aside_damaged(copy) is None, name
        for each in whole:
            if each in unproven:
                assert each not in left, (name, each)
            elif part_of(each) not in changed:
                assert left[each] == whole[each], (name, each)
            elif digests:
                assert left.get(each, whole[each]) == whole[each], (name, each)
        if digests and not name.endswith("gone"):
            assert not changed or (note is not None and min(changed) in note), name


# What an experiment makes once, and takes as it is when it goes on; each as good to read as before.
MADE_ONCE = {
    "advice.json": '{"strategy": "from_scratch", "cut": "block_1"}',
    "audit.json": "{}",
    "choice.json": '{"run_id": "x", "advised": true, "overruled": null, "sentence": "x"}',
    "learning_curve.json": '{"sentences": []}',
    "errors.json": '{"wrong": 0}',
    "export.json": '{"run_id": "x", "version": "1"}',
    "summary.csv": "strategy,n\nx,1\n",
    "model.keras": "no model",
    "model.labels.json": '["b", "a"]',
}


@pytest.mark.parametrize("damage", ["halved", "zeroed", "a list", "of other keys", "gone"])
def test_nothing_passes_as_older_where_the_list_is_damaged(folder: Path, damage: str) -> None:
    for name, content in MADE_ONCE.items():
        place(folder, name).parent.mkdir(exist_ok=True)
        place(folder, name).write_text(content)
    (folder / "notes.csv").write_text("mine")
    before = contents(folder)
    DAMAGES[f"digests.json {damage}"](folder)
    note = set_aside_damaged(folder)
    left = contents(folder)
    for name, content in MADE_ONCE.items():
        assert inner(name) not in left
        assert inner(name) in (note or "")
        assert (place(folder, ASIDE) / inner(name)).read_text() == content
    kept = {name for name in before if name.startswith((inner("runs"), inner("search")))}
    compared = ("config.json", "environment.json", "images.csv", "splits.csv")
    for name in (*kept, "notes.csv", *map(inner, compared)):
        assert left[name] == before[name]
    assert set_aside_damaged(folder) is None


def test_after_a_kill_in_the_middle_the_list_is_still_known_to_be_damaged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_in(folder).write_text("{")
    place(folder, "advice.json").write_text(MADE_ONCE["advice.json"])
    moved: list[str] = []

    def killed(experiment: Path, path: Path) -> None:
        if len(moved) == 2:
            raise KeyboardInterrupt
        moved.append(path.name)
        set_aside(experiment, path)

    with monkeypatch.context() as patched:
        patched.setattr(repair, "set_aside", killed)
        with pytest.raises(KeyboardInterrupt):
            set_aside_damaged(folder)
    set_aside_damaged(folder)
    assert not set(contents(folder)) & set(map(inner, _MADE_AGAIN))


def test_what_somebody_put_there_stays(folder: Path) -> None:
    for name in ("notes.json", "own.csv"):
        (folder / name).write_text("[1; 2")
    assert set_aside_damaged(folder) is None


@pytest.mark.parametrize("name", ["runs", "search", "errors", "export", "tables", "model"])
def test_a_link_in_a_circle_in_place_of_a_folder_is_set_aside(folder: Path, name: str) -> None:
    path = place(folder, name)
    shutil.rmtree(path, ignore_errors=True)
    path.symlink_to(name)
    assert inner(name) in (set_aside_damaged(folder) or "")
    assert not path.is_symlink()


def test_what_was_set_aside_before_gives_way(folder: Path) -> None:
    for content in ("null", "7"):
        place(folder, "choice.json").write_text(content)
        assert set_aside_damaged(folder) is not None
        assert (place(folder, ASIDE) / inner("choice.json")).read_text() == content


def test_a_damaged_run_is_no_finished_one(folder: Path) -> None:
    run_id = FinishedExperiment.open(folder).choice["run_id"]
    (place(folder, "runs") / run_id / "history.csv").write_text("run_id\n")
    notes: list[str] = []
    store = Store.open(load_config(folder / "config.json"), mend=notes.append)
    assert not store.is_finished(run_id)
    assert len(notes) == 1
    assert f"runs/{run_id}" in notes[0]
    assert (place(folder, ASIDE) / inner("runs") / run_id / "row.json").is_file()


def test_a_run_without_its_weights_is_finished_only_where_they_were_not_needed(
    folder: Path,
) -> None:
    store = Store(folder)
    first, second = (path.name for path in sorted(place(folder, "runs").iterdir())[:2])
    store.keep_weights_of(first)
    (place(folder, "runs") / first / "weights.npz").unlink()
    note = set_aside_damaged(folder)
    assert note is not None
    assert not store.is_finished(first)
    assert store.is_finished(second)


def test_images_that_nobody_can_prove_are_refused(folder: Path) -> None:
    store = Store(folder)
    images, splits = store.read("images"), store.read("splits")
    # listed anew with the same content, as a run that goes on does
    store.keep_inputs(images, splits)
    place(folder, "images.csv").write_bytes(b"")
    set_aside_damaged(folder)
    with pytest.raises(ResultsError, match=r"images\.csv must say which images"):
        store.keep_inputs(images.assign(sha256="other"), splits)
    store.keep_inputs(images, splits)
    assert store.read("images").equals(images)


def test_weights_that_nobody_can_prove_are_refused(folder: Path) -> None:
    store = Store(folder)
    place(folder, "environment.json").write_text("null")
    set_aside_damaged(folder)
    with pytest.raises(ResultsError, match=r"environment\.json must say which weights"):
        store.keep_environment({"source_weights_sha256": "new"})


def test_what_was_said_with_other_weights_is_made_again(tmp_path: Path) -> None:
    config = ExperimentConfig.model_validate(
        {"name": "parts", "data": {"folder": "photos"}, "results_dir": str(tmp_path)}
    )
    store = Store.open(config)
    for digest, kept in (("a", True), ("a", True), ("b", False)):
        store.keep_environment({"source_weights_sha256": digest})
        if digest == "a":
            place(store.folder, "advice.json").write_text("{}")
        assert place(store.folder, "advice.json").exists() == kept


@pytest.mark.slow
@every
@pytest.mark.parametrize("digests", [True, False])
def test_a_report_of_damaged_results_is_the_same_or_refused(
    folder: Path, tmp_path: Path, digests: bool, step: int
) -> None:
    if not digests:
        without_digests(folder)
    whole = write_report(folder, tmp_path / "whole.html").read_text()
    for name, copy in damaged_copies(folder, step):
        try:
            page = write_report(copy, tmp_path / "page.html").read_text()
        except TlKerasError as error:
            # whoever looks for the runs of many experiments names where it looked
            looked = copy.parent if name == "runs.parquet gone" else copy
            assert str(looked) in str(error), name
        else:
            # the page names the command that goes on
            assert not digests or page.replace(str(copy), str(folder)) == whole, name
