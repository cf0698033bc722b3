"""`tl-keras predict EXPORT PHOTO_OR_FOLDER...`: what an exported model says of photos."""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tl_keras.commands.command_line import (
    Parser,
    carry_out,
    check_file,
    loading,
    read_options,
    say,
    writing,
)
from tl_keras.data.photo_paths import find_photos
from tl_keras.data.picture_walk import left_out_in_words
from tl_keras.errors import ConfigError
from tl_keras.quiet import error_stream
from tl_keras.reporting.moving_line import MovingLine
from tl_keras.reporting.safe_console import SafeConsole
from tl_keras.safe_text import guard, json_line, one_line, readable_name
from tl_keras.serving.heat_map_folder import HeatMapFolder, check_place
from tl_keras.serving.versions import EXTRA, find_version

if TYPE_CHECKING:
    from tl_keras.evaluation.decision_rule import DecisionRule
    from tl_keras.serving.exported_classifier import Answers, ExportedClassifier
    from tl_keras.serving.prediction_lines import Line

DESCRIPTION = """\
Say what photos show, with the model of a finished experiment: a line per photo with its class and
how probable that is, and where the model decides, how sure it is and the decision: the class or
group (such as "not good"), "review" for photos that a person should look at, or "unknown" for
photos unlike those that it learned from. Files that cannot be read are listed as such."""

# Formats by the ending of the file.
_ENDINGS = {"": "table", ".txt": "table", ".csv": "csv", ".jsonl": "jsonl"}
# Characters of the first column of the table, where the names are longer.
_WIDEST = 100

# Writes the lines of some files.
Write = Callable[[Sequence[dict[str, str | float]]], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failure, 2 for a mistake."""
    options = read_options(_parser(), arguments)
    return carry_out(lambda: _predict(options), words=options.words)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("tl-keras predict", description=DESCRIPTION)
    parser.add_argument(
        "export",
        type=Path,
        metavar="EXPERIMENT",
        help="the folder of a finished experiment, such as results/defects, whose newest model is "
        "asked; or one version of it, such as results/defects/export/1",
    )
    parser.add_argument(
        "photos",
        type=Path,
        nargs="+",
        metavar="PHOTO_OR_FOLDER",
        help="photos, or folders: all photos in them and in their sub-folders",
    )
    parser.add_argument(
        "--format",
        choices=list(FORMATS),
        help="of the answers: a table to read, CSV for spreadsheets, or JSON Lines for programs "
        "(default: as the name of --output ends, else a table)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="file for the answers, in place of the terminal: .txt, .csv or .jsonl",
    )
    parser.add_argument(
        "--heat-maps",
        type=Path,
        metavar="FOLDER",
        help="folder for pictures, one per photo, of what speaks for its answer and what "
        "against it",
    )
    return parser


def _predict(options: argparse.Namespace) -> int:
    form = options.format or _by_name(options.output)
    if options.output is not None:
        check_file(options.output, "--output")
    version, (files, ignored) = find_version(options.export).path, find_photos(options.photos)
    if options.heat_maps is not None:
        with writing(options.heat_maps, "--heat-maps"):
            check_place(options.heat_maps, options.photos)
    # beside answers, which may be for programs
    console = SafeConsole(file=error_stream())
    with loading(console, f"TensorFlow and {readable_name(version)}"):
        from tl_keras.serving.decision_record import other_decision, read_rule
        from tl_keras.serving.exported_classifier import ExportedClassifier
        from tl_keras.serving.prediction_lines import columns, lines_of

        classifier = ExportedClassifier(version)
        # an export of an earlier version leaves the decision to its readers
        rule = None if classifier.decides else read_rule(version / EXTRA)
    if options.heat_maps is not None:
        classifier.check_explains()
    left_out = f"left out: {left_out_in_words(ignored)}" if ignored else None
    for note in filter(None, (left_out, other_decision(version))):
        say(note, sys.stderr)
    unread = start = 0
    with _opened(options.output) as stream, _progress(console, len(files), stream) as so_far:
        names = columns(classifier.decides or rule is not None, classifier.knows_strangers)
        if options.heat_maps is not None:
            names.append("heat_map")
        write = FORMATS[form](stream, files, names)
        for answers, pictures in _answered(classifier, files, rule, options.heat_maps):
            asked = files[start : start + len(answers.labels)]
            found = lines_of(asked, answers, classifier.reading.max_megapixels)
            lines = _named(asked, found, pictures)
            write(lines)
            stream.flush()
            start += len(lines)
            unread += sum(bool(line["problem"]) for line in lines)
            so_far(start)
    if options.heat_maps is not None:
        say(f"{len(files) - unread} heat maps in {options.heat_maps}", sys.stderr)
    if unread:
        say(f"{unread} of {len(files)} files could not be read", sys.stderr)
    return 1 if unread == len(files) else 0


def _by_name(output: Path | None) -> str:
    """The format that the ending of a file's name asks for.

    Raises:
        ConfigError: it is that of none.
    """
    ending = "" if output is None else output.suffix.lower()
    if ending not in _ENDINGS:
        raise ConfigError(
            f"--output must end in {', '.join(filter(None, _ENDINGS))}, or come with --format; got "
            f"{output}. A spreadsheet program opens .csv."
        )
    return _ENDINGS[ending]


def _answered(
    classifier: "ExportedClassifier",
    files: Sequence[Path],
    rule: "DecisionRule | None",
    folder: Path | None,
) -> Iterator[tuple["Answers", list[str] | None]]:
    """Answers to some files at a time, and where a folder is given the names of their pictures."""
    if folder is None:
        for answers in classifier.classify_paths(files):
            yield _decided(answers, rule), None
        return
    pictures, start = HeatMapFolder(folder), 0
    for maps in classifier.heat_maps_of_paths(files):
        answers = _decided(maps.answers, rule)
        end = start + len(answers.labels)
        with writing(folder, "--heat-maps"):
            names = pictures.write(files[start:end], maps, answers)
        yield answers, names
        start = end


def _decided(answers: "Answers", rule: "DecisionRule | None") -> "Answers":
    return answers if rule is None else answers.decided(rule)


def _named(
    files: Sequence[Path], lines: Sequence["Line"], pictures: Sequence[str] | None
) -> list["Line"]:
    """Lines with the names of their files, and of the pictures of these where there are some."""
    names = map(readable_name, files)
    rows = [{"file": name, **line} for name, line in zip(names, lines, strict=True)]
    for row, picture in zip(rows, pictures or (), strict=bool(pictures)):
        row["heat_map"] = picture
    return rows


def _table(stream: TextIO, files: Sequence[Path], columns: Sequence[str]) -> Write:
    # one long name would move the answers of all others out of sight
    width = min(_WIDEST, max(len(one_line(readable_name(file))) for file in files))
    numbers = [name for name in ("probability", "confidence", "familiar") if name in columns]
    decided = "decision" in columns
    head = "  ".join(f"{name:>11}" for name in numbers)
    print(f"{'file':<{width}}  {head}  label{'  (decision)' * decided}", file=stream)

    def write(lines: Sequence[dict[str, str | float]]) -> None:
        for line in lines:
            shares = "  ".join(
                f"{'' if line['problem'] else format(line[name], '.4f'):>11}" for name in numbers
            )
            text = line["label"] or f"({line['problem']})"
            decision = f"  ({line['decision']})" if decided and line["label"] else ""
            file = f"{one_line(line['file']):<{width}}"
            print(f"{file}  {shares}  {one_line(f'{text}{decision}')}", file=stream)

    return write


def _csv(stream: TextIO, files: Sequence[Path], columns: Sequence[str]) -> Write:
    # a carriage return ends a line for readers, and Python before 3.13 does not quote it
    quoted = any("\r" in readable_name(file) for file in files)
    writer = csv.DictWriter(
        stream,
        columns,
        lineterminator="\n",
        quoting=csv.QUOTE_NONNUMERIC if quoted else csv.QUOTE_MINIMAL,
    )
    writer.writeheader()
    # whoever looks at it in a terminal is no program that reads it
    shown = one_line if stream.isatty() else str

    def write(lines: Sequence[dict[str, str | float]]) -> None:
        for line in lines:
            texts = {name: cell for name, cell in line.items() if isinstance(cell, str)}
            writer.writerow(line | {name: shown(guard(cell)) for name, cell in texts.items()})

    return write


def _json_lines(stream: TextIO, files: Sequence[Path], columns: Sequence[str]) -> Write:
    def write(lines: Sequence[dict[str, str | float]]) -> None:
        for line in lines:
            print(json_line(line), file=stream)

    return write


FORMATS: dict[str, Callable[[TextIO, Sequence[Path], Sequence[str]], Write]] = {
    "table": _table,
    "csv": _csv,
    "jsonl": _json_lines,
}


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    with writing(path, "--output"):
        stream = path.open("w", encoding="utf-8", newline="")
    try:
        yield stream
    finally:
        with writing(path, "--output"):
            stream.close()


@contextmanager
def _progress(console: SafeConsole, total: int, stream: TextIO) -> Iterator[Callable[[int], None]]:
    """How far it is, unless the answers themselves go to the terminal."""
    if console.is_terminal and stream.isatty():
        yield lambda done: None
        return
    with MovingLine(console, takes_prints=False) as line:
        line.show(total=total)
        line.stage("Classifying", said=False)

        def so_far(done: int) -> None:
            line.far(f"{done:,} of {total:,} files")
            line.show(completed=done)

        yield so_far
