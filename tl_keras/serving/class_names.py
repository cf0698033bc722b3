"""Which class names an export can hold, known without TensorFlow and before anything is trained."""

from collections.abc import Sequence


def unusable_names(names: Sequence[str]) -> str | None:
    """What is wrong with the names of classes, and what was received; None if nothing is.

    They stand in an export as a line each of a text file, and as strings in the graph, where an
    empty one says that a picture could not be decoded.
    """
    if len(names) < 2 or len(set(names)) < len(names):
        return f"must be two or more different names; got {list(names)}"
    broken = [name for name in names if not _is_a_line(name)]
    if broken:
        return f"must each be one line of Unicode text without NUL; got {broken[0]!a}"
    return None


def _is_a_line(name: str) -> bool:
    # splitlines knows more ends of lines than readers of text files: all of them part some reader's
    surrogate = any("\ud800" <= character <= "\udfff" for character in name)
    return (
        len(name.splitlines()) == 1
        and name.splitlines()[0] == name
        and not (surrogate or "\0" in name or not name.strip())
    )
