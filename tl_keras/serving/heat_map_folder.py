"""A folder with pictures of what speaks for the answers to photos.

<folder>/
    IMG_0001_heat_map.png       of the photo IMG_0001.jpg
    IMG_0001-2_heat_map.png     of another photo of that name
"""

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tl_keras.atomic_files import check_writable, replacing
from tl_keras.errors import ConfigError
from tl_keras.path_kinds import in_the_way, is_inside, kind_of
from tl_keras.reporting.heat_picture import heat_picture
from tl_keras.safe_text import one_line, readable_name

if TYPE_CHECKING:
    from tl_keras.serving.exported_classifier import Answers, HeatMaps

ENDING = "_heat_map.png"
# Characters of the name of a photo, so that with four bytes each a file system takes them.
_LONGEST = 50


def check_place(folder: Path, photos: Sequence[Path]) -> None:
    """Nothing, if a folder can take pictures of photos; it may be there, with other files.

    Args:
        folder: for the pictures.
        photos: files and folders, as `find_photos` takes them.

    Raises:
        ConfigError: it is no folder, or lies among the photos.
        OSError: it cannot be written.
    """
    if obstacle := in_the_way(folder):
        raise ConfigError(
            f"{readable_name(folder)} must be a folder, or not be there yet; "
            f"{readable_name(obstacle)} is {kind_of(obstacle)}. Choose another folder."
        )
    for path in photos:
        if path.is_dir() and is_inside(folder, path):
            raise ConfigError(
                f"{readable_name(folder)} must lie outside of {readable_name(path)}, where the "
                "pictures would be taken for photos the next time. Choose another folder."
            )
    check_writable(folder)


class HeatMapFolder:
    """Writes pictures of some photos; those of an earlier call give way, other files stay."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[str] = set()

    def write(self, files: Sequence[Path], maps: "HeatMaps", answers: "Answers") -> list[str]:
        """Draw the files that could be decoded.

        Args:
            files: that were asked about.
            maps: of them.
            answers: to them, decided.

        Returns:
            The names of the pictures; empty where there is none.

        Raises:
            OSError: one cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        names = []
        for place, file in enumerate(files):
            name = self._name(file) if maps.decoded[place] else ""
            if name:
                picture = heat_picture(
                    maps.photos[place],
                    maps.evidence[place],
                    answers.labels[place],
                    int(maps.places[place]),
                    [readable_name(file), _answer_in_words(answers, place)],
                )
                with replacing(self._folder / name) as unfinished:
                    picture.save(unfinished)
            names.append(name)
        return names

    def _name(self, file: Path) -> str:
        """Like that of the photo, and of no other picture, whatever letters are alike there."""
        stem = _plain(file.stem) or "photo"
        name, number = stem, 1
        while (key := name.casefold()) in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(key)
        return f"{name}{ENDING}"


def _plain(name: str) -> str:
    """A name of letters, digits and little more, which every file system takes."""
    text = unicodedata.normalize("NFC", readable_name(name))[:_LONGEST]
    return "".join(each if _is_plain(each) else "_" for each in text).lstrip("-")


def _is_plain(each: str) -> bool:
    return each == "-" or (unicodedata.category(each)[0] in "LMN" and one_line(each) == each)


def _answer_in_words(answers: "Answers", place: int) -> str:
    words = [answers.labels[place]]
    if answers.verdicts:
        decision, sure = answers.verdicts[place]
        words += [f"confidence {sure:.4f}", f"decision: {decision}"]
    else:
        words.append(f"probability {answers.probability[place]:.4f}")
    if answers.familiar is not None:
        words.append(f"familiar {answers.familiar[place]:.4f}")
    return ", ".join(words)
