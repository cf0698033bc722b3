"""What lies in a folder of results, in words, for a person who opens it."""

import shlex
from collections.abc import Iterable
from pathlib import Path

from tl_keras.atomic_files import write_text
from tl_keras.invocation import run_again
from tl_keras.results_layout import AUDIT, CONFIG, MODEL, PLOTS, REPORT, STATE, TABLES, is_in_place

README = "README.md"
# Who finds another file of this name leaves it as it is.
_MARK = "tl-keras writes this file, and writes it again with the results."

Entry = tuple[str, str]


def write_readme(folder: Path) -> None:
    """Say in the folder of an experiment what lies there; nothing where an earlier version made it.

    Raises:
        OSError: it cannot be written.
    """
    if not is_in_place(folder):
        return
    run = run_again(folder / CONFIG)
    first = f"Open {REPORT} first, in a browser."
    if not (folder / REPORT).exists():
        first = f"This experiment is not finished. Go on with it:\n\n    {run}"
    _write(folder, first, _of_an_experiment(shlex.quote(folder.as_posix()), run))


def write_audit_readme(folder: Path) -> None:
    """Say in the folder of an audit what lies there.

    Raises:
        OSError: it cannot be written.
    """
    entries = (
        (AUDIT, "what is doubtful among the photos, with pictures; labels can be marked there"),
        (
            f"{TABLES}/",
            "the same for a spreadsheet: findings.csv (every finding), label_errors.csv (labels "
            "that look wrong), embedding_matches.csv (photos that look alike), images.csv (a line "
            "for each photo)",
        ),
    )
    _write(folder, f"Open {AUDIT} first, in a browser.", entries)


def _of_an_experiment(folder: str, run: str) -> Iterable[Entry]:
    yield (
        REPORT,
        "how many new photos the model gets right, which ones it gets wrong, and what to do next",
    )
    yield (
        f"{TABLES}/",
        "all figures, for a spreadsheet. Begin with summary.csv (how good each way of training "
        "is), per_class.csv (the same class by class), confusion.csv (what was taken for what) and "
        "errors.csv (photos that were answered wrongly)",
    )
    yield f"{PLOTS}/", "the figures of the report as pictures, for slides and papers"
    yield "errors/", "photos that were answered wrongly or barely right, and where the model looked"
    yield (
        "export/",
        "the trained model, ready to use, in numbered versions. Try it: "
        f"`tl-keras predict {folder} PHOTO`",
    )
    yield (
        f"{MODEL}/",
        "the same model as a file of Keras, for those who go on with it in Python; and, where it "
        "was trained as a whole, the network that other experiments can begin with",
    )
    yield CONFIG, f"the settings. To go on with them: `{run}`"
    yield "tensorboard/", "how the training went, for the program TensorBoard"
    yield f"{STATE}/", "what tl-keras needs to go on and to show the results; leave it as it is"


def _write(folder: Path, first: str, entries: Iterable[Entry]) -> None:
    path = folder / README
    if path.exists() and not (path.is_file() and _MARK in path.read_text("utf-8", "replace")):
        return
    lines = [f"- `{name}`: {words}." for name, words in entries if (folder / name).exists()]
    write_text(path, "\n".join([f"# {folder.name}", "", first, "", *lines, "", _MARK, ""]))
