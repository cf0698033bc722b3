"""Damaged files in the folder of an experiment: a table of damages, each a function on the folder.

for name, damage in DAMAGES.items():
if damage(folder):  # False where the experiment has no such file
...
"""

import io
import json
import os
import random
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pandas as pd

from tl_keras.digests import DIGESTS, list_in
from tl_keras.results_layout import place

Change = Callable[[Path], None]

# As glob patterns from the name of something in the folder, wherever that lies; of several that
# match the first one is damaged.
JSON = (
    "config.json",
    "environment.json",
    "advice.json",
    "audit.json",
    "choice.json",
    "decision.json",
    "learning_curve.json",
    "errors.json",
    "export.json",
    "digests.json",
    "runs/*/row.json",
    "runs/*/digests.json",
    "search/*/search.json",
    "search/*/trial-*.json",
)
TABLES = (
    "images.csv",
    "splits.csv",
    "runs.csv",
    "summary.csv",
    "comparisons.csv",
    "per_class.csv",
    "confusion.csv",
    "history.csv",
    "trials.csv",
    "probes.csv",
    "calibration.csv",
    "findings.csv",
    "label_errors.csv",
    "errors.csv",
    "learning_curve.csv",
    "runs/*/history.csv",
    "runs/linear_probe*/probes.csv",
    "search/*/trials.csv",
)
BINARY = (
    "runs.parquet",
    "runs/*/probabilities.npz",
    "runs/*/weights.npz",
    "model.keras",
    "errors/01.jpg",
    "export/1/saved_model.pb",
    "export/1/variables/variables.data-*",
    "export/1/variables/variables.index",
    "export/1/assets.extra/labels.txt",
    "export/1/assets.extra/picture_reading.json",
)


def _halved(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _halved_at_a_line(path: Path) -> None:
    """Still a table, or the first lines of a record."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[: (len(lines) + 1) // 2]), encoding="utf-8")


def _zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    chance = random.Random(path.name)
    for _ in range(20 if content else 0):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(bytes(content))


def _digit_changed(path: Path) -> None:
    """Another number that looks as good."""
    content = path.read_bytes()
    place = max(content.rfind(digit) for digit in (b"1", b"2", b"3", b"7"))
    if place < 0:
        _emptied(path)
    else:
        path.write_bytes(content[:place] + b"6" + content[place + 1 :])


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    """Whoever opens it waits."""
    path.unlink()
    os.mkfifo(path)


def _gone(path: Path) -> None:
    path.unlink()


def _forbidden(path: Path) -> None:
    """Nothing to the superuser."""
    path.chmod(0)


def _text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _one_key_less(path: Path) -> None:
    facts = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(dict(list(facts.items())[1:])), encoding="utf-8")


def _changed_table(change: Callable[[pd.DataFrame], pd.DataFrame], path: Path) -> None:
    content = path.read_bytes()
    table = pd.read_csv(io.BytesIO(content), dtype=object) if content.strip() else pd.DataFrame()
    change(table).to_csv(path, index=False)


def _without_numbers(table: pd.DataFrame) -> pd.DataFrame:
    numbers = table.apply(lambda column: pd.to_numeric(column, errors="coerce"))
    return table.where(numbers.isna())


ANY: dict[str, Change] = {
    "halved": _halved,
    "zeroed": _zeroed,
    "emptied": _emptied,
    "with flipped bits": _flipped,
    "replaced by a folder": _folder,
    "replaced by a pipe": _pipe,
    "not allowed to be read": _forbidden,
    "gone": _gone,
}
OF_JSON: dict[str, Change] = {
    "null": partial(_text, "null"),
    "a number": partial(_text, "7"),
    "a list": partial(_text, "[1, 2]"),
    "of other keys": partial(_text, '{"x": 1}'),
    "nested 800 deep": partial(_text, '{"run_id": ' * 800 + "1" + "}" * 800),
    "nested without end": partial(_text, "[" * 200_000),
    "with another digit": _digit_changed,
    "without its first key": _one_key_less,
}
OF_TABLES: dict[str, Change] = {
    "halved at a line": _halved_at_a_line,
    "with other columns": partial(_changed_table, lambda table: table.add_prefix("x_")),
    "with words for numbers": partial(_changed_table, lambda table: table.map(lambda cell: "much")),
    "without its first column": partial(_changed_table, lambda table: table.iloc[:, 1:]),
    "with doubled rows": partial(_changed_table, lambda table: pd.concat([table, table])),
    "without its numbers": partial(_changed_table, _without_numbers),
    "with another digit": _digit_changed,
}
OF_BINARY: dict[str, Change] = {"text": partial(_text, "PK\x03\x04 no archive")}


def _damage(pattern: str, change: Change, folder: Path) -> bool:
    """Damage a file; whether there was one."""
    found = sorted(path for path in _matching(pattern, folder) if path.is_file())
    for path in found[:1]:
        change(path)
    return bool(found)


def _matching(pattern: str, folder: Path) -> Iterable[Path]:
    name, _, inside = pattern.partition("/")
    top = list_in(folder) if name == DIGESTS else place(folder, name)
    return top.glob(inside) if inside else [top]


def _damages(
    patterns: tuple[str, ...], changes: dict[str, Change]
) -> dict[str, Callable[[Path], bool]]:
    return {
        f"{pattern} {name}": partial(_damage, pattern, change)
        for pattern in patterns
        for name, change in changes.items()
    }


DAMAGES: dict[str, Callable[[Path], bool]] = {
    **_damages(JSON, ANY | OF_JSON),
    **_damages(TABLES, ANY | OF_TABLES),
    **_damages(BINARY, ANY | OF_BINARY),
    "a run replaced by a file": lambda folder: _run_as_file(folder),
    "a run of another name": lambda folder: _run_renamed(folder),
}


def _first_run(folder: Path) -> Path:
    return min(path for path in place(folder, "runs").iterdir() if path.is_dir())


def _run_as_file(folder: Path) -> bool:
    run = _first_run(folder)
    shutil.rmtree(run)
    run.touch()
    return True


def _run_renamed(folder: Path) -> bool:
    first, *_, last = sorted(place(folder, "runs").iterdir())
    shutil.rmtree(last)
    shutil.copytree(first, last)
    return True
