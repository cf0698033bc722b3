"""Which classes are to be found (a defect, a disease), and which are the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tl_keras.errors import ConfigError

# Names of the class in which nothing is to be found, in lower case with "_" between words.
NOTHING_FOUND = frozenset(
    {
        *("background", "clean", "defect_free", "fine", "good", "healthy", "intact", "negative"),
        *("no_defect", "nodefect", "non_defective", "none", "normal", "ok", "okay", "pass"),
        *("passed", "undamaged"),
    }
)


@dataclass(frozen=True)
class PositiveClasses:
    """Which classes are to be found, and why these.

    Attributes:
        names: in the order of the classes; empty where nothing says which.
        reason: a sentence, without its full stop.
    """

    names: tuple[str, ...]
    reason: str


def check_positive(asked: Sequence[str] | None, classes: Sequence[str]) -> None:
    """Refuse names of `decision.positive` that are no classes, or all of them.

    Raises:
        ConfigError: they are.
    """
    unknown = [name for name in asked or () if name not in classes]
    if unknown:
        raise ConfigError(
            f'decision.positive must name classes among {", ".join(classes)}; got "{unknown[0]}"'
        )
    if asked and set(asked) == set(classes):
        raise ConfigError(
            f"decision.positive must leave out at least one class of {', '.join(classes)}; got "
            "all of them"
        )


def choose_positive(asked: Sequence[str] | None, images: Mapping[str, int]) -> PositiveClasses:
    """The classes to be found: those asked for, or as far as names and counts tell.

    Args:
        asked: `decision.positive`; None leaves it to the names: all but the one class that is
            called good, ok, normal or the like; of two classes the one with fewer images, the
            second where they have as many.
        images: Labelled images by class, in the order of the classes; none of the test split.
    """
    classes = tuple(images)
    if asked is not None:
        names = tuple(name for name in classes if name in asked)
        return PositiveClasses(names, "decision.positive names them")
    good = [name for name in classes if _is_nothing(name)]
    if len(good) == 1:
        rest = tuple(name for name in classes if name != good[0])
        return PositiveClasses(rest, f'all but "{good[0]}", which by its name is the good one')
    if len(classes) == 2:
        first, second = classes
        rarer = first if images[first] < images[second] else second
        why = "it is the rarer one" if images[first] != images[second] else "it is the second one"
        return PositiveClasses((rarer,), f"of two classes, {why}; decision.positive names another")
    return PositiveClasses(
        (), "no class is called good or the like; name those to be found in decision.positive"
    )


def _is_nothing(name: str) -> bool:
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split()) in NOTHING_FOUND
