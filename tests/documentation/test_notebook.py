"""The notebook runs from its first cell to its last, in a kernel, as a person runs it."""

import importlib
from pathlib import Path

import pytest

from tests.documentation.pages import ROOT

NOTEBOOK = ROOT / "docs" / "first_steps.ipynb"
pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")
nbformat = importlib.import_module("nbformat")


def test_it_is_a_valid_notebook_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.slow
# of the libraries that talk to the kernel
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    client = importlib.import_module("nbclient").NotebookClient(
        nbformat.read(NOTEBOOK, as_version=4),
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    done = client.execute()
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    answers = "".join(output.get("text", "") for output in outputs)
    assert "Linear probe" in answers
    assert "decision [b'" in answers
    assert (tmp_path / "results" / "first_steps" / "report.html").is_file()
