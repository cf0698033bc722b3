"""Names of photos that are short enough for a page, and still tell them apart."""

from collections import defaultdict
from collections.abc import Iterable


def short_names(image_ids: Iterable[str]) -> dict[str, str]:
    """The name of each photo's file, with as many of its folders as tell it from others.

    >>> short_names(["day_1/crack/7.jpg", "day_2/crack/7.jpg", "day_2/crack/8.jpg"])
    {'day_2/crack/8.jpg': '8.jpg', 'day_1/crack/7.jpg': 'day_1/crack/7.jpg', \
'day_2/crack/7.jpg': 'day_2/crack/7.jpg'}

    Args:
        image_ids: paths with `/` between their parts.
    """
    found: dict[str, str] = {}
    left, parts = set(image_ids), 1
    while left:
        alike = defaultdict(list)
        for image_id in left:
            alike["/".join(image_id.split("/")[-parts:])].append(image_id)
        # one whose whole path ends another's stands as it is
        alone = {
            image_id: name
            for name, ids in alike.items()
            for image_id in ids
            if len(ids) == 1 or name == image_id
        }
        found |= alone
        left -= alone.keys()
        parts += 1
    return found
