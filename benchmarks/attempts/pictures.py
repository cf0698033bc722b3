"""Hostile pictures among good ones: through audit, predict and the local server.

The good ones are answered as they are without the others, in bounded time and memory.
"""

import base64
import csv
import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.attempts.attempt import KILOBYTES_PER_MEGABYTE, Attempt, Ended, Process, ended
from tests.hostile.experiments import TinyExperiment, tl_keras
from tests.hostile.mutated_pictures import mutated_picture
from tests.hostile.pictures import PICTURES

# Above what the same command needs with the good pictures alone.
MOST_MEGABYTES = 1000.0
MOST_SECONDS, MOST_SECONDS_PER_PICTURE = 60.0, 0.1
_BATCH, _CHUNK = 16, 500
_ROUNDING = 1e-5


def pictures(count: int, seed: int, folder: Path) -> Iterator[Attempt]:
    """Show hostile pictures to every command that reads some.

    Args:
        count: pictures, the hand-made ones among them; one attempt for each and each server's
            batch, and one for each folder of an audit and of predict.
        seed: of the mutated ones.
        folder: an empty one.
    """
    experiment = TinyExperiment.make(folder / "experiment", strategies=["linear_probe"])
    if problem := ended(experiment.command()).problem([0]):
        raise RuntimeError(f"there is no model to ask: {problem}")
    good = sorted(experiment.photos.rglob("*.png"))
    alone = Answered.of(experiment, good)
    if alone.end.problem([0]):
        raise RuntimeError(f"good pictures are not answered: {alone.end.output}")
    audited = _audited(experiment, [], folder / "audited")
    hostile = _written(count, seed, folder / "hostile")
    for start in range(0, count, _CHUNK):
        chunk = hostile[start : start + _CHUNK]
        case = f"pictures {start} to {start + len(chunk)} of seed {seed}"
        began = time.time()
        end = _audited(experiment, chunk, folder / "audited")
        more = end.peak_megabytes - audited.peak_megabytes
        problem = end.problem([0, 2])
        yield _measured(f"audit, {case}", problem, len(chunk), time.time() - began, more)
        began = time.time()
        answered = Answered.of(experiment, [*good, *chunk])
        more = answered.end.peak_megabytes - alone.end.peak_megabytes
        problem = answered.end.problem([0]) or answered.differs_from(alone)
        yield _measured(f"predict, {case}", problem, len(chunk), time.time() - began, more)
    yield from _serve(experiment, good, hostile)


def _written(count: int, seed: int, folder: Path) -> list[Path]:
    folder.mkdir()
    files = [*PICTURES.items()][:count]
    paths = []
    for number in range(count):
        name, content = files[number] if number < len(files) else mutated_picture(seed + number)
        paths.append(folder / f"hostile{number:05}.{name.rpartition('.')[2]}")
        paths[-1].write_bytes(content)
    return paths


def _audited(experiment: TinyExperiment, hostile: Sequence[Path], folder: Path) -> Ended:
    """All of them in the folders of the classes."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(experiment.photos, folder)
    classes = sorted(folder.iterdir())
    for number, path in enumerate(hostile):
        shutil.copy(path, classes[number % len(classes)])
    return ended(tl_keras("audit", str(folder), "--no-network", "--output", f"{folder}.out"))


@dataclass(frozen=True)
class Answered:
    """What `predict` says of files, and how it ended.

    Attributes:
        answers: class and probability, by the name of the file.
        end: of the process.
    """

    answers: dict[str, tuple[str, float]]
    end: Ended

    @classmethod
    def of(cls, experiment: TinyExperiment, files: Sequence[Path]) -> "Answered":
        output, folder = experiment.folder / "predicted.csv", experiment.folder / "asked"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        output.unlink(missing_ok=True)
        for path in files:
            shutil.copy(path, folder / f"{path.parent.name}-{path.name}")
        export = str(experiment.results / "export")
        options = ["--format", "csv", "--output", str(output)]
        end = ended(tl_keras("predict", export, str(folder), *options))
        if not output.exists():
            return cls({}, end)
        with output.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        answers = {
            Path(row["file"]).name: (row["label"], float(row["probability"])) for row in rows
        }
        return cls(answers, end)

    def differs_from(self, alone: "Answered") -> str | None:
        """Which of the good pictures are answered otherwise than alone."""
        wrong = [
            name
            for name, answer in alone.answers.items()
            if name not in self.answers or not alike(self.answers[name], answer)
        ]
        return f"good pictures are answered otherwise: {wrong[:5]}" if wrong else None


def _measured(
    case: str, problem: str | None, count: int, seconds: float, more_megabytes: float
) -> Attempt:
    name, most = case.partition(",")[0], MOST_SECONDS + count * MOST_SECONDS_PER_PICTURE
    if problem is None and seconds > most:
        problem = f"{seconds:.0f} s, more than {most:.0f}"
    if problem is None and more_megabytes > MOST_MEGABYTES:
        problem = f"{more_megabytes:.0f} MB more than with good pictures alone"
    figures = {f"{name}_seconds": seconds, f"{name}_more_memory_megabytes": more_megabytes}
    return Attempt(case, problem, figures)


def _serve(
    experiment: TinyExperiment,
    good: Sequence[Path],
    hostile: Sequence[Path],
) -> Iterator[Attempt]:
    """Batches of hostile pictures with a good one in each, and whether the server lives after."""
    process = Process(tl_keras("serve", str(experiment.results / "export"), "--port", "0"))
    try:
        url = process.said(r"(http://\S+/v1/models/\S+)")
        alone = [_asked(url, [path]) for path in good]
        before = memory_of(process.pid, "VmRSS")
        for start in range(0, len(hostile), _BATCH):
            batch = hostile[start : start + _BATCH]
            number = (start // _BATCH) % len(good)
            answers = _asked(url, [*batch, good[number]])
            more = memory_of(process.pid, "VmHWM") - before
            problem = problem_of(answers, alone[number], len(batch), more)
            if problem is None and not process.runs():
                problem = "the server is gone"
            figures = {"serve_more_memory_megabytes": more}
            yield Attempt(f"serve, pictures {start} to {start + len(batch)}", problem, figures)
    finally:
        process.interrupt()
    yield Attempt("serve, its end", process.ended().problem([0, 130]))


def _asked(url: str, files: Sequence[Path]) -> Any:
    """The predictions; an error in words where the server refuses or does not answer."""
    instances = [{"b64": base64.b64encode(path.read_bytes()).decode()} for path in files]
    body = json.dumps({"instances": instances}).encode()
    try:
        with urllib.request.urlopen(f"{url}:predict", body, timeout=MOST_SECONDS) as answer:
            return json.load(answer)["predictions"]
    except urllib.error.HTTPError as error:
        return f"status {error.code}: {error.read()[:300]!r}"
    except OSError as error:
        return f"no answer: {error}"


def problem_of(answers: Any, alone: Any, count: int, more: float) -> str | None:
    if isinstance(answers, str):
        return answers
    if len(answers) != count + 1:
        return f"{len(answers)} answers for {count + 1} pictures"
    if isinstance(alone, str) or not alike(answers[-1], alone[0]):
        return f"the good picture is answered {answers[-1]}, alone {alone[0]}"
    return f"{more:.0f} MB more than before" if more > MOST_MEGABYTES else None


def alike(found: Any, expected: Any) -> bool:
    """Equal up to what a batch of another size does to the last bits of a number."""
    if isinstance(expected, dict):
        return all(name in found and alike(found[name], expected[name]) for name in expected)
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(alike, found, expected))
    if isinstance(expected, float):
        return abs(found - expected) < _ROUNDING
    return bool(found == expected)


def memory_of(pid: int, name: str) -> float:
    """A figure of a process that runs, megabytes: VmRSS is its memory, VmHWM the peak of it."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / KILOBYTES_PER_MEGABYTE if found else 0.0
