"""An experiment exports its run once; what somebody removed of that is made again."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tl_keras.digests import keep_json
from tl_keras.experiment import export as stage
from tl_keras.experiment.export import EXPORT_RECORD, export
from tl_keras.results.runs_table import FinishedRun
from tl_keras.results.store import Store
from tl_keras.serving.keras_file import LABELS_FILE, MODEL_FILE

EXPORTED, OTHER = "fine_tuning-n5-s1", "feature_extraction-n5-s0"

Made = list[tuple[str, tuple[str, ...]]]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    """The runs of which versions were published, and their targets."""
    published: Made = []

    def publish(prepared: Any, chosen: FinishedRun, targets: Sequence[str]) -> Path:
        published.append((chosen.run_id, tuple(targets)))
        return Path("made again")

    monkeypatch.setattr(stage, "publish", publish)
    return published


@pytest.fixture
def exported(finish: Callable[..., Path]) -> Any:
    """An experiment whose third version is that of one run; an older version is there as well."""
    store = Store(finish())
    for version in "13":
        (store.folder / "export" / version).mkdir(parents=True)
        (store.folder / "export" / version / "saved_model.pb").touch()
    keep_json(store.folder / EXPORT_RECORD, {"run_id": EXPORTED, "version": "3"})
    for name in (MODEL_FILE, LABELS_FILE):
        (store.folder / name).touch()
    config = SimpleNamespace(export=True, export_targets=("litert",))
    return SimpleNamespace(config=config, store=store)


def test_a_version_that_is_there_is_not_made_again(exported: Any, made: Made) -> None:
    path = export(exported, exported.store.run(OTHER))
    assert path == exported.store.folder / "export" / "3"
    assert made == []


def remove_all(versions: Path) -> None:
    shutil.rmtree(versions)


def remove_version(versions: Path) -> None:
    shutil.rmtree(versions / "3")


def remove_model(versions: Path) -> None:
    (versions / "3" / "saved_model.pb").unlink()


def put_a_file_in_its_place(versions: Path) -> None:
    shutil.rmtree(versions)
    versions.touch()


@pytest.mark.parametrize(
    "remove", [remove_all, remove_version, remove_model, put_a_file_in_its_place]
)
def test_what_was_removed_is_made_again_of_the_same_run(
    exported: Any, made: Made, remove: Callable[[Path], None]
) -> None:
    remove(exported.store.folder / "export")
    assert export(exported, exported.store.run(OTHER)) == Path("made again")
    assert made == [(EXPORTED, ("litert",))]


def test_where_no_export_is_asked_for_none_is_made_again(exported: Any, made: Made) -> None:
    remove_all(exported.store.folder / "export")
    exported.config.export = False
    assert export(exported, exported.store.run(OTHER)) is None
    assert made == []
