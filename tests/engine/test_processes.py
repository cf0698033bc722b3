"""Worker processes: what they share, how they die, and with whom."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.engine.calls import Load, die, fail, note_gpu, own_gpu, own_process, wait, warn_of
from tests.hostile.experiments import children_of
from tl_keras.engine.processes import WorkerProcess
from tl_keras.engine.tasks import Answer


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerProcess]:
    process = WorkerProcess()
    process.share(Load(str(tmp_path)))
    yield process
    process.close()


def test_a_worker_is_one_other_process_that_loads_once(
    worker: WorkerProcess, tmp_path: Path
) -> None:
    answers = [worker.submit(own_process).result() for _ in range(2)]
    assert answers[0] == answers[1] != Answer(os.getpid())
    assert len(list(tmp_path.iterdir())) == 1


def test_notes_come_back_and_other_warnings_do_not(worker: WorkerProcess) -> None:
    call = partial(warn_of, "the cache is damaged")
    assert worker.submit(call).result() == Answer(None, ("the cache is damaged",))


def test_what_a_task_raises_comes_back(worker: WorkerProcess) -> None:
    with pytest.raises(ValueError, match="as it was raised"):
        worker.submit(fail).result()
    assert worker.submit(own_process).result().result != os.getpid()


def test_a_dead_worker_can_be_started_again(worker: WorkerProcess) -> None:
    first = worker.submit(own_process).result()
    with pytest.raises(BrokenExecutor):
        worker.submit(die).result()
    worker.restart()
    assert worker.submit(own_process).result() != first


def test_a_worker_has_its_gpu_before_tensorflow_and_after_a_death(tmp_path: Path) -> None:
    worker = WorkerProcess(partial(note_gpu, tmp_path), {"CUDA_VISIBLE_DEVICES": "GPU-8932f937"})
    worker.share(Load(str(tmp_path)))
    try:
        first, gpu = worker.submit(own_gpu).result().result
        with pytest.raises(BrokenExecutor):
            worker.submit(die).result()
        worker.restart()
        second, same = worker.submit(own_gpu).result().result
    finally:
        worker.close()
    assert first != second
    assert gpu == same == "GPU-8932f937"
    for process in (first, second):
        assert (tmp_path / str(process)).read_text() == "GPU-8932f937 False"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"


def test_closing_ends_what_is_being_made(worker: WorkerProcess, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    worker.submit(partial(wait, mark))
    process = int(_text_of(mark))
    worker.close()
    _assert_ends(process)


def test_a_worker_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Also where that is killed, whose folder it removes then; and its script needs no guard."""
    mark, script, scratch = tmp_path / "mark", tmp_path / "script.py", tmp_path / "scratch"
    (scratch / "pixels").mkdir(parents=True)
    script.write_text(
        "from functools import partial\n"
        "from pathlib import Path\n"
        "from tests.engine.calls import Load, wait\n"
        "from tl_keras.engine.processes import WorkerProcess\n"
        f"worker = WorkerProcess(scratch={str(scratch)!r})\n"
        f"worker.share(Load({str(tmp_path)!r}))\n"
        f"worker.submit(partial(wait, Path({str(mark)!r}))).result()\n"
    )
    with subprocess.Popen([sys.executable, str(script)], env=_environment()) as starter:
        process = int(_text_of(mark))
        assert process in children_of(starter.pid)
        starter.kill()
    _assert_ends(process)
    assert not scratch.exists(), "nobody else removes it"


def _environment() -> dict[str, str]:
    """In which a script finds the tests."""
    root = str(Path(__file__).parents[2])
    return os.environ | {"PYTHONPATH": os.pathsep.join([root, *sys.path])}


def _text_of(mark: Path) -> str:
    end = time.monotonic() + 60
    while not mark.exists() or not mark.read_text():
        assert time.monotonic() < end
        time.sleep(0.01)
    return mark.read_text()


def _assert_ends(process: int) -> None:
    end = time.monotonic() + 30
    while _runs(process):
        assert time.monotonic() < end
        time.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


TRACKED = """
import os, signal
from tests.engine.calls import Load, own_process
from tests.hostile.experiments import children_of
from tl_keras.engine.processes import WorkerProcess

worker = WorkerProcess()
worker.share(Load({folder!r}))
worker.submit(own_process).result()
trackers = [
    child
    for child in children_of(os.getpid())
    if b"resource_tracker" in open(f"/proc/{{child}}/cmdline", "rb").read()
]
assert trackers
for tracker in trackers:
    os.kill(tracker, signal.SIGKILL)
    while ") Z" not in open(f"/proc/{{tracker}}/stat").read():
        pass
worker.submit(own_process).result()
worker.restart()
worker.submit(own_process).result()
worker.close()
"""


def test_nobody_hears_of_killed_trackers_of_semaphores(tmp_path: Path) -> None:
    script = TRACKED.format(folder=str(tmp_path))
    ended = subprocess.run(
        [sys.executable, "-c", script], env=_environment(), capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "")
