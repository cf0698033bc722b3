"""Odd folders, made under a given path, and odd tables, as bytes.

Pictures are empty files unless a function says otherwise: listing opens none of them.
"""

import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

# What systems leave in folders: files, and folders that hold thumbnails or copies.
SYSTEM_FILES = ("Thumbs.db", "desktop.ini", ".DS_Store", "._1.png", "ehthumbs.db")
SYSTEM_FOLDERS = (
    "@eaDir/1.png/SYNOPHOTO_THUMB_M.png",
    "__MACOSX/._1.png",
    "__MACOSX/2.png",
    ".ipynb_checkpoints/1-checkpoint.png",
    "$RECYCLE.BIN/1.png",
    "System Volume Information/1.png",
    "lost+found/1.png",
    "#recycle/1.png",
    ".Trash-1000/1.png",
)

# Folders below a root, and the splits that they stand for.
SPLIT_NAMES: tuple[Mapping[str, str], ...] = (
    {"Training": "train", "Testing": "test"},
    {"seg_train": "train", "seg_test": "test"},
    {"TRAIN": "train", "Dev": "validation", "TEST": "test"},
    {"trn": "train", "tst": "test"},
    {"tr": "train", "te": "test"},
    {"train_images": "train", "test_images": "test"},
    {"TrainImages": "train", "ValidImages": "validation"},
    {"neu-train": "train", "neu-val": "validation", "neu-test": "test"},
    {"train2017": "train", "val2017": "validation"},
    {"training": "train", "validation": "validation", "evaluation": "test"},
    {"train": "train", "test": "test", "eval": "validation"},
    {"Training Set": "train", "Test Set": "test"},
    {"trainset": "train", "testset": "test"},
)

# Top folders that hold folders of the same names.
UNCLEAR: tuple[Mapping[str, tuple[str, ...]], ...] = (
    {"day": ("a", "b"), "night": ("a", "b")},
    {"left": ("ok", "nok"), "right": ("ok", "nok")},
    {"site1": ("a", "b", "c"), "site2": ("a", "b"), "site3": ("b", "c")},
    {"Entrenamiento": ("a", "b"), "Prueba": ("a", "b")},
    {"run1": ("0", "1"), "run2": ("0", "1")},
    {"day": ("Crack", "Dent"), "night": ("crack", "dent")},
    {"good": ("bad_light", "good_light"), "broken": ("bad_light", "good_light")},
    {"crack": ("2023", "2024"), "dent": ("2023", "2024"), "ok": ("2023", "2024")},
    {"bottle": ("train", "test"), "cable": ("train", "test")},
    {"fold_1": ("train", "test"), "fold_2": ("train", "test")},
    {"monday": ("ok",), "tuesday": ("ok", "nok")},
    {"cam1": ("ok",), "cam2": ("nok",), "cam3": ("OK",)},
)
# The same, deeper: where the lower ones lie, and how deep that is.
UNCLEAR_BELOW: tuple[tuple[tuple[str, ...], int], ...] = (
    (("left/x/ok", "left/x/nok", "right/x/ok", "right/x/nok"), 3),
    (("cam1/jan/ok", "cam1/feb/nok", "cam2/mar/ok", "cam2/apr/nok"), 3),
    (("train/x/ok", "train/x/nok", "test/x/ok", "test/x/nok"), 3),
    (("train/day/ok", "train/day/nok", "train/night/ok", "train/night/nok"), 3),
)

# Labels that are one label, and labels that are two.
ONE_LABEL: tuple[tuple[str, str], ...] = (
    ("Crazing", "crazing"),
    ("OK", "ok"),
    ("caf\u00e9", "cafe\u0301"),
    ("dent", "dent\u200b"),
    ("dent", "\ufeffdent"),
    ("de\u00adnt", "dent"),
    ("dent", "dent "),
    ("dent", "dent\u00a0"),
    ("\uff2f\uff2b", "OK"),
    ("good_part", "good part"),
    ("good-part", "Good_Part"),
    ("cr\u0430ck", "crack"),
    ("\uff76\uff9e", "\u30ac"),
    ("\u2764\ufe0f", "\u2764"),
    ("STRASSE", "stra\u00dfe"),
    ("men's", "men\u2019s"),
)
TWO_LABELS: tuple[tuple[str, str], ...] = (
    ("7", "007"),
    ("1", "-1"),
    ("a", "b"),
    ("goodpart", "good part"),
    ("\u304b", "\u304c"),
    ("ma", "m\u00e1"),
    ("dent", "dents"),
    ("1.0", "10"),
    ("\u5927", "\u592a"),
)


def touch(root: Path, *names: str) -> Path:
    """Empty files below a folder, with the folders that they need."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def of_classes(root: Path, labels: Iterable[str], each: int = 2) -> Path:
    """A folder for each label with so many pictures."""
    return touch(root, *(f"{label}/{n}.png" for label in labels for n in range(each)))


def with_system_files(root: Path, *folders: str) -> int:
    """What systems leave, in these folders of a root; the number of entries that a list shows."""
    for folder in folders:
        touch(root / folder, *SYSTEM_FILES, *SYSTEM_FOLDERS)
    return len(folders) * len({*SYSTEM_FILES, *(name.split("/")[0] for name in SYSTEM_FOLDERS)})


def with_odd_entries(folder: Path, elsewhere: Path) -> dict[str, str]:
    """Entries named like pictures that are none; the name of each and what it is."""
    os.mkfifo(folder / "fifo.jpg")
    (folder / "broken.jpg").symlink_to(folder / "nothing")
    (folder / "itself.jpg").symlink_to(folder / "itself.jpg")
    (folder / "null.jpg").symlink_to("/dev/zero")
    (folder / "empty.jpg").mkdir()
    (folder / "loop").symlink_to(folder.parent, target_is_directory=True)
    (folder / "linked").symlink_to(elsewhere, target_is_directory=True)
    found = dict.fromkeys(("broken.jpg", "itself.jpg", "empty.jpg", "loop", "linked"), "entry")
    return found | {"fifo.jpg": "pipe", "null.jpg": "device"} | with_socket(folder)


def with_socket(folder: Path) -> dict[str, str]:
    """A socket named like a picture, where the path is short enough for one."""
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(folder / "socket.jpg"))
    except OSError:
        return {}
    return {"socket.jpg": "socket"}


ROWS = (("path", "label"), ("img/1.png", "é"), ("img/2.png", "b"))


def tables() -> dict[str, bytes]:
    """Files with the pictures img/1.png (é) and img/2.png (b), each written in another way."""

    def text(separator: str, rows: Iterable[tuple[str, ...]] = ROWS, end: str = "\r\n") -> str:
        return end.join(separator.join(row) for row in rows) + end

    windows = [(row[0].replace("/", "\\"), row[1]) for row in ROWS]
    return {
        "commas.csv": text(",").encode(),
        "semicolons.csv": text(";").encode(),
        "bars.csv": text("|").encode(),
        "tabs.csv": text("\t").encode(),
        "tabs.tsv": text("\t").encode(),
        "commas.tsv": text(",").encode(),
        "mark.csv": text(";").encode("utf-8-sig"),
        "utf16.csv": text("\t").encode("utf-16"),
        "utf16_be.csv": b"\xfe\xff" + text(",").encode("utf-16-be"),
        "utf16_no_mark.csv": text(",").encode("utf-16-le"),
        "utf32.csv": text(",").encode("utf-32"),
        "told.csv": ("sep=;\r\n" + text(";")).encode(),
        "quoted.csv": ('"path";"label"\n' + text(";", ROWS[1:])).encode(),
        "lines.csv": text(",", end="\r").encode(),
        "backslashes.csv": text(",", windows).encode(),
        "CAPITALS.CSV": text(",").encode(),
    }


def unreadable_tables() -> dict[str, bytes]:
    """Tables that must be refused in a sentence."""
    return {
        "cp1252.csv": "path,label\nimg/1.png,é\n".encode("cp1252"),
        "shift_jis.csv": "path,label\nimg/1.png,傷\n".encode("shift_jis"),
        "zeros.csv": b"path,label\n" + bytes(100),
        "cut_utf16.csv": "path,label\nimg/1.png,a\n".encode("utf-16")[:-1],
        "long_cell.csv": b"path,label\nimg/1.png," + b"a" * 200_000 + b"\n",
        "long_path.csv": b"path,label\n" + b"a" * 5000 + b".png,a\n",
        "drive.csv": b"path,label\nC:\\photos\\1.png,a\n",
        "share.csv": b"path,label\n\\\\server\\photos\\1.png,a\n",
        "empty.csv": b"",
        "mark_only.csv": b"\xff\xfe",
        "quote.csv": b'path,label\n"img/1.png,a\n',
    }
