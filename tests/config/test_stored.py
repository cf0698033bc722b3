"""Results that are older than a key go on as they began."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.older_configurations import HASHES, OLDER, WITH_READING
from tl_keras.config import stored as stored_configurations
from tl_keras.config.files import differences, fingerprint, parse_config
from tl_keras.config.leaves import leaves
from tl_keras.config.schema import ExperimentConfig
from tl_keras.config.stored import completed, continued, hash_of
from tl_keras.errors import ResultsError
from tl_keras.results.store import Store


def config(tmp_path: Path, **data: Any) -> ExperimentConfig:
    raw = {"name": "parts", "results_dir": str(tmp_path), "data": {"folder": "photos", **data}}
    return parse_config(raw)


def older(tmp_path: Path) -> Path:
    """The configuration of results from before pictures could be turned."""
    stored = config(tmp_path).as_dict()
    for key in ("exif_rotation", "range_16_bit", "max_megapixels"):
        del stored["data"][key]
    path = tmp_path / "parts" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps(stored))
    return path


def test_new_experiments_turn_pictures(tmp_path: Path) -> None:
    new = config(tmp_path)
    assert new.data.exif_rotation == "apply"
    assert Store.continued(new) == (new, None)


def test_older_results_go_on_without_and_it_is_said_each_time(tmp_path: Path) -> None:
    path = older(tmp_path)
    for _ in range(2):
        kept, note = Store.continued(config(tmp_path))
        assert kept.data.exif_rotation == "ignore"
        assert note is not None
        assert "exif_rotation" in note
        Store.open(kept)
        assert json.loads(path.read_text())["data"]["exif_rotation"] == "ignore"


def test_what_is_asked_for_is_not_changed_but_refused(tmp_path: Path) -> None:
    older(tmp_path)
    asked = config(tmp_path, exif_rotation="apply")
    assert Store.continued(asked) == (asked, None)
    with pytest.raises(ResultsError, match="exif_rotation"):
        Store.check(asked)
    assert Store.continued(asked, fresh=True) == (asked, None)


def test_the_same_said_aloud_goes_on_in_silence(tmp_path: Path) -> None:
    older(tmp_path)
    asked = config(tmp_path, exif_rotation="ignore")
    assert Store.continued(asked) == (asked, None)
    Store.check(asked)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"data": 3}', '{"data": {}}'])
def test_a_damaged_configuration_is_left_to_be_refused(tmp_path: Path, text: str) -> None:
    older(tmp_path).write_text(text)
    kept, _ = Store.continued(config(tmp_path))
    assert kept.data.folder == "photos"


def test_a_key_that_is_no_choice_is_passed_over() -> None:
    new = parse_config({"name": "a", "data": {"folder": "x"}})
    younger = new.as_dict()
    del younger["data"]
    assert continued(new, {"data": {"exif_rotation": ["apply"]}, **younger}) == (new, None)
    assert continued(new, {"data": 3, **younger}) == (new, None)


def test_what_was_done_is_filled_in_where_a_key_is_absent() -> None:
    found = completed({"data": {"folder": "x", "range_16_bit": "12_bit"}})["data"]
    assert (found["exif_rotation"], found["range_16_bit"]) == ("ignore", "12_bit")
    phases = {name: {"keep": "best"} for name in ("phase_1", "phase_2", "from_scratch")}
    assert completed({"data": 3, "seeds": 1}) == {
        "data": 3,
        "seeds": 1,
        "training": {"threads": None, **phases},
        "probe": {"pooling": "mean", "views": "none", "penalty": 1.0, "train_on": "training"},
        "head": {"pooling": "mean"},
        "export": {"train_on": "training"},
        "backbone": {"scaling": None, "trust_code": False},
    }
    # true was all that there was
    assert completed({"export": True})["export"] == {"train_on": "training"}
    assert completed({"export": False})["export"] is False


def read_today(stored: dict[str, Any]) -> ExperimentConfig:
    return ExperimentConfig.model_validate_json(json.dumps(completed(stored)))


@pytest.mark.parametrize("name", HASHES)
def test_experiments_of_earlier_versions_keep_their_hash(name: str) -> None:
    older, its_hash = HASHES[name]
    assert fingerprint(read_today(older)) == its_hash


def test_an_older_experiment_that_goes_on_keeps_its_hash(tmp_path: Path) -> None:
    path = older(tmp_path)
    before = json.loads(path.read_text())
    new = config(tmp_path)
    kept, _ = Store.continued(new)
    assert fingerprint(kept) == fingerprint(read_today(before)) != fingerprint(new)
    Store.open(kept)
    # and once more, after it was written with all keys
    assert fingerprint(Store.continued(config(tmp_path))[0]) == fingerprint(kept)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("class_level", 2),
        ("merge_labels", False),
        ("exif_rotation", "apply"),
        ("range_16_bit", "12_bit"),
        ("range_16_bit", [0, 9]),
        ("max_megapixels", 178.0),
    ],
)
def test_a_younger_key_counts_where_it_changes_what_is_done(key: str, value: Any) -> None:
    changed = {**OLDER, "data": {**OLDER["data"], key: value}}
    assert fingerprint(read_today(changed)) != fingerprint(read_today(OLDER))


def test_younger_keys_are_those_of_the_schema() -> None:
    known = leaves(read_today(WITH_READING).as_dict())
    assert set(stored_configurations._younger()) <= set(known)


def test_an_older_and_a_younger_experiment_differ_in_what_is_done() -> None:
    younger = {**OLDER, "data": {**OLDER["data"], "class_level": None, "exif_rotation": "apply"}}
    assert differences(OLDER, younger) == ['data.exif_rotation: "ignore" -> "apply"']


@pytest.fixture
def younger_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two keys as if they had come later, of which one has another default than before."""
    later = {"training.phase_1.epochs": 50, "head.dropout": 0.2}
    monkeypatch.setattr(stored_configurations, "_BEFORE", (*stored_configurations._BEFORE, later))


@pytest.mark.usefixtures("younger_keys")
def test_a_key_that_comes_later_needs_its_declaration_alone(tmp_path: Path) -> None:
    path = older(tmp_path)
    stored = json.loads(path.read_text())
    del stored["training"]["phase_1"]["epochs"], stored["head"]
    path.write_text(json.dumps(stored))
    kept, note = Store.continued(config(tmp_path))
    assert (kept.training.phase_1.epochs, kept.head.dropout) == (50, 0.2)
    assert "training.phase_1.epochs stays 50" in (note or "")
    assert "data.exif_rotation stays" in (note or "")
    assert "head.dropout" not in (note or "")
    Store.check(kept)
    # sections that hold younger keys alone are as absent
    without = {key: value for key, value in stored.items() if key != "head"}
    del without["data"]
    assert hash_of({**without, "head": {"dropout": 0.2}}) == hash_of(without)
    assert hash_of({**without, "head": {"dropout": 0.3}}) != hash_of(without)


@pytest.mark.usefixtures("younger_keys")
def test_what_an_experiment_says_of_a_later_key_is_not_changed(tmp_path: Path) -> None:
    older(tmp_path)
    raw = {"training": {"phase_1": {"epochs": 200}}, "data": {"folder": "photos"}}
    asked = parse_config({"name": "parts", "results_dir": str(tmp_path), **raw})
    kept, _ = Store.continued(asked)
    assert kept.training.phase_1.epochs == 200
