"""Short names: those of files, and no two photos have the same."""

import pytest

from tests.hostile.texts import FILE_NAMES
from tl_keras.reporting.photo_names import short_names


@pytest.mark.parametrize(
    ("image_ids", "names"),
    [
        (["crack/7.jpg", "crack/8.jpg"], ["7.jpg", "8.jpg"]),
        (["crack/7.jpg", "dent/7.jpg", "dent/8.jpg"], ["crack/7.jpg", "dent/7.jpg", "8.jpg"]),
        (["a/x/7.jpg", "b/x/7.jpg", "b/y/7.jpg"], ["a/x/7.jpg", "b/x/7.jpg", "y/7.jpg"]),
        (["7.jpg", "dent/7.jpg"], ["7.jpg", "dent/7.jpg"]),
        ([], []),
    ],
)
def test_folders_stand_before_a_name_that_several_have(
    image_ids: list[str], names: list[str]
) -> None:
    found = short_names(image_ids)
    assert [found[image_id] for image_id in image_ids] == names


def test_any_names_are_told_apart() -> None:
    image_ids = [f"{folder}{name}" for name in FILE_NAMES.values() for folder in ("", "a/", "b/a/")]
    found = short_names(image_ids)
    assert set(found) == set(image_ids)
    assert len(set(found.values())) == len(set(image_ids))
