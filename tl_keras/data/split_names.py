"""Names of folders and cells of tables that stand for a split."""

import re
from collections.abc import Iterable

UNLABELLED = "unlabelled"

_WORDS = {
    "train": ("train", "training", "trn", "tr", "trainset", "traindata", "trainval"),
    "validation": ("validation", "validate", "valid", "val", "va", "dev", "development", "valset"),
    "test": ("test", "testing", "tst", "te", "testset", "testdata", "holdout"),
    # Of a test or a validation split, which only what stands beside it can tell.
    "evaluation": ("evaluation", "eval", "evalset"),
    UNLABELLED: ("pred", "predict", "prediction", "predictions", "unlabelled", "unlabeled"),
}
_SPLIT_OF_WORD = {word: split for split, words in _WORDS.items() for word in words}
# Words beside them that say nothing, as numbers do.
_FILLERS = frozenset(
    (
        *("image", "images", "img", "imgs", "photo", "photos", "picture", "pictures"),
        *("data", "dataset", "folder", "set", "split"),
    )
)


def splits_of(names: Iterable[str]) -> dict[str, str]:
    """The split that each name stands for, in any case, of those that stand for one.

    Names belong together when they are the same but for the word of the split. One that says
    "evaluation" is the test split, unless only the validation split is missing.

    >>> splits_of(["Training", "Testing", "seg"])
    {'Training': 'train', 'Testing': 'test'}
    >>> splits_of(["seg_train", "seg_test", "seg_pred"])
    {'seg_train': 'train', 'seg_test': 'test', 'seg_pred': 'unlabelled'}
    >>> splits_of(["bullet_train", "steam_train"])
    {}

    Returns:
        "train", "validation", "test" or "unlabelled" for a name.
    """
    # A word beside that of the split is part of it only where several splits have it.
    groups = [
        found for rest, found in _by_rest(names).items() if not rest or len(set(found.values())) > 1
    ]
    chosen = max(groups, key=lambda found: ("train" in found.values(), len(found)), default={})
    others = set(chosen.values())
    evaluation = "validation" if "test" in others and "validation" not in others else "test"
    return {name: evaluation if split == "evaluation" else split for name, split in chosen.items()}


def mixed_with_splits(names: Iterable[str]) -> list[str]:
    """Names that say a class and a split at once, where several classes do.

    >>> mixed_with_splits(["ok_train", "ok_test", "nok_train", "nok_test"])
    ['nok', 'ok']
    """
    by_rest = _by_rest(names)
    found = [" ".join(rest) for rest, of in by_rest.items() if rest and len(set(of.values())) > 1]
    return sorted(found) if len(found) > 1 else []


def _by_rest(names: Iterable[str]) -> dict[tuple[str, ...], dict[str, str]]:
    """The split of each name that speaks of one, by what else the name says."""
    alike: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
        words = re.findall(r"[^\W\d_]+", spaced.lower())
        splits = [word for word in words if word in _SPLIT_OF_WORD]
        if len(splits) == 1:
            rest = tuple(word for word in words if word not in _FILLERS and word != splits[0])
            alike.setdefault(rest, {})[name] = _SPLIT_OF_WORD[splits[0]]
    return alike
