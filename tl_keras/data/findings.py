"""Warnings about images that can be used but may not be what they seem."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from tl_keras.config.schema import ResizeMode
from tl_keras.data.group_names import suggest_pattern
from tl_keras.data.image_formats import format_by_name
from tl_keras.data.label_spellings import in_words
from tl_keras.data.listing import some_of
from tl_keras.data.picture_reading import PictureReading
from tl_keras.data.sources import ImageTable

_LARGE, _SMALL, _LONG, _UNEQUAL = 4.0, 4.0, 2.0, 3.0
# A size is odd where it is so many times that of most pictures and hardly any other is.
_ODD, _ODD_SHARE = 4.0, 0.05
# A picture is empty where, at 64 x 64 pixels, nothing is brighter, or darker, or further apart in
# any channel: brightness alone does not see blue on black, nor red on a green just as bright.
# Of 2,908 sound photos of seven kinds none had less than 72, more than 204 or less than 35.
_DARK, _LIGHT, _FLAT = 40, 240, 16
# 14 of 16 bits make a quarter of the whole brightness.
_DARK_OF_16_BITS = 64
_EXAMPLES = 3
# of one image, of several
_FORMS = ({"s": "", "are": "is", "have": "has"}, {"s": "s", "are": "are", "have": "have"})
# Kinds of findings, the graver ones first.
KINDS = (
    "unreadable",
    "nearly_empty",
    "duplicates_across_classes",
    "near_duplicates_across_classes",
    "duplicates_across_splits",
    "duplicates_within_class",
    "near_duplicates_within_class",
    "label_spellings",
    "names_suggest_groups",
    "class_imbalance",
    "large_pictures",
    "small_pictures",
    "odd_size",
    "aspect_ratio",
    "exif_rotation",
    "cmyk_unmarked",
    "several_pictures",
    "alpha",
    "sixteen_bit",
    "gray",
    "wrong_extension",
    "other_files",
)


@dataclass(frozen=True)
class Finding:
    """One warning: a word for its kind, a message for people, and the images it is about.

    Where the images belong together in groups, `groups` has them as well.
    """

    kind: str
    message: str
    image_ids: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...] = ()


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The graver ones first."""
    return tuple(sorted(findings, key=lambda finding: KINDS.index(finding.kind)))


def alike(groups: Sequence[Sequence[str]]) -> str:
    """The first groups of copies for a message, such as "a/1.png = b/1.png; a/2.png = a/3.png"."""
    listed = [" = ".join(group[:_EXAMPLES]) for group in groups[:_EXAMPLES]]
    left = len(groups) - _EXAMPLES
    return "; ".join(listed) + (f" and {left} more group{'s' * (left > 1)}" if left > 0 else "")


def find_all(
    images: pd.DataFrame,
    table: ImageTable,
    duplicates: pd.DataFrame,
    image_size: int,
    reading: PictureReading,
) -> tuple[Finding, ...]:
    """Collect all findings on single images, the graver ones first.

    Args:
        images: The facts as in `Audit.images`, unreadable ones included.
        table: The readable images.
        duplicates: Those of them that have a copy, as in `Audit.duplicates`.
        image_size: Side of the network's input, pixels.
        reading: How files become pixels.
    """
    facts = images[images["error"].isna()].reset_index(drop=True)
    facts = facts.assign(label=table.frame["label"], path=table.frame["path"])
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _unreadable(images),
        lambda: _nearly_empty(facts),
        lambda: _duplicates(duplicates),
        lambda: _spellings(table),
        lambda: _groups_in_names(table.frame),
        lambda: _imbalance(facts),
        lambda: _large(facts, image_size),
        lambda: _small(facts, image_size),
        lambda: _odd(facts),
        lambda: _long(facts, reading.resize),
        lambda: _rotated(facts, reading),
        lambda: _taken_in_part(facts),
        lambda: _converted(facts, reading),
        lambda: _misnamed(facts),
        lambda: _other_files(table),
    )
    if not len(facts):
        checks = (checks[0], checks[-1])
    return in_order(finding for check in checks for finding in check())


def _finding(kind: str, chosen: pd.DataFrame, message: str) -> Iterator[Finding]:
    """Yield a finding where there are images; `{n}` is their number, `{s}` and so on its forms."""
    if len(chosen):
        names = tuple(chosen["image_id"])
        text = message.format(n=len(names), **_FORMS[len(names) > 1])
        yield Finding(kind, f"{text}: {some_of(names, _EXAMPLES)}.", names)


def _unreadable(images: pd.DataFrame) -> Iterator[Finding]:
    broken = images[images["error"].notna()]
    yield from _finding("unreadable", broken, "{n} image{s} cannot be read and {are} not used")


def _nearly_empty(facts: pd.DataFrame) -> Iterator[Finding]:
    dark = facts["brightest"] <= facts["bit_depth"].map({16: _DARK_OF_16_BITS}).fillna(_DARK)
    light, flat = facts["darkest"] >= _LIGHT, facts["contrast"] <= _FLAT
    chosen = facts[dark | light | flat]
    if len(chosen):
        levels = chosen["gray_levels"]
        yield from _finding(
            "nearly_empty",
            chosen,
            "{n} image{s} {are} nearly black, nearly white or of one shade once decoded, with "
            f"{_from_to(levels)} of 256 gray levels{_range_to_set(facts[dark])}",
        )


def _range_to_set(dark: pd.DataFrame) -> str:
    """What helps dark pictures of 16 bits: the range that they use of it, told by the brightest."""
    # Pillow reads no more than 8 bits of a colour TIFF.
    whole = (dark["format"] != "TIFF") | dark["mode"].str.startswith("I")
    deep = dark[(dark["bit_depth"].fillna(8) == 16) & whole]
    if not len(deep):
        return ""
    highest = 257 * int(deep["brightest"].max()) - 128
    bits = next(bits for bits in (8, 10, 12, 14, 16) if highest < 2**bits)
    used = '"12_bit"' if bits == 12 else f"[0, {2**bits - 1}]"
    count = "All" if len(deep) == len(dark) else f"{len(deep)}"
    return (
        f". {count} of the dark ones have 16 bits and use about {bits} of them: set "
        f'data.range_16_bit to {used}, or to "per_file" where brightness says nothing'
    )


def _from_to(numbers: pd.Series) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _duplicates(duplicates: pd.DataFrame) -> Iterator[Finding]:
    exact = duplicates[duplicates["kind"] == "exact"]
    several = duplicates.groupby("group")["picture"].transform("nunique") > 1
    for word, prefix, part, key in (
        ("exact copies", "", exact, "picture"),
        ("near copies", "near_", duplicates[several], "group"),
    ):
        across = part.groupby(key)["label"].transform("nunique") > 1
        # one of each class first: of a large set no more than the first are named
        mixed = part[across]
        turn = mixed.groupby([key, "label"]).cumcount().to_numpy()
        yield from _grouped(
            f"{prefix}duplicates_across_classes",
            mixed.iloc[turn.argsort(kind="stable")],
            key,
            f"{{n}} images are {word} with different labels, so some labels are probably wrong",
        )
        yield from _grouped(
            f"{prefix}duplicates_within_class",
            part[~across],
            key,
            f"{{n}} images are {word} in one class",
        )


def _grouped(kind: str, chosen: pd.DataFrame, key: str, message: str) -> Iterator[Finding]:
    if len(chosen):
        sets = chosen.groupby(key, sort=False)["image_id"]
        groups = tuple(tuple(ids) for _, ids in sets)
        names = tuple(name for group in groups for name in group)
        yield Finding(kind, f"{message.format(n=len(names))}: {alike(groups)}.", names, groups)


def _spellings(table: ImageTable) -> Iterator[Finding]:
    if table.spellings:
        chosen = table.frame["label"].isin([label for group in table.spellings for label in group])
        text = (
            f"Labels differ only in what is easily overlooked: {in_words(table.spellings)}. Rename "
            "them, or set data.merge_labels."
        )
        yield Finding("label_spellings", text, tuple(table.frame["image_id"][chosen]))


def _groups_in_names(frame: pd.DataFrame) -> Iterator[Finding]:
    grouped = (frame["group"] != frame["image_id"]).any()
    pattern = None if grouped else suggest_pattern(frame["image_id"])
    if pattern is not None:
        starts = frame["image_id"].str.extract(pattern, expand=False)
        sets = frame["image_id"].groupby(starts)
        groups = tuple(tuple(ids) for _, ids in sets if len(ids) > 1)
        names = tuple(name for group in groups for name in group)
        text = (
            f"{len(names)} images share the start of their names with others, such as "
            f"{some_of(groups[0], _EXAMPLES)}, and may show the same thing. If so, keep them on "
            f"one side of the split: set data.group_pattern to {pattern}"
        )
        yield Finding("names_suggest_groups", text, names, groups)


def _imbalance(facts: pd.DataFrame) -> Iterator[Finding]:
    counts = facts["label"].value_counts()
    ratio = counts.max() / counts.min()
    if ratio > _UNEQUAL:
        text = (
            f"Classes are unequal, {ratio:.1f} to 1: {counts.idxmax()} has {counts.max()} images, "
            f"{counts.idxmin()} has {counts.min()}."
        )
        yield Finding("class_imbalance", text, ())


def _large(facts: pd.DataFrame, image_size: int) -> Iterator[Finding]:
    sides = facts[["width", "height"]].min(axis=1)
    factor = sides.median() / image_size
    if pd.notna(factor) and factor > _LARGE:
        yield from _finding(
            "large_pictures",
            facts[sides > _LARGE * image_size],
            f"Pictures shrink by a factor of {factor:.1f} (median) to {image_size} px, so small "
            "defects may vanish; cut out the part that matters or raise backbone.image_size. "
            "{n} large image{s}",
        )


def _small(facts: pd.DataFrame, image_size: int) -> Iterator[Finding]:
    sides = facts[["width", "height"]].max(axis=1)
    yield from _finding(
        "small_pictures",
        facts[sides.fillna(image_size) < image_size / _SMALL],
        f"{{n}} image{{s}} {{are}} less than a quarter as large as the network's input of "
        f"{image_size} px, which blurs them; lower backbone.image_size if most are",
    )


def _odd(facts: pd.DataFrame) -> Iterator[Finding]:
    sides = (facts["width"] * facts["height"]).astype("Float64") ** 0.5
    ratio = (sides / sides.median()).fillna(1.0)
    odd = (ratio > _ODD) | (ratio < 1 / _ODD)
    if odd.mean() <= _ODD_SHARE:
        yield from _finding(
            "odd_size", facts[odd], "{n} image{s} {are} far larger or smaller than all others"
        )


def _long(facts: pd.DataFrame, resize: ResizeMode) -> Iterator[Finding]:
    outcome = {
        "stretch": "stretched to a square",
        "crop": "cut at the ends",
        "pad": "set between wide black borders",
    }[resize]
    sides = facts[["width", "height"]].astype("Float64")
    ratio = sides.max(axis=1) / sides.min(axis=1)
    long = ratio.fillna(1.0) > _LONG
    yield from _finding(
        "aspect_ratio",
        facts[long],
        f"{{n}} image{{s}}, up to {ratio.max():.1f} times as long as wide, {{are}} {outcome} "
        f"(data.resize {resize})",
    )


def _rotated(facts: pd.DataFrame, reading: PictureReading) -> Iterator[Finding]:
    outcome = {
        "apply": "by which training and serving turn them upright alike",
        "ignore": "which training and serving ignore alike (data.exif_rotation)",
    }[reading.exif_rotation]
    yield from _finding(
        "exif_rotation",
        facts[facts["exif_orientation"].fillna(1) > 1],
        f"{{n}} image{{s}} {{have}} an EXIF rotation, {outcome}",
    )


def _taken_in_part(facts: pd.DataFrame) -> Iterator[Finding]:
    yield from _finding(
        "cmyk_unmarked",
        facts[facts["cmyk_unmarked"].fillna(False)],
        "{n} CMYK JPEG file{s} {have} no Adobe marker to say whether the colours are inverted. "
        "Training and serving take them as they stand, Pillow and others as inverted, which gives "
        "the negative; look at them, and save them as RGB",
    )
    yield from _finding(
        "several_pictures",
        facts[facts["several_pictures"].fillna(False)],
        "{n} file{s} {have} further pages or frames, which are not used: the first is",
    )


def _converted(facts: pd.DataFrame, reading: PictureReading) -> Iterator[Finding]:
    yield from _finding(
        "alpha",
        facts[facts["has_alpha"].fillna(False)],
        "{n} image{s} {have} transparent parts, which are read in the colours hidden there, "
        "often noise; save them on a plain background",
    )
    ends = reading.black_and_white
    outcome = "each one's darkest becomes 0, its brightest 255"
    if ends is not None:
        outcome = (
            f"{ends[1]} becomes 255" if ends[0] == 0 else "{} to {} become 0 to 255".format(*ends)
        )
    yield from _finding(
        "sixteen_bit",
        facts[facts["bit_depth"].fillna(8) == 16],
        f"{{n}} image{{s}} of 16 bits {{are}} reduced to 8 bits ({outcome})",
    )
    gray = facts["gray"].astype(bool)
    if not gray.all():
        # Gray pictures among coloured ones may give a class away.
        yield from _finding("gray", facts[gray], "{n} image{s} {are} gray, the others are not")


def _misnamed(facts: pd.DataFrame) -> Iterator[Finding]:
    wrong = facts["format"].notna() & (facts["format"] != facts["path"].map(format_by_name))
    yield from _finding(
        "wrong_extension", facts[wrong], "{n} image{s} {are} of another format than the name says"
    )


def _other_files(table: ImageTable) -> Iterator[Finding]:
    ignored = table.ignored
    if len(ignored):
        listed = [f"{row.path} ({row.reason})" for row in ignored.itertuples()]
        files = "other file is" if len(ignored) == 1 else "other files are"
        text = f"{len(ignored)} {files} not used: {some_of(listed, _EXAMPLES)}."
        yield Finding("other_files", text, ())
