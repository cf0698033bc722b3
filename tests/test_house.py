"""The package is built as its plan says: stages that import one way, light imports, docstrings."""

import ast
import importlib.resources
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import takewhile
from pathlib import Path

import pytest

import tl_keras

pytestmark = pytest.mark.smoke

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tl_keras"
FACE = PACKAGE / "__init__.py"
MODULES = sorted(PACKAGE.rglob("*.py"))
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.json"))

# Modules that every stage may use; none of them needs TensorFlow.
FIRST = (
    "invocation",
    "errors",
    "shared_block",
    "keras_settings",
    "atomic_files",
    "child_processes",
    "digests",
    "file_locks",
    "path_kinds",
    "results_layout",
    "augmentation_table",
    "backbone_table",
    "imagenet_table",
    "oracle_table",
    "strategy_table",
    "target_table",
    "progress",
    "quiet",
    "safe_text",
    "home",
    "time_limit",
    "csv_tables",
    "config",
)
# In the order in which data passes them. Any other module belongs to the top, which may use all.
FOLDERS = (
    "drawn",
    "data",
    "evaluation",
    "models",
    "transfer",
    "pretraining",
    "results",
    "reporting",
    "serving",
    "engine",
    "experiment",
    "commands",
)
TOP = len(FOLDERS) + 1
# Folders of `models`, in the order in which they import each other.
ROOMS = ("stored", "own_network", "hub", "sources")
# It is copied into exports, and runs there without the package.
LEAVES_THE_HOUSE = PACKAGE / "serving" / "portable"


def dotted(path: Path) -> str:
    """Name a module as an import statement does."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {dotted(path) for path in MODULES}


def stage(module: str) -> int:
    """Return the stage of a module: 0 for the first modules, then one for each folder."""
    parts = module.split(".")
    if len(parts) == 1 or parts[1] in FIRST:
        return 0
    return FOLDERS.index(parts[1]) + 1 if parts[1] in FOLDERS else TOP


def imported_names(path: Path) -> Iterator[str]:
    """Yield every dotted name that a file imports, at its top or inside a function."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path == FACE:
        # `if TYPE_CHECKING`: what it offers is named there, and loaded when it is first used
        tree.body = [node for node in tree.body if not isinstance(node, ast.If)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level and path.parent == LEAVES_THE_HOUSE:
            yield f"{dotted(path.parent / '__init__.py')}.{node.module}"
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports from tl_keras in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path: Path) -> set[str]:
    """Return the modules of the package that a file imports."""
    found = set()
    for name in imported_names(path):
        if name.split(".")[0] == "tl_keras":
            found.add(name if name in NAMES else name.rpartition(".")[0])
    return found


def loaded_after(statement: str) -> set[str]:
    """Return the top-level packages that a new process holds after one statement."""
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(answer.stdout.split())


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_a_module_imports_only_its_own_and_earlier_stages(path: Path) -> None:
    name = dotted(path)
    late = {other for other in own_imports(path) if stage(other) > stage(name)}
    assert not late, f"{name} imports {sorted(late)}, which come after it"


@pytest.mark.parametrize("place", range(len(ROOMS)), ids=ROOMS)
def test_a_room_of_the_models_imports_only_earlier_ones(place: int) -> None:
    later = tuple(f"tl_keras.models.{room}." for room in ROOMS[place + 1 :])
    for path in (PACKAGE / "models" / ROOMS[place]).glob("*.py"):
        assert not [name for name in own_imports(path) if name.startswith(later)], path


def test_no_import_cycles() -> None:
    graph = {dotted(path): own_imports(path) - {dotted(path)} for path in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("path", sorted(LEAVES_THE_HOUSE.glob("*.py")), ids=dotted)
def test_what_leaves_the_house_needs_nothing_of_it(path: Path) -> None:
    allowed = {*sys.stdlib_module_names, "numpy", "PIL", "ai_edge_litert"}
    inside = dotted(LEAVES_THE_HOUSE / "__init__.py")
    for name in imported_names(path):
        assert name.startswith(f"{inside}.") or name.split(".")[0] in allowed, name


def test_the_first_modules_exist() -> None:
    assert {f"tl_keras.{name}" for name in FIRST} <= NAMES


def test_every_folder_is_a_stage() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == {*FOLDERS, "config"}


# The same thing in several wings: the command line of a stage, the making of what a table has, and
# the entry that the user asked for.
SHARED_NAMES = {"__init__", "advise", "audit", "export", "report", "run"}


def test_no_two_modules_have_one_name() -> None:
    stems = Counter(path.stem for path in MODULES)
    assert {stem for stem, count in stems.items() if count > 1} <= SHARED_NAMES


def test_no_two_public_classes_have_one_name() -> None:
    names = Counter(
        node.name
        for path in MODULES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert not [name for name, count in names.items() if count > 1]


def test_the_table_of_where_things_go_names_files_that_exist() -> None:
    lines = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("| a new | begins in |") + 2
    rows = list(takewhile(lambda line: line.startswith("|"), lines[start:]))
    assert len(rows) == 18
    for row in rows:
        named = re.findall(r"`([a-z_]+/[^`]+)`", row)
        assert named, row
        assert not [name for name in named if not (ROOT / name).exists()], row


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_a_module_has_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    drawers = {"common", "helper", "helpers", "misc", "util", "utils"}
    words = {word for path in MODULES for word in path.stem.split("_")}
    assert not words & drawers


def test_every_module_can_be_imported() -> None:
    modules = sorted(NAMES - {"tl_keras.__main__"})
    assert "tensorflow" in loaded_after(f"import {', '.join(modules)}")


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"keras", "numpy", "pandas", "pydantic", "sklearn", "tensorflow"}
    assert not loaded_after("import tl_keras") & heavy


def test_the_first_modules_load_no_tensorflow() -> None:
    imports = ", ".join(f"tl_keras.{name}" for name in FIRST)
    heavy = {"keras", "pandas", "sklearn", "tensorflow", "tensorflow_datasets"}
    assert not loaded_after(f"import {imports}") & heavy


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_a_shipped_experiment_is_a_json_object(path: Path) -> None:
    assert isinstance(json.loads(path.read_text(encoding="utf-8")), dict)


def test_the_experiment_of_the_readme_is_shipped() -> None:
    assert "defects.json" in {path.name for path in EXPERIMENTS}


@pytest.mark.skipif("TOX_ENV_NAME" not in os.environ, reason="tox installs the package")
def test_tox_tests_the_installed_package_and_it_lacks_no_file() -> None:
    installed = Path(str(importlib.resources.files(tl_keras)))
    assert installed != PACKAGE, "the tests see the checkout, not the installed package"
    shipped = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    missing = [path for path in shipped if not (installed / path.relative_to(PACKAGE)).is_file()]
    assert not missing
