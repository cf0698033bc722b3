"""Folders of earlier versions are read as they are, and put in order when they go on."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.older_folders import put_back
from tl_keras.config.files import load_config
from tl_keras.data.corrections import read_corrections
from tl_keras.digests import DIGESTS, list_in
from tl_keras.errors import ConfigError, ResultsError
from tl_keras.experiment.decide import read_decision
from tl_keras.experiment.export import exported_run
from tl_keras.experiment.network_choice import candidate_in
from tl_keras.models.sources.source_folder import find_source_folder
from tl_keras.models.sources.source_places import source_path
from tl_keras.reporting.comparison_page import write_comparison
from tl_keras.reporting.folder_readme import README, write_readme
from tl_keras.reporting.report import write_report
from tl_keras.results import old_folder
from tl_keras.results.finished_experiment import FinishedExperiment
from tl_keras.results.old_folder import put_in_place
from tl_keras.results.runs_table import load_runs
from tl_keras.results.store import Store
from tl_keras.results_layout import MOVED, inner, is_in_place, place
from tl_keras.serving.decision_record import other_decision
from tl_keras.serving.versions import find_version

MOST_ENTRIES = 10
ROWS = "image_id,was,label\na.png,crack,dent\n"


@pytest.fixture
def folder(finish: Callable[..., Path]) -> Path:
    """Finished, in order, with something in every place."""
    made = finish(strategies=("feature_extraction", "fine_tuning"))
    store = Store(made)
    for name in ("images", "splits", "summary", "confusion"):
        store.write(name, store.read(name))
    store.write_runs(store.read("runs"))
    store.open_search(3, {"name": "parts"})
    contents = {
        "advice.json": {
            "strategy": "fine_tuning",
            "cut": "top",
            "image_size": 64,
            "checks": [],
            "confidence": "high",
            "reasons": [],
        },
        "export.json": {"run_id": "a", "version": "1"},
        "source_model/card.json": {"name": "parts"},
        "model.keras": {},
        "refitted.npz": {},
        "damaged/summary.csv": {},
    }
    for name, content in contents.items():
        top, _, below = name.partition("/")
        path = store.place(top) / below if below else store.place(top)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    store.place("corrections.csv").write_text(ROWS)
    for version in ("1", "2"):
        (made / "export" / version).mkdir(parents=True)
        (made / "export" / version / "saved_model.pb").touch()
    for name in ("errors", "tensorboard"):
        (made / name).mkdir()
        (made / name / "any").touch()
    return made


def contents(folder: Path) -> dict[str, bytes]:
    """Of what an experiment made, by where it lies once it is in order."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {}
    for path in files:
        top, *below = path.relative_to(folder).parts
        name = "/".join((inner(top), *below))
        if path.name not in (DIGESTS, "layout.json"):
            found[name] = path.read_bytes()
    return found


def all_that_is_read(folder: Path) -> dict[str, Any]:
    """What each command finds there."""
    results, store = FinishedExperiment.open(folder), Store(folder)
    with pytest.raises(ConfigError, match="got the results of an experiment"):
        load_config(folder)
    return {
        "runs": load_runs(folder.parent).to_csv(),
        "tables": [str(results.table(name)) for name in ("summary", "images", "comparisons")],
        "facts": [results.facts(name) for name in ("choice", "environment", "advice", "audit")],
        "finished": [store.is_finished(name) for name in results.runs["run_id"]],
        "answers": [store.test_probabilities(n).tolist() for n in results.runs["run_id"]],
        "search": store.lost_trials(3),
        "exported": (exported_run(folder), find_version(folder).number),
        "network": candidate_in(
            place(folder, "advice.json"), load_config(folder / "config.json").backbone
        ),
        "source": json.loads((find_source_folder(folder) / "card.json").read_text()),
        "corrections": results.corrections,
    }


class KilledError(BaseException):
    """In place of a kill."""


def halfway(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Copies of an older folder whose way into order was cut short before each move."""
    put_back(folder)
    copy = folder.parent.parent / "halfway" / folder.name
    move, left = old_folder._move, 0

    def moving(old: Path, new: Path) -> None:
        nonlocal left
        if left == 0:
            raise KilledError
        left -= 1
        move(old, new)

    there = [number for number, name in enumerate(MOVED) if (folder / name).exists()]
    for moves in there:
        shutil.copytree(folder, copy)
        left = moves
        with monkeypatch.context() as patched:
            patched.setattr(old_folder, "_move", moving)
            with pytest.raises(KilledError):
                put_in_place(copy)
        yield copy
        shutil.rmtree(copy)


def test_an_older_folder_is_read_by_whoever_does_not_write(folder: Path, tmp_path: Path) -> None:
    whole, before = all_that_is_read(folder), contents(folder)
    page = write_report(folder, tmp_path / "page.html").read_text()
    put_back(folder)
    there = sorted(folder.rglob("*"))
    assert all_that_is_read(folder) == whole
    assert write_report(folder, tmp_path / "page.html").read_text() == page
    assert sorted(folder.rglob("*")) == there
    assert contents(folder) == before


def test_wherever_the_move_is_cut_short_it_is_read_and_goes_on_without_loss(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, before = all_that_is_read(folder), contents(folder)
    in_order = list_in(folder).read_bytes()
    notes: list[str] = []
    for number, copy in enumerate(halfway(folder, monkeypatch)):
        assert all_that_is_read(copy) == whole, number
        put_in_place(copy)
        assert contents(copy) == before, number
        assert list_in(copy).read_bytes() == in_order, number
        assert not [name for name in MOVED if (copy / name).exists()], number
        assert len(list(copy.iterdir())) <= MOST_ENTRIES, number
    config = load_config(put_in_order(folder) / "config.json")
    assert Store.open(config, mend=notes.append).folder == folder
    assert notes == []
    assert contents(folder) == before


def put_in_order(folder: Path) -> Path:
    put_in_place(folder)
    assert is_in_place(folder)
    return folder


def test_one_without_a_list_is_put_in_order_too(folder: Path) -> None:
    before = contents(folder)
    for path in list(folder.rglob(DIGESTS)):
        path.unlink()
    (put_back(folder) / "probes.png").touch()
    assert contents(put_in_order(folder)) == before


def test_a_damaged_list_is_still_known_to_be_damaged(folder: Path) -> None:
    put_back(folder)
    (folder / DIGESTS).write_text("{")
    put_in_order(folder)
    notes: list[str] = []
    Store.open(load_config(folder / "config.json"), mend=notes.append)
    assert inner("choice.json") in notes[0]
    assert inner(DIGESTS) not in (path.name for path in folder.iterdir())


def test_a_link_leads_where_it_led(folder: Path) -> None:
    put_back(folder)
    (folder / "runs").rename(folder.parent / "elsewhere")
    (folder / "runs").symlink_to("../elsewhere")
    put_in_order(folder)
    assert place(folder, "runs").is_symlink()
    assert len(list(place(folder, "runs").glob("*/row.json"))) == 4


def test_what_somebody_put_into_a_folder_stays_where_it_is(folder: Path) -> None:
    own = {"notes.csv": "mine", "corrections.csv": ROWS, README: "mine", "summary.csv": "mine"}
    for name, text in own.items():
        (folder / name).write_text(text)
    Store.open(load_config(folder / "config.json"))
    write_readme(folder)
    assert {name: (folder / name).read_text() for name in own} == own


def test_a_file_in_the_way_is_told_in_a_sentence(folder: Path) -> None:
    put_back(folder)
    config = load_config(folder / "config.json")
    (folder / "state").touch()
    with pytest.raises(ResultsError, match="must be a folder that can be written"):
        Store.open(config)


def test_paths_of_before_lead_to_the_place_of_now(folder: Path) -> None:
    source, corrections = folder / "source_model", folder / "corrections.csv"
    now = {name: source_path(str(place(folder, name))) for name in ("source_model", "model.keras")}
    assert source_path(str(source)) == now["source_model"]
    assert source_path(str(folder / "model.keras")) == now["model.keras"]
    assert find_source_folder(folder) == find_source_folder(folder / "model")
    assert [row.label for row in read_corrections(str(corrections))] == ["dent"]


def test_the_readme_names_what_is_there_and_the_report_first(folder: Path) -> None:
    write_readme(folder)
    text = (folder / README).read_text()
    assert "not finished" in text
    assert f"tl-keras run {folder / 'config.json'}" in text
    write_report(folder)
    text = (folder / README).read_text()
    assert "not finished" not in text
    entries = {path.name for path in folder.iterdir()}
    assert len(entries) <= MOST_ENTRIES
    assert [name for name in entries - {README} if f"- `{name}" not in text] == []
    assert text.index("report.html") < min(text.index(name) for name in ("config.json", "tables"))


def test_the_decision_of_an_older_folder_is_found(tmp_path: Path) -> None:
    record = tmp_path / "decision.json"
    record.write_text('{"run_id": "a", "rule": {"threshold": 0.5}}')
    before = read_decision(tmp_path, "a"), other_decision(tmp_path / "export" / "1")
    assert None not in before
    put_in_order(tmp_path)
    assert not record.exists()
    assert (read_decision(tmp_path, "a"), other_decision(tmp_path / "export" / "1")) == before


@pytest.mark.slow
def test_comparisons_read_older_folders(finish: Callable[..., Path], tmp_path: Path) -> None:
    folders = [finish("one"), finish("two", photos="other")]
    before = write_comparison(folders, tmp_path / "page.html").read_text()
    for each in folders:
        put_back(each)
    assert write_comparison(folders, tmp_path / "page.html").read_text() == before
