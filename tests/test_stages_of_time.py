"""The benchmark that says where the time of an experiment goes."""

import re
import time
from pathlib import Path

import pytest

from benchmarks import record
from benchmarks.stages import KEY, SAID, Clock, Listener

PACKAGE = Path(__file__).parents[1] / "tl_keras"
ANNOUNCED = re.compile(r'monitor\.stage\(\s*f?"([^"{]*)')


def test_every_stage_that_is_announced_has_one_name() -> None:
    texts = [text for path in PACKAGE.rglob("*.py") for text in ANNOUNCED.findall(path.read_text())]
    assert len(texts) >= len(SAID) - 1
    for text in texts:
        assert sum(text.startswith(start) for start in SAID) == 1, text


def test_what_is_measured_adds_up_to_all() -> None:
    clock = Clock(time.time())
    listener = Listener(clock)
    listener.stage("Looking at the images")
    with clock.part("head"), clock.tracing():
        sum(range(200_000))
    listener.stage("Measuring a learning curve")
    clock.begin("end")
    *rows, last = clock.rows()
    assert [(row["stage"], row["part"]) for row in rows] == [
        ("import", ""),
        ("images", ""),
        ("images", "head"),
        ("learning curve", ""),
    ]
    assert (last["stage"], last["part"]) == ("all", "")
    for column in ("seconds", "processor_seconds", "tracing_seconds"):
        assert last[column] == pytest.approx(sum(row[column] for row in rows))
    assert rows[2]["tracing_seconds"] == last["tracing_seconds"] > 0


def test_rows_are_put_in_place_of_those_of_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "stages.csv"
    for commit, seconds in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
        row = {"case": "x", "threads": 1, "commit": commit, "seconds": seconds}
        table = record.put([row], path, KEY)
    assert dict(zip(table["commit"], table["seconds"], strict=True)) == {"a": 3.0, "b": 2.0}
