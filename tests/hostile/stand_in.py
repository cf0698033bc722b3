"""In place of the package in tests of the harness: a run of half a second, sound or with a fault.

    python tests/hostile/stand_in.py FOLDER FAULT

writes what the phases of an experiment begin with and, as its only number, the sum of the bytes of
its photos and weights and of their names. FAULT is one of `FAULTS`, or "none".
"""

import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

FILES = (
    "state/audit.json",
    "state/search/n6/search.json",
    "state/runs/first/row.json",
    "state/runs/second/row.json",
    "tables/summary.csv",
    "state/errors.json",
)
FAULTS = (
    "deaf to SIGTERM",
    "another number after a kill",
    "another number after a loss",
    "no lock",
    "damage and other photos unseen",
    "cache believed",
    "half files kept",
    "write errors unseen",
)
_STEP_SECONDS, _PADDING = 0.05, 250_000


def main(folder: Path, fault: str) -> int:
    """Run the stand-in; its exit code."""
    if fault != "deaf to SIGTERM":
        signal.signal(signal.SIGTERM, _stop)
    print("Loading ...", flush=True)
    if not _is_locked(folder / "results.lock") and fault != "no lock":
        print("error: another process is at work")
        return 2
    try:
        return _work(folder, folder / "results" / "tiny", fault)
    except OSError as error:
        print(f"error: {error}")
        return 0 if fault == "write errors unseen" else 2


def _work(folder: Path, results: Path, fault: str) -> int:
    table, begun = results / "tables" / "runs.csv", results.exists()
    answer = f"run,number\n1,{_number(folder, fault)}\n"
    if table.exists() and table.read_text() != answer:
        print("error: results of other photos")
        return 0 if fault == "damage and other photos unseen" else 2
    if begun and fault == "another number after a kill":
        answer += "2,0\n"
    for name in FILES:
        time.sleep(_STEP_SECONDS)
        _write(results / name, "a\n" if name.endswith("csv") else "{}", fault)
        _write((results / name).with_suffix(".bin"), "0" * _PADDING, fault)
    if (folder / "gone").exists() and fault == "another number after a loss":
        answer += "2,0\n"
    _write(table, answer, fault)
    return 0


def _number(folder: Path, fault: str) -> int:
    files = [*(folder / "photos").rglob("*.png"), folder / "source.weights.h5"]
    cached = folder / "cache" / "entry" / "0.npy"
    cached.parent.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(cached):
        cached.write_bytes(bytes(60))
    if cached.is_file() and fault == "cache believed":
        files.append(cached)
    return sum(sum(path.read_bytes()) + sum(str(path).encode()) for path in files)


def _write(path: Path, text: str, fault: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if fault != "half files kept":
        unfinished = path.with_name(f"{path.name}.part")
        unfinished.write_text(text)
        unfinished.replace(path)
    elif not path.exists():
        path.write_text(text)


def _is_locked(lock: Path) -> bool:
    """Whether nobody else has it; it ends with this process."""
    try:
        fcntl.flock(os.open(lock, os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop(number: int, frame: FrameType | None) -> None:
    print("stopped; the same command goes on where it was", flush=True)
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
