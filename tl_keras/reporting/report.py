"""The report of an experiment: one page with everything that a reader would ask."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tl_keras.reporting import photo_sections, sections
from tl_keras.reporting.answer import answer, question
from tl_keras.reporting.folder_readme import write_readme
from tl_keras.reporting.label_marks import marking
from tl_keras.reporting.next_steps import next_steps
from tl_keras.reporting.pages import render, write_page
from tl_keras.reporting.plot_files import Plot, write_plots
from tl_keras.results.finished_experiment import FinishedExperiment
from tl_keras.results_layout import REPORT


def write_report(folder: Path, path: Path | None = None) -> Path:
    """Write the report of a finished experiment, from what lies in its folder.

    Args:
        folder: of the experiment.
        path: of the page; None is `report.html` in the folder, with its plots in `plots/` and a
            README that names them.

    Returns:
        The page.

    Raises:
        ResultsError: the folder holds no finished experiment, or the page cannot be written.
    """
    results = FinishedExperiment.open(folder)
    with results.as_this_version_writes():
        shown = content(results)
        page = render(REPORT, shown)
    write_page(path or folder / REPORT, page)
    if path is None:
        write_plots(folder, _plots(shown))
        write_readme(folder)
    return path or folder / REPORT


def _plots(shown: Mapping[str, Any]) -> Iterator[Plot]:
    """Every plot of the sections."""
    for section in shown.values():
        if isinstance(section, dict):
            yield from (part for part in section.values() if isinstance(part, Plot))


def content(results: FinishedExperiment) -> dict[str, Any]:
    """What the template names, by section; None for a section that the experiment lacks."""
    return {
        "name": results.config["name"],
        "description": results.config["description"],
        "generated": bool(results.runs["generated_images"].any()),
        "folds": results.folds,
        "test_photos": results.test_photos,
        "question": question(results),
        "answer": answer(results),
        "next": next_steps(results),
        "audit": results.facts("audit"),
        "strategies": sections.strategies(results),
        "training": sections.training(results),
        "blocks": sections.blocks(results),
        "classes": sections.classes(results),
        "errors": photo_sections.errors(results),
        "marks": marking(list(results.confusion.index), results.corrections),
        "decision": sections.decision(results),
        "curve": sections.curve(results),
        "cost": sections.cost(results),
        "made": sections.made(results),
    }
