"""Kinds of text in configurations, each with the rule that later steps need."""

import os
import re
import warnings
from pathlib import PurePath
from typing import Annotated

from pydantic import AfterValidator, Field

from tl_keras.home import with_home

# Linux takes 4096 bytes; the package writes files some folders below the places that are named.
_LONGEST_PLACE = 3000
# Of one name between two /, in bytes: what all usual file systems take.
_LONGEST_NAME = 255
_MOST_BRACKETS = 50


def possible_place(written: str) -> str:
    # "~" is the home of the user, as in a shell
    place = with_home(written)
    if len(os.fsencode(place)) > _LONGEST_PLACE:
        raise ValueError(f"must be a path of at most {_LONGEST_PLACE} bytes")
    longest = max(len(os.fsencode(part)) for part in ("", *PurePath(place).parts))
    if longest > _LONGEST_NAME:
        raise ValueError(f"must be a path whose parts have at most {_LONGEST_NAME} bytes each")
    return place


def _possible_pattern(pattern: str) -> str:
    # Python compiles brackets within brackets by recursion, whose limit depends on the caller
    if pattern.count("(") > _MOST_BRACKETS:
        raise ValueError(
            f"must be a regular expression of at most {_MOST_BRACKETS} opening brackets"
        )
    try:
        with warnings.catch_warnings():
            # of what later versions of Python may read otherwise
            warnings.simplefilter("ignore", FutureWarning)
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, MemoryError) as error:
        raise ValueError(f"must be a regular expression ({error})") from error
    return pattern


Text = Annotated[str, Field(min_length=1, max_length=200)]
Prose = Annotated[str, Field(max_length=10_000)]
# A class may be called anything, but not a book.
Label = Annotated[str, Field(min_length=1, max_length=1000)]
Place = Annotated[
    str, Field(min_length=1, max_length=_LONGEST_PLACE), AfterValidator(possible_place)
]
Pattern = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_possible_pattern)]
