"""Groups of copies: as a table, kept together in splits, and where a split cuts through them."""

from dataclasses import replace

import numpy as np
import pandas as pd

from tl_keras.data.duplicates import connected, find_pairs
from tl_keras.data.findings import Finding, alike
from tl_keras.data.fingerprints import Fingerprint
from tl_keras.data.sources import ImageTable
from tl_keras.data.splits import Splits

COLUMNS = ["group", "image_id", "label", "kind", "picture", "same_as", "change", "correlation"]


def duplicate_table(frame: pd.DataFrame, fingerprints: list[Fingerprint]) -> pd.DataFrame:
    """All images that have a copy.

    Args:
        frame: n images: image_id, label.
        fingerprints: of the same images.

    Returns:
        A row per image: group (from 1; groups with several labels first), image_id, label, kind
        ("exact" where an image of the group has the same pixels, else "near"), picture (a number
        that exact copies share), same_as (the image_id of the copy that is most like it), change
        (such as "mirrored", or "" ), correlation (with it, 0..1).
    """
    pairs = find_pairs(fingerprints)
    back = pairs.rename(columns={"first": "second", "second": "first"})
    nearest = (
        pd.concat([pairs, back])
        .sort_values(["first", "correlation", "second"], ascending=[True, False, True])
        .drop_duplicates("first")
    )
    rows = nearest["first"].to_numpy(np.int64)
    ids = frame["image_id"].to_numpy(object)
    table = pd.DataFrame(
        {
            "component": connected(
                pairs["first"].to_numpy(), pairs["second"].to_numpy(), len(frame)
            )[rows],
            "image_id": ids[rows],
            "label": frame["label"].to_numpy(object)[rows],
            "picture": pd.factorize(np.array([fingerprints[row].digest for row in rows], "S32"))[0],
            "same_as": ids[nearest["second"].to_numpy(np.int64)],
            "change": nearest["change"].to_numpy(object),
            "correlation": nearest["correlation"].to_numpy(float),
        }
    )
    copies = table.groupby("picture")["picture"].transform("size") > 1
    table["kind"] = np.where(copies, "exact", "near")
    return _numbered(table)[COLUMNS]


def keep_together(table: ImageTable, duplicates: pd.DataFrame) -> ImageTable:
    """Unite the groups of images that are copies, so that no split separates them.

    Where the source gives splits, copies on different sides of them stay as they are.

    Args:
        table: The images.
        duplicates: As `duplicate_table` gives them.
    """
    frame = table.frame
    place = pd.Index(frame["image_id"]).get_indexer(pd.Index(duplicates["image_id"]))
    side = frame["split"].fillna("").to_numpy(object)[place]
    sets = pd.Series(place).groupby([duplicates["group"].to_numpy(), side])
    groups, names = pd.factorize(frame["group"])
    first = sets.transform("first").to_numpy(np.int64)
    united = connected(groups[first], groups[place], len(names))
    # Each set of groups has the name of the one that comes first.
    named = pd.Series(names).groupby(united).transform("first").to_numpy(object)
    count = int((sets.transform("size") > 1).sum())
    return replace(table, frame=frame.assign(group=named[groups]), united=count)


def duplicates_across_splits(
    table: ImageTable, duplicates: pd.DataFrame, splits: Splits
) -> Finding | None:
    """Find copies that lie on two sides of a split.

    Args:
        table: The images that were split.
        duplicates: As `duplicate_table` gives them.
        splits: The splits.

    Returns:
        A finding with all copies that lie on different sides in some run, or None.
    """
    sides = []
    for (seed, _), draw in splits.draws.items():
        side = np.full(len(table.frame), -1)
        for number, part in enumerate((splits.test_of(seed), draw.train, draw.validation)):
            side[part] = number
        sides.append(side)
    return _across(table, duplicates, sides)


def duplicates_across_given_splits(table: ImageTable, duplicates: pd.DataFrame) -> Finding | None:
    """Find copies that lie in several of the splits that the source gives.

    Args:
        table: The images.
        duplicates: As `duplicate_table` gives them.
    """
    return _across(table, duplicates, [pd.factorize(table.frame["split"])[0]])


def _across(table: ImageTable, duplicates: pd.DataFrame, sides: list[np.ndarray]) -> Finding | None:
    """Copies on different sides, numbered from 0, in any of several divisions; -1 is unused."""
    place = pd.Index(table.frame["image_id"]).get_indexer(pd.Index(duplicates["image_id"]))
    crossing = np.zeros(len(duplicates), bool)
    for side in sides:
        used = pd.Series(side[place]).where(side[place] >= 0)
        several = used.groupby(duplicates["group"].to_numpy()).transform("nunique") > 1
        crossing |= (several & used.notna()).to_numpy()
    if not crossing.any():
        return None
    found = duplicates[crossing]
    groups = tuple(tuple(ids) for _, ids in found.groupby("group")["image_id"])
    message = (
        f"{len(found)} images have a copy on another side of the split, which makes the test look "
        f"easier than it is: {alike(groups)}. Remove the copies."
    )
    return Finding("duplicates_across_splits", message, tuple(found["image_id"]), groups)


def _numbered(table: pd.DataFrame) -> pd.DataFrame:
    labels = table.groupby("component")["label"].transform("nunique")
    first = table.groupby("component")["image_id"].transform("min")
    order = pd.DataFrame({"one_label": labels == 1, "first": first, "image_id": table["image_id"]})
    table = table.loc[order.sort_values(order.columns.tolist()).index].reset_index(drop=True)
    return table.assign(group=pd.factorize(table["component"])[0] + 1)
