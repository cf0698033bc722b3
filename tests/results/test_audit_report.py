"""The tables of an audit as files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tl_keras.config.schema import DataConfig
from tl_keras.data.file_audit import examine
from tl_keras.data.sources import load_images
from tl_keras.errors import ConfigError
from tl_keras.results.audit_report import AuditReport
from tl_keras.results_layout import TABLES


@pytest.fixture
def report(tmp_path: Path) -> AuditReport:
    """Of three pictures, of which two are the same."""
    random = np.random.default_rng(0)
    for label in "ab":
        (tmp_path / "photos" / label).mkdir(parents=True)
        pixels = random.integers(0, 255, (40, 40, 3), np.uint8)
        for number in range(2 if label == "a" else 1):
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.png")
    table = load_images(DataConfig(folder=str(tmp_path / "photos")), to_train=False)
    return AuditReport("set", table, examine(table, image_size=32))


def test_tables_are_written_into_a_folder_that_is_made(report: AuditReport, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    report.write(folder)
    files = {path.name for path in (folder / TABLES).iterdir()}
    assert files == {"images.csv", "findings.csv", "label_errors.csv", "embedding_matches.csv"}
    assert pd.read_csv(folder / TABLES / "images.csv")["image_id"].tolist() == [
        "a/0.png",
        "a/1.png",
        "b/0.png",
    ]
    copies = pd.read_csv(folder / TABLES / "findings.csv").query(
        "kind == 'duplicates_within_class'"
    )
    assert copies["image_id"].tolist() == ["a/0.png", "a/1.png"]


def test_a_table_is_there_whole(
    report: AuditReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report.write(tmp_path)
    before = (tmp_path / TABLES / "images.csv").read_text()

    def half(path: Path, content: bytes) -> None:
        path.write_text(content.decode()[:7])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space"):
        report.write(tmp_path)
    assert (tmp_path / TABLES / "images.csv").read_text() == before


def test_tables_of_an_experiment_are_not_replaced(report: AuditReport, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="folder of an experiment"):
        report.write(tmp_path)
    assert not (tmp_path / TABLES / "images.csv").exists()


@pytest.mark.parametrize("where", ["photos", "photos/audit", "photos/audit/of/today"])
def test_no_audit_lies_among_the_photos_as_classes_of_theirs(
    report: AuditReport, tmp_path: Path, where: str
) -> None:
    photos = tmp_path / "photos"
    among = replace(report, data=DataConfig(folder=str(photos)))
    # as a person writes it
    with pytest.raises(ConfigError, match="outside of the photos"):
        among.write(str(tmp_path / where))
    assert {path.name for path in photos.iterdir()} == {"a", "b"}
    among.write(str(tmp_path / "photos_audit"))
