"""Names that share a start suggest a group pattern; names that only count do not."""

import re

import pytest

from tl_keras.data.group_names import suggest_pattern


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
