"""A home in paths, and none."""

from pathlib import Path

import pytest

from tl_keras.home import with_home


def test_a_tilde_is_the_home_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/homes/anna")
    assert with_home("~") == "/homes/anna"
    assert with_home("~/photos//a") == "/homes/anna/photos//a"
    assert with_home(Path("~/photos")) == "/homes/anna/photos"
    assert with_home("photos/~") == "photos/~"


def test_without_a_home_it_stays() -> None:
    assert with_home("~nobody-of-this-name/x") == "~nobody-of-this-name/x"
