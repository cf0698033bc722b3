"""Plots as files: whole, readable, and in place of older ones."""

import io
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from tl_keras.errors import ResultsError
from tl_keras.reporting.plot_files import Plot, write_plots


def plot() -> Plot:
    figure = Figure((2, 1))
    figure.subplots().plot([0, 1], [0, 1])
    return Plot("training", figure, "0 to 1")


def test_vectors_and_pixels_are_written_and_an_address_needs_no_file(tmp_path: Path) -> None:
    write_plots(tmp_path, [plot()])
    (png, svg) = sorted((tmp_path / "plots").iterdir())
    assert (png.name, svg.name) == ("training.png", "training.svg")
    assert b"<svg" in svg.read_bytes()
    # neither when nor with what it was drawn
    assert b"<dc:date>" not in svg.read_bytes()
    with Image.open(io.BytesIO(png.read_bytes())) as picture:
        assert picture.size[0] == 2 * picture.size[1]
        assert "Software" not in picture.info
    assert plot().uri.startswith("data:image/svg+xml;base64,")


def test_what_was_there_stays_where_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plots(tmp_path, [plot()])

    def full(figure: Figure, *args: object, **options: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(ResultsError, match=r"plots must be a folder that can be written"):
        write_plots(tmp_path, [plot()])
    assert len(list((tmp_path / "plots").iterdir())) == 2


def test_an_earlier_report_s_plots_go_and_a_person_s_own_files_stay(tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    for name in ("thresholds.svg", "thresholds.png", "for_the_talk.png"):
        (tmp_path / "plots" / name).write_bytes(b"")
    write_plots(tmp_path, [plot()])
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert names == {"training.svg", "training.png", "for_the_talk.png"}
