"""The commands of each page run in their order, on a few photos and a tiny network."""

import contextlib
import importlib.util
import io
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.documentation.glossary import unknown
from tests.documentation.pages import PAGES, ROOT, blocks, commands, own_arguments
from tests.own_networks import trained, with_classifier
from tl_keras.commands.console import main
from tl_keras.serving import portable_folder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("tiny_backbone", "checked_here"),
    # KerasTuner asks for the current thread by its old name.
    pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning"),
]

CLASSES = {"amber": "good", "blue": "scratch", "green": "dent"}
# In place of what takes long or needs a download; of two settings of a key the last one counts.
SMALL = (
    *('backbone={"name":"Tiny","weights":null,"image_size":32}', "seeds=1"),
    *('strategies=["majority_class","linear_probe","feature_extraction"]', "learning_curve=false"),
    *("data.train_per_class=4", "data.validation_per_class=3", "training.phase_1.epochs=2"),
    # of a network of three blocks
    "search.unfrozen_blocks=[0,1]",
)
SMALL_SOURCE = (
    *("backbone=Tiny", "image_size=32", "small_image_size=32", "epochs=1", "batch_size=4"),
    *("rounds_per_epoch=1", "batch_norm_images=12"),
)
# Libraries of the formats that a page exports.
LIBRARIES = ("ai_edge_litert", "tf2onnx")
# Pages that begin with results of commands of the README, on photos that we have.
_PHOTOS, _DEFECTS = ["run", "photos/"], ["run", "photos/", "--set", "name=defects"]
BEFORE = {
    "answer.md": [_DEFECTS, _PHOTOS],
    "questions.md": [_PHOTOS],
    "serving.md": [_DEFECTS],
}
WITH_COMMANDS = [
    page
    for page in PAGES
    if any(own_arguments(words) for block in blocks(page, "sh") for words in commands(block.text))
]


def small(words: Sequence[str]) -> list[str]:
    """The same command with less to do."""
    texts: tuple[str, ...] = ()
    if words[0] == "pretrain":
        texts = SMALL_SOURCE
    elif "backbone.name=file" in words:
        texts = (*SMALL[1:], "backbone.image_size=32", "backbone.scaling=tf")
    elif words[0] in ("advise", "run"):
        shipped = words[1].startswith("experiments/")
        texts = (*SMALL, "data.folder=photos") if shipped else SMALL
    elif words[0] == "audit":
        return [*words, "--no-network"]
    return [*words, *(part for text in texts for part in ("--set", text))]


@pytest.fixture
def workplace(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with photos and experiments as the pages have them."""
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "new_photos", "last_year"):
        for colour, name in CLASSES.items():
            shutil.copytree(photos / colour, Path(folder) / name)
    shutil.copytree(ROOT / "experiments", "experiments")
    first = next(Path("photos").rglob("*.png")).relative_to("photos")
    confirmed = f"{first.as_posix()},{first.parts[0]},{first.parts[0]}"
    Path("corrections.csv").write_text(f"image_id,was,label\n{confirmed}\n")
    for name in ("net.keras", "last_year.h5"):
        trained(with_classifier()).save(name)
    # no library is fetched
    monkeypatch.setattr(portable_folder, "fetch_wheels", lambda *_: [])
    return tmp_path


def carry_out(words: Sequence[str]) -> None:
    """Run a command of ours; a server until it has said where it is."""
    if words[0] != "serve":
        assert main(small(words)) == 0, words
        return
    command = [sys.executable, "-m", "tl_keras", *words, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        welcome = next((line for line in process.stdout if "Ctrl-C" in line), "")
        process.send_signal(signal.SIGINT)
    assert welcome


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in (*LIBRARIES, "starlette", "uvicorn")),
    reason="an extra is not installed",
)
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
@pytest.mark.usefixtures("workplace", "without_report")
def test_the_commands_of_a_page_run(page: Path) -> None:
    for block in blocks(page, "json"):
        if "name" in (found := json.loads(block.text)):
            Path(f"{found['name']}.json").write_text(block.text)
    unmarked = [block for block in blocks(page, "sh") if block.mark is None]
    words = [words for block in unmarked for words in commands(block.text)]
    own = [found for found in map(own_arguments, words) if found is not None]
    for arguments in (*BEFORE.get(page.name, []), *own):
        carry_out(arguments)


@pytest.mark.usefixtures("workplace")
def test_headings_of_tables_are_in_the_glossary() -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(small(["advise", "photos/"])) == 0
        assert main(small(["run", "photos/", "--set", 'decision.positive=["dent"]'])) == 0
    screen = [line.split("┃") for line in said.getvalue().splitlines() if "┃" in line]
    assert len(screen) >= 3
    assert not unknown(cell.strip() for line in screen for cell in line)

    page = Path("results/photos/report.html").read_text(encoding="utf-8")
    # its headings are names of classes
    page = re.sub(r'<table class="confusion">.*?</table>', "", page, flags=re.S)
    cells = re.findall(r'<th(?=[^>]*scope="col")[^>]*>(.*?)</th>', page, re.S)
    headings = [re.sub(r"<[^>]+>", "", cell).strip() for cell in cells]
    assert "familiar" in headings
    assert not unknown(headings)
