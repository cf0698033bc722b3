"""`tl-keras report`: one experiment's page, or several compared, without TensorFlow."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tl_keras.commands import export, predict, serve
from tl_keras.commands.report import main
from tl_keras.file_locks import hold, release

Finish = Callable[..., Path]


def test_one_folder_is_reported_in_its_place(
    finish: Finish, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finish()
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    assert "<h1>parts</h1>" in (folder / "report.html").read_text(encoding="utf-8")


def test_several_are_compared_beside_the_first(
    finish: Finish, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [finish("a"), finish("b")]
    assert main([str(folder) for folder in folders]) == 0
    page = folders[0].parent / "comparison-a-b.html"
    assert capsys.readouterr().out.strip() == str(page)
    assert page.is_file()


def test_the_page_of_a_comparison_can_be_named(finish: Finish, tmp_path: Path) -> None:
    folders = [str(finish("a")), str(finish("b"))]
    assert main([*folders, "--output", str(tmp_path / "both.html")]) == 0
    assert (tmp_path / "both.html").is_file()


@pytest.mark.parametrize("name", [".", "page.pdf", "none/page.html"])
def test_a_wrong_page_is_refused_before_the_work(
    finish: Finish, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main([str(finish()), "--output", str(tmp_path / name)]) == 2
    assert "--output" in capsys.readouterr().err


def test_a_folder_where_an_experiment_is_at_work_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("fcntl", reason="this system has no such locks")
    folder = tmp_path / "parts"
    folder.mkdir()
    # another open file is as another process to the lock
    holder = hold(tmp_path / ".parts.lock", create=True)
    ends: list[Callable[[], int]] = [
        lambda: main([str(folder)]),
        lambda: predict.main([str(folder), __file__]),
        lambda: serve.main([str(folder / "export"), "--port", "0"]),
        lambda: export.main([str(folder)]),
    ]
    for end in ends:
        assert end() == 2
        assert "is at work there" in capsys.readouterr().err
    release(holder)
    assert main([str(folder)]) == 2
    assert "at work" not in capsys.readouterr().err


def test_a_folder_without_results_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert "must be the folder of a finished experiment" in message


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ((), "there is no such path"),
        (("else.txt",), "it holds none"),
        (("config.json",), "not finished. Go on with it: tl-keras run"),
        (("audit.html", "findings.csv"), "it holds an audit, whose page is"),
    ],
)
def test_another_folder_is_called_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], found: tuple[str, ...], told: str
) -> None:
    for name in found:
        (tmp_path / "other").mkdir(exist_ok=True)
        (tmp_path / "other" / name).touch()
    assert main([str(tmp_path / "other")]) == 2
    assert told in capsys.readouterr().err


def test_it_needs_no_tensorflow() -> None:
    code = "import sys; import tl_keras.commands.report, tl_keras.reporting.comparison_page; "
    code += "import tl_keras.reporting.report; print('tensorflow' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"


def test_the_page_of_one_experiment_can_be_named(finish: Finish, tmp_path: Path) -> None:
    assert main([str(finish()), "--output", str(tmp_path / "mine.html")]) == 0
    assert (tmp_path / "mine.html").is_file()


def test_a_page_that_cannot_be_written_is_a_sentence(
    finish: Finish, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(finish()), "--output", str(tmp_path / "no" / "mine.html")]) == 2
    assert f"there is no folder {tmp_path / 'no'}" in capsys.readouterr().err
