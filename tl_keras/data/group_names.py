"""Groups that the names of files suggest: several crops or frames of one picture or thing."""

import re
from collections.abc import Iterable

import pandas as pd

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
