"""CITATION.cff is what programs that read such files ask for, and agrees with the package."""

import configparser
import importlib
from pathlib import Path
from typing import Any

import pytest

import tl_keras

ROOT = Path(__file__).parents[1]
# Of the Citation File Format 1.2.0: what must be there, and what else we give.
REQUIRED = {"authors", "cff-version", "message", "title"}
OPTIONAL = {"abstract", "keywords", "license", "type", "version"}


@pytest.fixture
def citation() -> Any:
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    return importlib.import_module("yaml").safe_load(text)


def test_it_has_the_keys_of_the_format(citation: dict[str, Any]) -> None:
    assert set(citation) >= REQUIRED
    assert set(citation) <= REQUIRED | OPTIONAL
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] in ("dataset", "software")
    assert all(isinstance(word, str) for word in citation["keywords"])
    # an entity has a name, a person names of other kinds
    assert all(set(author) == {"name"} for author in citation["authors"])


def test_it_agrees_with_the_package(citation: dict[str, Any]) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    metadata = parser["metadata"]
    assert citation["version"] == tl_keras.__version__
    assert citation["license"] == metadata["license"]
    assert citation["title"] == metadata["name"]
    assert [author["name"] for author in citation["authors"]] == [metadata["author"]]
    assert set(citation["keywords"]) <= {word.strip() for word in metadata["keywords"].split(",")}
