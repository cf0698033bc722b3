"""Labels that a person looked at: a table of what is right, what is wrong, and what to leave out.

Pages of audits and reports save it; no photo is touched. It has a row per picture: `image_id`,
`was`, the label that it had, and `label`, the right one: another class, the same one where somebody
found it right, or nothing where the picture is to be left out.
"""

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from tl_keras.config.problems import nearest
from tl_keras.data.csv_text import rows_of
from tl_keras.data.listing import IgnoredFile, ListedImage, Listing, some_of, where_paths_start
from tl_keras.errors import DataError
from tl_keras.path_kinds import A_FILE, NOTHING, kind_of
from tl_keras.results_layout import present
from tl_keras.safe_text import brief, one_line, unguard

COLUMNS = ("image_id", "was", "label")
# What a row does.
CORRECTED, LEFT_OUT, CONFIRMED = "corrected", "left out", "confirmed"
REASON = "left out by data.corrections"
# Of more, to find the one most like another takes seconds.
_MOST_COMPARED = 5_000


@dataclass(frozen=True)
class Correction:
    """What a person said of one picture.

    Attributes:
        image_id: of the picture.
        was: the label that its source gives it.
        label: the right one; "" leaves the picture out.
        place: where this stands, for messages.
    """

    image_id: str
    was: str
    label: str
    place: str = field(default="data.corrections", compare=False)

    @property
    def kind(self) -> str:
        """What it does: CORRECTED, LEFT_OUT or CONFIRMED."""
        if not self.label:
            return LEFT_OUT
        return CONFIRMED if self.label == self.was else CORRECTED


def read_corrections(path: str) -> tuple[Correction, ...]:
    """The rows of a table of corrections.

    Args:
        path: of a CSV file, as `rows_of` reads it; an apostrophe that keeps a spreadsheet from
            computing a cell is taken off.

    Raises:
        DataError: it is missing or malformed.
    """
    table = present(Path(path))
    named = f'data.corrections "{path}"'
    if (there := kind_of(table)) != A_FILE:
        is_what = "there is no such file" if there == NOTHING else f"it is {there}"
        raise DataError(
            f"{named} must be the table that a page of an audit or a report saves; {is_what}. Name "
            f"the file with the folder that the browser saved it in; {where_paths_start(path)}."
        )
    try:
        found = tuple(_rows(named, rows_of(table, COLUMNS)))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{named} cannot be read: {error}.") from error
    if not found:
        raise DataError(f"{named} has no rows below its header. Leave the key out, or mark labels.")
    return found


def _rows(named: str, lines: Iterator[tuple[int, list[str]]]) -> Iterator[Correction]:
    header = [name.strip() for name in next(lines, (0, []))[1]]
    if any(header.count(name) != 1 for name in COLUMNS):
        raise DataError(
            f"{named} must have the columns {', '.join(COLUMNS)}, each once; got "
            f"{some_of(header) or 'an empty file'}."
        )
    for number, cells in lines:
        if not cells:
            continue
        place = f"{named}, line {number}"
        if len(cells) != len(header):
            raise DataError(
                f"{place}: must have {len(header)} cells as the header has; got {len(cells)}. Put "
                'cells that hold a separator into "quotes".'
            )
        row = {name: unguard(cell) for name, cell in zip(header, cells, strict=True)}
        image_id, was, label = (row[name] for name in COLUMNS)
        yield Correction(image_id, was, label if label.strip() else "", place)


def fitting(
    corrections: Sequence[Correction], images: Sequence[ListedImage], names: Mapping[str, str]
) -> tuple[Correction, ...]:
    """Corrections of these pictures, each once, with ids and classes as they have them.

    Args:
        corrections: as `read_corrections` gives them.
        images: of the source, under their labels of today.
        names: the label of today by that of the source, where spellings were joined.

    Raises:
        DataError: a picture is not there, had another label, is to get one that is no class, or
            two different ones.
    """
    labels = {image.image_id: image.label for image in images}
    classes = set(labels.values())
    if unknown := [row for row in corrections if _meant(row.image_id, labels) not in labels]:
        raise DataError(_not_there(unknown, labels))
    found: dict[str, Correction] = {}
    for row in corrections:
        image_id = _meant(row.image_id, labels)
        was, label = (_today(cell, names) for cell in (row.was, row.label))
        if was != labels[image_id]:
            raise DataError(_changed(row, labels[image_id], label))
        if label and label not in classes:
            raise DataError(_no_class(row, classes))
        fit = replace(row, image_id=image_id, was=was, label=label)
        if (first := found.setdefault(image_id, fit)) != fit:
            raise DataError(_twice(fit, first))
    return tuple(found.values())


def _today(label: str, names: Mapping[str, str]) -> str:
    meant = _meant(label, names)
    return names.get(meant, meant)


def _meant(cell: str, known: Collection[str]) -> str:
    """A cell as it is, unless nothing is called so and blanks around it are too much."""
    return cell if cell in known or cell.strip() not in known else cell.strip()


def corrected(listing: Listing, corrections: Iterable[Correction]) -> Listing:
    """A source as corrections have it: other labels, and pictures that join what is not used.

    Args:
        listing: of the source.
        corrections: as `fitting` gives them.
    """
    labels = {row.image_id: row.label for row in corrections}
    images = [
        replace(image, label=labels.get(image.image_id, image.label)) for image in listing.images
    ]
    left_out = (IgnoredFile(image.image_id, REASON) for image in images if not image.label)
    return replace(
        listing,
        images=tuple(image for image in images if image.label),
        ignored=(*listing.ignored, *left_out),
    )


def counted(corrections: Iterable[Correction]) -> dict[str, int]:
    """How many pictures were CORRECTED, LEFT_OUT and CONFIRMED."""
    counts = Counter(row.kind for row in corrections)
    return {kind: counts[kind] for kind in (CORRECTED, LEFT_OUT, CONFIRMED)}


def in_words(counts: Mapping[str, int]) -> str:
    """What corrections did, as `counted` gives it, in a sentence; "" of none.

    >>> in_words({"corrected": 2, "left out": 1, "confirmed": 0})
    'data.corrections: 2 labels corrected, 1 photo left out.'
    """
    things = {CORRECTED: "label", LEFT_OUT: "photo", CONFIRMED: "label"}
    told = [
        f"{count} {things[kind]}{'' if count == 1 else 's'} {kind}"
        for kind, count in counts.items()
        if count
    ]
    return f"data.corrections: {', '.join(told)}." if told else ""


def _not_there(unknown: Sequence[Correction], labels: Mapping[str, str]) -> str:
    first = unknown[0]
    count = f" ({len(unknown)} rows)" if len(unknown) > 1 else ""
    name = PurePosixPath(first.image_id).name
    moved = [other for other in labels if PurePosixPath(other).name == name]
    near = moved[0] if len(moved) == 1 else None
    if near is None and len(labels) <= _MOST_COMPARED:
        near = nearest(first.image_id, labels)
    hint = f" Is it {one_line(near)} now?" if near else ""
    return (
        f"{first.place}{count}: image_id must be that of a picture of the source; there is no "
        f"{brief(one_line(first.image_id))}.{hint} Correct the row, or take it out where the "
        "picture is gone."
    )


def _changed(row: Correction, today: str, label: str) -> str:
    mend = "Look at it again, and write that into was."
    if label == today:
        mend = "That is what the row asks for: take it out."
    return (
        f"{row.place}: was must be the label that {brief(one_line(row.image_id))} has without "
        f"corrections, {one_line(today)}; got {_shown(row.was)}. The photos have changed since. "
        f"{mend}"
    )


def _no_class(row: Correction, classes: Collection[str]) -> str:
    near = nearest(row.label, classes)
    hint = f" Did you mean {one_line(near)}?" if near else ""
    return (
        f"{row.place}: label must be a class that photos have, "
        f"{some_of(sorted(classes))}, or empty to leave the photo out; got {_shown(row.label)}."
        f"{hint} A new class begins with photos of its own in the source."
    )


def _twice(row: Correction, first: Correction) -> str:
    return (
        f"{row.place}: {brief(one_line(row.image_id))} is already in "
        f"{first.place.rpartition(', ')[2]}, where its label is {_shown(first.label)}, not "
        f"{_shown(row.label)}. A picture has one row: keep the right one."
    )


def _shown(label: str) -> str:
    return brief(one_line(label)) or "nothing"
