"""Worker processes: what they share, how they die, and with whom."""

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from functools import partial
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.engine.calls import Load, die, fail, note_gpu, own_gpu, own_process, wait, warn_of
from tests.hostile.experiments import children_of
from tl_keras.engine.processes import WorkerProcess
from tl_keras.engine.tasks import Answer
from tl_keras.errors import WorkerError


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


FAILURES = [
    RuntimeError("can't start new thread"),
    BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    MemoryError(),
]


def fail_after(function: Callable[..., Any], error: Exception) -> Callable[..., NoReturn]:
    """The function, which does what it does and then fails."""

    def failing(*arguments: Any) -> NoReturn:
        function(*arguments)
        raise error

    return failing


def none_but(before: set[BaseProcess]) -> bool:
    """Whether no other process is left; one that two threads wait for is gone a moment later."""
    deadline = time.monotonic() + 10
    while not (ended := set(active_children()) <= before) and time.monotonic() < deadline:
        time.sleep(0.01)
    return ended


def fail_at_the(place: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the start of a worker fail: at its executor's thread, at its process, or after both."""
    manager = "_start_executor_manager_thread"

    def no_process(process: Any) -> NoReturn:
        raise error

    if place == "thread":
        start = threading.Thread.start

        def no_manager(thread: threading.Thread) -> None:
            if "ExecutorManager" in type(thread).__name__:
                raise error
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", no_manager)
    elif place == "process":
        monkeypatch.setattr("joblib.externals.loky.backend.process.LokyProcess.start", no_process)
    else:
        submit = getattr(ProcessPoolExecutor, manager)
        monkeypatch.setattr(ProcessPoolExecutor, manager, fail_after(submit, error))


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", ["thread", "answer"])
def test_a_worker_that_cannot_be_started_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch, place: str, error: Exception
) -> None:
    before = set(active_children())
    fail_at_the(place, error, monkeypatch)
    with pytest.raises(WorkerError, match=r"could not be started .*workers.* 1") as told:
        WorkerProcess()
    assert (str(error) or "MemoryError") in str(told.value)
    assert none_but(before)


def test_nothing_is_started_where_no_thread_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(active_children())

    def none(thread: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    with pytest.raises(WorkerError, match="can't start new thread"):
        WorkerProcess()
    assert none_but(before)


@pytest.mark.parametrize("place", ["thread", "process"])
def test_one_that_cannot_take_the_place_of_another_leaves_no_process(
    worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    with pytest.raises(BrokenExecutor):
        worker.submit(die).result()
    before = set(active_children())
    with monkeypatch.context() as patch:
        fail_at_the(place, FAILURES[1], patch)
        with pytest.raises(WorkerError, match="could not be started"):
            worker.restart()
    assert none_but(before)
    worker.close()


def test_one_whose_starter_died_before_it_began_ends(worker: WorkerProcess, tmp_path: Path) -> None:
    # a process that is nobody's parent
    worker._begins = (2**30, {}, None)
    worker.restart()
    with pytest.raises(BrokenExecutor):
        worker.submit(partial(wait, tmp_path / "mark")).result(50)


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
