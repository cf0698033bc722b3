"""The audit finds what is wrong with images before they are trained on."""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.hostile.pictures import BROKEN, HEIGHT, SOUND, WIDTH, photo, saved
from tl_keras.config.schema import DataConfig, ResizeMode
from tl_keras.data import file_audit, file_facts, findings
from tl_keras.data.duplicate_groups import duplicates_across_splits
from tl_keras.data.file_audit import Audit, audit, examine
from tl_keras.data.file_facts import FileFacts
from tl_keras.data.findings import Finding
from tl_keras.data.fingerprints import Fingerprint, fingerprint
from tl_keras.data.picture_reading import DEFAULTS, PictureReading
from tl_keras.data.pixels import load_pictures
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
    folder: Path, image_size: int = 32, *, skip: bool = False, reading: PictureReading = DEFAULTS
) -> Audit:
    table = load_images(DataConfig(folder=str(folder)))
    return audit(table, image_size=image_size, skip_unreadable=skip, reading=reading)


def finding(checked: Audit, kind: str) -> Finding:
    (found,) = [item for item in checked.findings if item.kind == kind]
    return found


def test_plain_images_have_no_findings(plain: Path) -> None:
    checked = check(plain)
    assert checked.findings == ()
    assert checked.left_out == 0
    assert len(checked.table.frame) == 4


def test_what_is_longer_than_any_picture_is_not_read(plain: Path) -> None:
    with (plain / "a" / "long.jpg").open("wb") as file:
        file.write(SOUND["plain.jpg"])
        # of holes, which would be read for minutes
        file.truncate(2**40)
    images = check(plain, skip=True).images.set_index("image_id")
    facts = images.loc["a/long.jpg"]
    assert facts["error"] == "a file of more than 2 GB"
    assert facts["bytes"] == 2**40
    assert pd.isna(facts["sha256"])


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


def test_libraries_of_formats_say_nothing_of_damaged_files(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = {"noise.jpg": saved(photo(), "JPEG")[:-2] + b"\x01" * 99 + b"\xff\xd9"}
    packed = saved(photo(), "TIFF", compression="tiff_adobe_deflate")
    files["packed.tif"] = packed[:60] + bytes(20) + packed[80:]
    for name, content in files.items():
        for label in ("a", "b"):
            (tmp_path / label).mkdir(exist_ok=True)
            (tmp_path / label / name).write_bytes(content)
    found = examine(load_images(DataConfig(folder=str(tmp_path))), image_size=8)
    assert found.left_out == 2
    load_pictures(found.table.paths, np.arange(2), image_size=8, reading=DEFAULTS)
    assert capfd.readouterr().err == ""


def test_unreadable_files_stop_with_all_their_names(plain: Path) -> None:
    break_three(plain)
    message = (
        r"3 images cannot be read: a/empty.png \(empty file\), b/cut.png \(damaged or cut short "
        r"PNG\), b/text.jpg \(no JPEG, PNG, BMP, GIF, TIFF or WEBP content\). "
        r".*skip_unreadable"
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
    with pytest.raises(DataError, match=r"a/0.png \(cannot be opened: No such file or directory\)"):
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


def test_many_copies_are_shown_with_each_of_their_labels(plain: Path) -> None:
    for name in ("a/copy1.png", "a/copy2.png", "a/copy3.png", "b/copy.png"):
        (plain / name).write_bytes((plain / "a/0.png").read_bytes())
    found = finding(check(plain), "duplicates_across_classes")
    assert len(found.image_ids) == 5
    assert "b/copy.png" in found.message


@pytest.mark.slow
def test_a_whole_folder_of_hostile_files(tmp_path: Path) -> None:
    for label, files in (("sound", SOUND), ("broken", BROKEN)):
        (tmp_path / label).mkdir()
        for name, content in files.items():
            (tmp_path / label / name).write_bytes(content)
    checked = examine(load_images(DataConfig(folder=str(tmp_path))), image_size=32)
    assert len(SOUND) + len(BROKEN) == len(checked.images) > 69
    unreadable = set(checked.images.loc[checked.images["error"].notna(), "image_id"])
    assert unreadable == {f"broken/{name}" for name in BROKEN}
    assert set(finding(checked, "unreadable").image_ids) == unreadable
    assert checked.images["sha256"].notna().all()
    with pytest.raises(DataError, match=f"{len(BROKEN)} images cannot be read"):
        check(tmp_path)
    with pytest.raises(DataError, match="all images of broken are unreadable"):
        check(tmp_path, skip=True)


@pytest.mark.parametrize(
    "error",
    [MemoryError, RecursionError, OverflowError, AssertionError, Image.DecompressionBombError],
)
def test_whatever_a_file_raises_is_about_that_file(
    plain: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def decode(encoded: bytes, reading: PictureReading) -> Fingerprint:
        if encoded == broken:
            raise error
        return fingerprint(encoded, reading)

    broken = (plain / "a/0.png").read_bytes()
    monkeypatch.setattr(file_facts, "fingerprint", decode)
    checked = check(plain, skip=True)
    assert finding(checked, "unreadable").image_ids == ("a/0.png",)
    with pytest.raises(DataError, match=r"1 images? cannot be read: a/0\.png"):
        check(plain)


@pytest.mark.slow
def test_a_picture_above_the_limit_is_named_with_its_size(plain: Path, save: Save) -> None:
    save("a/large.png", (40, 30))
    table = load_images(DataConfig(folder=str(plain)))
    with pytest.raises(DataError, match=r"a/large.png \(40 x 30 pixels, more than data.max_mega"):
        audit(
            table,
            image_size=32,
            skip_unreadable=False,
            reading=PictureReading(max_megapixels=0.001),
        )
    assert (
        examine(table, image_size=32, reading=PictureReading(max_megapixels=0.0012)).left_out == 0
    )


def test_large_pictures_are_decoded_one_by_one(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, most = [0], [0]

    def decode(encoded: bytes, reading: PictureReading) -> Fingerprint:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.02)
        inside[0] -= 1
        return fingerprint(encoded, reading)

    monkeypatch.setattr(file_facts, "fingerprint", decode)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    check(plain)
    assert most[0] > 1
    most[0] = 0
    monkeypatch.setattr(file_audit, "_MEMORY_BYTES", 1000)
    check(plain)
    assert most[0] == 1


@pytest.mark.parametrize(("memory", "times"), [(2**31, 1), (1000, 3)])
def test_files_are_read_once_unless_they_are_large(
    plain: Path, monkeypatch: pytest.MonkeyPatch, memory: int, times: int
) -> None:
    opened: Counter[Path] = Counter()
    open_file = Path.open

    def counting(path: Path, *arguments: Any, **settings: Any) -> Any:
        opened[path] += 1
        return open_file(path, *arguments, **settings)

    table = load_images(DataConfig(folder=str(plain)))
    monkeypatch.setattr(file_audit, "_MEMORY_BYTES", memory)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(Path, "open", counting)
    images = examine(table, image_size=32).images
    assert opened == dict.fromkeys(map(Path, table.paths), times)
    digests = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in table.paths]
    assert images["sha256"].tolist() == digests


def photo_of(path: Path) -> np.ndarray:
    """A sound photo in gray, 0..255."""
    pixels = np.asarray(photo("L", sum(path.name.encode()))).astype(float)
    return 255 * (pixels - pixels.min()) / np.ptp(pixels)


def with_hot_pixels(gray: np.ndarray) -> np.ndarray:
    """Noise in the dark, and three pixels that do not belong to it, one of them in the corner."""
    dark = np.random.default_rng(0).integers(0, 4, gray.shape, np.uint8)
    dark[0, 0] = dark[7, 11] = dark[20, 5] = 255
    return dark


def red_for_green(gray: np.ndarray) -> np.ndarray:
    """A photo in two colours that are equally bright, so that in gray it is of one shade."""
    green = (255 - gray) * 0.299 / 0.587
    return np.dstack([gray, green, np.full_like(gray, 30)]).astype(np.uint8)


def drawn(gray: np.ndarray) -> np.ndarray:
    """A line, one pixel wide."""
    return 255 * np.eye(*gray.shape, dtype=np.uint8)


RUINED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "8 bits saved as 16": lambda gray: gray.astype(np.uint16),
    "10 of 16 bits": lambda gray: (gray * 4).astype(np.uint16),
    "12 of 16 bits": lambda gray: (gray * 16).astype(np.uint16),
    "14 of 16 bits": lambda gray: (gray * 64).astype(np.uint16),
    "darkened": lambda gray: (gray / 16).astype(np.uint8),
    "scaled to 0..1": lambda gray: (gray / 255).round().astype(np.uint8),
    "all white": lambda gray: np.full_like(gray, 255, np.uint8),
    "overexposed": lambda gray: (255 - gray / 32).astype(np.uint8),
    "one gray": lambda gray: np.full_like(gray, 128, np.uint8),
    "a cap on the lens": lambda gray: np.clip(
        np.random.default_rng(0).normal(4, 4, gray.shape), 0, 255
    ).astype(np.uint8),
    "hot pixels": with_hot_pixels,
    "one colour": lambda gray: np.full((*gray.shape, 3), (230, 140, 20), np.uint8),
}


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("kind", RUINED)
def test_pictures_with_next_to_nothing_in_them(plain: Path, kind: str, ending: str) -> None:
    names = [f"a/ruined{number}{ending}" for number in range(2)]
    for name in names:
        Image.fromarray(RUINED[kind](photo_of(plain / name))).save(plain / name)
    checked = check(plain)
    found = finding(checked, "nearly_empty")
    assert found.image_ids == tuple(names)
    levels = checked.images.set_index("image_id").loc[names, "gray_levels"]
    span = f"{levels.min()} to {levels.max()}" if levels.min() < levels.max() else f"{levels.min()}"
    assert (
        f"2 images are nearly black, nearly white or of one shade once decoded, with {span} of 256"
        in (found.message)
    )
    deep = {
        "8 bits saved as 16": "[0, 255]",
        "10 of 16 bits": "[0, 1023]",
        "12 of 16 bits": '"12_bit"',
        "14 of 16 bits": "[0, 16383]",
    }
    if kind in deep:
        assert f"set data.range_16_bit to {deep[kind]}, or to" in found.message
    else:
        assert "range_16_bit" not in found.message


def test_gray_levels_are_those_once_decoded(plain: Path) -> None:
    ramp = np.tile(np.arange(0, 4096, 64, dtype=np.uint16), (64, 1))
    Image.fromarray(ramp).save(plain / "a/ramp.png")
    row = check(plain).images.set_index("image_id").loc["a/ramp.png"]
    # 0, 64, .., 4032 of 65535 are 0 to 16 of 255
    assert row["gray_levels"] == 17
    assert (row["darkest"], row["brightest"], row["contrast"]) == (0, 16, 16)


def test_ends_are_those_of_any_channel_and_contrast_that_of_one(plain: Path) -> None:
    colours = np.full((64, 64, 3), (200, 10, 90), np.uint8)
    colours[:, 32:] = (180, 15, 120)
    Image.fromarray(colours).save(plain / "a/colours.png")
    row = check(plain).images.set_index("image_id").loc["a/colours.png"]
    assert (row["darkest"], row["brightest"], row["contrast"]) == (10, 200, 30)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (20, 20), (64, 64), (300, 300)])
def test_a_hot_pixel_counts_only_where_it_has_no_neighbours(
    plain: Path, size: tuple[int, int]
) -> None:
    pixels = np.zeros(size, np.uint8)
    pixels[-1, -1] = 255
    Image.fromarray(pixels).save(plain / "a/hot.png")
    row = check(plain).images.set_index("image_id").loc["a/hot.png"]
    assert (row["brightest"] > 40) == (min(size) == 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda gray: (gray * 257).astype(np.uint16),
        lambda gray: np.where(gray > 128, 255, 0).astype(np.uint8),
        lambda gray: (gray / 5).astype(np.uint8),
        lambda gray: (255 - gray / 5).astype(np.uint8),
        lambda gray: np.dstack([0 * gray, 0 * gray, gray]).astype(np.uint8),
        lambda gray: np.dstack([0 * gray + 255, 0 * gray + 255, gray]).astype(np.uint8),
        red_for_green,
        drawn,
        lambda gray: 255 - drawn(gray),
    ],
)
def test_dim_pale_drawn_and_coloured_pictures_are_sound(
    plain: Path, make: Callable[[np.ndarray], np.ndarray]
) -> None:
    Image.fromarray(make(photo_of(plain))).save(plain / "a/sound.png")
    assert "nearly_empty" not in {found.kind for found in check(plain).findings}


def test_colour_in_a_tiff_of_16_bits_is_told_without_a_range(plain: Path) -> None:
    dark = FileFacts(format="TIFF", mode="RGB", bit_depth=16, gray_levels=3, darkest=0, brightest=9)
    images = pd.DataFrame([asdict(dark)]).assign(image_id="a", path="a.tif")
    (found,) = findings._nearly_empty(images)
    assert "range_16_bit" not in found.message


SETS = Path(__file__).parents[3] / "shared" / "data"
KINDS_OF_PHOTOS = (
    "bccd_cells",
    "brick_cracks",
    "cats_vs_dogs",
    "mnist_digits",
    "neu_cls",
    "orl_faces",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS_OF_PHOTOS)
def test_no_sound_photo_is_called_empty(name: str) -> None:
    folder = SETS / name
    if not folder.is_dir():
        pytest.skip("the photos are not on this machine")
    table = load_images(DataConfig(folder=str(folder)))
    assert "nearly_empty" not in {one.kind for one in examine(table, image_size=96).findings}


def test_cmyk_that_may_be_inverted(plain: Path) -> None:
    for name in ("cmyk.jpg", "ycck.jpg", "cmyk_unmarked.jpg", "cmyk.tif"):
        (plain / "a" / name).write_bytes(SOUND[name])
    found = finding(check(plain), "cmyk_unmarked")
    assert found.image_ids == ("a/cmyk_unmarked.jpg",)


def test_files_with_further_pictures(plain: Path) -> None:
    several = ("animated.gif", "animated.png", "animated.webp", "pages.tif", "two_pictures.jpg")
    for name in (*several, "plain.gif", "plain.tif", "plain.jpg", "lossy.webp", "gray.png"):
        (plain / "a" / name).write_bytes(SOUND[name])
    found = finding(check(plain), "several_pictures")
    assert found.image_ids == tuple(f"a/{name}" for name in several)


def test_a_size_is_that_of_the_pixels_as_stored(plain: Path) -> None:
    for name in ("orientation_6.tif", "held_upright.jpg", "held_upright.webp"):
        (plain / "a" / name).write_bytes(SOUND[name])
    images = check(plain).images.set_index("image_id")
    for name in ("orientation_6.tif", "held_upright.jpg", "held_upright.webp"):
        row = images.loc[f"a/{name}"]
        assert (row["width"], row["height"], row["exif_orientation"]) == (WIDTH, HEIGHT, 6)


@pytest.mark.parametrize("name", [name for name in SOUND if name.startswith("orientation_")])
def test_an_orientation_that_is_no_number_of_eight_is_upright(plain: Path, name: str) -> None:
    (plain / "a" / name).write_bytes(SOUND[name])
    row = check(plain).images.set_index("image_id").loc[f"a/{name}"]
    given = name.partition("_")[2].partition(".")[0]
    assert row["exif_orientation"] == (int(given) if given in "12345678" else 1)
    assert row["width"] == WIDTH


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
    as_stored = check(plain, reading=PictureReading(exif_rotation="ignore"))
    found = finding(as_stored, "duplicates_within_class")
    assert found.image_ids == ("a/turned.jpg", "a/upright.jpg")


@pytest.mark.parametrize(
    ("resize", "words"),
    [("stretch", "stretched to a square"), ("crop", "cut at the ends"), ("pad", "black borders")],
)
def test_long_pictures(plain: Path, save: Save, resize: ResizeMode, words: str) -> None:
    save("a/long.png", (30, 8))
    save("a/just.png", (16, 8))
    found = finding(check(plain, reading=PictureReading(resize)), "aspect_ratio")
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
        "several_pictures",
        "cmyk_unmarked",
        "gray",
        "gray_levels",
        "darkest",
        "brightest",
        "contrast",
        "sha256",
        "error",
    ]
    assert pd.api.types.is_integer_dtype(images["width"])
    assert images.set_index("image_id")["format"].isna().sum() == 2
