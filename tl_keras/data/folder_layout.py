"""Which folders are classes and which are splits, told from their names alone."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tl_keras.data.label_spellings import spellings
from tl_keras.data.listing import some_of
from tl_keras.data.picture_walk import FolderContents, Parts, left_out_in_words, readable
from tl_keras.data.split_names import UNLABELLED, mixed_with_splits, splits_of
from tl_keras.errors import DataError

_CLASSES_AT_TOP = "if these are the classes, set data.class_level to 1"


@dataclass(frozen=True)
class Layout:
    """How a folder is to be read.

    Attributes:
        level: how many folders deep the classes lie.
        splits: "train", "validation" or "test" of each folder at the top; empty without splits.
        levels: how deep the classes lie in those of them that differ.
        aside: folders at the top that are not used, and why.
    """

    level: int = 1
    splits: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, int] = field(default_factory=dict)
    aside: Mapping[str, str] = field(default_factory=dict)

    def level_of(self, parts: Parts) -> int:
        """How deep the class of something lies."""
        return self.levels.get(parts[0], self.level)


def may_hold_classes(parts: Parts, class_level: int | None) -> bool:
    """Whether a folder may be that of a class or of a split, from its place alone."""
    return len(parts) <= (class_level or (2 if splits_of(parts[:1]) else 1))


def layout_of(root: Path, contents: FolderContents, class_level: int | None = None) -> Layout:
    """Find out how a folder is to be read.

    Args:
        root: the folder, for messages.
        contents: of it.
        class_level: how many folders deep the classes lie; None finds it out.

    Raises:
        DataError: there are no folders, or they can be read in two ways.
    """
    if not contents.folders_in.get(()):
        raise no_class_folders(root, contents, ())
    splits = {} if class_level == 1 else _splits(root, contents)
    layout = _divided(root, contents, splits, class_level) if splits else Layout(class_level or 1)
    if class_level is None:
        if not splits:
            _refuse_wrapping(root, contents)
        _refuse_unclear(root, contents, layout)
    return layout


def no_class_folders(root: Path, contents: FolderContents, folder: Parts) -> DataError:
    """What to say of a folder that should hold class folders and does not."""
    name = f'"{root.joinpath(*folder)}"' if folder else f'data.folder "{root}"'
    loose = contents.inside[folder] if folder else contents.loose[folder]
    others = left_out_in_words(contents.ignored(folder))
    return DataError(
        f"{name} has no sub-folders. It must hold one sub-folder per class, named like the class, "
        "with that class's images in it; labels that stand in a file are given as data.table."
        + (f" Images without such a folder: {loose}." if loose else "")
        + (f" Left out: {others}." if others else "")
    )


def _splits(root: Path, contents: FolderContents) -> dict[str, str]:
    """The split of each folder at the top that has images; empty if these are classes."""
    holding = [parts[0] for parts in contents.holding_in(())]
    if mixed := mixed_with_splits(holding):
        raise DataError(
            f'data.folder "{root}" has folders that name a class and a split at once: '
            f"{some_of(holding, 5)}. Put them as train/{mixed[0]} and so on; {_CLASSES_AT_TOP}."
        )
    splits = splits_of(holding)
    others = [name for name in holding if name not in splits]
    if len(set(splits.values())) < len(splits) and len(set(splits.values())) == 1:
        # test 1, test 2, ... are the names of samples
        return {}
    if "train" not in splits.values():
        if len(splits) > 1 and not others:
            raise DataError(
                f'data.folder "{root}" has {some_of(splits)} but no train folder. Add train/ with '
                f"the classes inside; {_CLASSES_AT_TOP}."
            )
        return {}
    # A class may well be called train or valid; then its images lie directly in it.
    doubtful = [name for name in splits if contents.folders_in.get((name,))]
    if others and doubtful:
        raise DataError(
            f'data.folder "{root}" must hold either class folders or train, validation and test, '
            f"not both; got {some_of(doubtful)} beside {some_of(others)}. Move one kind away, or "
            f"give the splits these names; {_CLASSES_AT_TOP}."
        )
    return {} if others else splits


def _divided(
    root: Path, contents: FolderContents, found: Mapping[str, str], class_level: int | None
) -> Layout:
    level = class_level or 2
    levels = {top: class_level or _level_in(contents, top, found[top]) for top in found}
    labelled = {p[0] for p in contents.pictures if len(p) > levels.get(p[0], len(p))}
    splits: dict[str, str] = {}
    aside: dict[str, str] = {}
    for top, split in found.items():
        count = contents.inside[(top,)]
        if split == UNLABELLED:
            aside[top] = f"split of {count} images whose folders, if any, are no labels"
        elif top in labelled:
            splits[top] = split
        elif split == "train":
            raise no_class_folders(root, contents, (top,))
        else:
            aside[top] = f"split of {count} images without class folders, so without labels"
    _refuse_two_of_a_split(root, splits)
    for (top,) in contents.folders_in[()]:
        if top not in found:
            if splits_of([*found, top]).get(top):
                raise no_class_folders(root, contents, (top,))
            aside[top] = "folder without images"
    return Layout(level, splits, levels, aside)


def _level_in(contents: FolderContents, top: str, split: str) -> int:
    """How deep the classes of a split lie: archives often hold train/train/crack."""
    base: Parts = (top,)
    while not contents.loose[base] and len(inner := contents.folders_in.get(base, [])) == 1:
        name = inner[0][-1]
        if name.lower() != top.lower() and splits_of([name]).get(name) != split:
            break
        base = inner[0]
    return len(base) + 1


def _refuse_two_of_a_split(root: Path, splits: Mapping[str, str]) -> None:
    names: dict[str, list[str]] = defaultdict(list)
    for name, split in splits.items():
        names[split].append(name)
    for split, several in names.items():
        if len(several) > 1:
            raise DataError(
                f'data.folder "{root}" must hold one folder for each split; got '
                f"{some_of(several)} for {split}. Put them together or move one away; "
                f"{_CLASSES_AT_TOP}."
            )


def _refuse_wrapping(root: Path, contents: FolderContents) -> None:
    """A single folder around the class folders, as archives have it."""
    inner: Parts = ()
    while not contents.loose[inner] and len(below := contents.holding_in(inner)) == 1:
        inner = below[0]
    names = [parts[-1] for parts in contents.holding_in(inner)]
    if inner and len(names) > 1 and not contents.loose[inner]:
        raise DataError(
            f'data.folder "{root}" has images in a single folder, "{readable(inner)}", which '
            f"holds {some_of(names, 5)}. If these are the classes or splits, set data.folder to "
            f'"{root.joinpath(*inner)}"; if {inner[0]} is a class, set data.class_level to 1.'
        )


def _refuse_unclear(root: Path, contents: FolderContents, layout: Layout) -> None:
    """Classes that hold folders of the same names: which are the classes?"""
    level = max(layout.levels.values()) if layout.splits else layout.level
    for deeper, inside in sorted(_names_inside(contents, layout).items()):
        shared = _shared(inside.values())
        # a/images and b/images say nothing
        if shared and _differ(inside.values()):
            uppers = sorted(label for label, names in inside.items() if names & set(shared))
        elif len(inside) == 1 and layout.splits and _differ(inside.values()):
            uppers, shared = list(inside), sorted(*inside.values())
        else:
            continue
        raise _unclear(root, uppers, shared, level, deeper, divided=bool(layout.splits))


def _unclear(
    root: Path, uppers: list[str], lowers: list[str], level: int, deeper: int, *, divided: bool
) -> DataError:
    upper, lower = some_of(uppers, 5), some_of(lowers, 5)
    mend = f"if it is {lower}, to {level + deeper}."
    if splits_of(lowers):
        mend = (
            f"if {lower} are splits, put them above the classes, as in train/crack/1.jpg, or set "
            "data.folder to one of the others."
        )
    elif not divided:
        mend += (
            " (data.group_pattern ^([^/]+)/ then keeps what lies in one of the upper folders in "
            f"one split.) If {upper} are splits, name them train, validation and test."
        )
    return DataError(
        f'data.folder "{root}" can be read in two ways: the classes may be {upper}, or {lower}, '
        f"which lie in them. If it is {upper}, set data.class_level to {level}; {mend}"
    )


def _names_inside(contents: FolderContents, layout: Layout) -> dict[int, dict[str, set[str]]]:
    """Names of the folders so many levels below each class, where these hold most pictures."""
    names: dict[tuple[int, str], set[str]] = defaultdict(set)
    counts: Counter[tuple[int, str]] = Counter()
    for parts, count in contents.inside.items():
        level = layout.level_of(parts)
        if parts[0] not in layout.aside and len(parts) >= level:
            place = (len(parts) - level, parts[level - 1])
            names[place].add(parts[-1])
            counts[place] += count
    found: dict[int, dict[str, set[str]]] = defaultdict(dict)
    for (deeper, label), inside in names.items():
        if deeper and 2 * counts[deeper, label] > counts[0, label]:
            found[deeper][label] = inside
    return found


def _differ(several: Iterable[set[str]]) -> bool:
    """Whether they hold several names, of whatever spelling."""
    every = set[str]().union(*several)
    return len(every) > 1 and spellings(every) != [tuple(sorted(every))]


def _shared(several: Iterable[set[str]]) -> list[str]:
    """Names that more than one of them has, also in other spellings."""
    several = list(several)
    every = set().union(*several)
    first = {name: group[0] for group in spellings(every) for name in group}
    count = Counter(one for names in several for one in {first.get(n, n) for n in names})
    return sorted(name for name in every if count[first.get(name, name)] > 1)
