"""Names that share a start suggest a group pattern; names that only count do not."""

import re
import signal

import pytest

from tl_keras.data.group_names import groups_by_pattern, suggest_pattern
from tl_keras.errors import DataError


def test_crops_of_numbered_pictures() -> None:
    names = [f"{c}/Image_{n:03d}_{7 * n}_{k}.png" for c in "ab" for n in range(20) for k in (1, 52)]
    pattern = suggest_pattern(names)
    assert pattern is not None
    starts = [match.group(1) for name in names if (match := re.search(pattern, name))]
    assert len(starts) == len(names)
    assert starts[0] == starts[1]
    assert len(set(starts)) in (20, 40)


@pytest.mark.parametrize(
    "names",
    [
        [f"{c}/{n:03d}.png" for c in "ab" for n in range(40)],
        [f"cat/cat.{n}.jpg" for n in range(40)],
        [f"a/t10k_{n:05d}.png" for n in range(40)],
        [f"a/IMG_2024_{n:05d}.png" for n in range(40)],
        [f"a/part{n}_{k}.png" for n in range(20) for k in range(3)] + ["a/other.png"],
        [],
    ],
)
def test_names_without_groups(names: list[str]) -> None:
    assert suggest_pattern(names) is None


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(.*a){25}$", r"^(\w+\s?)*$"])
def test_a_pattern_that_takes_for_ever_is_refused(
    monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setattr("tl_keras.data.group_names._MATCHING_SECONDS", 0.2)
    with pytest.raises(DataError, match="must match quickly"):
        groups_by_pattern(pattern, ["a" * 60 + "!.png"])
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_groups_are_the_first_group_of_the_match_or_all_of_it() -> None:
    names = ["a/part12_1.png", "a/part12_2.png", "b/other.png"]
    assert groups_by_pattern(r"part(\d+)", names) == ["12", "12", None]
    assert groups_by_pattern(r"part\d+", names) == ["part12", "part12", None]
    assert groups_by_pattern(r"x(y)?|part", names) == [None, None, None]
