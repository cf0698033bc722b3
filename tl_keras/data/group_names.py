"""Groups in the names of files: as a pattern says, or as many names suggest."""

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from tl_keras.errors import DataError
from tl_keras.time_limit import time_limit

# Patterns that repeat what repeats, such as (a+)+$, take longer than a life on some names.
_MATCHING_SECONDS = 10.0

# Numbers at the end of a name: the place of a crop has two or four.
_MOST_NUMBERS = 4
# Fewer starts are names of classes or cameras, and starts that hardly any names share say nothing.
_LEAST_STARTS, _SHARE_OF_STARTS, _SHARE_OF_IMAGES = 5, 0.1, 0.3


def suggest_pattern(image_ids: Iterable[str]) -> str | None:
    r"""A value for data.group_pattern, if many names are a common start and further numbers.

    The start must itself end in a number, as in `part12_1.png` and `part12_2.png`, and every name
    must be made like this.

    >>> suggest_pattern(f"{c}/part{n}_{k}.png" for c in "ab" for n in range(9) for k in range(3))
    '([^/]*\\d)(?:[-_. ]\\d+){1}\\.\\w+$'
    """
    ids = pd.Series(list(image_ids), dtype=object)
    for numbers in range(1, _MOST_NUMBERS + 1):
        pattern = rf"([^/]*\d)(?:[-_. ]\d+){{{numbers}}}\.\w+$"
        starts = [match.group(1) for name in ids if (match := re.search(pattern, name))]
        if len(starts) < len(ids) or not starts:
            return None
        sizes = pd.Series(starts).value_counts()
        several = sizes[sizes > 1]
        enough = len(sizes) >= max(_LEAST_STARTS, _SHARE_OF_STARTS * len(ids))
        if enough and several.sum() >= _SHARE_OF_IMAGES * len(ids):
            return pattern
    return None


def groups_by_pattern(pattern: str, image_ids: Sequence[str]) -> list[str | None]:
    """What a regular expression matches in each name; None where it does not.

    Args:
        pattern: a value of data.group_pattern: its first group, where it has one, is the match.
        image_ids: the names.

    Raises:
        DataError: it takes too long; known in the main thread of a Unix process only.
    """
    try:
        with time_limit(_MATCHING_SECONDS):
            return [_matched(pattern, name) for name in image_ids]
    except TimeoutError as error:
        raise DataError(
            f'data.group_pattern "{pattern}" must match quickly; it was not done with '
            f"{len(image_ids)} names after {_MATCHING_SECONDS:g} seconds. Write no repetition of "
            "what repeats itself, such as (a+)+."
        ) from error


def _matched(pattern: str, name: str) -> str | None:
    match = re.search(pattern, name)
    if match is None:
        return None
    found: str | None = match.group(1) if match.re.groups else match.group()
    return found
