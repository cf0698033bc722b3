"""Plots inside a page, and beside it as files for slides and papers."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tl_keras.atomic_files import write_bytes
from tl_keras.errors import ResultsError
from tl_keras.invocation import other_place
from tl_keras.results_layout import PLOTS

# Names of plots, one of which a report may lack that an earlier one had.
OF_REPORTS = ("strategies", "training", "probes", "reliability", "thresholds", "learning_curve")


@dataclass(frozen=True)
class Plot:
    """A plot of a page.

    Attributes:
        name: of its files, without an ending.
        figure: what is drawn.
        words: its numbers, for those who do not see it.
    """

    name: str
    figure: Figure
    words: str

    @cached_property
    def svg(self) -> bytes:
        """Vectors; the same tables give the same bytes."""
        return self._as("svg", {"Date": None})

    @property
    def png(self) -> bytes:
        """Pixels; the same tables give the same bytes."""
        return self._as("png", {"Software": None})

    @property
    def uri(self) -> str:
        """An address with the plot inside, for a page that needs no other file."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode()

    def _as(self, ending: str, metadata: dict[str, Any]) -> bytes:
        drawn = io.BytesIO()
        # names inside the file are random otherwise
        with mpl.rc_context({"svg.hashsalt": "tl_keras"}):
            self.figure.savefig(drawn, format=ending, metadata=metadata)
        return drawn.getvalue()


def write_plots(folder: Path, plots: Iterable[Plot]) -> None:
    """Write `plots/<name>.svg` and `.png`, in place of those that an earlier report left.

    Args:
        folder: of the experiment.
        plots: each of another name, of `OF_REPORTS`.

    Raises:
        ResultsError: they cannot be written.
    """
    folder = folder / PLOTS
    try:
        drawn: dict[str, bytes] = {}
        for plot in plots:
            drawn |= {f"{plot.name}.svg": plot.svg, f"{plot.name}.png": plot.png}
        folder.mkdir(exist_ok=True)
        # a person's own files stay
        for name in {f"{name}.{ending}" for name in OF_REPORTS for ending in ("svg", "png")}:
            if name not in drawn:
                (folder / name).unlink(missing_ok=True)
        for name, content in drawn.items():
            write_bytes(folder / name, content)
    except OSError as error:
        raise ResultsError(
            f"{folder} must be a folder that can be written; got: {error}. Write the "
            f"report alone with {other_place('--output', 'path')}."
        ) from error
