"""What a worker process does first."""

import pytest

from tl_keras.experiment.loading import load_all


def test_a_worker_leaves_other_processes_memory_of_its_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    monkeypatch.setattr("tl_keras.experiment.loading.share_memory", lambda: done.append("memory"))
    monkeypatch.setattr(
        "tl_keras.transfer.threads.fix_threads", lambda count: done.append(f"{count} threads")
    )
    load_all(3)
    assert done == ["memory", "3 threads"]
