"""What `import tl_keras` offers: named, loaded when it is used, and known to the type checker."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tl_keras


def test_every_name_is_there_and_has_a_docstring() -> None:
    for name in tl_keras.__all__:
        offered = getattr(tl_keras, name)
        assert callable(offered)
        assert offered.__name__ == name
        assert inspect.getdoc(offered)
    assert {*tl_keras.__all__, "__version__"} <= set(dir(tl_keras))


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="fit_three_phase"):
        getattr(tl_keras, "fit_three_phase")  # noqa: B009


def test_the_type_checker_knows_the_same_names_from_the_same_places() -> None:
    tree = ast.parse(Path(tl_keras.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == {name: getattr(tl_keras, name).__module__ for name in tl_keras.__all__}


def test_looking_at_the_names_loads_nothing() -> None:
    code = "import sys, tl_keras; dir(tl_keras); tl_keras.__all__; print('numpy' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["False"]
