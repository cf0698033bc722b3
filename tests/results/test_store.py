"""The folder of an experiment: what is kept, what is refused, what loads again."""

import copy
import json
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.hostile.odd_paths import NO_FILES
from tests.hostile.texts import TEXTS
from tl_keras.atomic_files import UNFINISHED
from tl_keras.config.schema import ExperimentConfig
from tl_keras.digests import keep_json, list_in, seal
from tl_keras.errors import ResultsError
from tl_keras.results.runs_table import FinishedRun, load_runs, runs_table
from tl_keras.results.store import Outcome, Store
from tl_keras.results_layout import place

PROBABILITIES = np.array([[0.25, 0.75], [1.0, 0.0]], np.float32)


def config(results: Path, **keys: Any) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {"name": "parts", "data": {"folder": "photos"}, "results_dir": str(results)} | keys
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(config(tmp_path))


def outcome(**values: Any) -> Outcome:
    history = pd.DataFrame({"run_id": ["a"], "phase": ["head"], "epoch": [1], "loss": [0.1]})
    return Outcome(
        FinishedRun.from_row({"run_id": "a", "test_accuracy": 0.1 + 0.2} | values),
        history,
        PROBABILITIES[:1],
        np.array([0.25]),
        PROBABILITIES,
        {"head_0000": np.array([[1.5]], np.float32)},
    )


def test_a_run_is_read_as_it_was_written(store: Store) -> None:
    store.add("a", outcome())
    assert store.is_finished("a")
    assert store.run("a") == outcome().run
    assert np.array_equal(store.test_probabilities("a"), PROBABILITIES)
    assert np.array_equal(store.validation_probabilities("a"), outcome().validation_probabilities)
    assert store.selection_losses("a").tolist() == [0.25]
    weights = store.weights("a")["head_0000"]
    assert weights.dtype == np.float32
    assert weights.tolist() == [[1.5]]


def test_a_run_of_an_earlier_version_is_refused(store: Store) -> None:
    store.add("a", outcome())
    run = store.place("runs") / "a"
    np.savez(run / "probabilities.npz", test=PROBABILITIES, validation=PROBABILITIES)
    (run / "digests.json").unlink()
    with pytest.raises(ResultsError, match=r"got a of an earlier one\. Use fresh=True"):
        store.selection_losses("a")


def test_a_run_is_not_finished_before_it_is_complete(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*arguments: Any, **arrays: Any) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full_disk)
        with pytest.raises(OSError, match="No space"):
            store.add("a", outcome())
    assert not store.is_finished("a")
    store.add("a", outcome())
    assert store.is_finished("a")


def test_histories_are_joined_without_turning_epochs_into_fractions(store: Store) -> None:
    nothing = Outcome(
        FinishedRun.from_row({}),
        pd.DataFrame({"run_id": []}),
        PROBABILITIES,
        np.zeros(1),
        PROBABILITIES,
        {},
    )
    store.add("majority", nothing)
    store.add("a", outcome())
    joined = store.histories(["majority", "a"])
    assert joined["epoch"].tolist() == [1]
    assert pd.api.types.is_integer_dtype(joined["epoch"])
    assert store.histories(["majority"]).empty


def test_only_the_exported_weights_are_kept(store: Store) -> None:
    for run_id in ("a", "b", "c"):
        store.add(run_id, outcome())
    store.keep_weights_of("b")
    assert [path.parent.name for path in store.place("runs").glob("*/weights.npz")] == ["b"]
    assert store.is_finished("a")


def test_a_table_is_read_as_it_was_written(store: Store) -> None:
    table = pd.DataFrame({"run_id": ["a", "b"], "loss": [0.1 + 0.2, 1 / 3]})
    path = store.write("losses", table)
    assert path == store.place("losses.csv")
    pd.testing.assert_frame_equal(store.read("losses"), table, check_exact=True)
    assert [p.name for p in store.folder.iterdir() if "part" in p.name] == []


def test_depths_are_texts_in_every_table(store: Store) -> None:
    table = pd.DataFrame(
        {"a": ["x"], "a_name": ["x"], "a_unfrozen_blocks": ["2"], "b": ["y"], "b_name": ["y"]}
        | {
            "b_unfrozen_blocks": [None],
            "difference": [0.5],
            "verdict": ["better"],
            "needed": [None],
        }
    )
    store.write("comparisons", table)
    read = store.read("comparisons")
    assert read["a_unfrozen_blocks"].tolist() == ["2"]
    assert read["b_unfrozen_blocks"].isna().all()


def test_trials_of_several_sizes_are_one_table(store: Store) -> None:
    assert store.trials() is None
    # the later size first, as after a restart
    for size in (10, 5):
        folder = store.open_search(size, {})
        store.add_trials(
            folder, size, 0, pd.DataFrame({"trial": [1, 2], "validation_loss": [0.5, 0.25]})
        )
    trials = store.trials()
    assert trials is not None
    assert trials["train_per_class"].tolist() == [5, 5, 10, 10]


def test_trials_with_all_images(store: Store) -> None:
    folder = store.open_search(None, {})
    store.add_trials(folder, None, 0, pd.DataFrame({"trial": [1], "validation_loss": [0.5]}))
    trials = store.trials()
    assert trials is not None
    assert trials["train_per_class"].isna().all()


def test_every_fold_has_a_search_of_its_own(store: Store) -> None:
    one, two = (store.open_search(5, {}, seed) for seed in (0, 1))
    assert {one.name, two.name} == {"n5-s0", "n5-s1"}
    for seed, folder in ((1, two), (0, one)):
        store.add_trials(folder, 5, seed, pd.DataFrame({"trial": [1], "validation_loss": [0.5]}))
    trials = store.trials()
    assert trials is not None
    assert trials["seed"].tolist() == [0, 1]


def test_search_folder_older_than_a_section_has_its_defaults(store: Store, tmp_path: Path) -> None:
    facts = {key: config(tmp_path).as_dict()[key] for key in ("data", "search", "estimate")}
    folder = store.open_search(5, facts)
    old = {key: facts[key] for key in ("data", "search")}
    (folder / "search.json").write_text(json.dumps(old))
    assert store.open_search(5, facts) == folder


def test_search_of_the_same_facts_goes_on(store: Store) -> None:
    facts = {"search": {"folds": 3}, "images_sha256": "12ab"}
    folder = store.open_search(5, facts)
    (folder / "trial.json").write_text("{}")
    assert store.open_search(5, facts) == folder
    assert (folder / "trial.json").exists()
    assert store.open_search(10, {"search": {"folds": 2}}) != folder, "sizes are on their own"


@pytest.mark.parametrize("name", ["trials.csv", "search.json", "trial-ab-fold1.json"])
def test_a_search_is_made_again_where_anything_of_it_is_gone(store: Store, name: str) -> None:
    assert not store.lost_trials(5)
    folder = store.open_search(5, {"search": {"folds": 1}})
    keep_json(folder / "trial-ab-fold1.json", {"validation_loss": 0.5})
    assert store.lost_trials(5), "it has no table yet"
    store.add_trials(folder, 5, 0, pd.DataFrame({"trial": [1], "validation_loss": [0.5]}))
    assert not store.lost_trials(5)
    (folder / name).unlink()
    assert store.lost_trials(5)


def test_search_of_other_facts_is_refused_with_what_changed(store: Store) -> None:
    store.open_search(None, {"search": {"folds": 3, "seed": 0}, "images_sha256": "12ab"})
    with pytest.raises(ResultsError) as refused:
        store.open_search(None, {"search": {"folds": 2, "seed": 0}, "images_sha256": "34cd"})
    lines = str(refused.value).splitlines()
    assert lines[1:3] == ["  search.folds: 3 -> 2", '  images_sha256: "12ab" -> "34cd"']
    assert "nall" in lines[0]
    assert "fresh=True" in lines[-1]


def test_search_folder_older_than_a_key_has_its_default(store: Store, tmp_path: Path) -> None:
    facts = {key: config(tmp_path).as_dict()[key] for key in ("data", "search")}
    folder = store.open_search(5, facts)
    old = copy.deepcopy(facts)
    del old["search"]["folds"]
    (folder / "search.json").write_text(json.dumps(old))
    assert store.open_search(5, facts) == folder


def test_the_configuration_is_written_with_defaults(store: Store) -> None:
    stored = json.loads((store.folder / "config.json").read_text())
    assert stored == config(store.folder.parent).as_dict()


def test_the_same_configuration_goes_on(store: Store, tmp_path: Path) -> None:
    store.add("a", outcome())
    assert Store.open(config(tmp_path)).is_finished("a")


@pytest.mark.parametrize(("views", "refused"), [(0, False), (8, True)])
def test_a_configuration_with_a_key_that_is_gone_goes_on_where_it_did_nothing(
    store: Store, tmp_path: Path, views: int, refused: bool
) -> None:
    stored = config(tmp_path).as_dict()
    stored["training"]["augmented_views"] = views
    (store.folder / "config.json").write_text(json.dumps(stored))
    list_in(store.folder).unlink()
    expected = pytest.raises(ResultsError, match="augmented_views: 8 -> ")
    with expected if refused else nullcontext():
        Store.open(config(tmp_path))


def test_a_changed_configuration_is_refused_with_every_difference(
    store: Store, tmp_path: Path
) -> None:
    changed = config(tmp_path, seeds=5, training={"batch_size": 8})
    with pytest.raises(ResultsError) as error:
        Store.open(changed)
    message = str(error.value)
    assert "seeds: 3 -> 5" in message
    assert "training.batch_size: 32 -> 8" in message
    assert "fresh=True" in message
    assert json.loads((store.folder / "config.json").read_text())["seeds"] == 3


def test_fresh_moves_the_folder_aside(store: Store, tmp_path: Path) -> None:
    store.add("a", outcome())
    fresh = Store.open(config(tmp_path, seeds=5), fresh=True)
    assert not fresh.is_finished("a")
    (aside,) = [path for path in tmp_path.iterdir() if path != fresh.folder]
    assert (place(aside, "runs") / "a" / "row.json").is_file()


@pytest.mark.parametrize("kind", NO_FILES)
def test_fresh_moves_aside_whatever_is_in_place_of_the_folder(tmp_path: Path, kind: str) -> None:
    NO_FILES[kind](tmp_path / "parts")
    assert Store.open(config(tmp_path), fresh=True).folder.is_dir()
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("parts.")]) == 1


def test_fresh_without_earlier_results_is_no_error(tmp_path: Path) -> None:
    assert Store.open(config(tmp_path), fresh=True).folder == tmp_path / "parts"


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "thesis.txt").touch()
    with pytest.raises(ResultsError, match=r"parts must be empty.*fresh=True"):
        Store.open(config(tmp_path))


@pytest.mark.parametrize("act", [Store.check, Store.open])
@pytest.mark.parametrize("path", ["results", "results/parts"])
@pytest.mark.parametrize("kind", ["file", "link to nowhere"])
def test_what_is_no_folder_is_refused(
    tmp_path: Path, act: Callable[..., Any], path: str, kind: str
) -> None:
    place = tmp_path / path
    place.parent.mkdir(exist_ok=True)
    place.write_text("a file") if kind == "file" else place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match="must be a folder that can be written"):
        act(config(tmp_path / "results"))


@pytest.mark.parametrize("there", [".", "results", "results/parts"])
def test_a_folder_that_cannot_be_written_is_refused_by_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    Store.check(config(tmp_path / "results"))

    def read_only(prefix: str, dir: Path, **options: Any) -> None:
        assert dir == tmp_path / there
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", read_only)
    with pytest.raises(ResultsError, match="Permission denied"):
        Store.check(config(tmp_path / "results"))


def test_an_empty_folder_and_what_a_kill_left_in_it_are_no_results(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    Store.check(config(tmp_path))
    (folder / f"{UNFINISHED}abc").mkdir()
    seal(folder)
    Store.check(config(tmp_path))
    assert Store.open(config(tmp_path)).folder == folder


def test_the_check_leaves_nothing(tmp_path: Path) -> None:
    Store.check(config(tmp_path / "results"))
    assert list(tmp_path.iterdir()) == []


def half_of(content: str) -> Callable[..., None]:
    """A writer that is stopped on its way."""

    def write(table: object, path: Path | None = None, **options: Any) -> None:
        if path is not None:
            path.write_text(content)
        raise OSError("No space left on device")

    return write


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_table_of_the_runs_is_there_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    table = runs_table([outcome().run])
    store.write_runs(table)
    pd.testing.assert_frame_equal(load_runs(store.folder.parent), table)
    before = store.place(f"runs.{ending}").read_bytes()
    monkeypatch.setattr(pd.DataFrame, f"to_{ending}", half_of("run_"))
    with pytest.raises(OSError, match="No space"):
        store.write_runs(table)
    assert store.place(f"runs.{ending}").read_bytes() == before


def test_trials_are_there_whole_or_not_at_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = pd.DataFrame({"trial": [1], "validation_loss": [0.5]})
    one, two = store.open_search(5, {}), store.open_search(10, {})
    store.add_trials(one, 5, 0, trials)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(pd.DataFrame, "to_csv", half_of("trial,valid"))
        store.add_trials(two, 10, 0, trials)
    assert not (two / "trials.csv").exists()
    store.add_trials(one, 5, 0, trials)
    assert len(store.read("trials")) == 1


def test_a_damaged_configuration_is_refused(store: Store, tmp_path: Path) -> None:
    (store.folder / "config.json").write_text('{"name": ')
    with pytest.raises(ResultsError, match=r"config\.json must be the configuration.*fresh=True"):
        Store.open(config(tmp_path, seeds=5))
    assert Store.open(config(tmp_path)).folder == store.folder
    assert json.loads((store.folder / "config.json").read_text())["name"] == "parts"


def inputs(sha256: str = "f00d", part: str = "train") -> tuple[pd.DataFrame, pd.DataFrame]:
    images = pd.DataFrame(
        {"image_id": ["a/1.png", "b/2.png"], "width": [8, 8], "sha256": ["beef", sha256]}
    )
    splits = pd.DataFrame(
        {
            "seed": pd.array([None, 0], dtype="Int64"),
            "part": ["test", part],
            "image_id": images["image_id"],
        }
    )
    return images, splits


def test_the_same_inputs_are_accepted_again(store: Store) -> None:
    store.keep_inputs(*inputs())
    store.keep_inputs(*inputs())
    assert list(store.read("images")["sha256"]) == ["beef", "f00d"]


def test_an_image_that_changed_is_refused_by_name(store: Store) -> None:
    store.keep_inputs(*inputs())
    with pytest.raises(ResultsError, match=r"images\.csv differs .* b/2\.png.*fresh=True"):
        store.keep_inputs(*inputs(sha256="cafe"))
    assert list(store.read("images")["sha256"]) == ["beef", "f00d"]


def test_another_division_is_refused(store: Store) -> None:
    store.keep_inputs(*inputs())
    with pytest.raises(ResultsError, match=r"splits\.csv differs"):
        store.keep_inputs(*inputs(part="validation"))


def test_other_corrections_are_refused_as_such_before_what_follows_from_them(store: Store) -> None:
    said = pd.DataFrame({"image_id": ["a/1.png"], "was": ["007"], "label": ["=b"]})
    store.keep_inputs(*inputs(), said)
    store.keep_inputs(*inputs(), said)
    assert store.read("corrections").equals(said)
    with pytest.raises(
        ResultsError, match=r"The corrections are not .*a/1\.png,007,=b.*fresh=True"
    ):
        store.keep_inputs(*inputs(part="validation"), said.assign(label=["c"]))
    place(store.folder, "corrections.csv").unlink()
    store.keep_inputs(*inputs(), said)


def test_the_columns_of_the_runs_have_the_same_types_whatever_the_values() -> None:
    columns = {"unfrozen_blocks": "2", "train_per_class": 5, "weights": "imagenet"}
    full = runs_table([FinishedRun.from_row(columns)])
    empty = runs_table([FinishedRun.from_row({})])
    assert full.dtypes.to_dict() == empty.dtypes.to_dict()
    assert pd.api.types.is_integer_dtype(empty["train_per_class"])


def test_runs_of_several_experiments_are_one_table(tmp_path: Path) -> None:
    for name, size in (("a", 5), ("b", None)):
        (tmp_path / name).mkdir()
        columns = {"experiment": name, "train_per_class": size, "weights": None}
        runs = runs_table([FinishedRun.from_row(columns)])
        runs.to_parquet(tmp_path / name / "runs.parquet")
    (tmp_path / "notes.txt").touch()
    loaded = load_runs(tmp_path)
    assert loaded["experiment"].tolist() == ["a", "b"]
    assert loaded["train_per_class"].isna().tolist() == [False, True]


def test_a_folder_without_experiments_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"must hold folders of experiments"):
        load_runs(tmp_path)


def test_runs_that_were_moved_aside_are_not_loaded(tmp_path: Path) -> None:
    for name in ("parts", "parts.20250102-030405"):
        (tmp_path / name).mkdir()
        pd.DataFrame({"experiment": [name]}).to_parquet(tmp_path / name / "runs.parquet")
    assert load_runs(tmp_path)["experiment"].tolist() == ["parts"]


def test_a_folder_from_before_a_key_existed_goes_on(tmp_path: Path) -> None:
    Store.open(config(tmp_path))
    stored = tmp_path / "parts" / "config.json"
    old = json.loads(stored.read_text())
    del old["backbone"]["cut"]
    stored.write_text(json.dumps(old))
    Store.check(config(tmp_path))
    with pytest.raises(ResultsError, match=r'backbone\.cut: "top" -> "search"'):
        Store.check(config(tmp_path, backbone={"cut": "search"}))


def test_what_will_be_moved_aside_needs_a_place_that_can_be_written(tmp_path: Path) -> None:
    Store.check(config(tmp_path / "new"), fresh=True)
    (tmp_path / "results").touch()
    with pytest.raises(ResultsError, match="must be a folder that can be written"):
        Store.check(config(tmp_path / "results"), fresh=True)


def test_names_are_read_as_they_were_written(store: Store) -> None:
    names = [name for name in TEXTS.values() if not set(name) & {"\0", "\ud83d"}]
    names += ["NA", "None", "null", "1e5", "-1", "True"]
    table = pd.DataFrame({"image_id": names, "label": names, "predicted": names[::-1]})
    table = table.assign(probability=0.5, right=True, photo=range(len(names)))
    store.write("errors", table)
    read = store.read("errors")
    assert {name: list(read[name]) for name in read} == {name: list(table[name]) for name in table}


@pytest.mark.parametrize("name", ["=1+1", "-a", "'=a", "NA", "007", "a\rb", "@", "\ta"])
def test_images_of_any_name_are_those_of_before(store: Store, name: str) -> None:
    images = pd.DataFrame({"image_id": [name, "b"], "sha256": ["1" * 64, "2" * 64]})
    splits = pd.DataFrame({"image_id": [name, "b"], "part": ["test", "train"], "seed": 0})
    store.keep_inputs(images, splits)
    store.keep_inputs(images, splits)
    with pytest.raises(ResultsError, match=r"differs in 2 lines"):
        store.keep_inputs(images.assign(sha256=["1" * 64, "3" * 64]), splits)


def test_groups_stay_the_text_that_they_were(tmp_path: Path) -> None:
    groups = ["7", "007", "7.0"]
    Store(tmp_path).write("images", pd.DataFrame({"image_id": ["a", "b", "c"], "group": groups}))
    assert Store(tmp_path).read("images")["group"].tolist() == groups
