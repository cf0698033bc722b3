"""The examples of docs/python.md run, in their order, on a few photos and a tiny network."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tl_keras
from tests.documentation.pages import ROOT, blocks

PAGE = ROOT / "docs" / "python.md"
EXAMPLES = [block.text for block in blocks(PAGE, "python")]
# So that no weights are needed, and no example takes long.
IN_PLACE_OF = {
    '"name": "MobileNetV2", "weights": "imagenet", "image_size": 96': (
        '"name": "Tiny", "weights": None, "image_size": 32'
    ),
    '"block_7"': '"block1"',
}


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_backbone", "checked_here", "without_report")
def test_the_examples_run(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    files = sorted(photos.rglob("*.png"))
    np.save("photos.npy", np.stack([np.asarray(Image.open(file)) for file in files]))
    np.save("labels.npy", np.array([file.parent.name for file in files]))
    names: dict[str, object] = {}
    for number, example in enumerate(EXAMPLES):
        for text, other in IN_PLACE_OF.items():
            example = example.replace(text, other)
        assert "MobileNetV2" not in example
        exec(compile(example, f"{PAGE.name}, example {number + 1}", "exec"), names)
    assert (tmp_path / "parts.keras").is_file()
    assert (tmp_path / "results" / "parts" / "tables" / "runs.csv").is_file()
    assert "linear_probe" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_backbone", "checked_here", "without_report")
def test_the_example_of_the_readme_runs(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(photos)
    (block,) = blocks(ROOT / "README.md", "python")
    asked = 'data={"train_per_class": 20}'
    assert asked in block.text
    small = (
        'data={"train_per_class": 4}, strategies=["linear_probe"], seeds=1, '
        'backbone={"name": "Tiny", "weights": None, "image_size": 32}'
    )
    exec(compile(block.text.replace(asked, small), "README.md", "exec"), {})
    assert (tmp_path / "results" / "photos" / "model" / "model.keras").is_file()


def test_every_name_has_an_example_and_a_row() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in tl_keras.__all__:
        assert f"| `{name}` |" in page
        assert any(f"tl_keras.{name}(" in example for example in EXAMPLES)
