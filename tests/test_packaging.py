"""The declared dependencies are the imported ones, and their lowest versions are tested."""

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tl_keras.models.keras_internals import RESTS_ON

pytestmark = pytest.mark.smoke

ROOT = Path(__file__).parents[1]
# Where the name of a distribution is not that of the package in it; pydantic pins its core.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "pydantic_core": "pydantic",
    "sklearn": "scikit-learn",
}
# Declared because another dependency needs it and does not say so, or says too little.
FOR_OTHERS = {"h11", "importlib-resources", "tensorflow-metadata"}


def lines_of(file: str, section: str, key: str) -> list[str]:
    """Return one entry of an ini file as its lines, less comments."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / file, encoding="utf-8")
    return [line.strip() for line in parser[section][key].splitlines() if line.strip()]


def extra(name: str) -> list[Requirement]:
    lines = lines_of("setup.cfg", "options.extras_require", name)
    return [Requirement(line) for line in lines]


DECLARED = [Requirement(line) for line in lines_of("setup.cfg", "options", "install_requires")]
SERVE, HUB = extra("serve"), extra("hub")
# Of the package itself; `dev` is for those who change it.
EXTRAS = [*SERVE, *HUB, *extra("litert"), *extra("onnx"), *extra("ray")]


def imported() -> set[str]:
    """Return the distributions that the package imports, the standard library aside."""
    found = set()
    for path in (ROOT / "tl_keras").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    outside = found - sys.stdlib_module_names - {"tl_keras"}
    return {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in outside}


def test_what_is_imported_is_declared_and_the_reverse() -> None:
    declared = {canonicalize_name(requirement.name) for requirement in [*DECLARED, *EXTRAS]}
    assert imported() == declared - FOR_OTHERS


@pytest.mark.parametrize("package", sorted({package for package, _, _ in RESTS_ON}))
def test_where_private_parts_are_used_no_untried_release_is_allowed(package: str) -> None:
    (requirement,) = (one for one in DECLARED if one.name == package)
    (highest,) = (part for part in requirement.specifier if part.operator == "<")
    assert len(Version(highest.version).release) == 2, f"{package} must be bound to a minor release"


@pytest.mark.parametrize(
    "requirement", [*DECLARED, *SERVE, *HUB], ids=lambda requirement: requirement.name
)
def test_the_lowest_version_is_the_one_that_tox_tests(requirement: Requirement) -> None:
    lines = lines_of("tox.ini", "testenv:lowest", "deps")
    pins = [Requirement(line) for line in lines if "==" in line]
    tested = {pin.name: Version(next(iter(pin.specifier)).version) for pin in pins}
    lowest = [part.version for part in requirement.specifier if part.operator == ">="]
    assert [tested[requirement.name]] == [Version(version) for version in lowest]


def test_an_experiment_loads_no_extra() -> None:
    absent = [requirement.name.replace("-", "_") for requirement in EXTRAS]
    code = f"import sys; sys.modules |= dict.fromkeys({absent}); import tl_keras.experiment.stages"
    subprocess.run([sys.executable, "-c", code], check=True)
