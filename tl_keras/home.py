"""The user's home in paths that somebody wrote."""

import os


def with_home(place: str | os.PathLike[str]) -> str:
    """A place, with the home for a ~ it begins with; unlike by `Path`, as it is without a home."""
    return os.path.expanduser(place)  # noqa: PTH111
