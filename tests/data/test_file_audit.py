"""The audit finds what is wrong with images before they are trained on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tl_keras.config.schema import DataConfig
from tl_keras.data.duplicate_groups import duplicates_across_splits
from tl_keras.data.file_audit import Audit, audit
from tl_keras.data.findings import Finding
from tl_keras.data.sources import load_images
from tl_keras.data.splits import make_splits
from tl_keras.errors import DataError

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Save a picture that differs from all others."""
    made = [0]

    def _save(name: str, size: tuple[int, int] = (8, 8), mode: str = "RGB", **keys: Any) -> Path:
        made[0] += 1
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(made[0]).integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(path, **keys)
        return path

    return _save


@pytest.fixture
def plain(save: Save, tmp_path: Path) -> Path:
    for label in "ab":
        for number in range(2):
            save(f"{label}/{number}.png")
    return tmp_path


def check(
    folder: Path, image_size: int = 32, *, skip: bool = False, resize: str = "stretch"
) -> Audit:
    table = load_images(DataConfig(folder=str(folder)))
    return audit(table, image_size=image_size, skip_unreadable=skip, resize=resize)  # type: ignore[arg-type]


def finding(checked: Audit, kind: str) -> Finding:
    (found,) = [item for item in checked.findings if item.kind == kind]
    return found


def test_plain_images_have_no_findings(plain: Path) -> None:
    checked = check(plain)
    assert checked.findings == ()
    assert checked.left_out == 0
    assert len(checked.table.frame) == 4


def test_facts_of_an_image(plain: Path, save: Save) -> None:
    path = save("a/wide.JPG", (20, 10))
    images = check(plain).images.set_index("image_id")
    row = images.loc["a/wide.JPG"]
    assert (row["format"], row["mode"], row["width"], row["height"]) == ("JPEG", "RGB", 20, 10)
    assert row["bytes"] == path.stat().st_size
    assert row["exif_orientation"] == 1
    assert len(row["sha256"]) == 64
    assert images["error"].isna().all()


def test_sha256_is_that_of_the_file(plain: Path) -> None:
    (plain / "a/0.gif").write_bytes(b"")
    row = check(plain, skip=True).images.set_index("image_id").loc["a/0.gif"]
    assert row["sha256"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def break_three(folder: Path) -> None:
    (folder / "a/empty.png").write_bytes(b"")
    (folder / "b/text.jpg").write_text("no picture")
    (folder / "b/cut.png").write_bytes((folder / "b/0.png").read_bytes()[:100])


def test_unreadable_files_stop_with_all_their_names(plain: Path) -> None:
    break_three(plain)
    message = (
        r"3 images cannot be read: a/empty.png \(empty file\), b/cut.png \(damaged or cut short "
        r"PNG\), b/text.jpg \(no JPEG, PNG, BMP, GIF, TIFF or WEBP content\). "
        r".*data.skip_unreadable"
    )
    with pytest.raises(DataError, match=message):
        check(plain)


@pytest.mark.parametrize("start", [b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM\x80"])
def test_a_file_that_ends_after_its_first_bytes_is_unreadable(plain: Path, start: bytes) -> None:
    (plain / "a/stub.png").write_bytes(start)
    with pytest.raises(DataError, match=r"a/stub.png \(damaged or cut short"):
        check(plain)


def test_many_unreadable_files_are_counted(plain: Path) -> None:
    for number in range(12):
        (plain / f"a/x{number:02d}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"12 images .*a/x09.png \(empty file\) and 2 more"):
        check(plain)


def test_unreadable_files_are_left_out_on_request(plain: Path) -> None:
    break_three(plain)
    checked = check(plain, skip=True)
    assert checked.left_out == 3
    assert list(checked.table.frame["image_id"]) == ["a/0.png", "a/1.png", "b/0.png", "b/1.png"]
    assert list(checked.table.frame.index) == [0, 1, 2, 3]
    assert len(checked.images) == 7
    message = finding(checked, "unreadable").message
    assert message.startswith("3 images ")
    assert all(name in message for name in ("a/empty.png", "b/cut.png", "b/text.jpg"))


def test_file_that_vanished(plain: Path) -> None:
    table = load_images(DataConfig(folder=str(plain)))
    (plain / "a/0.png").unlink()
    with pytest.raises(DataError, match=r"a/0.png \(No such file or directory\)"):
        audit(table, image_size=32, skip_unreadable=False)


def test_class_of_unreadable_files_only(plain: Path) -> None:
    for path in (plain / "b").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="all images of b are unreadable"):
        check(plain, skip=True)


def test_exif_rotation(plain: Path, save: Save) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    save("a/turned.jpg", exif=exif)
    checked = check(plain)
    assert finding(checked, "exif_rotation").image_ids == ("a/turned.jpg",)
    assert checked.images.set_index("image_id").loc["a/turned.jpg", "exif_orientation"] == 6


def test_copies_within_a_class(plain: Path) -> None:
    (plain / "a/copy.png").write_bytes((plain / "a/0.png").read_bytes())
    checked = check(plain)
    assert finding(checked, "duplicates_within_class").image_ids == ("a/0.png", "a/copy.png")
    assert len(checked.findings) == 1


def test_copies_across_classes(plain: Path) -> None:
    (plain / "b/copy.png").write_bytes((plain / "a/0.png").read_bytes())
    checked = check(plain)
    found = finding(checked, "duplicates_across_classes")
    assert found.image_ids == ("a/0.png", "b/copy.png")
    assert "labels are probably wrong" in found.message
    assert len(checked.findings) == 1


def test_transparency(plain: Path, save: Save) -> None:
    save("a/clear.png", mode="RGBA")
    save("a/palette.png", mode="P", transparency=0)
    assert finding(check(plain), "alpha").image_ids == ("a/clear.png", "a/palette.png")


def test_sixteen_bits_and_gray(plain: Path, save: Save) -> None:
    save("a/gray.png", mode="L")
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8)).save(plain / "a/deep.png")
    checked = check(plain)
    assert finding(checked, "sixteen_bit").image_ids == ("a/deep.png",)
    assert finding(checked, "gray").image_ids == ("a/deep.png", "a/gray.png")


def test_gray_is_what_is_seen_not_how_the_file_stores_it(plain: Path, save: Save) -> None:
    Image.open(save("a/gray.png", mode="L")).convert("RGB").save(plain / "a/gray.png")
    assert finding(check(plain), "gray").image_ids == ("a/gray.png",)
    assert "a/gray.png" in finding(check(plain), "gray").message


def test_gray_alone_is_no_finding(save: Save) -> None:
    for name in ("a/0.png", "a/1.png", "b/0.png", "b/1.png"):
        path = save(name, mode="L")
    assert check(path.parents[1]).findings == ()


def test_wrong_extension(plain: Path, save: Save) -> None:
    save("a/really.jpg").rename(plain / "a/other.png")
    assert finding(check(plain), "wrong_extension").image_ids == ("a/other.png",)


@pytest.mark.parametrize(("side", "factor"), [(132, "4.1"), (640, "20.0")])
def test_pictures_much_larger_than_the_input(save: Save, side: int, factor: str) -> None:
    path = save("a/1.png", (side, side + 5))
    save("b/1.png", (side + 9, side))
    found = finding(check(path.parents[1]), "large_pictures")
    assert f"a factor of {factor} (median) to 32 px" in found.message
    assert len(found.image_ids) == 2


def test_pictures_of_four_times_the_input_pass(save: Save) -> None:
    path = save("a/1.png", (128, 128))
    save("b/1.png", (128, 128))
    assert check(path.parents[1]).findings == ()


def test_pictures_much_smaller_than_the_input(plain: Path, save: Save) -> None:
    save("a/small.png", (7, 7))
    found = finding(check(plain), "small_pictures")
    assert found.image_ids == ("a/small.png",)
    assert "input of 32 px" in found.message


def test_one_picture_of_quite_another_size(save: Save) -> None:
    for number in range(25):
        save(f"a/{number}.png", (20, 20))
    path = save("b/1.png", (100, 100))
    assert finding(check(path.parents[1]), "odd_size").image_ids == ("b/1.png",)


def test_names_that_suggest_groups(save: Save) -> None:
    for label in "ab":
        for part in range(6):
            for number in range(2):
                path = save(f"{label}/part{part}_{number}.png")
    found = finding(check(path.parents[1]), "names_suggest_groups")
    assert len(found.image_ids) == 24
    assert "a/part0_0.png, a/part0_1.png" in found.message
    pattern = found.message.partition("set data.group_pattern to ")[2]
    table = load_images(DataConfig(folder=str(path.parents[1]), group_pattern=pattern))
    assert table.frame["group"].nunique() == 6


def test_a_copy_with_another_exif_orientation_is_exact(plain: Path, save: Save) -> None:
    path = save("a/turned.jpg", (16, 16), exif=Image.Exif())
    encoded = path.read_bytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    segment = exif.tobytes()
    marker = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    (plain / "a/upright.jpg").write_bytes(encoded[:2] + marker + encoded[2:])
    found = finding(check(plain), "duplicates_within_class")
    assert found.image_ids == ("a/turned.jpg", "a/upright.jpg")


@pytest.mark.parametrize(
    ("resize", "words"),
    [("stretch", "stretched to a square"), ("crop", "cut at the ends"), ("pad", "black borders")],
)
def test_long_pictures(plain: Path, save: Save, resize: str, words: str) -> None:
    save("a/long.png", (30, 8))
    save("a/just.png", (16, 8))
    found = finding(check(plain, resize=resize), "aspect_ratio")
    assert found.image_ids == ("a/long.png",)
    assert words in found.message
    assert "3.8 times" in found.message


def test_unequal_classes(plain: Path, save: Save) -> None:
    for number in range(5):
        save(f"a/more{number}.png")
    message = finding(check(plain), "class_imbalance").message
    assert all(fact in message for fact in ("3.5 to 1", "a has 7", "b has 2"))


def test_classes_of_three_to_one_pass(plain: Path, save: Save) -> None:
    for number in range(4):
        save(f"a/more{number}.png")
    assert check(plain).findings == ()


def test_other_files(plain: Path) -> None:
    (plain / "a/notes.txt").write_text("seen")
    message = finding(check(plain), "other_files").message
    assert message.startswith("1 other file ")
    assert "a/notes.txt" in message


def test_copies_across_splits(save: Save, tmp_path: Path) -> None:
    for part, count in (("train", 6), ("test", 3), ("validation", 3)):
        for label in "ab":
            for number in range(count):
                save(f"{part}/{label}/{number}.png")
    data = DataConfig(folder=str(tmp_path))
    copies = ["test/a/0.png", "train/a/0.png"]
    (tmp_path / copies[0]).write_bytes((tmp_path / copies[1]).read_bytes())
    (tmp_path / "train/b/1.png").write_bytes((tmp_path / "train/b/0.png").read_bytes())
    checked = audit(load_images(data), image_size=32, skip_unreadable=False)
    splits = make_splits(checked.table, data, 2)
    found = duplicates_across_splits(checked.table, checked.duplicates, splits)
    assert found is not None
    assert list(found.image_ids) == copies
    assert found.groups == (tuple(copies),)
    assert "2 images have a copy on another side" in found.message
    assert "test/a/0.png = train/a/0.png" in found.message


def test_no_copies_across_splits(save: Save, tmp_path: Path) -> None:
    for label in "ab":
        for number in range(6):
            save(f"{label}/{number}.png")
    data = DataConfig(folder=str(tmp_path))
    checked = audit(load_images(data), image_size=32, skip_unreadable=False)
    splits = make_splits(checked.table, data, 2)
    assert duplicates_across_splits(checked.table, checked.duplicates, splits) is None


def test_facts_are_a_table_of_known_types(plain: Path) -> None:
    break_three(plain)
    images = check(plain, skip=True).images
    assert list(images.columns) == [
        "image_id",
        "bytes",
        "format",
        "mode",
        "width",
        "height",
        "exif_orientation",
        "bit_depth",
        "has_alpha",
        "gray",
        "sha256",
        "error",
    ]
    assert pd.api.types.is_integer_dtype(images["width"])
    assert images.set_index("image_id")["format"].isna().sum() == 2
