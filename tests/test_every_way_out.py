"""Photos and classes of hostile names, through every command: what people see is only text."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from PIL import Image

from tests.hostile.texts import FILE_NAMES
from tl_keras.commands import audit, predict, report, run
from tl_keras.reporting import page_scripts
from tl_keras.results_layout import TABLES, place
from tl_keras.safe_text import one_line, unguard

pytestmark = [
    pytest.mark.slow,
    # KerasTuner asks for the current thread by its old name.
    pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning"),
]

CLASSES = ("\x1b[31mred\x1b[0m\x9b", "=1+1|`b`<script>c<", "[bold]d\u202e\u200b[]")
SETTINGS = ("backbone.name=Tiny", "backbone.weights=null", "backbone.image_size=32", "seeds=1")
SETS = [word for text in SETTINGS for word in ("--set", text)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes whose photos bear every name that a disk takes, and one that is broken."""
    folder = tmp_path_factory.mktemp("hostile") / "parts"
    rng = np.random.default_rng(0)
    for number, label in enumerate(CLASSES):
        (folder / label).mkdir(parents=True)
        for name in FILE_NAMES.values():
            shade = rng.normal(60 * number + 60, 30, (36, 40, 3))
            pixels = np.clip(shade, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{name}.png", "PNG")
    (folder / CLASSES[0] / "\x1b[2Jbroken\n.png").write_bytes(b"garbage")
    return folder


@pytest.fixture(scope="module")
def results(
    photos: Path, tiny_backbone: None, checked_here: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The results of an experiment with these photos."""
    folder = tmp_path_factory.mktemp("results")
    more = ["data.skip_unreadable=true", 'strategies=["linear_probe"]', f"results_dir={folder}"]
    more += ["name=parts", "description=<script>alert(1)</script>|\x1b[31m"]
    sets = [word for text in more for word in ("--set", text)]
    assert run.main([str(photos), *SETS, *sets]) == 0
    yield folder / "parts"


def check_terminal(text: str) -> None:
    """Nothing of a name is obeyed: all lines are text."""
    lines = text.replace("\t", " ").split("\n")
    assert [line for line in lines if one_line(line) != line] == []


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [tag, *(name for name, _ in attributes)]


def check_page(html: str) -> None:
    """No tag and no attribute but those of the templates, and no character that turns a line."""
    tags = Tags()
    tags.feed(html)
    assert not [name for name in tags.found if name.startswith("on")]
    own = re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL)
    marks, sorting = map(page_scripts.script, ("label_marks", "sorting"))
    assert set(own) <= {marks, sorting}
    assert (marks in own) == ("form" in tags.found)
    assert tags.found.count("script") == len(own)
    check_terminal(html)


def check_tables(folder: Path) -> None:
    """No cell that a spreadsheet would compute."""
    tables = list((folder / TABLES).glob("*.csv"))
    assert tables
    for table in tables:
        with table.open(encoding="utf-8", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if re.match(r"[=@+\t\r]|-(?![\d.])", cell)], table.name


def test_audit(
    photos: Path, tiny_backbone: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main([str(photos), *SETS, "--output", str(tmp_path), "--no-network"]) == 0
    said = capsys.readouterr()
    check_terminal(said.out + said.err)
    assert r"\x1b[31mred\x1b[0m\x9b" in said.out
    check_page((tmp_path / "audit.html").read_text(encoding="utf-8"))
    check_tables(tmp_path)


def test_plan_and_refusal(
    photos: Path, tiny_backbone: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--set", f"results_dir={tmp_path}"]
    skipped = ["--set", "data.skip_unreadable=true"]
    assert run.main([str(photos), *SETS, *place, *skipped, "--dry-run"]) == 0
    said = capsys.readouterr()
    assert r"\x1b[31mred\x1b[0m\x9b" in said.out
    # the photo that cannot be read
    assert run.main([str(photos), *SETS, *place]) == 2
    refused = capsys.readouterr()
    assert r"\x1b[2Jbroken\n.png" in refused.err
    check_terminal(said.out + said.err + refused.out + refused.err)


@pytest.mark.parametrize("command", [run, audit, predict, report])
@pytest.mark.parametrize("name", FILE_NAMES.values(), ids=FILE_NAMES)
def test_a_path_that_is_not_there(
    command: object, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(tmp_path / name)] * (2 if command is predict else 1)
    assert command.main(arguments) in (1, 2)  # type: ignore[attr-defined]
    said = capsys.readouterr()
    check_terminal(said.out + said.err)
    assert said.err


def test_arguments_that_are_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (run, audit, report):
        with pytest.raises(SystemExit):
            command.main(["a", "b", f"-{CLASSES[0]}", CLASSES[2]])
    check_terminal(capsys.readouterr().err)


def test_run(results: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check_page((results / "report.html").read_text(encoding="utf-8"))
    check_tables(results)
    # again, from the tables as they were written
    assert run.main([str(results / "config.json")]) == 0
    said = capfd.readouterr()
    check_terminal(said.out + said.err)


def test_names_in_tables_are_those_of_the_files(results: Path, photos: Path) -> None:
    table = pd.read_csv(place(results, "images.csv"), dtype=str, keep_default_na=False)
    ids = set(map(unguard, table["image_id"]))
    assert ids == {path.relative_to(photos).as_posix() for path in photos.rglob("*.png")}


def test_model_card(results: Path) -> None:
    text = next(results.rglob("MODEL_CARD.md")).read_text(encoding="utf-8")
    check_terminal(text)
    assert "<" not in text.partition("## How to call it")[0]
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    kinds = [each.type for token in tokens for each in (token, *(token.children or ()))]
    assert not [kind for kind in kinds if "html" in kind]
    cells = [
        tokens[place + 1].children or []
        for place, token in enumerate(tokens)
        if token.type == "td_open"
    ]
    shown = {"".join(each.content for each in cell) for cell in cells}
    assert set(map(one_line, CLASSES)) <= shown


def test_labels_have_a_line_each(results: Path) -> None:
    (file,) = results.rglob("labels.txt")
    assert set(file.read_text(encoding="utf-8").splitlines()) == set(CLASSES)


@pytest.mark.parametrize("form", list(predict.FORMATS))
def test_predict(
    results: Path, photos: Path, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(results / "export"), str(photos), "--format", form]
    assert predict.main(arguments) == 0
    shown = capsys.readouterr()
    assert predict.main([*arguments, "--output", str(tmp_path / "answers")]) == 0
    check_terminal(shown.err if form == "csv" else shown.out + shown.err)
    files = sorted(str(path) for path in photos.rglob("*.png"))
    written = (tmp_path / "answers").read_text(encoding="utf-8")
    if form == "csv":
        table = tmp_path / TABLES / "answers.csv"
        table.parent.mkdir()
        (tmp_path / "answers").rename(table)
        check_tables(tmp_path)
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert sorted(unguard(row["file"]) for row in rows) == files
        assert {unguard(row["label"]) for row in rows} <= {*CLASSES, ""}
    elif form == "jsonl":
        rows = [json.loads(line) for line in written.splitlines()]
        assert sorted(row["file"] for row in rows) == files
        assert {row["label"] for row in rows} <= {*CLASSES, ""}
    else:
        assert len(written.splitlines()) == 1 + len(files)


def test_predict_shows_a_table_of_commas_to_people_as_text(
    results: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert predict.main([str(results / "export"), str(photos), "--format", "csv"]) == 0
    check_terminal(capsys.readouterr().out)


def test_a_terminal_without_the_letters_of_a_name_shows_their_codes(tmp_path: Path) -> None:
    name = str(tmp_path / "傷あり\x1b[31m")
    code = "import sys; from tl_keras.commands import run; sys.exit(run.main(sys.argv[1:]))"
    plan = (
        "import sys; from tl_keras.commands.command_line import carry_out, say; "
        "carry_out(lambda: say(sys.argv[1]) or 0)"
    )
    for script, stream in ((code, "stderr"), (plan, "stdout")):
        answer = subprocess.run(
            [sys.executable, "-c", script, name],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
            check=False,
        )
        assert rb"\u50b7\u3042\u308a\x1b[31m" in getattr(answer, stream)
        assert b"Traceback" not in answer.stderr
