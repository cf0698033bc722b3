"""Which network was chosen of which, for people: in the advice, the report and the model card."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tl_keras.config.network_entries import entry_labels

Row = Mapping[Any, Any]
# Of more the table tells.
_MOST = 3
# The check of an advice that doubts how pixels are scaled.
INPUT = "same kind of input"
# What a time includes beside one pass through the network, by the keys of `probe.views`: pages are
# written without Keras.
_VIEWS = {
    "none": "",
    "flip": " with its mirror image",
    "turns": " with all eight ways to turn it",
}


def reach_in_words(cut: str) -> str:
    """What is borrowed of a network that ends after this block; "top" is its last."""
    return "the whole network" if cut == "top" else f"the network up to {cut}"


def networks_in(advice: Mapping[str, Any] | None) -> Sequence[Row]:
    """The networks and sizes that were measured, of `advice.json`; an earlier version had sizes."""
    record = advice or {}
    rows: Sequence[Row] = record.get("networks") or record.get("sizes") or ()
    return rows


def scaling_doubts(advice: Mapping[str, Any] | None) -> Iterator[str]:
    """What an advice, as `advice.json`, says against the scaling of the network's pixels."""
    for check in (advice or {}).get("checks", ()):
        if (check["name"], check["finding"]) == (INPUT, "not fulfilled"):
            yield check["sentence"]


def measured_in_words(rows: Sequence[Row]) -> str:
    """Which was taken, of which, and what probes on each read and cost; empty without a choice.

    Args:
        rows: of `networks_in`.
    """
    return f"{_read_in_words(rows)}{chosen_in_words(rows)}{_beside_in_words(rows)}"


def _read_in_words(rows: Sequence[Row]) -> str:
    if len(rows) < 2 or len(rows) > _MOST:
        return ""
    reads = ", ".join(
        f"{_at(row, labels_of(rows))} {row['accuracy']:.0%} in "
        f"{row['milliseconds_per_image']:.1f} ms{_VIEWS[row['views']]}"
        for row in rows
        if not is_pair(row)
    )
    return (
        f"Probes read {reads} (time of a linear probe for a photo, up to the last block that it "
        "reads). "
    )


def _beside_in_words(rows: Sequence[Row]) -> str:
    """What two networks together would read, where that pays."""
    return "".join(
        f" The features of {names_of(row, labels_of(rows))} side by side read "
        f"{row['accuracy']:.0%} in {row['milliseconds_per_image']:.1f} ms, a lower loss by more "
        "than chance might; an experiment trains one network, so this is to know only."
        for row in rows
        if is_pair(row)
    )


def is_pair(row: Row) -> bool:
    """Whether a row is of two networks side by side, which nothing is trained with."""
    return isinstance(row.get("beside"), str)


def names_of(row: Row, labels: Mapping[str, str]) -> str:
    """The network of a row for people, or both."""
    name = labels[row.get("network") or ""]
    return f"{name} and {labels[row['beside']]}" if is_pair(row) else name


def sizes_of(row: Row) -> str:
    """The size of the input of a row, or both, in pixels."""
    sizes = [row["image_size"], *([row["beside_image_size"]] if is_pair(row) else [])]
    return "+".join(str(int(size)) for size in dict.fromkeys(sizes))


def chosen_in_words(rows: Sequence[Row]) -> str:
    """Which was taken, of which, and why; empty without a choice.

    Args:
        rows: of `networks_in`.
    """
    rows = [row for row in rows if not is_pair(row)]
    if len(rows) < 2:
        return "".join(map(_unmeasured, rows))
    labels, sizes = labels_of(rows), dict.fromkeys(str(row["image_size"]) for row in rows)
    (chosen,) = (row for row in rows if row["chosen"])
    several, names = len(labels) > 1, list(labels.values())
    of = f"{enumerated(names)} at " if several else ""
    return (
        f"Of {of}{' and '.join(sizes)} px, probes took {_at(chosen, labels)}: the "
        f"{'quickest' if several else 'smallest'} whose loss on held-out photos no other lowers "
        "by more than chance might."
    )


def enumerated(parts: Sequence[str]) -> str:
    """Parts of a sentence, at least one: "a, b and c"."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _unmeasured(row: Row) -> str:
    """Of the one that is left where photos are too few to hold any out."""
    name = f"{labels_of([row])[row['network']]} at " if row.get("network") else ""
    return (
        f"There are too few photos to choose among networks or sizes: {name}{row['image_size']} "
        "px, the first, was taken."
    )


def labels_of(rows: Sequence[Row]) -> dict[str, str]:
    """Short names of the networks of some rows, by entry; of random weights it is said."""
    random = {row["network"] for row in rows if row.get("random_weights") in (True,)}
    labels = entry_labels(row.get("network") or "" for row in rows)
    return {
        entry: f"{label} with random weights" if entry in random else label
        for entry, label in labels.items()
    }


def _at(row: Row, labels: Mapping[str, str]) -> str:
    name = f"{labels[row['network']]} at " if len(labels) > 1 else ""
    return f"{name}{row['image_size']} px"
