"""Results that are older than a key go on as they began."""

import json
from pathlib import Path
from typing import Any

import pytest

from tl_keras.config.files import parse_config
from tl_keras.config.schema import ExperimentConfig
from tl_keras.config.stored import completed, continued
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
    assert continued(new, {"data": {"exif_rotation": ["apply"]}}) == (new, None)
    assert completed({"data": {"folder": "x"}}) == {
        "data": {"folder": "x", "exif_rotation": "ignore"}
    }
    assert completed({"data": 3, "seeds": 1}) == {"data": 3, "seeds": 1}
